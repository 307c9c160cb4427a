// Walks through the demo in Chromium: node demo_browser.mjs VIEWER_URL SCREENSHOT_FOLDER
//
// Every wait is for a state of the page. The first thing that is not as it should be ends the walk
// with exit code 1, and failed.png shows the page at that moment.

import assert from "node:assert/strict";
import { join } from "node:path";
import axe from "axe-core";
import { launch } from "./chromium.mjs";

const [viewer, folder] = process.argv.slice(2);
const LABS = { "lab-a": "/lab-a/neurons.zarr", "lab-b": "/lab-b/cells.zarr", atlas: "/atlas/section.zarr" };
const WIDE = { width: 1320, height: 900 };
const NARROW = { width: 390, height: 844 };

async function main() {
  const browser = await launch();
  try {
    const context = await browser.newContext({ viewport: WIDE, colorScheme: "light" });
    const page = await context.newPage();
    await walk(new Visitor(page)).catch(async (error) => {
      await shoot(page, "failed");
      throw error;
    });
  } finally {
    await browser.close();
  }
}

async function walk(visitor) {
  await signedOut(visitor);
  await ada(visitor);
  await renewal(visitor);
  await servicePages(visitor);
  await ben(visitor);
  await switchedElsewhere(visitor);
  await sharedLink(visitor);
}

async function signedOut(visitor) {
  await visitor.page.goto(viewer);
  await visitor.sees("out", { locked: Object.keys(LABS) });
  await judge(visitor.page);
  await shoot(visitor.page, "signed-out");
  await visitor.page.setViewportSize(NARROW);
  await shoot(visitor.page, "signed-out-narrow");
  await visitor.page.setViewportSize(WIDE);
}

async function ada(visitor) {
  const { page } = visitor;
  await page.click("#sign-in");
  await page.locator("button[name=person]").first().waitFor();
  await shoot(page, "sign-in");
  await page.emulateMedia({ colorScheme: "dark" });
  await shoot(page, "sign-in-dark");
  await page.emulateMedia({ colorScheme: "light" });
  await visitor.choose("Ada");
  await visitor.sees("in", { open: ["lab-a"], refused: ["lab-b", "atlas"] });

  const notice = await page.locator(".card[data-dataset=lab-b] .notice").innerText();
  for (const word of ["Not yours to see", "403", "Your groups", "lab-a", "Rule needed", "lab-b"]) {
    assert.ok(notice.includes(word), `no "${word}" in: ${notice}`);
  }
  assert.equal(await readByScript(page, "lab-a"), "read");
  assert.equal(await readByScript(page, "lab-b"), "TypeError");
  assert.deepEqual(await readInTab(visitor, "lab-a"), 200);
  assert.deepEqual(await readInTab(visitor, "lab-b"), 403);
  await cookiesOfAda(visitor);
  await noScriptAsksAsNginx(visitor);

  await judge(page);
  await shoot(page, "ada");
  await page.emulateMedia({ colorScheme: "dark" });
  await judge(page);
  await shoot(page, "ada-dark");
  await page.setViewportSize(NARROW);
  await shoot(page, "ada-narrow-dark");
  await page.emulateMedia({ colorScheme: "light" });
  await shoot(page, "ada-narrow");
  await page.setViewportSize(WIDE);
}

/** What a web server is told holds the cookies in the open, so no script may ask like one. */
async function noScriptAsksAsNginx(visitor) {
  const path = "/session/verify/nginx";
  const status = await visitor.page.evaluate(async (path) => {
    const headers = { "Sec-Edgemint-Subrequest": "nginx", "X-Original-URI": "/" };
    return (await fetch(path, { headers })).status;
  }, path);
  assert.equal(status, 404);
  visitor.expectFailure(`${viewer}${path}`);
}

async function cookiesOfAda(visitor) {
  const cookies = await visitor.cloudFrontCookies();
  const sets = { "/lab-a/": [], "/shared/": [] };
  for (const cookie of cookies) sets[cookie.path].push(cookie.name);
  assert.deepEqual(sets["/shared/"].sort(), sets["/lab-a/"].sort());
  const names = sets["/lab-a/"];
  assert.deepEqual(names, ["CloudFront-Key-Pair-Id", "CloudFront-Policy", "CloudFront-Signature"]);
  for (const { domain, httpOnly, secure, sameSite, expires } of cookies) {
    assert.deepEqual({ domain, httpOnly, secure, sameSite }, {
      domain: ".edgemint.localhost", httpOnly: true, secure: true, sameSite: "Lax",
    });
    assert.ok(expires > Date.now() / 1000 && expires <= Date.now() / 1000 + 61, `expires ${expires}`);
  }
  const readable = await visitor.page.evaluate(() => document.cookie);
  for (const line of readable.split("; ")) {
    assert.match(line, /^__Host-edgemint-set-[0-9a-f]{8}=1\|\d+\|[0-9a-f]{16}\|[0-9a-f]{8}\|edgemint\.localhost\|\/(lab-a|shared)\/$/);
  }
}

