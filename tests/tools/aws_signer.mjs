// Signed cookies by @aws-sdk/cloudfront-signer.

import { getSignedCookies } from "@aws-sdk/cloudfront-signer";
import { serve } from "./lines.mjs";

// The package takes "SHA1" or "SHA256" as `algorithm`; without it, SHA-1 whatever the kind of key.
const ALGORITHMS = { sha1: undefined, sha256: "SHA256" };

serve((request) => ({ cookies: getSignedCookies({ ...what(request), ...how(request) }) }));

// The package makes a canned policy of a URL and an end, a custom one as soon as there is more,
// and signs a given policy text byte for byte.
function what({ policy, resource, less_than, greater_than, ip }) {
  if (policy != null) return { policy };
  return {
    url: resource,
    dateLessThan: date(less_than),
    dateGreaterThan: greater_than == null ? undefined : date(greater_than),
    ipAddress: ip ?? undefined,
  };
}

function how({ key_pair_id, key_pem, hash }) {
  if (!(hash in ALGORITHMS)) throw new Error(`unknown hash ${hash}`);
  return { keyPairId: key_pair_id, privateKey: key_pem, algorithm: ALGORITHMS[hash] };
}

function date(epoch) {
  return new Date(epoch * 1000);
}
