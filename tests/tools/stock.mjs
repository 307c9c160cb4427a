// The world around stock viewers, as its tests see it: what was asked of which host, the clock, and browsers
// in which every host is the nginx of the world.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";
import { chromium } from "playwright-core";
import puppeteer from "puppeteer-core";
import { pixels } from "./png.mjs";

export const VIEWER = "https://viewer.example.test";
export const DATA = "https://data.example.test";
export const ARCHIVE = "https://archive.example.test";
export const PUBLIC = "https://public.other.test";
const HOSTS = [
  "viewer.example.test", "data.example.test", "archive.example.test", "data-b.example.test", "data-c.example.test", "evil.example.test", "data.example.test.evil.example.test",
  "public.other.test", "login.provider.test",
];
const SIZE = { width: 1000, height: 600 };

/** What no voxel of the tests' volumes is as dark as. */
const BLACK = 40;
/** Neuroglancer shows it where nothing has come yet, and black where something is absent. */
const BACKGROUND = "#0000ff";
const PATIENCE = 60_000;
/** Of the pictures of panels, in pixels: so none has the banner on it. */
const LARGEST = 220;

/** The world that the test started. */
export class World {
  constructor(file = process.argv[2]) {
    Object.assign(this, JSON.parse(readFileSync(file, "utf8")));
    this.folder = file.replace(/[^/]*$/, "");
    this.seen = 0;
  }

  /** Moves the clock of the service and of the edges. The service, which has not heard of its keys for so long, has
   * to look at them before it signs again. */
  async advance(seconds) {
    await this.tell(`advance=${seconds}`);
    const end = Date.now() + PATIENCE;
    while (!(await fetch(`${this.service}/readyz`)).ok) {
      assert.ok(Date.now() < end, "the service signs no more");
      await sleep(50);
    }
  }

  /** Moves it once the edges have judged so many more requests. */
  async advanceAfter(requests, seconds) {
    await this.tell(`advance=${seconds}&after=${requests}`);
  }

  async tell(query) {
    const answer = await fetch(`${this.control}/clock?${query}`, { method: "POST" });
    assert.equal(answer.status, 204);
  }

  /** Every request so far, or since the last `forget`, in the order of their answers. */
  requests(matching = () => true) {
    const lines = readFileSync(this.log, "utf8").split("\n").slice(0, -1);
    return lines.slice(this.seen).map((line) => JSON.parse(line)).filter(matching);
  }

  forget() {
    this.seen += this.requests().length;
  }

  /** How often a page asked for cookies, and with which outcome. */
  renewals() {
    const asked = this.requests(({ method, uri }) => method === "POST" && uri.startsWith("/session/cookies"));
    return asked.map(({ status }) => status);
  }

  async chromium(...more) {
    const args = [
      "--disable-quic", "--disable-background-networking", "--disable-component-update", "--disable-sync",
      "--no-first-run", "--no-default-browser-check", "--no-proxy-server",
      `--host-resolver-rules=MAP *.test 127.0.0.1:${this.port}, MAP * ~NOTFOUND`,
      `--ignore-certificate-errors-spki-list=${this.spki}`,
      "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader", ...more,
    ];
    if (process.getuid?.() === 0) args.push("--no-sandbox");
    return chromium.launch({ executablePath: process.env.CHROMIUM || "/usr/bin/chromium", args });
  }

  /** Firefox as Debian has it, driven by WebDriver BiDi. It has no WebGL without a screen. */
  async withFirefox(story) {
    const screen = spawn("Xvfb", ["-displayfd", "3", "-screen", "0", "1200x800x24", "-nolisten", "tcp"], { stdio: ["ignore", "ignore", "ignore", "pipe"] });
    let browser;
    try {
      const [display] = await once(screen.stdio[3], "data");
      browser = await this.firefox(`:${String(display).trim()}`);
      await story(browser);
    } finally {
      await browser?.close();
      screen.kill();
    }
  }

  firefox(display) {
    const preferences = {
      "network.dns.localDomains": HOSTS.join(","), "network.socket.forcePort": `443=${this.port}`, "webgl.force-enabled": true,
    };
    return puppeteer.launch({
      browser: "firefox", executablePath: process.env.FIREFOX || "/usr/bin/firefox-esr", headless: false,
      acceptInsecureCerts: true, extraPrefsFirefox: preferences, defaultViewport: SIZE,
      env: { ...process.env, DISPLAY: display, LIBGL_ALWAYS_SOFTWARE: "1" },
    });
  }

