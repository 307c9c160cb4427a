// The peer: /session/cookies as edgemint has it, by AWS's own libraries on Node.js, one process per
// core. Written for speed: keys are read once and kept, policies are shared until they end and
// their expiry is rounded in the same way, and the log is written in blocks. The argument is the
// site, and what is read from it does not change.

import cluster from "node:cluster";
import { createHash, createPrivateKey, randomBytes, randomInt } from "node:crypto";
import { readFileSync, write } from "node:fs";
import { createServer } from "node:http";
import { availableParallelism } from "node:os";
import { accessTokenVerifier, claimsVerifier, require } from "./verifiers.mjs";

const { getSignedCookies } = require("@aws-sdk/cloudfront-signer");

const site = JSON.parse(readFileSync(process.argv[2], "utf8"));
const port = Number(process.argv[3]);
const share = process.argv[4] === "shared";

if (cluster.isPrimary) {
  for (let n = 0; n < availableParallelism(); n += 1) cluster.fork();
  cluster.on("exit", () => process.exit(1));
} else {
  createServer({ keepAliveTimeout: 90_000 }, answer).listen(port, "127.0.0.1");
}

const verifyClaims = claimsVerifier(site);
const verifyAccessToken = accessTokenVerifier(site);
// A KeyObject: the library would read a PEM text anew for each signature, at three times the cost.
const privateKey = createPrivateKey(site.key_pem);

function answer(request, response) {
  if (request.url === "/readyz") return response.end("ready\n");
  if (request.url !== "/session/cookies" || request.method !== "POST") return fail(response, 404);
  if (request.headers.host !== `viewer.edgemint.localhost:${port}`) return fail(response, 421);
  const person = authenticate(request.headers);
  if (person === undefined) return fail(response, 401);
  const opened = site.rules.filter((rule) => person.groups.includes(rule.group));
  if (opened.length === 0) return fail(response, 403);
  issue(request, response, person, opened);
}

function fail(response, status) {
  response.writeHead(status, { "Content-Type": "application/problem+json" });
  response.end(JSON.stringify({ type: "about:blank", status }));
}

function authenticate(headers) {
  try {
    const claims = verifyClaims(headers["x-amzn-oidc-data"]);
    const access = verifyAccessToken(headers["x-amzn-oidc-accesstoken"]);
    if (access.sub !== claims.sub) return undefined;
    return { subject: claims.sub, email: claims.email, groups: access["cognito:groups"] ?? [] };
  } catch {
    return undefined;
  }
}

function issue(request, response, person, opened) {
  const now = Math.floor(Date.now() / 1000);
  const id = randomBytes(8).toString("hex");
  const lines = [];
  let expires = Infinity;
  for (const rule of opened) {
    const signed = share ? sharedPolicy(rule, now) : ownPolicy(rule, now);
    expires = Math.min(expires, signed.expires);
    const life = `; Max-Age=${signed.expires - now}; Secure; SameSite=Lax`;
    const end = `; Domain=${site.cookie_domain}; Path=${rule.path}; HttpOnly${life}`;
    for (const pair of signed.pairs) lines.push(pair + end);
    lines.push(ledgerLine(person, rule, signed.expires, life));
  }
  const resources = opened.map((rule) => rule.resource);
  record({ id, person, opened, resources, expires, address: request.headers["x-forwarded-for"] });
  const body = JSON.stringify({
    expires_at: new Date(expires * 1000).toISOString(),
    expires_in: expires - now,
    refresh_in: Math.floor(((expires - now) * (76 + randomInt(9))) / 100),
    resources,
    on_demand: [],
    withheld: [],
  });
  response.writeHead(200, {
    "Content-Type": "application/json",
    "Content-Length": Buffer.byteLength(body),
    "Cache-Control": "no-store, private",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Request-Id": id,
    "Set-Cookie": lines,
  });
  response.end(body);
}

const policies = new Map();

function sharedPolicy(rule, now) {
  const expires = roundedExpiry(rule.lifetime, now);
  const known = policies.get(rule);
  if (known?.expires === expires) return known;
  const signed = sign(rule, expires, {});
  policies.set(rule, signed);
  return signed;
}

// A start of validity that is decades ago and nobody else's.
function ownPolicy(rule, now) {
  const start = { DateGreaterThan: { "AWS:EpochTime": randomInt(2 ** 30) } };
  return sign(rule, roundedExpiry(rule.lifetime, now), start);
}

function roundedExpiry(lifetime, now) {
  const latest = now + lifetime;
  return latest - (latest % Math.floor(lifetime / 12));
}

function sign(rule, expires, start) {
  const condition = { DateLessThan: { "AWS:EpochTime": expires }, ...start };
  const policy = JSON.stringify({ Statement: [{ Resource: rule.resource, Condition: condition }] });
  const cookies = getSignedCookies({ policy, keyPairId: site.key_pair_id, privateKey });
  return { expires, pairs: Object.entries(cookies).map(([name, value]) => `${name}=${value}`) };
}

function ledgerLine(person, rule, expires, life) {
  const what = `${site.issuer}\0${person.subject}\0${rule.resource}`;
  const digest = createHash("sha256").update(what).digest("hex").slice(0, 16);
  const entry = `1|${expires}|${digest}|${site.key_pair_id}|${site.cookie_domain}|${rule.path}`;
  return `__Host-edgemint-set-${rule.group}=${entry}; Path=/${life}`;
}

let unwritten = [];

function record({ id, person, opened, resources, expires, address }) {
  const line = {
    timestamp: new Date().toISOString(),
    event: "cookies.issued",
    request_id: id,
    front: "alb",
    issuer: site.issuer,
    subject: person.subject,
    email: person.email,
    address,
    rules: opened.map((rule) => rule.group),
    resources,
    key: site.key_pair_id,
    until: new Date(expires * 1000).toISOString(),
  };
  if (unwritten.push(JSON.stringify(line)) === 1) setTimeout(flush, 10);
}

function flush() {
  write(1, unwritten.join("\n") + "\n", () => {});
  unwritten = [];
}
