// Where `viewer.shim` is "service-worker": it reads for a worker that has no shim, and finds its own script.

import assert from "node:assert/strict";
import { DATA, PUBLIC, Person, VIEWER, World, complete, cookiesKeepTheirPlaces, unexpected, until, view, zarr } from "./stock.mjs";

const world = new World();
await world.withChromium(async (browser) => {
  const ada = await Person.at(browser);
  await ada.signIn("Ada");
  const page = await ada.tab();
  await page.goto(`${VIEWER}/${view([zarr("zarr", `${DATA}/lab-a/zarr2`), zarr("zarr", `${PUBLIC}/zarr2`)])}`);
  // It reloads the page once.
  const isControlled = () => page.evaluate(() => navigator.serviceWorker.controller !== null);
  await until(page, "a service worker", () => isControlled().catch(() => false));
  await complete(page, 2);
  assert.equal(await page.evaluate(read, `${DATA}/lab-a/zarr2/.zarray`), 200);
  assert.equal(await page.evaluate(read, `${PUBLIC}/zarr2/.zarray`), 200);
  const looks = () => world.requests(({ method, uri }) => method === "HEAD" && uri === "/session/worker.js");
  await until(page, "a look at its own script", () => looks().length > 0);
  assert.deepEqual([...new Set(looks().map(({ status }) => status))], [200]);
  assert.ok(await isControlled(), "it stays");
  assert.deepEqual(unexpected(page), []);
  cookiesKeepTheirPlaces(world);
});

/** In the page: what a worker out of a blob, which no shim reaches, is answered. */
function read(url) {
  const code = `fetch(${JSON.stringify(url)}).then(({ status }) => postMessage(status), ({ message }) => postMessage(message));`;
  const worker = new Worker(URL.createObjectURL(new Blob([code], { type: "text/javascript" })));
  return new Promise((resolve) => {
    worker.onmessage = ({ data }) => resolve(data);
    worker.onerror = ({ message }) => resolve(message);
  });
}
