"""The head of a proxy request, read strictly: what two readers could read in two ways is refused."""

import re
from typing import Final

from msgspec import Struct

from launcher.spec.hosts import Target, target_of

MAX_HEAD: Final = 16 << 10
_MAX_HEADERS = 100
_REQUEST = re.compile(rb"([A-Z]{1,20}) (\S{1,8000}) HTTP/1\.([01])")
_HEADER = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*(.*?)[ \t]*")
_CONTROL = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
_ABSOLUTE = re.compile(r"http://([^/?#@\s]+)([/?][^#\s]*)?")
# Meant for this proxy, or for the connection to it, and for nobody behind it.
_OURS = frozenset(
    {
        "connection",
        "host",
        "keep-alive",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "upgrade",
    }
)


class BadRequestError(Exception):
    """A head that is refused; `status` is the answer's."""

    def __init__(self, reason: str, status: int = 400) -> None:
        super().__init__(reason)
        self.reason = reason
        self.status = status


class ProxyRequest(Struct, frozen=True):
    """What is asked for: a tunnel to `target`, or `head` to be sent there with `body` bytes after it."""

    target: Target
    is_tunnel: bool
    head: bytes = b""
    body: int = 0


def read_head(data: bytes) -> ProxyRequest:
    """Read a head that ends in an empty line; raises `BadRequestError`."""
    first, *lines = data.removesuffix(b"\r\n\r\n").split(b"\r\n")
    if any(map(_CONTROL.search, (first, *lines))):
        raise BadRequestError("a control character in the request")
    if len(lines) > _MAX_HEADERS:
        raise BadRequestError("too many headers", 431)
    found = _REQUEST.fullmatch(first)
    if found is None:
        raise BadRequestError("a malformed request line")
    method, wanted = found[1], found[2].decode("latin-1")
    headers = [_header(line) for line in lines]
    if method == b"CONNECT":
        return _tunnel(wanted, headers)
    return _forwarded(method, wanted, headers)


def _header(line: bytes) -> tuple[str, bytes]:
    found = _HEADER.fullmatch(line)
    if found is None:
        raise BadRequestError("a malformed header")
    return found[1].decode().lower(), found[2]


def _tunnel(authority: str, headers: list[tuple[str, bytes]]) -> ProxyRequest:
    target = target_of(authority)
    if target is None:
        raise BadRequestError("CONNECT needs HOST:PORT")
    _same_host(headers, target)
    if any(name in ("content-length", "transfer-encoding") for name, _ in headers):
        raise BadRequestError("CONNECT has no body")
    return ProxyRequest(target, is_tunnel=True)


def _forwarded(method: bytes, wanted: str, headers: list[tuple[str, bytes]]) -> ProxyRequest:
    found = _ABSOLUTE.fullmatch(wanted)
    target = target_of(found[1], 80) if found else None
    if found is None or target is None:
        raise BadRequestError("this is a proxy: ask for http://HOST/PATH, or CONNECT HOST:PORT")
    _same_host(headers, target)
    path = found[2] or "/"
    path = path if path.startswith("/") else f"/{path}"
    named = {
        name.strip().lower().decode("latin-1")
        for key, value in headers
        if key == "connection"
        for name in value.split(b",")
    }
    kept = [
        name.encode() + b": " + value for name, value in headers if name not in _OURS and name not in named
    ]
    host = target.host if target.port == 80 else str(target)
    lines = [
        method + b" " + path.encode("latin-1") + b" HTTP/1.1",
        b"host: " + host.encode(),
        *kept,
        b"connection: close",
    ]
    return ProxyRequest(
        target, is_tunnel=False, head=b"\r\n".join(lines) + b"\r\n\r\n", body=_length(headers)
    )


def _length(headers: list[tuple[str, bytes]]) -> int:
    if any(name == "transfer-encoding" for name, _ in headers):
        raise BadRequestError("send a Content-Length: what is chunked is not passed on", 411)
    lengths = [value for name, value in headers if name == "content-length"]
    if not lengths:
        return 0
    if len(lengths) > 1 or not lengths[0].isdigit() or len(lengths[0]) > 15:
        raise BadRequestError("a malformed Content-Length")
    return int(lengths[0])


def _same_host(headers: list[tuple[str, bytes]], target: Target) -> None:
    hosts = [value.decode("latin-1") for name, value in headers if name == "host"]
    if len(hosts) > 1 or any(target_of(host, target.port) != target for host in hosts):
        raise BadRequestError("the Host header names another host than the request")
