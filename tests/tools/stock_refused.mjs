// Cookies and session end, and renewal is refused: a banner and no black region; then the person signs in in
// another tab, and the view completes by itself.

import assert from "node:assert/strict";
import {
  DATA, PUBLIC, Person, VIEWER, World, banner, complete, moveTo, panels, parts, passes, precomputed, same, settled, until, view, zarr,
} from "./stock.mjs";

const DAY = 86_400;
const OPEN = precomputed(`${PUBLIC}/precomputed`);
const FIRST = view([zarr("zarr", `${DATA}/lab-a/zarr2`), OPEN]);
const NEXT = view([zarr("zarr", `${DATA}/lab-a/slab`), OPEN], { position: [32, 32, 4] });

const world = new World();
await world.withChromium(async (browser) => {
  const ada = await Person.at(browser);
  await ada.signIn("Ada");
  const page = await ada.tab();
  await page.goto(`${VIEWER}/${NEXT}`);
  const reference = await complete(page, 2);
  await page.goto("about:blank");
  await page.goto(`${VIEWER}/${FIRST}`);
  await complete(page, 2);

  // The load balancer's session lives for a day here, and the cookies for an hour.
  await world.advance(DAY + 60);
  await passes(page, DAY + 60);
  world.forget();
  await page.evaluate(() => void (window.unmoved = true));
  await moveTo(page, NEXT);
  const notice = await until(page, "banner", () => banner(page));
  assert.match(notice, /not signed in.*Sign in/s);
  const [hidden] = await settled(page, "the public volume", ([, open]) => open && parts(open).data === 1);
  assert.equal(parts(hidden).black, 0, "what is refused is not black");
  assert.equal(parts(hidden).data, 0);
  assert.ok(world.renewals().length > 0 && world.renewals().every((status) => status === 401), `${world.renewals()}`);

  await ada.signIn("Ada");
  await complete(page, 2);
  await until(page, "end of the banner", async () => !(await banner(page)));
  assert.ok(same(await complete(page, 2), reference));
  assert.equal(await page.evaluate(() => window.unmoved), true, "the page was loaded anew");
  assert.equal(world.renewals().filter((status) => status === 200).length, 1);
  assert.equal(parts((await panels(page))[0]).black, 0);
});
