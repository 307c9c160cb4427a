// A data host that sets its own cookies, beside those that share theirs: all of it in one view.

import assert from "node:assert/strict";
import { DATA, PUBLIC, Person, VIEWER, World, complete, cookiesKeepTheirPlaces, moveTo, passes, precomputed, unexpected, view, zarr } from "./stock.mjs";

const HOUR = 3600;
const DATA_B = "https://data-b.example.test";

const world = new World();
await world.withChromium(async (browser) => {
  const ada = await Person.at(browser);
  await ada.signIn("Ada");
  const page = await ada.tab();
  world.forget();
  await page.goto(`${VIEWER}/${view([zarr("zarr3", `${DATA_B}/volumes/zarr3`), precomputed(`${DATA}/lab-a/precomputed`), precomputed(`${PUBLIC}/precomputed`)])}`);
  await complete(page, 3);
  // A read that was faster than the host's own cookies is refused and read again, and the console tells of it.
  const refused = /^(Failed to load resource: net::ERR_FAILED \(|Access to fetch at ')https:\/\/data-b\.example\.test\/volumes\//;
  assert.deepEqual(unexpected(page, refused), []);
  assert.deepEqual([world.renewals(), handoffs()], [[200], [200]]);

  const held = await ada.cookies("CloudFront-");
  const places = new Set(held.map(({ domain, path }) => `${domain}${path}`));
  assert.deepEqual([...places].sort(), [".example.test/lab-a/", ".example.test/old-a/", "data-b.example.test/volumes/"]);

  await world.advance(HOUR + 60);
  await passes(page, HOUR + 60);
  world.forget();
  await moveTo(page, view([precomputed(`${DATA_B}/volumes/precomputed`), zarr("zarr", `${DATA}/lab-a/zarr2`)]));
  await complete(page, 2);
  assert.deepEqual([world.renewals(), handoffs()], [[200], [200]]);
  cookiesKeepTheirPlaces(world);
});

function handoffs() {
  return world.requests(({ host, method, uri }) => host === "data-b.example.test" && method === "POST" && uri === "/session/handoff").map(({ status }) => status);
}
