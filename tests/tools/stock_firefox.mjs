// The main path in Firefox: private and public volumes together, cookies that end amid many reads, a session that
// ends, and sign-in in another tab.

import assert from "node:assert/strict";
import {
  DATA, PUBLIC, VIEWER, World, ahead, banner, complete, cookiesKeepTheirPlaces, moveTo, parts, precomputed, same, settled, until,
  view, zarr,
} from "./stock.mjs";

const HOUR = 3600;
const DAY = 86_400;
const OPEN = precomputed(`${PUBLIC}/precomputed`);
const FIRST = view([zarr("zarr", `${DATA}/lab-a/zarr2`), OPEN]);
const MANY = view([zarr("zarr", `${DATA}/lab-a/slab`), OPEN], { position: [32, 32, 4] });
const NEXT = view([precomputed(`${DATA}/lab-a/precomputed`), OPEN]);

const world = new World();
await world.withFirefox(async (browser) => {
  const page = await browser.newPage();
  await signIn(browser);
  world.forget();
  // Its workers hear from the page that the cookies came a while ago: of younger ones, every refusal is
  // believed. WebDriver BiDi does not reach the clocks of workers themselves.
  await page.evaluateOnNewDocument(ahead, -40_000);
  await page.goto(`${VIEWER}/${FIRST}`);
  await complete(page, 2);
  assert.deepEqual(world.renewals(), [200]);
  const reads = world.requests(({ host }) => host === "data.example.test");
  assert.ok(reads.length > 10 && reads.every(({ cookie }) => cookie.includes("CloudFront-Signature=")));

  await amidReads(page);
  await refused(browser, page);
  cookiesKeepTheirPlaces(world);
});

async function amidReads(page) {
  world.forget();
  await world.advanceAfter(30, HOUR + 60);
  await moveTo(page, MANY);
  await complete(page, 2);
  const reads = world.requests(({ uri }) => uri.startsWith("/lab-a/slab/"));
  assert.ok(reads.filter(({ status }) => status === 403).length >= 20);
  assert.deepEqual(world.renewals(), [200]);
}

async function refused(browser, page) {
  await world.advance(DAY + 60);
  await page.evaluate(ahead, (DAY + 60) * 1000);
  world.forget();
  await moveTo(page, NEXT);
  await until(page, "banner", () => banner(page));
  const [hidden] = await settled(page, "the public volume", ([, open]) => open && parts(open).data === 1);
  assert.equal(parts(hidden).black, 0, "what is refused is not black");
  await signIn(browser);
  await page.bringToFront();
  const shown = await complete(page, 2);
  await page.goto("about:blank");
  await page.goto(`${VIEWER}/${NEXT}`);
  assert.ok(same(await complete(page, 2), shown));
}

async function signIn(browser) {
  const tab = await browser.newPage();
  await tab.goto(`${VIEWER}/session/login?return_to=/healthz`);
  const [ada] = await tab.$$("xpath/.//button[@name='person'][contains(., 'ada@')]");
  await Promise.all([tab.waitForNavigation(), ada.click()]);
  // Firefox tells of the navigation before it has followed every redirect.
  await until(tab, "sign-in that leads back", () => tab.url() === `${VIEWER}/healthz`);
  await tab.close();
}
