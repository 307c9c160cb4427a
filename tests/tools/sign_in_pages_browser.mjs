// Visits the pages of edgemint's own sign-in in Chromium: node sign_in_pages_browser.mjs VIEWER_URL FOLDER
//
// Of the site's two providers, One and Two, neither answers. Each page is judged by axe-core.

import assert from "node:assert/strict";
import { launch } from "./chromium.mjs";
import { judged } from "./judged.mjs";

const [viewer, folder] = process.argv.slice(2);

async function main() {
  const browser = await launch();
  try {
    const page = await (await browser.newContext({ bypassCSP: true })).newPage();
    const judge = judged(viewer, folder);
    await judge(page, "session/login?return_to=/view", 200, "Sign in with");
    const links = await page.getByRole("listitem").getByRole("link").allInnerTexts();
    assert.deepEqual(links, ["The first lab <em>", "Two"]);
    await judge(page, "session/login?provider=one", 503);
    await judge(page, "session/login?provider=three", 404);
    await judge(page, "session/callback/one?code=x&state=y", 400);
    await judge(page, "session", 401, "Nobody is signed in");
  } finally {
    await browser.close();
  }
}

await main();
