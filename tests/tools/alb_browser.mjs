// Walks through a site behind a load balancer in Chromium: node alb_browser.mjs FACTS
//
// FACTS is JSON: the URLs of viewer, data and login, and everybody's password. The first thing that is
// not as it should be ends the walk with exit code 1.

import assert from "node:assert/strict";
import { launch } from "./chromium.mjs";

const { viewer, data, login, password } = JSON.parse(process.argv[2]);

async function main() {
  const browser = await launch();
  try {
    await nobody(await visitor(browser));
    await member(await visitor(browser));
    await wrongPassword(await visitor(browser));
    await memberOfAnotherGroup(await visitor(browser));
    await memberOfNone(await visitor(browser));
    await memberOfMany(await visitor(browser));
  } finally {
    await browser.close();
  }
}

/** The viewer is public, and nothing else is. */
async function nobody(page) {
  assert.equal((await page.goto(`${viewer}/`)).status(), 200);
  assert.equal((await page.goto(`${viewer}/session`)).status(), 401);
  assert.equal(await read(page, "/lab-a/note.txt"), 403);
}

async function member(page) {
  await signIn(page, "ada");
  await page.getByText("ada@lab-a.example").waitFor();
  await page.getByText("lab-a, staff", { exact: true }).waitFor();
  assert.deepEqual(await paths(page), ["/lab-a/", "/staff/"]);
  assert.equal(await read(page, "/lab-a/note.txt"), 200);
  assert.equal(await read(page, "/lab-b/note.txt"), 403);

  // As a viewer does it: cookies renewed by a script, and data read by one.
  await page.goto(`${viewer}/`);
  const renewed = await page.evaluate(async () => {
    const answer = await fetch("/session/cookies", { method: "POST" });
    return { status: answer.status, ...(await answer.json()) };
  });
  assert.equal(renewed.status, 200);
  assert.deepEqual(renewed.resources, [`${data}/lab-a/*`, `${data}/staff/*`]);
  const text = await page.evaluate(
    async (url) => (await fetch(url, { credentials: "include" })).text(),
    `${data}/lab-a/note.txt`,
  );
  assert.equal(text, "private\n");

  // Signed in once, nobody is asked again; signed out, everybody is.
  await page.goto(`${viewer}/session/login?return_to=/session`);
  assert.equal(page.url(), `${viewer}/session`);
  await signOut(page);
  assert.deepEqual(await cookies(page), []);
  assert.equal(await read(page, "/lab-a/note.txt"), 403);
  assert.equal((await page.goto(`${viewer}/session`)).status(), 401);
  await page.goto(`${viewer}/session/login`);
  assert.ok(page.url().startsWith(`${login}/oauth2/authorize?`), page.url());
}

/** Sign-out leads to the pool's, and from there back to the viewer. */
async function signOut(page) {
  const visited = [];
  const note = (frame) => visited.push(frame.url().split("?")[0]);
  const pool = page.waitForRequest((request) => request.url().startsWith(`${login}/logout?`));
  page.on("framenavigated", note);
  await page.getByRole("button", { name: "Sign out" }).click();
  await pool;
  await page.waitForURL(`${viewer}/`);
  page.off("framenavigated", note);
  assert.deepEqual(visited, [`${viewer}/session/logout`, `${viewer}/`]);
}

async function wrongPassword(page) {
  await page.goto(`${viewer}/session/login?return_to=/session`);
  await fill(page, "ada", "wrong");
  await page.getByText("Incorrect username or password").waitFor();
  assert.deepEqual(await cookies(page), []);
}

async function memberOfAnotherGroup(page) {
  await signIn(page, "noor");
  assert.deepEqual(await paths(page), ["/staff/"]);
  assert.equal(await read(page, "/staff/note.txt"), 200);
  assert.equal(await read(page, "/lab-a/note.txt"), 403);
}

/** Who is in no group has an access token without the claim. */
async function memberOfNone(page) {
  await signIn(page, "zoe");
  await page.getByText("zoe@lab-a.example").waitFor();
  assert.deepEqual(await paths(page), []);
  assert.equal(await read(page, "/lab-a/note.txt"), 403);
}

/** A session so large that the load balancer cuts it into shards ends as a whole. */
async function memberOfMany(page) {
  await signIn(page, "kim");
  const shards = (await cookies(page)).filter((name) => name.startsWith("AWSELBAuthSessionCookie-"));
  assert.ok(shards.length >= 2, `${shards}`);
  assert.deepEqual(await paths(page), ["/staff/"]);
  await signOut(page);
  assert.deepEqual(await cookies(page), []);
}

/** Asks for a page that needs sign-in, signs in at the pool, and is back there. */
async function signIn(page, name) {
  await page.goto(`${viewer}/session/login?return_to=/session`);
  assert.ok(page.url().startsWith(`${login}/oauth2/authorize?`), page.url());
  await fill(page, name, password);
  await page.waitForURL(`${viewer}/session`);
}

async function fill(page, name, secret) {
  await page.fill("#username", name);
  await page.fill("#password", secret);
  await page.click("button[type=submit]");
}

/** Reads in a tab of its own, where the status shows. */
async function read(page, path) {
  const tab = await page.context().newPage();
  const answer = await tab.goto(data + path);
  await tab.close();
  return answer.status();
}

async function cookies(page) {
  return (await page.context().cookies()).map(({ name }) => name);
}

/** The paths of CloudFront's cookies. */
async function paths(page) {
  const all = await page.context().cookies();
  const edge = all.filter(({ name }) => name.startsWith("CloudFront-"));
  return [...new Set(edge.map(({ path }) => path))].sort();
}

async function visitor(browser) {
  return (await browser.newContext()).newPage();
}

await main();
