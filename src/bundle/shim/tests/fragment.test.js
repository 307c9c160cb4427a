import assert from "node:assert/strict";
import { test } from "node:test";
import { keepFragment, restoreFragment, wayBack } from "../fragment.js";

const VIEW = '#!{"layers":[{"source":"zarr3://https://data.example.org/a b","name":"x"}]}';
const MINUTE = 60_000;

/** A tab, whose storage stays while its pages change. */
class Tab {
  items = new Map();
  sessionStorage = {
    getItem: (key) => this.items.get(key) ?? null,
    setItem: (key, value) => this.items.set(key, value),
    removeItem: (key) => this.items.delete(key),
  };

  open(url) {
    const address = new URL(url, "https://viewer.example.org");
    // `new URL` escapes where an address bar may not: the hash is what matters here.
    this.location = { href: address.href, hash: url.includes("#") ? url.slice(url.indexOf("#")) : "", pathname: address.pathname, search: address.search };
    this.history = { state: { kept: true }, replaceState: (...given) => (this.replaced = given) };
    this.replaced = null;
    return this;
  }
}

test("a view survives sign-in, once", () => {
  const tab = new Tab();
  keepFragment(tab.open(`/v/?a=b${VIEW}`), 0);
  restoreFragment(tab.open("/v/?a=b"), 5 * MINUTE);
  assert.deepEqual(tab.replaced, [{ kept: true }, "", `https://viewer.example.org/v/?a=b${VIEW}`]);
  restoreFragment(tab.open("/v/?a=b"), 5 * MINUTE);
  assert.equal(tab.replaced, null);
});

test("a fragment that the page was opened with wins, and the kept one is gone", () => {
  const tab = new Tab();
  keepFragment(tab.open(`/${VIEW}`), 0);
  restoreFragment(tab.open("/#!{}"), MINUTE);
  assert.equal(tab.replaced, null);
  assert.equal(tab.items.size, 0);
});

test("it is of one page, and waits for it", () => {
  const tab = new Tab();
  keepFragment(tab.open(`/${VIEW}`), 0);
  restoreFragment(tab.open("/other/"), MINUTE);
  assert.equal(tab.replaced, null);
  restoreFragment(tab.open("/"), 2 * MINUTE);
  assert.ok(tab.replaced);
});

test("it outlives neither a quarter of an hour nor a clock set back, on whichever page", () => {
  for (const [path, at] of [["/", 15 * MINUTE], ["/", -1], ["/other/", 20 * MINUTE]]) {
    const tab = new Tab();
    keepFragment(tab.open(`/${VIEW}`), 0);
    restoreFragment(tab.open(path), at);
    assert.equal(tab.replaced, null);
    assert.equal(tab.items.size, 0);
  }
});

test("nothing and too much are not kept", () => {
  const tab = new Tab();
  for (const hash of ["", "#", `#${"x".repeat(200_000)}`]) keepFragment(tab.open(`/${hash}`), 0);
  assert.equal(tab.items.size, 0);
});

test("what somebody else wrote there does no harm", () => {
  for (const text of ["", "null", "[]", "{", '{"rest":7,"page":"/","at":0}', '{"rest":"javascript:alert(1)","page":"/","at":0}', '{"rest":"//evil.example","page":"/","at":0}', '{"rest":"#x","page":"/"}']) {
    const tab = new Tab().open("/");
    tab.items.set("edgemint.fragment", text);
    restoreFragment(tab, 0);
    assert.equal(tab.replaced, null, text);
  }
});

test("a query that sign-in cannot take along is kept with the fragment", () => {
  const state = `?state=${"%7B".repeat(1500)}`;
  for (const address of [`/v/${state}${VIEW}`, `/v/${state}`]) {
    const tab = new Tab();
    keepFragment(tab.open(address), 0);
    assert.equal(wayBack(tab.location), "/v/");
    restoreFragment(tab.open("/v/"), MINUTE);
    assert.deepEqual(tab.replaced, [{ kept: true }, "", `https://viewer.example.org${address}`]);
    restoreFragment(tab.open("/v/"), MINUTE);
    assert.equal(tab.replaced, null, "once");
  }
});

test("a kept query obeys the same bounds, and the query of a page that was opened meanwhile wins", () => {
  for (const [size, path, at, left] of [[200_000, "/v/", MINUTE, 0], [4000, "/v/", 15 * MINUTE, 0], [4000, "/v/#a", MINUTE, 0], [4000, "/v/?other", MINUTE, 1]]) {
    const tab = new Tab();
    keepFragment(tab.open(`/v/?${"x".repeat(size)}`), 0);
    restoreFragment(tab.open(path), at);
    assert.equal(tab.replaced, null);
    assert.equal(tab.items.size, left);
  }
});

test("the way back is never longer than the service takes", () => {
  assert.equal(wayBack({ pathname: "/v/", search: "?a=b" }), "/v/?a=b");
  const limit = "x".repeat(3000 - encodeURIComponent("/v/?").length);
  assert.equal(wayBack({ pathname: "/v/", search: `?${limit}` }), `/v/?${limit}`);
  assert.equal(wayBack({ pathname: "/v/", search: `?${limit}x` }), "/v/");
  assert.equal(wayBack({ pathname: "/v/", search: `?${"%".repeat(1001)}` }), "/v/", "as it is sent");
  const long = { pathname: `/${limit}/x/y/z/`, search: "", hash: "#view" };
  assert.equal(wayBack(long), "/");
  const tab = new Tab();
  keepFragment(Object.assign(tab, { location: long }), 0);
  assert.equal(tab.items.size, 0, "a view of another page is not the front page's");
});
