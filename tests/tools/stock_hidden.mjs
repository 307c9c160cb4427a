// Cookies are not to be had by script, and go to no host but those of data.

import assert from "node:assert/strict";
import { DATA, PUBLIC, Person, VIEWER, World, complete, cookiesKeepTheirPlaces, precomputed, view, zarr } from "./stock.mjs";

const EVIL = "https://evil.example.test";

const world = new World();
await world.withChromium(async (browser) => {
  const ada = await Person.at(browser);
  await ada.signIn("Ada");
  const page = await ada.tab();
  await page.goto(`${VIEWER}/${view([zarr("zarr", `${DATA}/lab-a/zarr2`), precomputed(`${PUBLIC}/precomputed`)])}`);
  await complete(page, 2);
  const held = await ada.cookies("CloudFront-");
  assert.equal(held.length, 6, "three for each of two places");
  assert.ok(held.every(({ httpOnly, secure, sameSite }) => httpOnly && secure && sameSite === "Lax"));

  const worker = page.workers().find((worker) => worker.url().includes("chunk_worker"));
  assert.ok(worker, "the worker that reads chunks");
  world.forget();
  for (const [name, thread] of Object.entries({ page, worker })) {
    assert.doesNotMatch(await thread.evaluate(readableCookies), /CloudFront-|AWSELB/);
    for (const url of [`${EVIL}/bait.json?${name}`, `${EVIL}/lab-a/bait?${name}`, `${PUBLIC}/zarr2/.zarray?${name}`]) {
      assert.equal(await thread.evaluate((url) => fetch(url).then(({ status }) => status), url), 200);
    }
    // Names that only look like those of the data.
    for (const url of [`${EVIL}/lab-a/https://data.example.test/lab-a/?${name}`, `https://data.example.test.evil.example.test/lab-a/bait?${name}`]) {
      assert.equal(await thread.evaluate((url) => fetch(url).then(({ status }) => status), url), 200, url);
    }
    const answer = await thread.evaluate((url) => fetch(url).then((answer) => [...answer.headers.keys()].join()), `${DATA}/lab-a/zarr2/.zarray`);
    assert.doesNotMatch(answer, /cookie/);
  }
  assert.ok(world.requests(({ host }) => host.endsWith("evil.example.test")).length >= 8);
  cookiesKeepTheirPlaces(world);
  await elsewhere(browser, ada);
});

/** A page of another host under the same parent domain reads nothing with the person's cookies. */
async function elsewhere(browser, ada) {
  const page = await ada.tab();
  await page.goto(`${EVIL}/bait.json`);
  for (const url of [`${DATA}/lab-a/zarr2/.zarray`, `${VIEWER}/session`, `${VIEWER}/session/cookies`]) {
    for (const method of ["GET", "POST"]) {
      const read = (asked) => fetch(asked.url, { method: asked.method, credentials: "include" }).then(() => "read", (error) => error.name);
      assert.equal(await page.evaluate(read, { url, method }), "TypeError", `${method} ${url}`);
    }
  }
}

async function readableCookies() {
  const stored = globalThis.cookieStore ? await cookieStore.getAll() : [];
  return [globalThis.document?.cookie ?? "", ...stored.map(({ name }) => name)].join("; ");
}
