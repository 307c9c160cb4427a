// Makes keys, mints tokens and judges them with jose.

import { constants, createPrivateKey, sign } from "node:crypto";
import * as jose from "jose";
import { describe, serve } from "./lines.mjs";

const sets = new Map();

serve(async (request) => {
  if ("make" in request) return make(request);
  if ("mint" in request) return mint(request);
  if ("forge" in request) return forge(request);
  return judge(request);
});

async function make({ make: alg }) {
  const { privateKey, publicKey } = await jose.generateKeyPair(alg, { extractable: true });
  return {
    private_jwk: await jose.exportJWK(privateKey),
    public_jwk: await jose.exportJWK(publicKey),
    public_pem: await jose.exportSPKI(publicKey),
  };
}

/** A token as jose writes it. */
async function mint({ mint: { header, payload }, private_jwk }) {
  const key = await jose.importJWK(private_jwk, header.alg);
  const token = await new jose.SignJWT(payload).setProtectedHeader(header).sign(key);
  return { token };
}

/** Any texts, under a genuine signature; padded, as jose writes none. */
function forge({ forge: { header, payload }, alg, padded, private_jwk }) {
  const encode = (bytes) => {
    const text = Buffer.from(bytes).toString("base64url");
    return padded ? text.padEnd(Math.ceil(text.length / 4) * 4, "=") : text;
  };
  const input = `${encode(header)}.${encode(payload)}`;
  const key = createPrivateKey({ key: private_jwk, format: "jwk" });
  const ways = { dsaEncoding: "ieee-p1363", padding: constants.RSA_PKCS1_PADDING };
  const signature = sign(`sha${alg.slice(2)}`, Buffer.from(input), { key, ...ways });
  return { token: `${input}.${encode(signature)}` };
}

async function judge(request) {
  try {
    const payload = await ("signer" in request ? inHeader(request) : inPayload(request));
    return { ok: true, payload };
  } catch (error) {
    if (!(error instanceof jose.errors.JOSEError)) throw error;
    return { ok: false, error: describe(error) };
  }
}

async function inPayload({ token, jwks, algorithms, issuer, audience, longest_life, now }) {
  const { payload } = await jose.jwtVerify(token, keySet(jwks), {
    algorithms,
    issuer,
    audience,
    requiredClaims: ["exp", "sub"],
    clockTolerance: 30,
    currentDate: new Date(now * 1000),
    ...(longest_life && { maxTokenAge: longest_life }),
  });
  return payload;
}

/** Read once, since a set is asked for thousands of verdicts. */
function keySet(jwks) {
  const text = JSON.stringify(jwks);
  if (!sets.has(text)) sets.set(text, jose.createLocalJWKSet(jwks));
  return sets.get(text);
}

/** jose knows no claims in a header: what it verifies is the signature, and the rest stands here. */
async function inHeader({ token, public_pem, algorithms, issuer, signer, now }) {
  const key = await jose.importSPKI(public_pem, algorithms[0]);
  const { payload, protectedHeader } = await jose.compactVerify(token, key, { algorithms });
  const wrong = (claim) => new jose.errors.JWTClaimValidationFailed(`wrong ${claim}`, {}, claim);
  if (protectedHeader.signer !== signer) throw wrong("signer");
  if (protectedHeader.iss !== issuer) throw wrong("iss");
  if (!(Number.isFinite(protectedHeader.exp) && protectedHeader.exp > now - 30)) throw wrong("exp");
  return claims(new TextDecoder().decode(payload));
}

function claims(text) {
  try {
    const parsed = JSON.parse(text);
    if (typeof parsed === "object" && parsed && !Array.isArray(parsed)) return parsed;
  } catch {}
  throw new jose.errors.JWTInvalid("the payload is no object");
}
