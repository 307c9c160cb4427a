import assert from "node:assert/strict";
import { test } from "node:test";
import { Page } from "../page.js";
import { DATA, FILE, HOUR, SECOND, SITE, World, problem, settled } from "./world.js";

const LEDGER = "a=b; __Host-edgemint-set-0011aabb=1|2000000000|x";

/** As much of an element as a banner needs. */
function element(name) {
  return Object.assign(new EventTarget(), {
    name, style: {}, dataset: {}, children: [], attributes: {}, textContent: "",
    setAttribute(key, value) { this.attributes[key] = value; },
    append(...children) { this.children.push(...children.map((child) => Object.assign(child, { parent: this }))); },
    attachShadow() { return (this.shadow = element("shadow")); },
    remove() { this.parent.children = this.parent.children.filter((child) => child !== this); },
  });
}

function open(world, { cookie = "", site = "", framed = false, cookieStore, data = [DATA], ...browser } = {}) {
  const thread = world.thread({ leads: true, ...browser });
  const document = Object.assign(new EventTarget(), {
    cookie, hidden: false, documentElement: element("html"), createElementNS: (_, name) => element(name),
  });
  const went = [];
  const location = { pathname: "/v/", search: "?a=b&c", hash: "#!{}", href: `${SITE}/v/?a=b&c#!{}`, assign: (url) => went.push(url) };
  const items = new Map();
  const scope = Object.assign(new EventTarget(), {
    document, location, cookieStore, origin: SITE, open: (...given) => went.push(given),
    sessionStorage: { setItem: (key, value) => items.set(key, value) },
  });
  scope.self = scope;
  scope.top = framed ? {} : scope;
  new Page({ cookies: thread.cookies, scope, time: world.time, site, data }).start();
  const banner = () => document.documentElement.children[0]?.shadow.children[0].children;
  return { ...thread, scope, document, went, items, banner, hook: scope.edgemint };
}

const nobody = () => problem(401, "not-signed-in");

test("a page with cookies finds out at once until when, and renews them in time, for ever", async () => {
  const world = new World();
  const page = open(world, { cookie: LEDGER });
  await settled();
  assert.equal(world.posts.length, 1);
  for (let hour = 0; hour < 8; hour += 1) {
    await world.pass(2880 * SECOND);
    assert.equal(world.posts.length, 2 + hour);
    assert.equal(page.hook.state, "fresh");
  }
});

test("a page that nobody is signed in to, and that reads public data only, asks nothing and says nothing", async () => {
  const world = new World();
  const page = open(world);
  await world.pass(24 * HOUR);
  for (const type of ["focus", "online", "pageshow"]) page.scope.dispatchEvent(new Event(type));
  assert.equal(page.read("https://public.example.net/x"), null);
  await settled();
  assert.deepEqual(world.posts, []);
  assert.equal(page.banner(), undefined);
});

test("tabs renew together, by one question", async () => {
  const world = new World();
  const tabs = [1, 2, 3, 4].map(() => open(world, { cookie: LEDGER }));
  await world.pass(SECOND);
  assert.equal(world.posts.length, 1);
  await world.pass(2881 * SECOND);
  assert.equal(world.posts.length, 2);
  assert.ok(tabs.every(({ hook }) => hook.state === "fresh" && hook.expiresIn > 3000));
});

test("cookies that somebody takes away are missed at once", async () => {
  const world = new World();
  const page = open(world, { cookie: LEDGER, cookieStore: new EventTarget() });
  await world.pass(5 * SECOND);
  world.service = nobody;
  const taken = Object.assign(new Event("change"), { deleted: [{ name: "__Host-edgemint-set-0011aabb" }] });
  page.scope.cookieStore.dispatchEvent(taken);
  await settled();
  assert.equal(world.posts.length, 1, "others are still there");
  page.document.cookie = "a=b";
  page.scope.cookieStore.dispatchEvent(taken);
  await settled();
  assert.equal(world.posts.length, 2);
  assert.equal(page.hook.state, "signed-out");
  page.scope.cookieStore.dispatchEvent(taken);
  await settled();
  assert.equal(world.posts.length, 2, "what is known is not asked again");
});