  /** Runs a story with a browser, which does not outlive it. */
  async withChromium(story, ...more) {
    const browser = await this.chromium(...more);
    try {
      await story(browser);
    } finally {
      await browser.close();
    }
  }
}

/** Somebody with a browser profile of their own. */
export class Person {
  static async at(browser, options = {}) {
    const person = new Person();
    person.context = await browser.newContext({ viewport: SIZE, ...options });
    return person;
  }

  /** A tab whose complaints are kept: errors, failed requests, and what a policy forbids. */
  async tab() {
    const page = await this.context.newPage();
    page.complaints = [];
    page.on("pageerror", (error) => page.complaints.push(`${error.stack}`));
    page.on("console", (message) => {
      if (message.type() === "error") page.complaints.push(`${message.text()} (${message.location().url})`);
    });
    return page;
  }

  /** Signs in by the load balancer, in a tab of its own. */
  async signIn(name, place = "/healthz") {
    const tab = await this.context.newPage();
    await tab.goto(`${VIEWER}/session/login?return_to=${encodeURIComponent(place)}`);
    await choose(tab, name);
    await tab.waitForURL(`${VIEWER}${place}`);
    await tab.close();
  }

  async cookies(name) {
    const all = await this.context.cookies();
    return all.filter((cookie) => cookie.name.startsWith(name));
  }
}

/** Chooses who to be on the provider's page. */
export async function choose(page, name) {
  await page.locator("button[name=person]", { hasText: `${name.toLowerCase()}@` }).click();
}

// === Neuroglancer ===

const NANOMETRES = [8e-9, "m"];

/** A volume with the axes z, y and x. */
export function zarr(kind, url) {
  const dimensions = { z: NANOMETRES, y: NANOMETRES, x: NANOMETRES };
  return { url: `${kind}://${url}`, transform: { inputDimensions: dimensions, outputDimensions: dimensions } };
}

export function precomputed(url) {
  return { url: `precomputed://${url}` };
}

/** The fragment of a view with a panel for each volume, side by side. */
export function view(volumes, { position = [32, 32, 32], voxels = 56, layout = "xy" } = {}) {
  const names = volumes.map((_, index) => `volume ${index}`);
  const shader = "void main() { emitGrayscale(toNormalized(getDataValue())); }";
  const state = {
    dimensions: { x: NANOMETRES, y: NANOMETRES, z: NANOMETRES },
    position,
    crossSectionScale: voxels / SIZE.height,
    layers: volumes.map((source, index) => ({ type: "image", name: names[index], source, shader })),
    layout: { type: "row", children: names.map((name) => ({ type: "viewer", layers: [name], layout })) },
    crossSectionBackgroundColor: BACKGROUND, showAxisLines: false, showScaleBar: false, showDefaultAnnotations: false,
  };
  return `#!${encodeURIComponent(JSON.stringify(state))}`;
}

/** The middle of each panel, as pixels. */
export async function panels(page) {
  const boxes = await page.evaluate(() => {
    const all = [...document.querySelectorAll(".neuroglancer-rendered-data-panel")];
    return all.map((panel) => panel.getBoundingClientRect()).map(({ x, y, width, height }) => ({ x, y, width, height }));
  });
  return areas(page, boxes.filter(({ width, height }) => width > 20 && height > 20).map(inner));
}

function inner({ x, y, width, height }) {
  const side = Math.min(Math.floor(Math.min(width, height) * 0.6), LARGEST);
  return { x: Math.round(x + (width - side) / 2), y: Math.round(y + (height - side) / 2), width: side, height: side };
}

/** Areas of a page as pixels; a screenshot is of the page as it is painted. */
export async function areas(page, clips) {
  const shots = [];
  for (const clip of clips) shots.push(pixels(Buffer.from(await page.screenshot({ clip }))));
  return shots;
}

/** Which part of an image is data, which is black, and which is neither yet. */
export function parts({ bytes, channels }) {
  let [data, black] = [0, 0];
  const shades = new Set();
  for (let at = 0; at < bytes.length; at += channels) {
    const [red, green, blue] = bytes.subarray(at, at + 3);
    if (Math.max(red, green, blue) < BLACK) black++;
    else if (Math.abs(red - blue) < 8) data++;
    shades.add(green);
  }
  const all = bytes.length / channels;
  return { shades: shades.size, data: data / all, black: black / all, bare: (all - data - black) / all };
}

