// Has Chromium read private data through the shim, as it stands in shim.min.js: node shim_browser.mjs
//
// Everything that fakes cannot show: real pages and workers, XHR, images, cookies, locks, a policy that
// allows no inline code but the shim's. The first thing that is not as it should be ends it with exit code 1.

import assert from "node:assert/strict";
import axe from "axe-core";
import { launch } from "./chromium.mjs";
import { Site } from "./shim_site.mjs";

const VIEW = '#!{"layers":[{"name":"neurons & more"}]}';
const COLD = 2500; // a life of cookies that a test can wait for

async function main() {
  const walks = [oneQuestion, everyRoad, everyRead, twoTabs, withoutLocks, xhrAgain, imagesAgain, signIn, elsewhere, serviceWorker, noServiceWorker];
  const wanted = walks.filter(({ name }) => !process.argv[2] || name === process.argv[2]);
  const browser = await launch();
  try {
    // Each has a site and a browser's profile of its own, and mostly waits.
    await Promise.all([1, 2, 3].map(async () => {
      for (let walk = wanted.shift(); walk; walk = wanted.shift()) await go(walk, browser);
    }));
  } finally {
    await browser.close();
  }
}

async function go(walk, browser) {
  const site = new Site();
  await site.start();
  const context = await browser.newContext();
  try {
    await walk(site, context);
  } catch (error) {
    error.message = `${walk.name}: ${error.message}`;
    throw error;
  } finally {
    await context.close();
    site.stop();
  }
}

/** Private beside public data by every kind of thread, and cookies nowhere else. */
async function everyRoad(site, context) {
  const page = await open(site, context);
  const urls = [`${site.data}/a`, `${site.public}/a`];
  const good = [[200, "private"], [200, "public"]];
  assert.deepEqual(await fetchAll(page, urls), good);
  for (const [script, type] of [["/classic.js", "classic"], ["/module.js", "module"], ["/nested.js", "classic"]]) {
    assert.deepEqual(await inWorker(page, script, type, urls), good, script);
  }
  assert.deepEqual(await page.evaluate((urls) => new Promise((done) => {
    const { port } = new SharedWorker("/classic.js");
    port.onmessage = ({ data }) => done(data);
    port.postMessage(urls);
  }), urls), good, "shared worker");
  assert.equal(site.posts, 1, "cookies were asked for once, by the page");
  assert.ok(site.publicReads.length >= 5 && site.publicReads.every(({ cookie }) => cookie === ""), "public hosts see no cookie");
  assert.doesNotMatch(await page.evaluate(() => document.cookie), /CloudFront/);
  assert.deepEqual(page.complaints, []);
}

/** Requests keep what the viewer said. */
async function everyRead(site, context) {
  const page = await open(site, context);
  const seen = await page.evaluate(async (data) => {
    const outcome = {};
    const of = async (promise) => promise.then(({ status }) => status, ({ name }) => name);
    outcome.request = await of(fetch(new Request(`${data}/request`, { headers: { range: "bytes=0-3" } })));
    outcome.url = await of(fetch(new URL(`${data}/url`)));
    outcome.omit = await of(fetch(`${data}/omit`, { credentials: "omit" }));
    outcome.frozen = await of(fetch(`${data}/frozen`, Object.freeze({ cache: "no-store" })));
    const init = new Request(`${data}/x`, { method: "HEAD" });
    const settings = { url: `${data}/settings`, method: "HEAD", headers: { range: "bytes=0-3" } };
    outcome.settings = await fetch(settings.url, settings).then(async (answer) => [answer.status, (await answer.text()).length]);
    outcome.asInit = await of(fetch(`${data}/as-init`, init));
    const stop = new AbortController();
    const stopped = fetch(`${data}/aborted`, { signal: stop.signal });
    stop.abort();
    outcome.aborted = await of(stopped);
    outcome.nonsense = await of(fetch("http://["));
    outcome.body = await of(fetch("/session/cookies", { method: "POST", body: new Blob(["x"]).stream(), duplex: "half" }).catch((error) => error));
    return outcome;
  }, site.data);
  assert.deepEqual({ ...seen, body: undefined }, { request: 200, url: 200, omit: 403, frozen: 200, settings: [200, 0], asInit: 200, aborted: "AbortError", nonsense: "TypeError", body: undefined });
}

