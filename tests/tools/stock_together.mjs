import { DATA, PUBLIC, Person, World, complete, precomputed, view, zarr } from "./stock.mjs";

const world = new World();
await world.tell_story(async (browser) => {
  const ada = await Person.at(browser);
  await ada.signIn("Ada");
  const page = await ada.tab();
  await page.goto(`https://viewer.example.test/${view([zarr("zarr2", `${PUBLIC}/zarr2`), precomputed(`${PUBLIC}/precomputed`)])}`);
  await complete(page, 2);
  console.log(page.complaints);
});
