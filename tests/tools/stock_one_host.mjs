// One host for viewer and data: credentials go along by themselves, and pages among the data run no script.

import assert from "node:assert/strict";
import { PUBLIC, Person, VIEWER, World, complete, cookiesKeepTheirPlaces, moveTo, passes, precomputed, unexpected, view, zarr } from "./stock.mjs";

const HOUR = 3600;
const DATA = `${VIEWER}/data`;

const world = new World();
await world.withChromium(async (browser) => {
  const ada = await Person.at(browser);
  await ada.signIn("Ada");
  const page = await ada.tab();
  await page.goto(`${VIEWER}/${view([zarr("zarr", `${DATA}/lab-a/zarr2`), precomputed(`${DATA}/lab-a/precomputed`), precomputed(`${PUBLIC}/precomputed`)])}`);
  await complete(page, 3);
  assert.deepEqual(unexpected(page), []);
  assert.deepEqual(world.renewals(), [200]);

  await world.advance(HOUR + 60);
  await passes(page, HOUR + 60);
  await moveTo(page, view([zarr("zarr", `${DATA}/lab-a/slab`)], { position: [64, 64, 4], voxels: 120 }));
  await complete(page, 1);
  assert.deepEqual(world.renewals(), [200, 200]);
  cookiesKeepTheirPlaces(world);

  const html = await ada.tab();
  const answer = await html.goto(`${DATA}/lab-a/page.html`);
  assert.equal(answer.status(), 200);
  assert.equal(await html.title(), "page", "its script did not run");
  const nobody = await Person.at(browser);
  assert.equal((await (await nobody.tab()).goto(`${DATA}/lab-a/page.html`)).status(), 403);
});
