"""MiniStack whose load balancers mint tokens as AWS's do, with their public key where it can be fetched.

Run in place of `ministack`, with the same variables. The first line of standard output is the URL of
public keys, with `{kid}`; nothing follows it. README.md says what is put right here, and why.
"""

import http.server
import os
import random
import threading

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from ministack import app
from ministack.services import alb, cognito

GATEWAY = f"http://127.0.0.1:{os.environ['GATEWAY_PORT']}"


def main():
    put_right(alb, "_short_id", hexadecimal_id)
    put_right(alb, "_oidc_get_userinfo", userinfo_without_groups)
    put_right(alb, "_oidc_data_jwt", claims_token_with_issuer_and_expiry)
    put_right(cognito, "_signed_jwt", pool_token_of_this_machine)
    print(serve_public_key(), flush=True)
    silence_standard_output()
    app.main()


def put_right(module, name, correction):
    """Replaces a function by one that is given the original first."""
    original = getattr(module, name)
    setattr(module, name, lambda *args, **named: correction(original, *args, **named))


def hexadecimal_id(_original):
    return f"{random.getrandbits(64):016x}"


def userinfo_without_groups(original, *args, **named):
    claims = original(*args, **named)
    if claims:
        for name in ("cognito:groups", "cognito:username"):
            claims.pop(name, None)
    return claims


def claims_token_with_issuer_and_expiry(original, claims, cfg, lb_arn, exp):
    return original({**claims, "exp": exp, "iss": cfg["Issuer"]}, cfg, lb_arn, exp)


def pool_token_of_this_machine(original, claims, pool_id="", use=""):
    return original({**claims, "iss": f"{GATEWAY}/{pool_id}"}, pool_id, use)


def serve_public_key():
    key, kid = alb._oidc_signing_material()
    pem = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            known = self.path == f"/{kid}"
            self.send_response(200 if known else 403)
            self.end_headers()
            self.wfile.write(pem if known else b"")

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_address[1]}/{{kid}}"


def silence_standard_output():
    """Whoever started this reads one line, and a full pipe would stop MiniStack."""
    with open(os.devnull, "wb") as nowhere:
        os.dup2(nowhere.fileno(), 1)


main()
