import assert from "node:assert/strict";
import { test } from "node:test";
import { patchFetch } from "../patch_fetch.js";
import { DATA, FILE, HOUR, SECOND, SITE, World, networkError, problem, settled } from "./world.js";

const OTHER = "https://public.example.net/chunk";

/** A page with cookies for an hour. */
async function pageWithCookies(world = new World(), options = {}) {
  const page = world.thread({ leads: true, ...options });
  await page.cookies.renew();
  world.posts.length = 0;
  return page;
}

test("data is read with credentials and everything the viewer said", async () => {
  const world = new World();
  const { read } = await pageWithCookies(world);
  const signal = new AbortController().signal;
  const answer = await read(FILE, { headers: { range: "bytes=0-9" }, cache: "no-store", signal, mode: "cors", redirect: "error" });
  assert.equal(await answer.text(), "data");
  const [{ init }] = world.reads;
  assert.equal(init.credentials, "include");
  assert.equal(init.headers.range, "bytes=0-9");
  assert.equal(init.cache, "no-store");
  assert.equal(init.mode, "cors");
  assert.equal(init.redirect, "error");
  assert.equal(init.signal, signal);
});

test("the viewer's own settings are left as they were, frozen or not", async () => {
  const { read } = await pageWithCookies();
  const init = Object.freeze({ credentials: "same-origin", method: "GET" });
  await read(FILE, init);
  assert.deepEqual(init, { credentials: "same-origin", method: "GET" });
});

test("settings that say a url are settings all the same", async () => {
  const world = new World();
  const { read } = await pageWithCookies(world);
  const options = { url: FILE, method: "PUT", headers: { range: "bytes=0-9" }, body: "text" };
  await read(options.url, options);
  const [{ init }] = world.reads;
  assert.deepEqual([init.method, init.headers.range, init.body, init.credentials], ["PUT", "bytes=0-9", "text", "include"]);
  assert.equal(init instanceof Request, false);
});

test("an object that says a url is no Request, and is for the browser to read", async () => {
  const { read } = await pageWithCookies();
  assert.equal(read({ url: FILE }), null);
  assert.equal((await read({ url: "https://elsewhere.example/", toString: () => FILE })).status, 200);
});

test("a Request as settings is one still", async () => {
  const world = new World();
  const { read } = await pageWithCookies(world);
  await read(FILE, new Request(FILE, { method: "HEAD", headers: { range: "bytes=0-9" } }));
  const [{ init }] = world.reads;
  assert.deepEqual([init.method, init.headers.get("range"), init.credentials], ["HEAD", "bytes=0-9", "include"]);
});

test("a Request is handed on as it is, with its referrer", async () => {
  const world = new World();
  const { read } = await pageWithCookies(world);
  let seen;
  world.edge = (call) => ((seen = call), new Response("data"));
  const request = new Request(FILE, { headers: { "x-a": "b" }, referrerPolicy: "no-referrer" });
  await read(request);
  assert.equal(seen.init.credentials, "include");
  assert.equal(seen.init.referrerPolicy, "no-referrer");
  assert.equal(seen.url, FILE);
});

test("other hosts get nothing: the browser's fetch has the very same arguments", async () => {
  const world = new World();
  const { read } = world.thread({ leads: true });
  for (const url of [OTHER, `${SITE}/main.js`, "main.js", "https://data.example.org.evil.example/", new Request(OTHER)]) {
    assert.equal(read(url), null);
  }
  const calls = [];
  const scope = {};
  const native = function (...given) {
    calls.push([this, ...given]);
    return "native";
  };
  patchFetch(scope, native, read);
  const init = { credentials: "include" };
  assert.equal(scope.fetch.call(undefined, OTHER, init), "native");
  assert.deepEqual(calls, [[scope, OTHER, init]]);
  assert.equal(calls[0][2], init);
  assert.equal(scope.fetch.length, 1);
  assert.deepEqual(world.posts, []);
});