test("who signs out in one tab is signed out in all", async () => {
  const world = new World();
  const tabs = [open(world, { cookie: LEDGER }), open(world, { cookie: LEDGER })];
  await world.pass(60 * SECOND);
  world.service = nobody;
  world.letsIn = 0;
  const last = open(world);
  await world.pass(SECOND);
  assert.equal(world.posts.length, 2);
  assert.deepEqual([...tabs, last].map(({ hook }) => hook.state), ["signed-out", "signed-out", "signed-out"]);
  assert.equal((await tabs[0].read(FILE)).status, 503);
});

for (const type of ["focus", "online", "pageshow"]) {
  test(`a machine that slept renews on ${type}, once`, async () => {
    const world = new World();
    const page = open(world, { cookie: LEDGER });
    await world.pass(SECOND);
    page.scope.dispatchEvent(new Event(type));
    assert.equal(world.posts.length, 1, "nothing is due");
    world.sleep(9 * HOUR);
    for (let time = 0; time < 5; time += 1) page.scope.dispatchEvent(new Event(type));
    await settled();
    assert.equal(world.posts.length, 2);
  });
}

test("a tab that is shown again renews, and one that is hidden does not", async () => {
  const world = new World();
  const page = open(world, { cookie: LEDGER });
  await world.pass(SECOND);
  world.sleep(9 * HOUR);
  page.document.hidden = true;
  page.document.dispatchEvent(new Event("visibilitychange"));
  await settled();
  assert.equal(world.posts.length, 1);
  page.document.hidden = false;
  page.document.dispatchEvent(new Event("visibilitychange"));
  await settled();
  assert.equal(world.posts.length, 2);
});

test("a refused read brings the banner, whose link comes back to this page", async () => {
  const world = new World();
  world.service = nobody;
  const page = open(world, { cookie: LEDGER });
  await settled();
  assert.equal(page.banner(), undefined, "nothing was refused yet");
  assert.equal((await page.read(FILE)).status, 503);
  const [text, link, button] = page.banner();
  assert.equal(text.attributes.role, "alert");
  assert.match(text.textContent, /not signed in/);
  assert.equal(link.href, `${SITE}/session/login?return_to=${encodeURIComponent("/v/?a=b&c")}`);
  assert.equal(link.target, "");
  page.scope.location.search = "";
  link.dispatchEvent(new Event("click"));
  assert.equal(link.href, `${SITE}/session/login?return_to=%2Fv%2F`);
  assert.equal(JSON.parse(page.items.get("edgemint.fragment")).rest, "#!{}");
  button.dispatchEvent(new Event("click"));
  assert.equal(page.banner(), undefined);
  assert.equal((await page.read(FILE)).status, 503);
  assert.equal(page.banner(), undefined, "it stays dismissed");
});

test("the view is kept when somebody goes to sign-in, and not before", async () => {
  for (const [how, kept] of [["pointerdown", false], ["focus", false], ["click", true], ["auxclick", true], ["signIn", true]]) {
    const world = new World();
    world.service = nobody;
    const page = open(world, { cookie: LEDGER });
    await page.read(FILE);
    await settled();
    const [, link] = page.banner();
    assert.equal(page.items.size, 0, "the banner alone keeps nothing");
    if (how === "signIn") page.hook.signIn();
    else link.dispatchEvent(new Event(how));
    assert.equal(page.items.has("edgemint.fragment"), kept, how);
  }
});

test("while signed out the tab asks every few seconds, more and more seldom, and not while hidden", async () => {
  const world = new World();
  const { service } = world;
  world.service = nobody;
  const page = open(world, { cookie: LEDGER });
  await page.read(FILE);
  await world.pass(10 * 60 * SECOND);
  assert.ok(world.posts.length > 15 && world.posts.length < 40, `${world.posts.length} in ten minutes`);
  page.document.hidden = true;
  await world.pass(60 * SECOND);
  const before = world.posts.length;
  await world.pass(10 * 60 * SECOND);
  assert.equal(world.posts.length, before);
  page.document.hidden = false;
  world.service = service;
  page.document.dispatchEvent(new Event("visibilitychange"));
  await settled();
  assert.equal(page.hook.state, "fresh");
  assert.equal(page.banner(), undefined);
});

