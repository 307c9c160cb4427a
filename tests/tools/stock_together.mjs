// Private and public volumes in one view, in each build of Neuroglancer, as it was published.

import assert from "node:assert/strict";
import {
  ARCHIVE, DATA, PUBLIC, Person, VIEWER, World, complete, cookiesKeepTheirPlaces, precomputed, same, unexpected, view, zarr,
} from "./stock.mjs";

const BUILDS = {
  "/": [], // npm's library, built with classic workers
  "/modules/": [], // the same with module workers
  "/v/token/": [/\/events\/token/], // Python's, which misses its Python
  "/janelia/": [], // 2.37, whose names carry no hash
};

/** What every build can read. */
const VOLUMES = [
  zarr("zarr", `${DATA}/lab-a/zarr2`),
  precomputed(`${DATA}/lab-a/precomputed`),
  precomputed(`${ARCHIVE}/old-a/precomputed`),
  zarr("zarr", `${PUBLIC}/zarr2`),
  precomputed(`${PUBLIC}/precomputed`),
];

const world = new World();
await world.withChromium(async (browser) => {
  const ada = await Person.at(browser);
  await ada.signIn("Ada");
  let reference;
  for (const [path, known] of Object.entries(BUILDS)) {
    const shown = await open(ada, path, VOLUMES, known);
    reference ??= shown;
    assert.ok(same(shown, reference), `${path} shows another picture`);
  }
  await open(ada, "/", [zarr("zarr3", `${DATA}/lab-a/zarr3`), precomputed(`${PUBLIC}/precomputed`)], []);
});

async function open(ada, path, volumes, known) {
  world.forget();
  const page = await ada.tab();
  await page.goto(`${VIEWER}${path}${view(volumes)}`);
  const shown = await complete(page, volumes.length);
  assert.deepEqual(unexpected(page, ...known), [], path);
  assert.deepEqual(world.renewals(), [200], path);
  assert.deepEqual(world.requests(({ host, status }) => host !== "viewer.example.test" && status >= 400 && status !== 404), []);
  cookiesKeepTheirPlaces(world);
  const reads = world.requests(({ host }) => host === "data.example.test");
  assert.ok(reads.length > 10 && reads.every(({ cookie }) => cookie.includes("CloudFront-Signature=")), path);
  assert.ok(world.requests(({ host }) => host === "public.other.test").length > 10, path);
  await page.close();
  return shown;
}
