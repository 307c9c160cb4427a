"""Names under localhost lead to this machine (RFC 6761 section 6.3), whatever its resolver says."""

import socket

_resolve = socket.getaddrinfo


def _with_loopback_names(host, *args, **kwargs):
    name = host.decode() if isinstance(host, bytes) else host
    if name and name.endswith(".localhost"):
        host = "127.0.0.1"
    return _resolve(host, *args, **kwargs)


socket.getaddrinfo = _with_loopback_names