test("a service in trouble does not end the asking of who is signed out", async () => {
  const world = new World();
  const { service } = world;
  world.service = nobody;
  const page = open(world, { cookie: LEDGER });
  await page.read(FILE);
  await world.pass(SECOND);
  world.service = () => new Response("", { status: 503, headers: { "retry-after": "120" } });
  await world.pass(60 * SECOND);
  const before = world.posts.length;
  await world.pass(30 * SECOND);
  assert.equal(world.posts.length, before, "it said when");
  world.service = service;
  await world.pass(120 * SECOND);
  assert.equal(page.hook.state, "fresh");
});

test("a new sign-out brings the banner back after it was dismissed", async () => {
  const world = new World();
  const { service } = world;
  world.service = nobody;
  const page = open(world, { cookie: LEDGER });
  await page.read(FILE);
  page.banner()[2].dispatchEvent(new Event("click"));
  world.service = service;
  await world.pass(40 * SECOND);
  assert.equal(page.hook.state, "fresh");
  world.service = nobody;
  await world.pass(2 * HOUR);
  await page.read(FILE);
  assert.ok(page.banner());
});

test("a session that cannot be checked brings a banner only when that lasts", async () => {
  const world = new World();
  world.service = () => problem(401, "session-unchecked");
  const page = open(world, { cookie: LEDGER });
  await page.read(FILE);
  await world.pass(5 * SECOND);
  assert.equal(page.banner(), undefined);
  await world.pass(60 * SECOND);
  assert.match(page.banner()[0].textContent, /keeps trying/);
});

test("a host that does not take its handoff brings a banner when that lasts, which stays dismissed and goes by itself", async () => {
  const world = new World();
  let isGood = false;
  world.service = ({ url }) => {
    if (!url.startsWith(SITE)) return isGood ? world.issue(3600, 2880) : new Response("", { status: 503 });
    return Response.json({ expires_in: 3600, refresh_in: 2880, handoffs: [{ url: "https://data.example.org/session/handoff", token: "t" }] });
  };
  for (const dismissed of [false, true]) {
    isGood = false;
    world.letsIn = 0;
    const page = open(world, { cookie: LEDGER });
    await world.pass(SECOND);
    assert.equal((await page.read(FILE)).status, 503);
    assert.equal(page.banner(), undefined);
    await world.pass(60 * SECOND);
    assert.match(page.banner()[0].textContent, /keeps trying/);
    if (dismissed) page.banner()[2].dispatchEvent(new Event("click"));
    await world.pass(60 * SECOND);
    assert.equal(page.banner() === undefined, dismissed);
    isGood = true;
    await world.pass(60 * SECOND);
    assert.equal(page.banner(), undefined);
    assert.equal((await page.read(FILE)).status, 200);
    assert.equal(page.hook.state, "fresh");
    await world.pass(HOUR);
  }
});

/** Cookies for lab A, and for lab C when asked for; the edge goes by them, and keeps lab P's data public. */
function labs(world, more = {}) {
  world.service = () => world.issue(3600, 2880, { resources: [`${DATA}lab-a/*`], on_demand: [`${DATA}lab-c/*`], ...more });
  world.edge = ({ url }) => {
    const isThere = /\/(\.zarray|chunk)$/.test(url);
    return isThere && /\/lab-[ap]\//.test(url) ? new Response("data") : new Response("", { status: 403 });
  };
}

/** Reads, and lets three seconds go by. */
async function readFor(world, page, path) {
  const reading = page.read(DATA + path);
  await world.pass(3 * SECOND);
  return (await reading).status;
}

test("a read of what no rule opens brings a banner that leads to no sign-in, once for each place", async () => {
  const world = new World();
  labs(world);
  const page = open(world, { cookie: LEDGER });
  assert.equal((await page.read(FILE)).status, 200);
  assert.equal(await readFor(world, page, "lab-b/volume/.zarray"), 403);
  const [text, link, button] = page.banner();
  assert.match(text.textContent, /access that you do not have/);
  assert.deepEqual([link.textContent, link.href, link.target, link.rel], ["What you may see", `${SITE}/session`, "_blank", "noopener"]);
  button.dispatchEvent(new Event("click"));
  assert.equal(page.banner(), undefined);
  await page.read(`${DATA}lab-b/volume/.zattrs`);
  await page.read(`${DATA}lab-b/volume/0/.zarray`);
  await world.pass(HOUR);
  assert.equal(page.banner(), undefined, "it stays dismissed");
  await readFor(world, page, "lab-b/another/.zarray");
  assert.ok(page.banner());
  labs(world, { resources: [`${DATA}lab-b/*`] });
  await page.hook.renew();
  await settled();
  assert.equal(page.banner(), undefined, "the rules have changed");
});