/** The page and two workers lose their cookies in the middle of hundreds of reads. */
async function oneQuestion(site, context) {
  // The page would renew in time by itself, but for this.
  await context.addInitScript((cold) => {
    const { setTimeout } = window;
    window.setTimeout = (work, delay, ...more) => (delay > cold - 500 && delay <= cold ? 0 : setTimeout(work, delay, ...more));
  }, COLD);
  for (const readable of [true, false]) {
    site.readableRefusals = readable;
    site.life = site.refresh = COLD;
    const page = await open(site, context);
    await start(page, "/classic.js", 2);
    await fetchAll(page, [`${site.data}/first`]);
    await page.waitForFunction(() => edgemint.expiresIn !== null);
    await page.waitForTimeout(COLD + 100);
    site.life = site.refresh = 3_600_000;
    const before = site.posts;
    const urls = Array.from({ length: 100 }, (_, number) => `${site.data}/${number}`);
    const everywhere = await Promise.all([fetchAll(page, urls), ...(await askStarted(page, urls))]);
    assert.ok(everywhere.flat().every(([status]) => status === 200), "nothing is lost");
    assert.equal(site.posts - before, 1, `one question, ${readable ? "403" : "no CORS"}`);
    await page.close();
  }
}

/** Two tabs whose cookies end at the same moment, renewed in time without anybody reading. */
async function twoTabs(site, context) {
  [site.life, site.refresh] = [20_000, 2000];
  const one = await open(site, context);
  await fetchAll(one, [`${site.data}/a`]);
  const other = await open(site, context, { signedIn: true });
  for (const page of [one, other]) await page.waitForFunction(() => edgemint.state === "fresh");
  const before = site.posts;
  [site.life, site.refresh] = [3_600_000, 2_880_000];
  await one.waitForFunction(() => edgemint.expiresIn > 3000);
  await one.waitForTimeout(700);
  assert.equal(site.posts - before, 1);
  for (const page of [one, other]) {
    assert.equal(await page.evaluate(() => edgemint.state), "fresh");
    assert.ok((await page.evaluate(() => edgemint.expiresIn)) > 3000);
  }
}

async function withoutLocks(site, context) {
  await context.addInitScript(() => {
    Object.defineProperty(Navigator.prototype, "locks", { get: () => undefined });
    delete window.BroadcastChannel;
  });
  const page = await open(site, context);
  assert.deepEqual(await fetchAll(page, [`${site.data}/a`]), [[200, "private"]]);
  assert.deepEqual(await inWorker(page, "/classic.js", "classic", [`${site.data}/a`]), [[200, "private"]]);
}