test("what cannot be read is for the browser to complain about", () => {
  const scope = {};
  const { read } = new World().thread({ leads: true });
  patchFetch(scope, () => "native", read);
  for (const odd of [undefined, null, {}, Symbol("a"), { url: 7 }, { get url() { throw new Error("no"); } }]) {
    assert.equal(scope.fetch(odd), "native");
  }
});

test("a viewer that says omit gets no cookies", async () => {
  const { read } = await pageWithCookies();
  assert.equal(read(FILE, { credentials: "omit" }), null);
  assert.equal(read(new Request(FILE, { credentials: "omit" })), null);
});

test("data of the page's own host keeps its credentials mode, and is renewed all the same", async () => {
  const world = new World();
  const { read } = world.thread({ leads: true, config: { site: "", data: [`${SITE}/data/`] } });
  const init = { headers: {} };
  const answer = await read("/data/chunk", init);
  assert.equal(answer.status, 200);
  assert.equal(world.reads[0].init, init);
  assert.equal(world.posts.length, 1);
});

test("a body is sent once and never again", async () => {
  const world = new World();
  const { read } = await pageWithCookies(world);
  world.letsIn = 0;
  world.sleep(2 * HOUR);
  world.reads.length = 0;
  const answer = await read(FILE, { method: "PUT", body: "text" });
  assert.equal(answer.status, 403);
  assert.equal(world.reads.length, 1);
  assert.equal(world.reads[0].init.credentials, "include");
});

for (const [what, refusal] of [["403", () => new Response("", { status: 403 })], ["a broken connection", networkError]]) {
  test(`a hundred reads refused by ${what} after expiry make one renewal, and none is lost`, async () => {
    const world = new World();
    world.refusal = refusal;
    const { read } = await pageWithCookies(world);
    await world.pass(HOUR + SECOND);
    const reads = Array.from({ length: 100 }, (_, number) => read(FILE + number));
    await settled();
    await world.pass(SECOND);
    for (const answer of await Promise.all(reads)) assert.equal(answer.status, 200);
    assert.equal(world.posts.length, 1);
    assert.equal(world.reads.length, 200);
  });
}

test("a refusal that comes after others have renewed is a retry and no question", async () => {
  const world = new World();
  const { read, cookies } = await pageWithCookies(world);
  let refuse;
  const edge = world.edge;
  world.edge = () => new Promise((done) => (refuse = () => done(new Response("", { status: 403 }))));
  const late = read(FILE);
  await settled();
  await world.pass(2 * SECOND);
  await cookies.renew();
  world.edge = edge;
  refuse();
  assert.equal((await late).status, 200);
  assert.equal(world.posts.length, 1);
});

test("a sparse volume causes no storm of renewals", async () => {
  const world = new World();
  const { read } = await pageWithCookies(world);
  world.edge = () => new Response("", { status: 403 });
  for (let chunk = 0; chunk < 600; chunk += 1) {
    const answer = read(FILE + chunk);
    await world.pass(100);
    assert.equal((await answer).status, 403);
  }
  assert.equal(world.posts.length, 2, "one look in each half of the first minute");
  for (let minute = 0; minute < 30; minute += 1) {
    const answer = read(FILE + minute);
    await world.pass(60 * SECOND);
    await answer;
  }
  assert.ok(world.posts.length <= 7, `${world.posts.length} in half an hour`);
});

test("a sparse volume costs all threads together no more than one, those that come later too", async () => {
  const world = new World();
  const threads = [await pageWithCookies(world), world.thread(), world.thread(), world.thread({ leads: true })];
  await world.pass(2 * SECOND);
  world.edge = () => new Response("", { status: 403 });
  for (let step = 0; step < 300; step += 1) {
    if (step % 100 === 0) threads.push(world.thread());
    await settled();
    const answers = threads.map(({ read }) => read(FILE + step));
    await world.pass(100);
    for (const answer of answers) assert.equal((await answer).status, 403);
  }
  assert.equal(world.posts.length, 1, "in half a minute");
  await world.pass(5 * SECOND);
  for (const { read } of threads) read(FILE);
  await world.pass(50 * SECOND);
  for (const { read } of threads) read(FILE);
  await world.pass(SECOND);
  assert.equal(world.posts.length, 2, "then once in a minute");
});

