// The laptop sleeps past the end of the cookies, or its clock is wrong by an hour.

import assert from "node:assert/strict";
import { DATA, Person, VIEWER, World, complete, moveTo, passes, until, view, zarr } from "./stock.mjs";

const HOUR = 3600;
const FIRST = view([zarr("zarr", `${DATA}/lab-a/zarr2`)]);
const NEXT = view([zarr("zarr", `${DATA}/lab-a/slab`)], { position: [64, 64, 4], voxels: 120 });

const world = new World();
await world.withChromium(async (browser) => {
  await asleep(browser);
  for (const seconds of [-HOUR, 2 * HOUR]) {
    // The browser's clock stands still, and the others leave it behind.
    await world.advance(seconds);
    await wrong(browser, seconds);
  }
});

/** A page that wakes up renews by itself, before it reads: nothing is refused. */
async function asleep(browser) {
  const ada = await Person.at(browser);
  await ada.signIn("Ada");
  const page = await ada.tab();
  await page.goto(`${VIEWER}/${FIRST}`);
  await complete(page, 1);
  const control = await ada.context.newCDPSession(page);
  await control.send("Page.setWebLifecycleState", { state: "frozen" });
  await world.advance(2 * HOUR);
  world.forget();
  await control.send("Page.setWebLifecycleState", { state: "active" });
  await passes(page, 2 * HOUR);
  await page.evaluate(() => void dispatchEvent(new Event("focus")));
  await until(page, "a renewal", () => world.renewals().length === 1);
  await moveTo(page, NEXT);
  await complete(page, 1);
  assert.deepEqual(world.renewals(), [200]);
  assert.deepEqual(world.requests(({ status }) => status === 403), []);
  await ada.context.close();
}

async function wrong(browser, seconds) {
  const ada = await Person.at(browser);
  await ada.signIn("Ada");
  const page = await ada.tab();
  world.forget();
  await page.goto(`${VIEWER}/${FIRST}`);
  await complete(page, 1);
  assert.deepEqual(world.renewals(), [200], `${seconds} s apart`);
  assert.deepEqual(world.requests(({ status }) => status === 403), []);
  await world.advance(HOUR + 60);
  await passes(page, HOUR + 60);
  await moveTo(page, NEXT);
  await complete(page, 1);
  assert.deepEqual(world.renewals(), [200, 200], `${seconds} s apart`);
  await ada.context.close();
}
