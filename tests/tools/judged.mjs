// Has axe-core judge a page, in light and dark, wide and narrow.

import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { join } from "node:path";

const AXE = createRequire(import.meta.url).resolve("axe-core/axe.min.js");
const LOOKS = [
  { colorScheme: "light", viewport: { width: 1320, height: 900 } },
  { colorScheme: "dark", viewport: { width: 320, height: 640 } },
];

/** Returns what goes to a path of a site, expects a status and a heading, and leaves screenshots. */
export function judged(site, folder) {
  return async (page, path, status, heading) => {
    let answer = await page.goto(`${site}/${path}`);
    // A bucket gains a token every second, perhaps just now.
    if (status === 429 && answer.status() === 200) answer = await page.goto(`${site}/${path}`);
    assert.equal(answer.status(), status, path);
    const headings = await page.getByRole("heading", { level: 1 }).allInnerTexts();
    assert.equal(headings.length, 1, path);
    if (heading) assert.deepEqual(headings, [heading]);
    assert.notEqual(await page.title(), "", path);
    await page.addScriptTag({ path: AXE });
    for (const { colorScheme, viewport } of LOOKS) {
      await page.emulateMedia({ colorScheme });
      await page.setViewportSize(viewport);
      const { violations, incomplete, passes } = await page.evaluate(() => globalThis.axe.run());
      const found = [...violations, ...incomplete].map(({ id, nodes }) => `${id}: ${nodes.map((node) => node.html).join(" ")}`);
      assert.deepEqual(found, [], `${path} in ${colorScheme}`);
      assert.ok(passes.some(({ id }) => id === "color-contrast"), `${path}: nothing was looked at`);
      const tooWide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
      assert.equal(tooWide, 0, `${path} is wider than ${viewport.width}`);
      await page.screenshot({ path: join(folder, `own-${path.replace(/\W+/g, "-")}-${status}-${colorScheme}.png`), fullPage: true });
    }
  };
}
