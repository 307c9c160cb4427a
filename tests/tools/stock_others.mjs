// OpenSeadragon, which reads tiles by XMLHttpRequest and as images, and itk-vtk-viewer, which reads OME-Zarr by
// XMLHttpRequest and asks for a script of another site.

import assert from "node:assert/strict";
import { DATA, PUBLIC, Person, VIEWER, World, areas, cookiesKeepTheirPlaces, parts, same, unexpected, until } from "./stock.mjs";

const world = new World();
await world.withChromium(async (browser) => {
  const ada = await Person.at(browser);
  await ada.signIn("Ada");
  await openSeadragon(ada);
  await itkVtk(ada);
});

async function openSeadragon(ada) {
  world.forget();
  const images = [["image", PUBLIC], ["xhr", PUBLIC], ["image", DATA], ["xhr", DATA]];
  const asked = images.map(([how, host]) => `tiles=${host}${host === DATA ? "/lab-a" : ""}/tiles.dzi&how=${how}`);
  const page = await ada.tab();
  await page.goto(`${VIEWER}/openseadragon/?${asked.join("&")}`);
  const [image, xhr, privateImage, privateXhr] = await until(page, "tiles in all four", async () => {
    const boxes = await page.evaluate(() => [...document.querySelectorAll("div.viewer")].map((viewer) => viewer.getBoundingClientRect().toJSON()));
    const shots = await areas(page, boxes.map(({ x, y }) => ({ x: x + 20, y: y + 20, width: 200, height: 200 })));
    return shots.length === 4 && shots.map(parts).every(({ data, shades }) => data === 1 && shades > 10) && shots;
  });
  assert.ok(same([image, privateImage], [xhr, privateXhr]));
  assert.deepEqual(unexpected(page), []);
  assert.deepEqual(world.renewals(), [200]);
  cookiesKeepTheirPlaces(world);
  await page.close();
}

/** Two volumes to be compared. What it draws of them is not: all that it asks for comes, and nothing else is amiss. */
async function itkVtk(ada) {
  world.forget();
  const page = await ada.tab();
  await page.goto(`${VIEWER}/itk-vtk/?image=${DATA}/lab-a/ome.zarr&fixedImage=${PUBLIC}/ome.zarr&rotate=false`);
  const chunks = ({ uri, status }) => /\/ome\.zarr\/0\/\d\/\d\/\d$/.test(uri) && status === 200;
  const came = () => new Set(world.requests(chunks).map(({ host, uri }) => host + uri));
  await until(page, "all chunks of both", () => came().size === 2 * 64);
  await page.locator("canvas").first().waitFor();
  // The policy keeps out the loader of somebody else's plug-ins, which only pages that frame it need.
  assert.deepEqual(unexpected(page, /lib\.imjoy\.io/), []);
  assert.deepEqual(world.renewals(), [200]);
  assert.deepEqual(world.requests(({ host, status }) => host === "data.example.test" && status === 403), []);
  cookiesKeepTheirPlaces(world);
}
