// Token verifications per second of one core by aws-jwt-verify, in one process, a round per line of input:
// {"kind": "claims" | "access_token", "seconds"} gives {"per_second"}. The argument is the site.

import { readFileSync } from "node:fs";
import { serve } from "../../tests/tools/lines.mjs";
import { accessTokenVerifier, claimsVerifier } from "./verifiers.mjs";

const site = JSON.parse(readFileSync(process.argv[2], "utf8"));
const verifiers = { claims: claimsVerifier(site), access_token: accessTokenVerifier(site) };
const tokens = { claims: [], access_token: [] };
for (const line of readFileSync(site.tokens, "utf8").trim().split("\n")) {
  const [claims, accessToken] = line.split(" ");
  tokens.claims.push(claims);
  tokens.access_token.push(accessToken);
}

// Per second of processor time, like the other sides. Of a whole process, whose other threads clear
// up behind it.
serve(({ kind, seconds }) => {
  const before = process.cpuUsage();
  const end = performance.now() + seconds * 1000;
  let done = 0;
  while (performance.now() < end) {
    verifiers[kind](tokens[kind][done % tokens[kind].length]);
    done += 1;
  }
  const { user, system } = process.cpuUsage(before);
  return { per_second: done / ((user + system) / 1e6) };
});