/** What an XHR's listeners hear of an expiry: nothing. */
async function xhrAgain(site, context) {
  const page = await expired(site, context);
  const ask = (path, more = {}) => page.evaluate(([url, { abortAfter }]) => new Promise((done) => {
    const request = new XMLHttpRequest();
    const heard = [];
    for (const type of ["readystatechange", "load", "error", "abort", "loadend"]) {
      request.addEventListener(type, () => heard.push(type === "readystatechange" ? request.readyState : `${type} ${request.status}`));
    }
    request.onloadend = () => done({ heard, text: request.responseText, type: request.getResponseHeader("content-type") });
    request.open("GET", url);
    request.setRequestHeader("accept", "x/y");
    request.withCredentials = false;
    request.send();
    if (abortAfter) setTimeout(() => request.abort(), abortAfter);
  }), [site.data + path, more]);
  for (const readable of [true, false]) {
    site.readableRefusals = readable;
    await expire(site, context);
    const before = site.posts;
    const { heard, text, type } = await ask("/xhr");
    assert.equal(text, "private");
    assert.equal(type, "application/octet-stream");
    assert.deepEqual(heard.filter((what) => typeof what === "string"), ["load 200", "loadend 200"]);
    assert.deepEqual([...new Set(heard.filter(Number))], [1, 2, 3, 4]);
    assert.equal(site.posts - before, 1);
  }
  // A refusal that nothing explains is heard as it is.
  site.readableRefusals = true;
  assert.deepEqual((await ask("/absent")).heard.filter((what) => typeof what === "string"), ["load 403", "loadend 403"]);
  await expire(site, context);
  const { heard } = await ask("/aborted", { abortAfter: 1 });
  assert.deepEqual(heard.filter((what) => typeof what === "string"), ["abort 0", "loadend 0"]);
  await page.waitForFunction(() => edgemint.state === "fresh");
  const sync = await page.evaluate((url) => {
    const request = new XMLHttpRequest();
    request.open("GET", url, false);
    request.send();
    return request.status;
  }, `${site.data}/sync`);
  assert.equal(sync, 200);
  const unlisted = await page.evaluate((url) => {
    const request = new XMLHttpRequest();
    request.open("GET", url);
    request.send();
    return new Promise((done) => (request.onload = () => done([request.responseText, request.withCredentials])));
  }, `${site.public}/xhr`);
  assert.deepEqual(unlisted, ["public", false]);
}

/** Images by every setter, fit for a canvas, also after an expiry. */
async function imagesAgain(site, context) {
  const page = await expired(site, context);
  const before = site.posts;
  const load = (how) => page.evaluate(([data, how]) => new Promise((done) => {
    const image = how === "new" ? new Image() : document.createElement("img");
    const heard = [];
    const end = (type) => {
      heard.push(type);
      const canvas = document.createElement("canvas").getContext("2d");
      let pixels = "none";
      try {
        canvas.drawImage(image, 0, 0);
        pixels = canvas.getImageData(0, 0, 1, 1).data.length;
      } catch (error) {
        pixels = error.name;
      }
      setTimeout(() => done({ heard, pixels, crossOrigin: image.crossOrigin }), 100);
    };
    image.onload = () => end("load");
    image.onerror = () => end("error");
    if (how === "anonymous") image.crossOrigin = "anonymous";
    if (how === "attribute") image.setAttribute("SRC", `${data}/attribute.png`);
    else image.src = `${data}/${how}.png`;
  }), [site.data, how]);
  for (const how of ["property", "new", "attribute", "anonymous"]) {
    assert.deepEqual(await load(how), { heard: ["load"], pixels: 4, crossOrigin: "use-credentials" }, how);
  }
  assert.equal(site.posts - before, 1);
  assert.deepEqual((await load("absent")).heard, ["error"]);
  const restored = await page.evaluate(([data, other]) => {
    const image = new Image();
    const seen = [];
    for (const [crossOrigin, url] of [[null, `${data}/a.png`], [undefined, `${other}/b.png`], ["anonymous", `${data}/c.png`], [undefined, `${other}/d.png`]]) {
      if (crossOrigin !== undefined) image.crossOrigin = crossOrigin;
      image.src = url;
      seen.push(image.crossOrigin);
    }
    return seen;
  }, [site.data, site.public]);
  assert.deepEqual(restored, ["use-credentials", null, "use-credentials", "anonymous"]);
}