/** Waits until every panel is data all over, and the same twice in a row; returns their pixels. */
export function complete(page, count) {
  return settled(page, `${count} complete panels`, (shots) =>
    shots.length === count && shots.map(parts).every(({ data, shades }) => data === 1 && shades > 10));
}

/** Waits until all panels are as they should be, and the same twice in a row. */
export function settled(page, what, isRight) {
  return until(page, what, async () => {
    const now = await panels(page);
    if (!isRight(now)) return null;
    await sleep(150);
    return same(now, await panels(page)) ? now : null;
  });
}

export function same(some, others) {
  return some.length === others.length && some.every(({ bytes }, index) => bytes.equals(others[index].bytes));
}

/** Tries until there is something; a picture shows why there was nothing. */
export async function until(page, what, attempt, patience = PATIENCE) {
  const end = Date.now() + patience;
  for (;;) {
    const found = await attempt();
    if (found) return found;
    if (Date.now() > end) {
      const picture = `${process.env.STOCK_SCREENSHOTS ?? tmpdir()}/stock-failed.png`;
      writeFileSync(picture, await page.screenshot());
      const shown = (await panels(page).catch(() => [])).map(parts);
      assert.fail(`no ${what}: ${JSON.stringify(shown)}; see ${picture}; the console said: ${page.complaints?.map((text) => text.slice(0, 300)).join("\n")}`);
    }
    await sleep(100);
  }
}

// === what must never happen ===

/** Complaints of a page beside those that its viewer has without edgemint, too. */
export function unexpected(page, ...known) {
  const expected = [/favicon\.ico/, /zarr2\/zarr\.json/, /slab\/zarr\.json/, ...known];
  return page.complaints.filter((text) => !expected.some((pattern) => pattern.test(text)));
}

/** Cookies go where they belong and nowhere else. */
export function cookiesKeepTheirPlaces(world) {
  for (const { host, uri, cookie } of world.requests()) {
    const what = `${host}${uri}: ${cookie}`;
    if (host === "public.other.test" || host.endsWith("evil.example.test")) assert.equal(cookie, "", what);
    if (host === "login.provider.test") assert.doesNotMatch(cookie, /CloudFront-|edgemint|AWSELB/, what);
    if (host === "data.example.test" || host === "archive.example.test") assert.doesNotMatch(cookie, /edgemint|AWSELB/, what);
  }
}

/** Moves the page to another view as a link in it would, and waits until the old one is gone. Nothing is loaded
 * anew. */
export async function moveTo(page, fragment) {
  const before = await panels(page);
  await page.evaluate((fragment) => void (location.hash = fragment), fragment);
  await until(page, "change of the view", async () => !same(before, await panels(page)));
}

/** Time passes for a page and its workers; that of the service and the edges is the world's. */
export async function passes(page, seconds) {
  for (const thread of [page, ...page.workers()]) await thread.evaluate(ahead, seconds * 1000);
}

/** In any thread: its clock goes ahead by so many milliseconds from now on. */
export function ahead(milliseconds) {
  const before = Date.now;
  Date.now = () => before() + milliseconds;
}

/** Which controls of Neuroglancer lie under the banner. */
export function covered(page) {
  return page.evaluate(() => {
    const boxOf = (element) => element.getBoundingClientRect();
    const banner = boxOf(document.querySelector("[data-edgemint=notice]").shadowRoot.firstElementChild);
    const apart = (box) => box.right <= banner.left || box.left >= banner.right || box.bottom <= banner.top || box.top >= banner.bottom;
    const all = [...document.querySelectorAll("input, button, label, a, .neuroglancer-icon")].filter((control) => boxOf(control).width > 0);
    if (!all.some((control) => control.type === "checkbox")) return "no checkbox is there yet";
    return all.filter((control) => !apart(boxOf(control))).map(({ outerHTML }) => outerHTML);
  });
}

/** The banner's text, or nothing where there is no banner. */
export function banner(page) {
  return page.evaluate(() => {
    const host = document.querySelector("[data-edgemint=notice]");
    const box = host?.shadowRoot.firstElementChild?.getBoundingClientRect();
    return box?.width > 0 ? host.shadowRoot.textContent : "";
  });
}
