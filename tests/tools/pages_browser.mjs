// Visits edgemint's own pages in Chromium: node pages_browser.mjs VIEWER_URL SCREENSHOT_FOLDER
//
// Each page is judged by axe-core, in light and dark, wide and narrow; then everything is done once more
// by a browser that runs no script. The first thing that is not as it should be ends the visit with exit
// code 1.

import assert from "node:assert/strict";
import { launch } from "./chromium.mjs";
import { judged } from "./judged.mjs";

const [viewer, folder] = process.argv.slice(2);

async function main() {
  const browser = await launch();
  try {
    await everyPage(browser);
    await withoutScript(browser);
  } finally {
    await browser.close();
  }
}

/** Every page, by axe-core. It is put past our Content-Security-Policy, which lets no script in. */
async function everyPage(browser) {
  const context = await browser.newContext({ bypassCSP: true });
  const page = await context.newPage();
  const judge = judged(viewer, folder);
  await judge(page, "session", 401, "Nobody is signed in");
  await judge(page, "session/cookies", 401, "Nobody is signed in");
  await judge(page, "no-such-file.html", 404, "There is nothing here");
  await signIn(page, "Noor");
  await judge(page, "session", 200, "You are signed in");
  await judge(page, "session/cookies", 403, "Nothing is open to you here");
  await signOut(page);
  await signIn(page, "Chen");
  await judge(page, "session", 200, "You are signed in");
  await judge(page, "session/login?return_to=//elsewhere.example", 400, "The request cannot be understood");
  await exhaust(page);
  await judge(page, "session/cookies", 429, "Too many requests");
  await context.close();
}

/** Asks for cookies until there is nothing left of this minute's worth, nor of the next second's. */
async function exhaust(page) {
  await page.goto(`${viewer}/session`);
  const limited = await page.evaluate(async () => {
    let count = 0;
    for (let asked = 0; asked < 500 && count < 10; asked += 1) {
      const answer = await fetch("/session/cookies", { method: "POST" });
      count += answer.status === 429 && Number(answer.headers.get("retry-after")) >= 1 ? 1 : 0;
    }
    return count;
  });
  assert.equal(limited, 10);
}

/** Sign in, see what is open, sign out, by keyboard and without script, under our own policy. */
async function withoutScript(browser) {
  const context = await browser.newContext({ javaScriptEnabled: false });
  const page = await context.newPage();
  const complaints = [];
  page.on("console", (message) => complaints.push(message.text()));
  await page.goto(`${viewer}/session`);
  await press(page, "link", "Sign in");
  await choose(page, "Ada");
  await page.goto(`${viewer}/session`);
  for (const text of ["ada@lab-a.example", "the load balancer", "/lab-a/*", "for 1 min at a time"]) {
    await page.getByText(text, { exact: false }).first().waitFor();
  }
  const styled = await page.getByRole("button", { name: "Sign out" }).evaluate((button) => getComputedStyle(button).backgroundColor);
  assert.equal(styled, "rgb(36, 87, 197)", "our own style sheet is let in by our own policy");
  await press(page, "button", "Sign out");
  await page.waitForURL(`${viewer}/`);
  assert.equal((await page.goto(`${viewer}/session`)).status(), 401);
  const left = (await context.cookies()).filter(({ name }) => name !== "AWSALBAuthNonce");
  assert.deepEqual(left.map(({ name }) => name), [], "nothing is left");
  assert.deepEqual(complaints.filter((text) => !text.startsWith("Failed to load resource")), []);
  await context.close();
}

/** Reaches something by the Tab key alone, sees that it shows the focus, and presses Enter. */
async function press(page, role, name) {
  const target = page.getByRole(role, { name });
  for (let tabs = 0; tabs < 20; tabs += 1) {
    await page.keyboard.press("Tab");
    if (await target.evaluate((element) => element === document.activeElement)) {
      assert.equal(await target.evaluate((element) => getComputedStyle(element).outlineStyle), "solid");
      return page.keyboard.press("Enter");
    }
  }
  assert.fail(`the Tab key does not reach ${name}`);
}

async function signIn(page, name) {
  await page.goto(`${viewer}/session`);
  await page.getByRole("link", { name: "Sign in" }).click();
  await choose(page, name);
}

async function choose(page, name) {
  await page.locator("button[name=person]", { hasText: `${name.toLowerCase()}@` }).click();
  await page.waitForURL(`${viewer}/`);
}

async function signOut(page) {
  await page.goto(`${viewer}/session`);
  await page.getByRole("button", { name: "Sign out" }).click();
  await page.waitForURL(`${viewer}/`);
}

await main();
