// Somebody opens a shared link without being signed in, signs in from the banner, and sees what was shared.

import assert from "node:assert/strict";
import { DATA, Person, VIEWER, World, banner, choose, complete, same, until, view, zarr } from "./stock.mjs";

const SHARED = view([zarr("zarr", `${DATA}/lab-a/slab`)], { position: [50, 70, 3], voxels: 40 });

const world = new World();
await world.withChromium(async (browser) => {
  const ada = await Person.at(browser);
  await ada.signIn("Ada");
  const first = await ada.tab();
  await first.goto(`${VIEWER}/${SHARED}`);
  const reference = await complete(first, 1);

  const stranger = await Person.at(browser);
  const page = await stranger.tab();
  await page.goto(`${VIEWER}/${SHARED}`);
  await until(page, "banner", () => banner(page));
  const before = await state(page);
  await page.getByRole("link", { name: "Sign in" }).click();
  // The page of the provider posts a form: the fragment does not survive that by itself.
  await choose(page, "Ada");
  await page.waitForURL(`${VIEWER}/**`);
  const shown = await complete(page, 1);
  assert.ok(same(shown, reference));
  assert.deepEqual(await state(page), before);
  assert.ok(world.requests(({ referer, uri }) => `${referer}${uri}`.includes("slab%22")).length === 0, "a server saw the view");
});

async function state(page) {
  const { position, layers, crossSectionScale, layout } = JSON.parse(decodeURIComponent(new URL(page.url()).hash.slice(2)));
  return { position, sources: layers.map(({ source }) => source), crossSectionScale, layout };
}
