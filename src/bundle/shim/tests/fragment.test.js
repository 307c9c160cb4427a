import assert from "node:assert/strict";
import { test } from "node:test";
import { keepFragment, restoreFragment } from "../fragment.js";

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
  for (const text of ["", "null", "[]", "{", '{"hash":7}', '{"hash":"javascript:alert(1)","page":"/","at":0}', '{"hash":"//evil.example","page":"/","at":0}', '{"hash":"#x","page":"/"}']) {
    const tab = new Tab().open("/");
    tab.items.set("edgemint.fragment", text);
    restoreFragment(tab, 0);
    assert.equal(tab.replaced, null, text);
  }
});