test("cookies that went away before their time are found out", async () => {
  const world = new World();
  const { read } = await pageWithCookies(world);
  world.letsIn = 0;
  await world.pass(40 * SECOND);
  const answer = read(FILE);
  await world.pass(SECOND);
  assert.equal((await answer).status, 200);
  assert.equal(world.posts.length, 1);
});

test("cookies that go bad soon after a renewal are found out by the first refusal, in any thread", async () => {
  for (const which of [0, 1]) {
    const world = new World();
    const threads = [await pageWithCookies(world), world.thread()];
    await world.pass(3 * SECOND);
    world.letsIn = 0;
    const answer = threads[which].read(FILE);
    await world.pass(SECOND);
    assert.equal((await answer).status, 200);
    assert.equal(world.posts.length, 1);
  }
});

test("a probe of nonsense changes nothing", async () => {
  const world = new World();
  const { read } = await pageWithCookies(world);
  await world.pass(3 * SECOND);
  const { BroadcastChannel } = world.scope();
  const stranger = new BroadcastChannel(`edgemint ${SITE}`);
  for (const more of [{}, { at: "now", pause: 9 }, { at: world.wall }, { at: world.wall - HOUR, pause: 1e99 }]) stranger.postMessage({ kind: "probe", ...more });
  await settled();
  world.letsIn = 0;
  const answer = read(FILE);
  await world.pass(SECOND);
  assert.equal((await answer).status, 200);
});

test("nobody is signed in: 503 instead of a refusal, and no question for each chunk", async () => {
  const world = new World();
  world.service = () => problem(401, "not-signed-in");
  const { read, cookies } = world.thread({ leads: true });
  for (let chunk = 0; chunk < 50; chunk += 1) {
    const answer = read(FILE + chunk);
    await world.pass(200);
    const { status, headers } = await answer;
    assert.equal(status, 503);
    assert.equal(headers.get("retry-after"), "5");
    assert.equal(headers.get("cache-control"), "no-store");
  }
  assert.equal(world.posts.length, 1);
  assert.equal(cookies.state, "signed-out");
  assert.ok(cookies.refused);
});

test("what is public on a data host is read by anybody", async () => {
  const world = new World();
  world.service = () => problem(401, "not-signed-in");
  world.edge = () => new Response("public");
  const { read, cookies } = world.thread({ leads: true });
  assert.equal(await (await read(FILE)).text(), "public");
  await settled();
  assert.equal(await (await read(FILE)).text(), "public");
  assert.equal(cookies.refused, false);
});

test("the answer to HEAD has no body", async () => {
  const world = new World();
  world.service = () => problem(401, "not-signed-in");
  const answer = await world.thread({ leads: true }).read(FILE, { method: "HEAD" });
  assert.equal(answer.status, 503);
  assert.equal(answer.body, null);
});

test("no access is a true refusal and is passed on", async () => {
  const world = new World();
  world.service = () => problem(403, "no-access");
  const { read, cookies } = world.thread({ leads: true });
  assert.equal((await read(FILE)).status, 403);
  assert.equal(cookies.state, "no-access");
  assert.equal(cookies.refused, false);
});

test("the view fills in once somebody has signed in again", async () => {
  const world = new World();
  const service = world.service;
  world.service = () => problem(401, "not-signed-in");
  const { read, cookies } = world.thread({ leads: true });
  assert.equal((await read(FILE)).status, 503);
  world.service = service;
  await world.pass(2 * SECOND);
  await cookies.renew();
  assert.equal((await read(FILE)).status, 200);
  assert.equal(cookies.refused, false);
});

