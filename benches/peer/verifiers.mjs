// The two verifiers of aws-jwt-verify, with their keys at hand, so that every call is synchronous.
// AWS's libraries are those that the tests use, in the same versions.

import { createPublicKey } from "node:crypto";
import { createRequire } from "node:module";

export const require = createRequire(new URL("../../tests/tools/package.json", import.meta.url));

const { AlbJwtVerifier, JwtVerifier } = require("aws-jwt-verify");
const { validateCognitoJwtFields } = require("aws-jwt-verify/cognito-verifier");

// Verifies x-amzn-oidc-data; returns its payload, or throws.
export function claimsVerifier({ alb_arn, client, issuer, claims_key }) {
  const verifier = AlbJwtVerifier.create({ albArn: alb_arn, clientId: client, issuer });
  const jwk = createPublicKey(claims_key.pem).export({ format: "jwk" });
  verifier.cacheJwks({ keys: [{ ...jwk, kid: claims_key.kid, use: "sig", alg: "ES256" }] });
  return (token) => verifier.verifySync(token);
}

// Verifies a Cognito access token; returns its payload, or throws. CognitoJwtVerifier is this with
// the issuer derived from a pool's name, always under amazonaws.com.
export function accessTokenVerifier({ client, issuer, jwks }) {
  const expected = { tokenUse: "access", clientId: client };
  const verifier = JwtVerifier.create({
    issuer,
    audience: null,
    customJwtCheck: ({ payload }) => validateCognitoJwtFields(payload, expected),
  });
  verifier.cacheJwks(jwks);
  return (token) => verifier.verifySync(token);
}