/** The cookies renew themselves: the jar's expiry and the countdown go up, and nothing closes. */
async function renewal(visitor) {
  const { page } = visitor;
  const before = await visitor.cloudFrontCookies();
  await page.waitForFunction(() => {
    const left = Number(document.getElementById("ring-text").textContent);
    window.least = Math.min(window.least ?? Infinity, left);
    return Number(document.body.dataset.renewals) >= 1 && left > window.least;
  }, null, { timeout: 65_000 });
  await visitor.sees("in", { open: ["lab-a"], refused: ["lab-b", "atlas"] });
  const after = await visitor.cloudFrontCookies();
  assert.equal(after.length, before.length);
  assert.ok(after[0].expires > before[0].expires + 30, `${before[0].expires} to ${after[0].expires}`);
  await shoot(page, "renewed");
}

async function servicePages(visitor) {
  const { page } = visitor;
  assert.equal((await page.goto(`${viewer}/session`)).status(), 200);
  await page.getByText("ada@lab-a.example").waitFor();
  await shoot(page, "session");
  await page.emulateMedia({ colorScheme: "dark" });
  await page.setViewportSize(NARROW);
  await shoot(page, "session-narrow-dark");
  await page.emulateMedia({ colorScheme: "light" });
  await page.setViewportSize(WIDE);

  const pages = { "no-such-file.html": 404, "session/login?return_to=//elsewhere.example": 400 };
  for (const [path, status] of Object.entries(pages)) {
    assert.equal((await page.goto(`${viewer}/${path}`)).status(), status);
    visitor.expectFailure(`${viewer}/${path}`);
    await shoot(page, `error-${status}`);
  }
  await page.getByRole("link", { name: "Back to the viewer" }).click();
  await visitor.sees("in", { open: ["lab-a"], refused: ["lab-b", "atlas"] });
}

async function ben(visitor) {
  const { page } = visitor;
  await page.goto(`${viewer}/session`);
  await page.getByRole("button", { name: "Sign out" }).click();
  await visitor.sees("out", { locked: Object.keys(LABS) });
  assert.deepEqual(await visitor.cloudFrontCookies(), []);
  assert.equal((await page.goto(`${viewer}/session`)).status(), 401);
  visitor.expectFailure(`${viewer}/session`);
  await shoot(page, "error-401");
  await page.getByRole("link", { name: "Sign in" }).click();
  await visitor.choose("Ben");
  await visitor.sees("in", { open: ["lab-b"], refused: ["lab-a", "atlas"] });
  assert.deepEqual(await visitor.cookiePaths(), ["/lab-b/", "/shared/"]);
  await shoot(page, "ben");
}

/** Somebody signs in after somebody else whose session ended without a word to the service. */
async function switchedElsewhere(visitor) {
  await visitor.becomes("Chen", { open: ["lab-a", "lab-b"], refused: ["atlas"] });
  assert.deepEqual(await visitor.cookiePaths(), ["/lab-a/", "/lab-b/", "/shared/"]);
  await shoot(visitor.page, "chen");

  await visitor.becomes("Noor", { refused: ["lab-a", "lab-b", "atlas"] });
  assert.deepEqual(await visitor.cookiePaths(), []);
  await shoot(visitor.page, "noor");

  await visitor.becomes("Dana", { open: ["atlas"], refused: ["lab-a", "lab-b"] });
  assert.deepEqual(await visitor.cookiePaths(), ["/atlas/"]);
  await shoot(visitor.page, "dana");
}

/** A link to a place in an image leads there, also by way of the sign-in page. */
async function sharedLink(visitor) {
  const place = "#lab-a=300.0,400.0,2.000";
  const context = await visitor.page.context().browser().newContext({ viewport: WIDE });
  const stranger = new Visitor(await context.newPage());
  await stranger.page.goto(`${viewer}/${place}`);
  await stranger.sees("out", { locked: Object.keys(LABS) });
  await stranger.page.locator(".card[data-dataset=lab-a] .notice button").click();
  await stranger.choose("Ada");
  await stranger.sees("in", { open: ["lab-a"], refused: ["lab-b", "atlas"] });
  await stranger.page.locator(".card[data-dataset=lab-a] canvas[data-level='0']").waitFor();
  assert.equal(new URL(stranger.page.url()).hash, place);
  await shoot(stranger.page, "shared-link");
  await context.close();
}

