// Asks edgemint from pages of other origins in Chromium: node origins_browser.mjs VIEWER_URL _ CONFIGURATION
//
// First as the demo is, which names no other origin; then with the data host named in its configuration,
// which the service reads again by itself; then from a viewer that somebody else serves, with the shim. The first thing that is not as it should be ends it with exit
// code 1.

import assert from "node:assert/strict";
import { once } from "node:events";
import { appendFile } from "node:fs/promises";
import { createServer } from "node:http";
import { launch } from "./chromium.mjs";

const [viewer, , configuration] = process.argv.slice(2);
const { hostname, port } = new URL(viewer);
const sibling = (name, offset) => `http://${hostname.replace("viewer", name)}:${Number(port) + offset}`;
const DATA = sibling("data", 1);
const FILE = `${DATA}/lab-a/neurons.zarr/.zattrs`;

async function main() {
  const browser = await launch();
  try {
    const context = await browser.newContext();
    const page = await context.newPage();
    await signIn(page, "Ada");
    assert.equal((await page.goto(FILE)).status(), 200);
    await unnamed(context, page);
    const elsewhere = await hostElsewhere();
    await appendFile(configuration, `\n[cors]\norigins = ["${DATA}", "${elsewhere.pages}"]\n`);
    await named(context, page);
    await appendFile(configuration, elsewhere.rule);
    await hosted(context, elsewhere);
    await signedInFromElsewhere(browser, elsewhere);
    elsewhere.server.close();
  } finally {
    await browser.close();
  }
}

/** A sibling's page sends the person's cookies along, and gets nothing by that. */
async function unnamed(context, page) {
  await context.clearCookies({ name: /^CloudFront-|^__Host-edgemint/ });
  for (const [path, init] of [
    ["/session", {}],
    ["/session/cookies", {}],
    ["/session/cookies", { method: "POST" }],
    ["/session/cookies", { method: "POST", mode: "no-cors" }],
    ["/session/cookies", { method: "DELETE" }],
    ["/session/login", {}],
    ["/session/login", { mode: "no-cors" }],
    ["/session/logout", { method: "POST", mode: "no-cors" }],
    ["/", { mode: "no-cors" }],
  ]) {
    assert.notEqual(typeof (await ask(page, path, init)), "object", `${path} ${JSON.stringify(init)}`);
  }
  // Not the viewer in a frame: its own script asks there, as anywhere.
  for (const path of ["/", "/session/cookies", "/session/login"]) await embed(page, "img", path);
  for (const path of ["/session", "/session/cookies", "/session/login"]) await embed(page, "iframe", path);
  assert.deepEqual(await given(context), []);
  assert.equal(await status(page, "/session"), 200, "nobody was signed out");
  assert.deepEqual((await given(context)), []);
  await page.goto(viewer);
  assert.notDeepEqual(await given(context), [], "a page that the person goes to carries cookies");
}

async function named(context, page) {
  const answer = await eventually(async () => {
    await page.goto(FILE);
    return ask(page, "/session/cookies", { method: "POST" });
  });
  assert.deepEqual(answer.resources, [`${DATA.replace("data", "archive")}/shared/*`, `${DATA}/lab-a/*`]);
  assert.equal(answer.cookies, undefined);
  assert.deepEqual([...new Set(await given(context))].sort(), ["/lab-a/", "/shared/"]);
  const session = await ask(page, "/session", { headers: { Authorization: "Basic none" } });
  assert.equal(session.email, "ada@lab-a.example", "a preflight was answered");
  assert.notEqual(typeof (await ask(page, "/session/logout", { method: "POST" })), "object");
  assert.equal(await ask(page, "/session/cookies", { method: "DELETE" }), 204);
  assert.deepEqual(await given(context), []);
}

