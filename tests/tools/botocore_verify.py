"""Verifies CloudFront signatures with `cryptography`, the library behind botocore_sign.py."""

import base64
import re
from functools import lru_cache

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from lines import serve

HASHES = {"sha1": hashes.SHA1(), "sha256": hashes.SHA256()}
CLOUDFRONT_BASE64 = re.compile(r"([A-Za-z0-9~-]{4})*([A-Za-z0-9~-]{3}_|[A-Za-z0-9~-]{2}__)?")


def answer(request):
    key = public_key(request["public_pem"])
    digest = HASHES[request["hash"]]
    message = request["policy"].encode()
    if not CLOUDFRONT_BASE64.fullmatch(request["signature"]):
        return {"ok": False}
    signature = base64.b64decode(request["signature"].translate(str.maketrans("-_~", "+=/")))
    try:
        if isinstance(key, ec.EllipticCurvePublicKey):
            key.verify(signature, message, ec.ECDSA(digest))
        else:
            key.verify(signature, message, padding.PKCS1v15(), digest)
    except InvalidSignature:
        return {"ok": False}
    return {"ok": True}


@lru_cache
def public_key(public_pem):
    return load_pem_public_key(public_pem.encode())


serve(answer)
