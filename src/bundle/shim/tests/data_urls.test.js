import assert from "node:assert/strict";
import { test } from "node:test";
import { dataUrls } from "../data_urls.js";

const scope = { origin: "https://viewer.example.org", location: { href: "https://viewer.example.org/v/index.html" } };
const kinds = (prefixes, scope) => {
  const dataAt = dataUrls(prefixes, scope);
  return (url) => {
    const data = dataAt(url);
    if (!data) return "";
    return data.crossOrigin ? "cross-origin" : "same-origin";
  };
};
const kindOf = kinds(["https://data.example.org/", "https://viewer.example.org/data/", "https://shared.example.org/lab"], scope);

test("data is told by origin and path", () => {
  assert.equal(kindOf("https://data.example.org/a"), "cross-origin");
  assert.equal(kindOf("https://data.example.org:443/a?b#c"), "cross-origin");
  assert.equal(kindOf("HTTPS://DATA.example.org/a"), "cross-origin");
  assert.equal(kindOf(new URL("https://data.example.org/a")), "cross-origin");
  assert.equal(kindOf("//data.example.org/a"), "cross-origin");
  assert.equal(kindOf("/data/a"), "same-origin");
  assert.equal(kindOf("../data/a"), "same-origin");
  assert.equal(kindOf("https://shared.example.org/lab/a"), "cross-origin");
  assert.equal(kindOf("https://shared.example.org/lab"), "cross-origin");
});

test("what only looks like data is not", () => {
  for (const url of [
    "https://data.example.org.evil.example/a",
    "https://data.example.org@evil.example/a",
    "https://ada:secret@data.example.org/a",
    "https://ada@data.example.org/a",
    "https://data.example.org:8443/a",
    "http://data.example.org/a",
    "https://data.example.org./a",
    "https://evil.example/?https://data.example.org/",
    "https://evil.example/https://data.example.org/a",
    "https://evil.example#https://data.example.org/a",
    "blob:https://data.example.org/0c2b",
    "data:text/plain,https://data.example.org/",
    "https://shared.example.org/laboratory/a",
    "https://shared.example.org/lab/../other/a",
    "https://shared.example.org/lab/%2e%2e/other/a",
    "https://shared.example.org/lab\\..\\..\\other",
    "/data",
    "/database/a",
    "/v/data/a",
    "https://",
    "http://[",
    "",
    null,
    undefined,
    {},
    Symbol.iterator,
  ]) {
    assert.equal(kindOf(url), "", String(url));
  }
});

test("a worker made from a blob has no base for relative addresses", () => {
  const inBlob = kinds(["https://data.example.org/"], { ...scope, location: { href: "blob:https://viewer.example.org/1" } });
  assert.equal(inBlob("lab-a/chunk"), "");
  assert.equal(inBlob("https://data.example.org/lab-a/chunk"), "cross-origin");
});

test("an address is read by the page's base", () => {
  const based = kinds(["https://data.example.org/"], { ...scope, document: { baseURI: "https://data.example.org/x/" } });
  assert.equal(based("chunk"), "cross-origin");
});