/** Nobody is signed in: 503, a banner, and back to the same view; the other tab fills in by itself. */
async function signIn(site, context) {
  const page = await open(site, context, { signedIn: true, path: `/?volume=a${VIEW}` });
  const other = await open(site, context, { signedIn: true, path: "/other" });
  assert.equal(site.posts, 0, "nothing is asked before data is read");
  assert.deepEqual(await fetchAll(other, [`${site.public}/a`]), [[200, "public"]]);
  assert.equal(await banner(other).count(), 0);
  const [[status]] = await fetchAll(other, [`${site.data}/a`]);
  assert.equal(status, 503);
  await banner(other).waitFor();
  await judge(other);
  assert.equal((await inWorker(page, "/classic.js", "classic", [`${site.data}/a`]))[0][0], 503);
  const link = page.getByRole("link", { name: "Sign in" });
  await link.waitFor();
  assert.equal(await page.getByRole("alert").textContent(), "You are not signed in, so private data is missing here. It comes back when you are.");
  const waiting = retrying(other, `${site.data}/a`);
  await link.focus();
  await page.keyboard.press("Enter");
  await page.getByRole("button", { name: "Enter" }).click();
  await page.waitForURL((url) => url.search === "?volume=a" && url.hash !== "");
  assert.equal(decodeURIComponent(new URL(page.url()).hash), decodeURIComponent(VIEW));
  assert.deepEqual(await fetchAll(page, [`${site.data}/a`]), [[200, "private"]]);
  assert.equal(await waiting, "private", "the other tab's viewer asked again until it was let in");
  await other.waitForFunction(() => edgemint.state === "fresh");
  assert.equal(await banner(other).count(), 0);
  await dismissed(site, context);
  assert.deepEqual(page.complaints.concat(other.complaints), []);
}

async function dismissed(site, context) {
  await context.clearCookies();
  const page = await open(site, context, { signedIn: true });
  await fetchAll(page, [`${site.data}/a`]);
  const button = page.getByRole("button", { name: "Dismiss" });
  await button.focus();
  await page.keyboard.press("Escape");
  assert.equal(await banner(page).count(), 0);
  await fetchAll(page, [`${site.data}/a`]);
  assert.equal(await banner(page).count(), 0);
}

/** Where a data host leads to another host, that one gets none of the person's cookies. */
async function elsewhere(site, context) {
  const page = await open(site, context);
  await fetchAll(page, [`${site.data}/elsewhere`]);
  await fetchAll(page, [`${site.public}/a?${site.data}/`, `${site.data.replace("data.", "database.")}/a`]);
  // The cookies of a whole domain do reach its hosts by a redirect: there must be none that is a stranger's.
  const outside = site.publicReads.filter(({ url }) => !url.startsWith("/from-data"));
  assert.ok(outside.length === 1 && outside.every(({ cookie }) => cookie === ""));
}

/** The service worker reads for blob workers too, and goes when it is wanted no more. */
async function serviceWorker(site, context) {
  await context.addCookies([{ name: "login", value: "yes", url: site.viewer }]);
  const page = await context.newPage();
  await page.goto(`${site.viewer}/beside.html`);
  // What was read before the worker came was read without it: the page is loaded once more.
  await page.waitForFunction(() => navigator.serviceWorker.controller && performance.getEntriesByType("navigation")[0].type === "reload");
  const urls = [`${site.data}/a`, `${site.public}/a`];
  const good = [[200, "private"], [200, "public"]];
  assert.deepEqual(await fetchAll(page, urls), good);
  const inBlob = () => page.evaluate(async (urls) => {
    const source = await (await fetch("/classic.js")).text();
    const worker = new Worker(URL.createObjectURL(new Blob([source.slice(source.lastIndexOf('"use strict"'))])));
    worker.postMessage(urls);
    return new Promise((done) => (worker.onmessage = ({ data }) => done(data)));
  }, urls);
  assert.deepEqual(await inBlob(), [[200, "private"], [200, "public"]]);
  assert.ok(site.publicReads.every(({ cookie }) => cookie === ""));
  assert.ok(site.posts <= 2);
  await removed(site, context, page);
}

/** Where the service worker's script cannot be had, pages and their workers read by themselves. */
async function noServiceWorker(site, context) {
  site.hasWorker = false;
  await context.addCookies([{ name: "login", value: "yes", url: site.viewer }]);
  const page = await context.newPage();
  await page.goto(`${site.viewer}/beside.html`);
  const urls = [`${site.data}/a`, `${site.public}/a`];
  assert.deepEqual(await fetchAll(page, urls), [[200, "private"], [200, "public"]]);
  assert.deepEqual(await inWorker(page, "/classic.js", "classic", urls), [[200, "private"], [200, "public"]]);
  assert.equal(await page.evaluate(async () => (await navigator.serviceWorker.getRegistrations()).length), 0);
}

