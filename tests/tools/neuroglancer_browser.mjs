// Opens the demo's volumes in an unmodified Neuroglancer: node neuroglancer_browser.mjs VIEWER_URL FOLDER
//
// Ada follows the built-in page's links to what is hers; Ben finds none, and the same link shows him nothing.
// The first thing that is not as it should be ends it with exit code 1, and failed.png shows the page.

import assert from "node:assert/strict";
import { join } from "node:path";
import { chromium } from "playwright-core";

const [viewer, folder] = process.argv.slice(2);

async function main() {
  const args = ["--no-proxy-server", "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"];
  if (process.getuid?.() === 0) args.push("--no-sandbox");
  const browser = await chromium.launch({ executablePath: process.env.CHROMIUM || "/usr/bin/chromium", args });
  const open = async () => (await browser.newContext({ viewport: { width: 900, height: 590 } })).newPage();
  let page = await open();
  try {
    const link = await ada(page);
    page = await open();
    await ben(page, link);
  } catch (error) {
    await page.screenshot({ path: join(folder, "failed.png") });
    throw error;
  } finally {
    await browser.close();
  }
}

/** Her lab's volume, and a public image under her lab's segmentation, are there to be seen. */
async function ada(page) {
  await signIn(page, "Ada");
  const titles = await page.locator("#volumes a").allInnerTexts();
  assert.deepEqual(titles, [
    "Neuropil and its neurons", "A public image under private neurons", "Tissue of both labs", "Neuropil of both labs",
  ]);
  const links = await page.locator("#volumes a").evaluateAll((all) => all.map((link) => link.href));
  await follow(page, links[1]);
  await seesColours(page, "neuroglancer-public");
  await follow(page, links[0]);
  await seesColours(page, "neuroglancer");
  assert.equal(await page.getByText("Disconnected from Python server").isVisible(), false);
  await page.goto(`${viewer}/session`);
  const opened = await page.locator("a[href*='#!']").evaluateAll((all) => all.map((link) => link.href));
  assert.equal(opened.length, 2, "lab A's and what both labs share");
  assert.ok(opened.every((href) => href.startsWith(`${viewer}/v/demo/#!`)), `${opened}`);
  return links[0];
}

/** Lab A's volume stays dark, whatever link he follows, and he is told why. */
async function ben(page, link) {
  await signIn(page, "Ben");
  assert.equal(await page.getByRole("link", { name: "Neuropil and its neurons" }).count(), 0);
  await follow(page, link);
  // It comes two seconds after the viewer has heard of its last refusal.
  await page.getByText("needs access that you do not have").waitFor();
  await page.screenshot({ path: join(folder, "neuroglancer-ben.png") });
  await page.getByRole("button", { name: "Dismiss" }).click();
  const seen = await colours(page);
  assert.ok(seen < 500, `${seen} colours are drawn for Ben`);
}

async function signIn(page, name) {
  await page.goto(viewer);
  await page.click("#sign-in");
  await page.locator("button[name=person]", { hasText: `${name.toLowerCase()}@` }).click();
  await page.locator("#volumes a").first().waitFor();
}

/** A link that differs in its fragment alone would not load the page anew. */
async function follow(page, link) {
  await page.goto("about:blank");
  await page.goto(link);
  await page.locator("canvas").first().waitFor();
}

/** Waits until the canvas shows many colours, and as many as a moment before. */
async function seesColours(page, name) {
  let before = -1;
  for (let tries = 0; tries < 60; tries += 1) {
    await page.waitForTimeout(1000);
    const now = await colours(page);
    if (now > 2000 && Math.abs(now - before) < 50) break;
    assert.ok(tries < 59, `only ${now} colours after a minute`);
    before = now;
  }
  await page.screenshot({ path: join(folder, `${name}.png`) });
}

/** How many colours a screenshot of the canvas has. */
async function colours(page) {
  const box = { x: 0, y: 50, width: 900, height: 540 };
  const picture = (await page.screenshot({ clip: box })).toString("base64");
  return page.evaluate(async (picture) => {
    const bytes = Uint8Array.from(atob(picture), (letter) => letter.charCodeAt(0));
    const image = await createImageBitmap(new Blob([bytes], { type: "image/png" }));
    const context = new OffscreenCanvas(image.width, image.height).getContext("2d");
    context.drawImage(image, 0, 0);
    return new Set(new Uint32Array(context.getImageData(0, 0, image.width, image.height).data.buffer)).size;
  }, picture);
}

await main();