/** A viewer on a host that is not the service's, and data that this viewer may read: `{pages, data, rule, server}`. */
async function hostElsewhere() {
  const shim = `${viewer}/session/shim.js`;
  const report = `const report = (url) => fetch(url).then(async (answer) => [answer.status, await answer.text()], ({ name }) => [name]);`;
  const files = {
    "/": ["text/html", `<!doctype html><html lang="en"><head><script src="${shim}"></script><script>${report}</script><title>A viewer</title></head></html>`],
    "/worker.js": ["text/javascript", `importScripts("${shim}"); ${report} onmessage = async ({ data }) => postMessage(await report(data));`],
  };
  const server = createServer((request, response) => {
    const { host, cookie = "" } = request.headers;
    if (host.startsWith("pages.")) {
      const [type, text] = files[request.url] ?? [];
      return response.writeHead(type ? 200 : 404, { "content-type": type ?? "text/plain" }).end(text);
    }
    const cors = { "access-control-allow-origin": pages, "access-control-allow-credentials": "true", "cache-control": "no-store" };
    const isOpen = cookie.includes("CloudFront-Signature=");
    response.writeHead(isOpen ? 200 : 403, cors).end(isOpen ? "private" : "refused");
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  const [pages, data] = ["pages", "library"].map((name) => `http://${hostname.replace("viewer", name)}:${server.address().port}`);
  const rule = `\n[[distribution]]\nhost = "${data}"\n\n[[rule]]\nname = "library"\nallow = { groups = ["lab-a"] }\nresources = ["${data}/volumes/*"]\n`;
  return { pages, data, rule, server };
}

/** The page and its worker load the shim from the service, and read with the person's cookies. */
async function hosted(context, { pages, data }) {
  const page = await context.newPage();
  await page.goto(pages);
  await eventually(async () => {
    const shim = await page.evaluate(async (url) => (await fetch(url)).text(), `${viewer}/session/shim.js`);
    return shim.includes(data) ? {} : null;
  });
  await page.reload();
  const url = `${data}/volumes/a`;
  assert.deepEqual(await page.evaluate((url) => report(url), url), [200, "private"]);
  assert.equal(await page.evaluate(() => edgemint.state), "fresh");
  assert.deepEqual(await readInWorker(page, url), [200, "private"]);
  await page.close();
}

/** Sign-in is a tab of its own, and this one finds out. */
async function signedInFromElsewhere(browser, { pages, data }) {
  const context = await browser.newContext();
  const page = await context.newPage();
  await page.goto(pages);
  const url = `${data}/volumes/a`;
  assert.equal((await page.evaluate((url) => report(url), url))[0], 503);
  assert.equal((await readInWorker(page, url))[0], 503);
  const opened = context.waitForEvent("page");
  await page.getByRole("link", { name: "Sign in" }).click();
  const tab = await opened;
  await tab.locator("button[name=person]", { hasText: "ada@" }).click();
  await tab.waitForURL(`${viewer}/session`);
  await tab.close();
  await page.waitForFunction(() => edgemint.state === "fresh");
  assert.deepEqual(await page.evaluate((url) => report(url), url), [200, "private"]);
  assert.equal(await page.locator("[data-edgemint=notice]").count(), 0);
  await context.close();
}

function readInWorker(page, url) {
  return page.evaluate((url) => new Promise((done, fail) => {
    const worker = new Worker("/worker.js");
    worker.onmessage = ({ data }) => done(data);
    worker.onerror = (event) => fail(new Error(event.message));
    worker.postMessage(url);
  }), url);
}

/** What a script of the page gets: JSON, a status, or the name of an error. */
function ask(page, path, init) {
  return page.evaluate(async ([url, init]) => {
    try {
      const answer = await fetch(url, { credentials: "include", ...init });
      return answer.type !== "opaque" && answer.status === 200 ? await answer.json() : answer.status;
    } catch (error) {
      return error.name;
    }
  }, [viewer + path, init]);
}

function embed(page, kind, path) {
  return page.evaluate(([kind, url]) => new Promise((resolve) => {
    const element = document.createElement(kind);
    element.onload = element.onerror = resolve;
    element.src = url;
    document.body.append(element);
  }), [kind, viewer + path]);
}

/** What a tab of its own gets. */
async function status(page, path) {
  const tab = await page.context().newPage();
  const answer = await tab.goto(viewer + path);
  await tab.close();
  return answer.status();
}

async function given(context) {
  const cookies = await context.cookies();
  return cookies.filter(({ name }) => name.startsWith("CloudFront-")).map(({ path }) => path);
}

async function eventually(attempt) {
  for (let tries = 0; tries < 40; tries += 1) {
    const found = await attempt();
    if (found && typeof found === "object") return found;
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
  return assert.fail("the configuration was not read again");
}

async function signIn(page, name) {
  await page.goto(`${viewer}/session/login`);
  await page.locator("button[name=person]", { hasText: `${name.toLowerCase()}@` }).click();
  await page.waitForURL(`${viewer}/`);
}

await main();