test("access that was taken away is missed, even if the first read was faster than the service", async () => {
  const world = new World();
  labs(world);
  const page = open(world, { cookie: LEDGER });
  assert.equal((await page.read(FILE)).status, 200);
  await world.pass(3 * SECOND);
  labs(world, { resources: [`${DATA}lab-c/*`] });
  world.edge = () => new Response("", { status: 403 });
  await world.pass(HOUR);
  const folder = FILE.slice(DATA.length).replace(/[^/]*$/, "");
  assert.equal(await readFor(world, page, `${folder}another`), 403);
  assert.ok(page.banner());
});

test("no word of missing access but the service's own counts", async () => {
  for (const [what, urls, more] of [
    ["absent beside what is there", ["lab-a/volume/.zarray", "lab-a/volume/0.0"]],
    ["absent alone", ["lab-a/volume/.zarray.json"]],
    ["public beside absent", ["lab-p/volume/zarr.json", "lab-p/volume/.zarray", "lab-p/volume/c/0/0"]],
    ["public below absent", ["lab-p/volume/attributes.json", "lab-p/volume/0/.zarray"]],
    ["what somebody types", ["?list-type=2&prefix=lab-b", "lab-b", "lab-b/", "lab-b/volume/"]],
    ["above what is open", ["lab-b/deep/attributes.json"], { resources: [`${DATA}lab-b/deep/volume/*`] }],
    ["a service that does not say what is open", ["lab-b/volume/.zarray"], { resources: undefined }],
  ]) {
    const world = new World();
    labs(world, more);
    const page = open(world, { cookie: LEDGER });
    for (const url of [...urls, ...urls]) await readFor(world, page, url);
    assert.equal(page.banner(), undefined, what);
  }
});

test("what is open on demand is not closed, until the service says so", async () => {
  const world = new World();
  labs(world);
  const { service } = world;
  const page = open(world, { cookie: LEDGER });
  await readFor(world, page, "lab-c/volume/.zattrs");
  assert.equal(page.banner(), undefined);
  world.service = (call) => (call.url.includes("?for=") ? problem(403, "no-access") : service());
  await world.pass(HOUR);
  await readFor(world, page, "lab-c/volume/.zattrs");
  assert.match(page.banner()[0].textContent, /access that you do not have/);
});

test("what a host opens by its handoff is open", async () => {
  for (const [resources, isClosed] of [[[`${DATA}lab-b/*`], false], [[], true]]) {
    const world = new World();
    labs(world);
    const handoffs = [{ url: `${DATA}session/handoff`, token: "t" }];
    world.service = ({ url }) => world.issue(3600, 2880, url.startsWith(SITE) ? { resources: [], on_demand: [], handoffs } : { resources, on_demand: [] });
    const page = open(world, { cookie: LEDGER });
    await readFor(world, page, "lab-b/volume/.zarray");
    assert.equal(page.banner() !== undefined, isClosed);
  }
});

test("who is signed out hears that first, and of missing access only then", async () => {
  const world = new World();
  labs(world);
  const { service } = world;
  world.service = nobody;
  const page = open(world, { cookie: LEDGER });
  assert.equal(await readFor(world, page, "lab-b/volume/.zarray"), 503);
  assert.equal(page.banner()[1].textContent, "Sign in");
  world.service = service;
  await world.pass(60 * SECOND);
  assert.equal(page.banner(), undefined);
  assert.equal(await readFor(world, page, "lab-b/volume/.zarray"), 403);
  assert.equal(page.banner()[1].textContent, "What you may see");
});

