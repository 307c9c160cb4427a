// Opens pages as a service has rewritten them, and tells what their scripts found: node injection_browser.mjs
//
// Takes one line of JSON, a list of {path, headers, body}, bodies in base64; answers one line, a list of
// {found, mode, lang, complaints}: what each script of the page noted in `window.found`, `document.compatMode`,
// the root's `lang`, and what the console says of the page's policy. Nothing is asked of any network.

import { buffer } from "node:stream/consumers";
import { launch } from "./chromium.mjs";

const SITE = "https://viewer.example.org";

const files = JSON.parse(await buffer(process.stdin));
const browser = await launch();
try {
  const context = await browser.newContext();
  await context.route("**/*", (route) => {
    const file = files.find(({ path }) => route.request().url() === SITE + path);
    if (!file) return route.fulfill({ status: 401, contentType: "application/problem+json", body: '{"type":"urn:edgemint:problem:not-signed-in"}' });
    return route.fulfill({ headers: file.headers, body: Buffer.from(file.body, "base64") });
  });
  const seen = [];
  const page = await context.newPage();
  for (const { path } of files) seen.push(await open(page, SITE + path));
  console.log(JSON.stringify(seen));
} finally {
  await browser.close();
}

async function open(page, url) {
  const complaints = [];
  const note = (message) => message.text().includes("Content Security Policy") && complaints.push(message.text());
  page.on("console", note);
  await page.goto(url);
  const state = await page.evaluate(() => ({
    found: window.found ?? [],
    mode: document.compatMode,
    lang: document.documentElement.getAttribute("lang"),
  }));
  page.off("console", note);
  return { ...state, complaints };
}
