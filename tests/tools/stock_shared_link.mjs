// Somebody opens a shared link without being signed in, signs in from the banner, and sees what was shared. Somebody
// else, whom it is not for, is told so.

import assert from "node:assert/strict";
import {
  DATA, PUBLIC, Person, VIEWER, World, banner, choose, complete, covered, moveTo, parts, precomputed, same, settled, until, view, zarr,
} from "./stock.mjs";

const SLAB = zarr("zarr", `${DATA}/lab-a/slab`);
const SHARED = view([SLAB], { position: [50, 70, 3], voxels: 40 });

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
  await notForBen(browser);
});

/** Of three volumes in a view, one is not his to see. */
async function notForBen(browser) {
  const ben = await Person.at(browser);
  await ben.signIn("Ben");
  const page = await ben.tab();
  const open = [zarr("zarr", `${DATA}/lab-b/zarr2`), precomputed(`${PUBLIC}/precomputed`)];
  await page.goto(`${VIEWER}/${view([SLAB, ...open])}`);
  const notice = await until(page, "banner", () => banner(page));
  assert.match(notice, /needs access that you do not have.*What you may see/);
  assert.doesNotMatch(notice, /Sign in/);
  assert.equal(await page.evaluate(() => document.activeElement.closest("[data-edgemint]")), null, "the viewer keeps the keys");
  await settled(page, "what is open", ([, ...others]) => others.length === 2 && others.map(parts).every(({ data }) => data === 1));
  await page.getByRole("button", { name: "Dismiss" }).click();
  assert.equal(await banner(page), "");
  await moveTo(page, view(open));
  await complete(page, 2);
  assert.equal(await banner(page), "");

  await page.goto("about:blank");
  await page.goto(`${VIEWER}/${view([SLAB], { layout: "xy-3d" })}`);
  await until(page, "banner", () => banner(page));
  assert.deepEqual(await covered(page), []);
  const session = page.context().waitForEvent("page");
  await page.getByRole("link", { name: "What you may see" }).click();
  await (await session).getByText("ben@lab-b.example").waitFor();
}

async function state(page) {
  const { position, layers, crossSectionScale, layout } = JSON.parse(decodeURIComponent(new URL(page.url()).hash.slice(2)));
  return { position, sources: layers.map(({ source }) => source), crossSectionScale, layout };
}
