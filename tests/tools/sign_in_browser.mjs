// Signs in and out in Chromium, with two tabs: node sign_in_browser.mjs VIEWER_URL
//
// The session is rechecked after ten seconds, so this takes a little more than that.

import assert from "node:assert/strict";
import { chromium } from "playwright-core";

const [viewer] = process.argv.slice(2);

async function main() {
  const browser = await launch();
  try {
    const context = await browser.newContext();
    const page = await context.newPage();
    await signIn(page, "ada", "/?view=1#!%7B%22a%22:1%7D");
    await twoTabs(context, page);
    await signOut(context, page);
    await signIn(page, "ben", "/");
    assert.equal(await who(page), "ben");
  } finally {
    await browser.close();
  }
}

async function signIn(page, login, path) {
  await page.goto(`${viewer}/session/login?return_to=${encodeURIComponent(path)}`);
  assert.equal(await page.title(), "Provider");
  await page.fill("input[name=login]", login);
  await page.click("button");
  await page.waitForURL((url) => url.origin === viewer);
  assert.equal(await page.title(), "viewer");
  const { pathname, search, hash } = new URL(page.url());
  assert.equal(decodeURIComponent(pathname + search + hash), decodeURIComponent(path));
  assert.equal(await who(page), login);
  // Scripts see none of it.
  assert.equal(await page.evaluate(() => document.cookie.includes("edgemint-login")), false);
}

async function twoTabs(context, page) {
  const other = await context.newPage();
  await other.goto(viewer);
  await page.waitForTimeout(11_000);
  // Both at once, as after a laptop's sleep, without a lock between them.
  const statuses = await Promise.all([renew(page), renew(other)]);
  assert.deepEqual(statuses, [200, 200]);
  assert.deepEqual([await renew(page), await renew(other)], [200, 200]);
  await other.close();
}

async function signOut(context, page) {
  await page.goto(`${viewer}/session`);
  await page.click("button");
  await page.waitForURL((url) => url.origin !== viewer);
  assert.equal(await page.title(), "Sign out");
  await page.click("button[value=yes]");
  await page.waitForURL(`${viewer}/`);
  const left = (await context.cookies(viewer)).map((cookie) => cookie.name);
  assert.deepEqual(left, []);
  assert.equal(await renew(page), 401);
}

function who(page) {
  return page.evaluate(async () => {
    const answer = await fetch("/session", { headers: { accept: "application/json" } });
    return (await answer.json()).subject;
  });
}

function renew(page) {
  return page.evaluate(async () => (await fetch("/session/cookies", { method: "POST" })).status);
}

function launch() {
  const args = [
    "--disable-quic", "--disable-background-networking", "--disable-component-update",
    "--disable-sync", "--no-first-run", "--no-default-browser-check", "--no-proxy-server",
  ];
  if (process.getuid?.() === 0) args.push("--no-sandbox");
  return chromium.launch({ executablePath: process.env.CHROMIUM || "/usr/bin/chromium", args });
}

await main();
