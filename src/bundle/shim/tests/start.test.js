import assert from "node:assert/strict";
import { test } from "node:test";
import { beginPage } from "../in_page.js";
import { start } from "../start.js";
import { DATA, FILE, SITE, World, settled } from "./world.js";

const WORKER = "/session/worker.js";
const CONFIG = { site: "", data: [DATA], worker: WORKER };

/** Starts the shim where service workers are as `serviceWorker` says; a page unless `page` says otherwise. */
async function begin(serviceWorker, { config = CONFIG, isPage = true } = {}) {
  const world = new World();
  const scope = world.scope();
  Object.defineProperty(scope.navigator, "serviceWorker", { get: typeof serviceWorker === "function" ? serviceWorker : () => serviceWorker });
  scope.sessionStorage = { getItem: () => null, setItem() {}, removeItem() {} };
  scope.location.reload = () => {};
  const native = scope.fetch;
  let readsImages = null;
  const placeInPage = (...given) => (readsImages = given[4]);
  start(scope, config, world.time, isPage ? { beginPage, placeInPage } : null);
  await settled();
  return { world, scope, isPatched: scope.fetch !== native, readsImages };
}

/** The container of a browser: `register` does what it would. */
function container(register, controller = null) {
  const calls = [];
  return Object.assign(new EventTarget(), {
    calls, controller,
    getRegistration: async () => undefined,
    getRegistrations: async () => [],
    register: (...given) => (calls.push(given), register()),
  });
}

const refused = (name) => () => Promise.reject(new DOMException("no", name));
for (const [what, serviceWorker] of Object.entries({
  "a browser without service workers": undefined,
  "a sandboxed frame": () => {
    throw new DOMException("no", "SecurityError");
  },
  "a worker script that is not there": container(refused("TypeError")),
  "a policy that forbids it": container(refused("SecurityError")),
  "a private window": Object.assign(container(refused("InvalidStateError")), { getRegistration: refused("SecurityError") }),
  "a registration that never ends": container(() => new Promise(() => {})),
  "a viewer's own service worker": container(refused("TypeError"), { scriptURL: `${SITE}/sw.js` }),
})) {
  test(`with ${what}, the page reads by itself`, async () => {
    const { scope, world, isPatched, readsImages } = await begin(serviceWorker);
    assert.deepEqual([isPatched, readsImages], [true, true]);
    assert.equal((await scope.fetch(FILE)).status, 200);
    assert.equal(world.reads[0].init.credentials, "include");
  });
}

test("where the service worker reads for the page, the page leaves reads alone", async () => {
  const { isPatched, readsImages } = await begin(container(async () => ({}), { scriptURL: SITE + WORKER }));
  assert.deepEqual([isPatched, readsImages], [false, false]);
});

test("workers read by themselves, as they cannot know whether a service worker does", async () => {
  assert.equal((await begin(undefined, { isPage: false })).isPatched, true);
});

test("a page of another site registers no worker, and reads by itself", async () => {
  const workers = container(async () => ({}), { scriptURL: SITE + WORKER });
  const { isPatched } = await begin(workers, { config: { ...CONFIG, site: "https://service.example.org" } });
  assert.deepEqual(workers.calls, []);
  assert.equal(isPatched, true);
});

test("a page of the site registers the worker", async () => {
  const workers = container(async () => ({}));
  await begin(workers);
  assert.deepEqual(workers.calls, [[WORKER, { scope: "/", updateViaCache: "none" }]]);
});
