// Cookies end in the middle of a hundred parallel reads: one renewal, and nothing is lost.

import assert from "node:assert/strict";
import { DATA, Person, VIEWER, World, complete, cookiesKeepTheirPlaces, moveTo, passes, same, unexpected, view, zarr } from "./stock.mjs";

const HOUR = 3600;
const FIRST = view([zarr("zarr", `${DATA}/lab-a/zarr2`)]);
const MANY = view([zarr("zarr", `${DATA}/lab-a/slab`)], { position: [64, 64, 4], voxels: 120 });

const world = new World();
await world.withChromium(async (browser) => {
  const reference = await look(browser, () => {});
  const shown = await look(browser, async (page) => {
    // Of cookies that are younger than half a minute, the page believes every refusal.
    await passes(page, 40);
    world.forget();
    await world.advanceAfter(60, HOUR + 60);
  });
  assert.ok(same(shown, reference));

  const reads = world.requests(({ uri }) => uri.startsWith("/lab-a/slab/"));
  const outcomes = (status) => new Set(reads.filter((read) => read.status === status).map(({ uri }) => uri));
  const refused = outcomes(403);
  assert.ok(refused.size >= 40, `${refused.size} refused`);
  assert.ok(outcomes(200).size >= 100, `${outcomes(200).size} read`);
  assert.deepEqual([...refused].filter((uri) => !outcomes(200).has(uri)), []);
  assert.deepEqual(world.renewals(), [200]);
  cookiesKeepTheirPlaces(world);
});

/** With a cache of its own. */
async function look(browser, prepare) {
  const ada = await Person.at(browser);
  await ada.signIn("Ada");
  const page = await ada.tab();
  await page.goto(`${VIEWER}/${FIRST}`);
  await complete(page, 1);
  await prepare(page);
  await moveTo(page, MANY);
  const shown = await complete(page, 1);
  assert.deepEqual(unexpected(page, /403/, /CORS policy/, /net::ERR_FAILED/), []);
  await ada.context.close();
  return shown;
}
