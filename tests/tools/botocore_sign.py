"""Builds CloudFront policies with botocore's CloudFrontSigner, and signs them."""

from datetime import datetime, timezone
from functools import lru_cache

from botocore.signers import CloudFrontSigner
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from lines import serve

HASHES = {"sha1": hashes.SHA1(), "sha256": hashes.SHA256()}


def answer(request):
    sign = signer(request["key_pem"], request["hash"])
    cloudfront = CloudFrontSigner("KEYPAIRID", sign)
    policy = cloudfront.build_policy(
        request["resource"],
        moment(request["less_than"]),
        moment(request.get("greater_than")),
        request.get("ip"),
    )
    # The values are read from a signed URL, because that is where botocore encodes them.
    url = cloudfront.generate_presigned_url("https://host/", policy=policy)
    query = dict(pair.split("=", 1) for pair in url.split("?", 1)[1].split("&"))
    return {
        "policy": policy,
        "signature": query["Signature"],
        "policy_b64": query["Policy"],
    }


@lru_cache
def signer(key_pem, hash_name):
    """botocore leaves the signature itself to its caller."""
    key = private_key(key_pem)
    digest = HASHES[hash_name]
    if isinstance(key, ec.EllipticCurvePrivateKey):
        return lambda message: key.sign(message, ec.ECDSA(digest))
    return lambda message: key.sign(message, padding.PKCS1v15(), digest)


@lru_cache
def private_key(key_pem):
    return load_pem_private_key(key_pem.encode(), password=None)


def moment(epoch):
    return None if epoch is None else datetime.fromtimestamp(epoch, timezone.utc)


serve(answer)
