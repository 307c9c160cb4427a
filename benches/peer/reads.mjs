// How long a read takes in Chromium with the shim and without it: in a page and in a worker, in turns.
// The argument says where the pages, the data and the person's tokens are; a line of JSON per round comes back.

import { createRequire } from "node:module";

const { chromium } = createRequire(new URL("../../tests/tools/package.json", import.meta.url))("playwright-core");

const { pages, data, map, rounds, reads, at_once } = JSON.parse(process.argv[2]);

const args = ["--no-first-run", "--no-proxy-server", "--disable-background-networking", `--host-resolver-rules=${map}`];
if (process.getuid?.() === 0) args.push("--no-sandbox");
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM || "/usr/bin/chromium", args });
try {
  const context = await browser.newContext();
  const open = {};
  for (const [how, url] of Object.entries(pages)) {
    open[how] = await context.newPage();
    await open[how].goto(url);
  }
  const patched = async (how) => !(await open[how].evaluate(() => fetch.toString())).includes("native");
  if (!(await patched("with")) || (await patched("without"))) throw new Error("the shim is not where it should be");
  const state = await open.with.evaluate(async (url) => {
    await fetch(url);
    return edgemint.renew();
  }, data);
  if (state !== "fresh") throw new Error(`the shim has no cookies: ${state}`);
  for (let round = -1; round < rounds; round++) {
    const took = {};
    for (const thread of ["page", "worker"]) {
      for (const how of ["without", "with"]) {
        const each = await open[how].evaluate(
          ([thread, ...what]) => globalThis.reads[thread](...what),
          [thread, data, reads, at_once],
        );
        took[`${thread} ${how}`] = each;
      }
    }
    // The first one warms up.
    if (round >= 0) console.log(JSON.stringify(took));
  }
} finally {
  await browser.close();
}