test("a page says only what it has read itself", async () => {
  const world = new World();
  labs(world);
  const [page, worker] = [open(world, { cookie: LEDGER }), world.thread()];
  await worker.read(`${DATA}lab-b/volume/.zarray`);
  await world.pass(3 * SECOND);
  assert.equal(page.banner(), undefined);
});

test("a viewer may say itself that access is missing", async () => {
  const world = new World();
  labs(world);
  const page = open(world, { cookie: LEDGER });
  let heard = 0;
  page.hook.addEventListener("accessrequired", (event) => {
    heard += 1;
    event.preventDefault();
  });
  for (let time = 0; time < 3; time += 1) {
    await readFor(world, page, "lab-b/volume/.zarray");
  }
  assert.equal(heard, 1);
  assert.equal(page.banner(), undefined);
});

test("no access at all brings no sign-in, and is looked at again by who returns", async () => {
  const world = new World();
  world.service = () => problem(403, "no-access");
  const page = open(world, { cookie: LEDGER });
  assert.equal((await page.read(FILE)).status, 403);
  await world.pass(600 * SECOND);
  assert.equal(page.banner()[1].textContent, "What you may see");
  assert.equal(world.posts.length, 1);
  page.scope.dispatchEvent(new Event("focus"));
  await settled();
  assert.equal(world.posts.length, 2);
});

test("a viewer hears of every change, and may show a notice of its own", async () => {
  const world = new World();
  const page = open(world, { cookie: LEDGER });
  const states = [];
  const prompts = [];
  page.hook.addEventListener("change", ({ detail }) => states.push(detail.state));
  page.hook.addEventListener("signinrequired", (event) => {
    prompts.push(event.detail.url);
    event.preventDefault();
  });
  await settled();
  world.service = nobody;
  await world.pass(HOUR);
  await page.read(FILE);
  await page.read(FILE);
  await world.pass(SECOND);
  assert.deepEqual(states.slice(0, 3), ["fresh", "renewing", "signed-out"]);
  assert.deepEqual(prompts, [`${SITE}/session/login?return_to=${encodeURIComponent("/v/?a=b&c")}`]);
  assert.equal(page.banner(), undefined);
  page.hook.signIn();
  assert.deepEqual(page.went, prompts);
});

test("a bundle of another host signs in in a tab of its own, and leads nowhere else", async () => {
  const world = new World();
  world.service = nobody;
  const site = "https://service.example.org";
  const page = open(world, { site, config: { site, data: ["https://data.example.org/"] } });
  await page.read(FILE);
  await settled();
  const [, link] = page.banner();
  assert.equal(link.href, `${site}/session/login?return_to=%2Fsession`);
  assert.deepEqual([link.target, link.rel], ["_blank", "noopener"]);
});

test("an address that is too long for sign-in leads back to its path, and keeps the rest", async () => {
  const world = new World();
  world.service = nobody;
  const page = open(world, { cookie: LEDGER });
  page.scope.location.search = `?state=${"x".repeat(4000)}`;
  await page.read(FILE);
  const [, link] = page.banner();
  link.dispatchEvent(new Event("click"));
  assert.equal(link.href, `${SITE}/session/login?return_to=%2Fv%2F`);
  assert.equal(JSON.parse(page.items.get("edgemint.fragment")).rest, `${page.scope.location.search}#!{}`);
});

test("a page in a frame signs in in a tab of its own", async () => {
  const world = new World();
  world.service = nobody;
  const page = open(world, { framed: true });
  await page.read(FILE);
  await settled();
  const [, link] = page.banner();
  assert.equal(link.target, "_blank");
  link.dispatchEvent(new Event("click"));
  assert.equal(page.items.size, 0, "this tab goes nowhere");
});

test("the hook renews, and a viewer's own name for it stays", async () => {
  const world = new World();
  const { hook } = open(world);
  assert.equal(hook.state, "unknown");
  assert.equal(hook.expiresIn, null);
  assert.deepEqual([hook.renewsIn, hook.resources], [null, null]);
  labs(world);
  assert.equal(await hook.renew(), "fresh");
  assert.deepEqual([hook.expiresIn, hook.renewsIn], [3600, 2880]);
  assert.deepEqual(hook.resources, [`${DATA}lab-a/*`, `${DATA}lab-c/*`]);
});