test("refused reads wait longer when signing in takes long, and end with it", async () => {
  const world = new World();
  const { service } = world;
  world.service = () => problem(401, "not-signed-in");
  const { read, cookies } = world.thread({ leads: true });
  assert.equal((await read(FILE)).status, 503, "at once at first");
  await world.pass(60 * SECOND);
  let ended = [];
  const ask = () => read(FILE).then(({ status }) => ended.push(status));
  ask();
  await world.pass(59 * SECOND);
  assert.deepEqual(ended, []);
  await world.pass(2 * SECOND);
  assert.deepEqual(ended, [503]);
  ended = [];
  ask();
  await world.pass(10 * SECOND);
  world.service = service;
  cookies.renew();
  await settled();
  assert.deepEqual(ended, [200], "held reads are done again by themselves");
  const stop = new AbortController();
  world.service = () => problem(401, "not-signed-in");
  await world.pass(2 * HOUR);
  await cookies.renew();
  await read(FILE);
  await world.pass(60 * SECOND);
  const stopped = read(FILE, { signal: stop.signal });
  await settled();
  stop.abort();
  await assert.rejects(stopped, { name: "AbortError" });
});

test("who waits no longer leaves no timer behind", async () => {
  const world = new World();
  const { service } = world;
  world.service = () => problem(401, "not-signed-in");
  const { read, cookies } = world.thread({ leads: true });
  await read(FILE);
  await world.pass(60 * SECOND);
  const before = world.timers;
  const stop = new AbortController();
  const reads = Array.from({ length: 20 }, (_, number) => read(FILE + number, number < 10 ? { signal: stop.signal } : {}));
  const ends = Promise.allSettled(reads);
  await settled();
  assert.equal(world.timers, before + 20);
  stop.abort();
  await settled();
  assert.equal(world.timers, before + 10, "aborted");
  await assert.rejects(read(FILE, { signal: stop.signal }), { name: "AbortError" });
  assert.equal(world.timers, before + 10, "aborted before");
  world.service = service;
  cookies.renew();
  await world.pass(SECOND);
  assert.equal(world.timers, before, "released");
  assert.deepEqual((await ends).slice(10).map(({ value }) => value.status), Array(10).fill(200));
});

test("an aborted read ends at once, also while it waits for cookies", async () => {
  const world = new World();
  world.service = () => new Promise(() => {});
  const { read } = world.thread({ leads: true });
  const abort = new AbortController();
  const answer = read(FILE, { signal: abort.signal });
  await settled();
  abort.abort();
  await assert.rejects(answer, { name: "AbortError" });
});

test("an abort is no reason to ask", async () => {
  const world = new World();
  const { read } = await pageWithCookies(world);
  world.sleep(2 * HOUR);
  world.edge = () => {
    throw new DOMException("stopped", "AbortError");
  };
  await assert.rejects(read(FILE), { name: "AbortError" });
  assert.deepEqual(world.posts, []);
});

test("an unreachable network is reported as such while cookies live", async () => {
  const world = new World();
  const { read } = await pageWithCookies(world);
  world.edge = networkError;
  await assert.rejects(read(FILE), TypeError);
  assert.deepEqual(world.posts, []);
});

test("where a data host leads elsewhere, the refusal is the other host's", async () => {
  const world = new World();
  const { read } = await pageWithCookies(world);
  world.sleep(2 * HOUR);
  world.edge = () => Object.defineProperties(new Response("", { status: 403 }), {
    redirected: { value: true },
    url: { value: "https://evil.example/" },
  });
  assert.equal((await read(FILE)).status, 403);
  assert.deepEqual(world.posts, []);
});

test("a refusal that outlives two renewals is a refusal", async () => {
  const world = new World();
  const { read, cookies } = await pageWithCookies(world);
  world.edge = async () => {
    world.steady += 2 * SECOND;
    await cookies.renew();
    return new Response("", { status: world.reads.length > 9 ? 418 : 403 });
  };
  const answer = read(FILE);
  for (let second = 0; second < 20; second += 1) await world.pass(SECOND);
  assert.equal((await answer).status, 403);
  assert.equal(world.reads.length, 3);
});

test("requests to the data host of a no-cors kind are left to the browser but for credentials", async () => {
  const world = new World();
  const { read } = await pageWithCookies(world);
  world.sleep(2 * HOUR);
  world.edge = networkError;
  await assert.rejects(read(FILE, { mode: "no-cors" }), TypeError);
  assert.deepEqual(world.posts, []);
  assert.equal(DATA, new URL(FILE).origin + "/");
});
