// Token verifications per second by aws-jwt-verify, in one process, a round per line of input:
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

serve(({ kind, seconds }) => {
  const begin = process.hrtime.bigint();
  const end = begin + BigInt(Math.round(seconds * 1e9));
  let done = 0;
  let now = begin;
  while (now < end) {
    verifiers[kind](tokens[kind][done % tokens[kind].length]);
    done += 1;
    now = process.hrtime.bigint();
  }
  return { per_second: done / (Number(now - begin) / 1e9) };
});