/** By a page that wants none, and by itself, where no page has a shim any more. */
async function removed(site, context, page) {
  const left = async () => (await navigator.serviceWorker.getRegistrations()).length;
  await page.goto(`${site.viewer}/`);
  await page.waitForFunction(`(${left})().then((count) => count === 0)`);
  const developer = await context.newCDPSession(page);
  await developer.send("ServiceWorker.enable");
  for (site.answersAll of [false, true]) {
    site.hasWorker = true;
    await page.goto(`${site.viewer}/beside.html`);
    await page.waitForFunction(() => navigator.serviceWorker.controller);
    site.hasWorker = false;
    await page.goto("about:blank");
    await developer.send("ServiceWorker.stopAllWorkers");
    await page.goto(`${site.viewer}/off.html`);
    await page.waitForFunction(`(${left})().then((count) => count === 0)`);
  }
}

// --- what the walks share ---

async function open(site, context, { signedIn = false, path = "/" } = {}) {
  if (!signedIn) await context.addCookies([{ name: "login", value: "yes", url: site.viewer }]);
  const page = await context.newPage();
  page.complaints = [];
  page.on("console", (message) => /Content.Security.Policy|edgemint/i.test(message.text()) && page.complaints.push(message.text()));
  page.on("pageerror", (error) => page.complaints.push(error.message));
  await page.goto(site.viewer + path);
  return page;
}

/** A page that believes its cookies live, where they do not. */
async function expired(site, context) {
  const page = await open(site, context);
  await fetchAll(page, [`${site.data}/first`]);
  await page.waitForFunction(() => edgemint.state === "fresh");
  await expire(site, context);
  return page;
}

/** Takes the cookies away, and lets half an hour pass in all pages. */
async function expire(site, context) {
  await context.clearCookies({ name: "CloudFront-Policy" });
  for (const page of context.pages()) {
    await page.evaluate(() => {
      const now = (Date.edgemintNow ??= Date.now);
      const ahead = (Date.ahead = (Date.ahead ?? 0) + 3_700_000);
      Date.now = () => now() + ahead;
    });
  }
}

function fetchAll(page, urls) {
  return page.evaluate((urls) => Promise.all(urls.map((url) => fetch(url).then(async (answer) => [answer.status, await answer.text()], (error) => [error.name]))), urls);
}

function inWorker(page, script, type, urls) {
  return page.evaluate(([script, type, urls]) => new Promise((done, fail) => {
    const worker = new Worker(script, { type });
    worker.onmessage = ({ data }) => done(data);
    worker.onerror = (event) => fail(new Error(event.message));
    worker.postMessage(urls);
  }), [script, type, urls]);
}

function start(page, script, count) {
  return page.evaluate(([script, count]) => {
    window.workers = Array.from({ length: count }, () => new Worker(script));
  }, [script, count]);
}

function askStarted(page, urls) {
  return page.evaluate((urls) => Promise.all(window.workers.map((worker) => new Promise((done) => {
    worker.onmessage = ({ data }) => done(data);
    worker.postMessage(urls);
  }))), urls);
}

/** A viewer that asks again after 503, as Neuroglancer does. */
function retrying(page, url) {
  return page.evaluate(async (url) => {
    for (let time = 0; time < 100; time += 1) {
      const answer = await fetch(url);
      if (answer.status !== 503) return answer.text();
      await new Promise((done) => setTimeout(done, 100));
    }
    return "never";
  }, url);
}

const banner = (page) => page.locator("[data-edgemint=notice]");

async function judge(page) {
  await page.evaluate(axe.source);
  const { violations } = await page.evaluate(() => axe.run("[data-edgemint=notice]", { runOnly: ["wcag2a", "wcag2aa", "wcag21aa", "wcag22aa"] }));
  assert.deepEqual(violations.map(({ id, nodes }) => `${id}: ${nodes[0].failureSummary}`), []);
}

await main();
