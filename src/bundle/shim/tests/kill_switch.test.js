import assert from "node:assert/strict";
import { test } from "node:test";
import { removeIfGone } from "../kill_switch.js";

const answered = (status, type) => new Response(null, { status, headers: type ? { "content-type": type } : {} });
/** As browsers show a redirect that is not followed; Node's Response cannot be made so. */
const redirect = { type: "opaqueredirect", ok: false, status: 0, headers: new Headers() };

for (const [what, answer, isRemoved] of [
  ["its script", answered(200, "text/javascript; charset=utf-8"), false],
  ["its script by its old name", answered(200, "application/x-javascript"), false],
  ["nothing", answered(404, "text/javascript"), true],
  ["nothing any more", answered(410), true],
  ["a front page for every path", answered(200, "text/html; charset=utf-8"), true],
  ["something without a name", answered(200), true],
  ["a redirect", redirect, false],
  ["a firewall's challenge", answered(202, "text/html"), false],
  ["a refusal", answered(403, "text/html"), false],
  ["an error", answered(503, "text/html"), false],
  ["no answer", Promise.reject(new TypeError("Failed to fetch")), false],
]) {
  test(`a service worker that finds ${what} in its place ${isRemoved ? "removes itself" : "stays"}`, async () => {
    let removals = 0;
    const asked = [];
    await removeIfGone({
      location: new URL("https://viewer.example.org/session/worker.js"),
      fetch: async (...given) => (asked.push(given), answer),
      registration: { unregister: async () => (removals += 1) },
    });
    assert.equal(removals, Number(isRemoved));
    const [[url, { method, cache, redirect }]] = asked;
    assert.deepEqual([url, method, cache, redirect], ["https://viewer.example.org/session/worker.js", "HEAD", "no-store", "manual"]);
  });
}
