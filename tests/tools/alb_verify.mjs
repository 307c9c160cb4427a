// Judges tokens with aws-jwt-verify: the load balancer's identity token, or a Cognito access token.

import { AlbJwtVerifier, JwtVerifier } from "aws-jwt-verify";
import { AlbJwksCache } from "aws-jwt-verify/alb-cache";
import { validateCognitoJwtFields } from "aws-jwt-verify/cognito-verifier";
import { NonRetryableFetchError, ParameterValidationError } from "aws-jwt-verify/error";
import { SimpleJwksCache } from "aws-jwt-verify/jwk";
import { describe, serve } from "./lines.mjs";

// A wrong parameter is the caller's mistake and no verdict: its answer is `error` alone.
serve(async (request) => {
  const access = "access_token" in request;
  const verifier = access ? cognitoVerifier(request) : albVerifier(request);
  const token = access ? request.access_token : request.token;
  return at(request.now, async () => {
    try {
      return { ok: true, payload: await verifier.verify(token) };
    } catch (error) {
      if (error instanceof ParameterValidationError) throw error;
      return { ok: false, error: describe(error) };
    }
  });
});

function albVerifier({ alb_arn, client_id, issuer, kid, public_key_pem }) {
  const fetcher = {
    async fetch(uri) {
      if (!uri.endsWith(`/${kid}`)) throw new NonRetryableFetchError(uri, "no such key");
      return Buffer.from(public_key_pem);
    },
  };
  return AlbJwtVerifier.create(
    { albArn: alb_arn, clientId: client_id, issuer },
    { jwksCache: new AlbJwksCache({ fetcher }) },
  );
}

// CognitoJwtVerifier derives the issuer from a pool's name, always under amazonaws.com. It is
// JwtVerifier plus validateCognitoJwtFields, so the two together take an issuer of any host.
function cognitoVerifier({ client_id, issuer, jwks }) {
  const fetcher = { fetch: async () => Buffer.from(JSON.stringify(jwks)) };
  const expected = { tokenUse: "access", clientId: client_id };
  return JwtVerifier.create(
    {
      issuer,
      audience: null,
      customJwtCheck: ({ payload }) => validateCognitoJwtFields(payload, expected),
    },
    { jwksCache: new SimpleJwksCache({ fetcher }) },
  );
}

// The package reads the time from Date.now and has no parameter for it.
async function at(epoch, judge) {
  const system = Date.now;
  if (epoch != null) Date.now = () => epoch * 1000;
  try {
    return await judge();
  } finally {
    Date.now = system;
  }
}