/** Somebody at a browser, and what the console said since it was last looked at. */
class Visitor {
  constructor(page) {
    this.page = page;
    this.context = page.context();
    this.complaints = [];
    page.on("pageerror", (error) => this.complaints.push(`${error}`));
    page.on("console", (message) => {
      if (message.type() === "error") this.complaints.push(`${message.text()} (${message.location().url})`);
    });
  }

  /** Chooses who to be on the sign-in page, where the page before has nothing more to say. */
  async choose(name) {
    await this.page.locator("button[name=person]").first().waitFor();
    this.expectRefusals(Object.keys(LABS));
    await this.page.locator("button[name=person]", { hasText: `${name.toLowerCase()}@` }).click();
  }

  /** Signs in as somebody else without signing out at the service. */
  async becomes(name, cards) {
    await this.context.clearCookies({ name: /^AWSELBAuthSessionCookie-/ });
    await this.page.reload();
    await this.page.click("#sign-in");
    await this.choose(name);
    await this.sees("in", cards);
  }

  /** Waits for these cards and no others, for pictures on those that are open, and for nothing in
   * the console but what refusals leave there. */
  async sees(session, { open = [], refused = [], locked = [] }) {
    await this.page.locator(`body[data-session=${session}]`).waitFor();
    for (const [state, labs] of Object.entries({ open, refused, "signed-out": locked })) {
      for (const lab of labs) await this.page.locator(`.card[data-dataset=${lab}][data-state=${state}]`).waitFor();
    }
    for (const lab of open) await this.page.waitForFunction(isDrawn, lab);
    this.expectRefusals([...refused, ...locked]);
    assert.deepEqual(this.complaints.splice(0), []);
  }

  /** Takes what a refused read leaves in the console: its status, and that it had no CORS headers. */
  expectRefusals(labs) {
    for (const lab of labs) this.expectFailure(`${LABS[lab]}/.zattrs`);
    for (const path of ["/session", "/session/cookies"]) this.expectFailure(`(${viewer}${path})`);
  }

  expectFailure(url) {
    const failed = /^Failed to load resource|blocked by CORS policy/;
    this.complaints = this.complaints.filter((text) => !(failed.test(text) && text.includes(url)));
  }

  async cloudFrontCookies() {
    const cookies = await this.context.cookies();
    return cookies.filter((cookie) => cookie.name.startsWith("CloudFront-"));
  }

  async cookiePaths() {
    const cookies = await this.cloudFrontCookies();
    return [...new Set(cookies.map((cookie) => cookie.path))].sort();
  }
}

/** In the page: whether all chunks have arrived and the canvas shows many colours. */
function isDrawn(lab) {
  const canvas = document.querySelector(`.card[data-dataset=${lab}] canvas`);
  if (!(canvas.dataset.chunks > 0) || canvas.dataset.awaited !== "0") return false;
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  return new Set(new Uint32Array(data.buffer)).size > 100;
}

/** Reads as the viewer does; "read", or the name of the error. */
function readByScript(page, lab) {
  return page.evaluate(async (path) => {
    const { data_origin: origin } = await (await fetch("/config.json")).json();
    return fetch(origin + path, { credentials: "include" }).then(() => "read", (error) => error.name);
  }, `${LABS[lab]}/.zattrs`);
}

/** Reads in a tab of its own, where the status shows. */
async function readInTab(visitor, lab) {
  const config = await visitor.page.evaluate(async () => (await fetch("/config.json")).json());
  const tab = await visitor.context.newPage();
  const answer = await tab.goto(`${config.data_origin}${LABS[lab]}/.zattrs`);
  await tab.close();
  return answer.status();
}

/** Whether people with all kinds of eyes and tools can use it. */
async function judge(page) {
  await page.evaluate(axe.source);
  const { violations } = await page.evaluate(() => axe.run(document, { runOnly: ["wcag2a", "wcag2aa", "wcag21aa", "wcag22aa"] }));
  assert.deepEqual(violations.map(({ id, nodes }) => `${id}: ${nodes[0].html} ${nodes[0].failureSummary}`), []);
}

async function shoot(page, name) {
  await page.screenshot({ path: join(folder, `${name}.png`), fullPage: true });
}

await main();
