// What the shim costs a fetch: 2,000 reads of 4 KB, 100 at a time, by a worker, with it and without it, in turns.
//
// Prints one line of JSON: the medians, in milliseconds. It judges nothing.

import { DATA, Person, VIEWER, World, complete, view, zarr } from "./stock.mjs";

const [READS, AT_ONCE, ROUNDS] = [2000, 100, 5];

const world = new World();
await world.withChromium(async (browser) => {
  const ada = await Person.at(browser);
  await ada.signIn("Ada");
  const page = await ada.tab();
  await page.goto(`${VIEWER}/${view([zarr("zarr", `${DATA}/lab-a/zarr2`)])}`);
  await complete(page, 1);
  const worker = page.workers().find((worker) => worker.url().includes("chunk_worker"));
  const times = { with: [], without: [] };
  for (let round = 0; round <= ROUNDS; round++) {
    for (const how of ["with", "without"]) {
      const took = await worker.evaluate(read, { how, url: `${DATA}/lab-a/zarr2/0.0.0`, reads: READS, atOnce: AT_ONCE });
      // The first round warms up.
      if (round > 0) times[how].push(took);
    }
  }
  const median = (list) => Math.round(list.sort((one, other) => one - other)[Math.floor(list.length / 2)]);
  console.log(JSON.stringify({ reads: READS, at_once: AT_ONCE, rounds: ROUNDS, with: median(times.with), without: median(times.without) }));
});

/** In the worker. Its own fetch is the shim's; that of a frame of nobody's is the browser's. */
async function read({ how, url, reads, atOnce }) {
  const direct = (...given) => WorkerGlobalScope.prototype.fetch.apply(globalThis, given);
  const fetchOne = how === "with" ? (url) => fetch(url, { cache: "no-store" }) : (url) => direct(url, { cache: "no-store", credentials: "include" });
  let left = reads;
  const started = performance.now();
  const lane = async () => {
    while (left-- > 0) await (await fetchOne(url)).arrayBuffer();
  };
  await Promise.all(Array.from({ length: atOnce }, lane));
  return performance.now() - started;
}
