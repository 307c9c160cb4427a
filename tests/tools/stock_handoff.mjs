// Two data hosts that set their own cookies at the same path, beside those that share theirs: all of it in one view.

import assert from "node:assert/strict";
import { DATA, PUBLIC, Person, VIEWER, World, complete, cookiesKeepTheirPlaces, moveTo, passes, precomputed, same, unexpected, view, zarr } from "./stock.mjs";

const HOUR = 3600;
const [DATA_B, DATA_C] = ["https://data-b.example.test", "https://data-c.example.test"];

const world = new World();
await world.withChromium(async (browser) => {
  const ada = await Person.at(browser);
  await ada.signIn("Ada");
  const page = await ada.tab();
  world.forget();
  await page.goto(`${VIEWER}/${view([zarr("zarr3", `${DATA_B}/volumes/zarr3`), zarr("zarr3", `${DATA_C}/volumes/zarr3`), precomputed(`${DATA}/lab-a/precomputed`), precomputed(`${PUBLIC}/precomputed`)])}`);
  const [one, other] = await complete(page, 4);
  assert.ok(!same([one], [other]), "each host has data of its own");
  // A read that was faster than the host's own cookies is refused and read again, and the console tells of it.
  const refused = /^(Failed to load resource: net::ERR_FAILED \(|Access to fetch at ')https:\/\/data-[bc]\.example\.test\/volumes\//;
  assert.deepEqual(unexpected(page, refused), []);
  assert.deepEqual([world.renewals(), handoffs()], [[200], [200, 200]]);

  const held = await ada.cookies("CloudFront-");
  const places = new Set(held.map(({ domain, path }) => `${domain}${path}`));
  assert.deepEqual([...places].sort(), [".example.test/lab-a/", ".example.test/old-a/", "data-b.example.test/volumes/", "data-c.example.test/volumes/"]);

  await world.advance(HOUR + 60);
  await passes(page, HOUR + 60);
  world.forget();
  await moveTo(page, view([precomputed(`${DATA_B}/volumes/precomputed`), zarr("zarr", `${DATA}/lab-a/zarr2`)]));
  await complete(page, 2);
  assert.deepEqual([world.renewals(), handoffs()], [[200], [200, 200]]);
  cookiesKeepTheirPlaces(world);
});

function handoffs() {
  return world.requests(({ host, method, uri }) => /^data-[bc]\./.test(host) && method === "POST" && uri === "/session/handoff").map(({ status }) => status);
}
