"""The head of a proxy request is read strictly."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from launcher.egress.head import BadRequestError, read_head
from launcher.spec.hosts import Target


def head(*lines: str) -> bytes:
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def test_a_tunnel_is_asked_for_by_host_and_port() -> None:
    request = read_head(head("CONNECT a.example:443 HTTP/1.1", "Host: a.example:443", "User-Agent: x"))
    assert (request.target, request.is_tunnel, request.head) == (Target("a.example", 443), True, b"")
    assert read_head(head("CONNECT a.example:443 HTTP/1.0")).target == Target("a.example", 443)


def test_an_absolute_request_is_passed_on_as_its_host_wants_it() -> None:
    request = read_head(
        head(
            "POST http://A.example:8080/x?y=1 HTTP/1.1",
            "Host: a.example:8080",
            "Content-Length: 3",
            "Proxy-Authorization: Basic x",
            "Proxy-Connection: keep-alive",
            "Connection: keep-alive, X-Hop",
            "X-Hop: 1",
            "Upgrade: websocket",
            "Accept: */*",
        )
    )
    assert request.target == Target("a.example", 8080)
    assert request.body == 3
    assert request.head == (
        b"POST /x?y=1 HTTP/1.1\r\nhost: a.example:8080\r\ncontent-length: 3\r\naccept: */*\r\n"
        b"connection: close\r\n\r\n"
    )


@pytest.mark.parametrize(
    "lines",
    [
        ["GET / HTTP/1.1", "Host: a.example"],
        ["GET https://a.example/ HTTP/1.1"],
        ["GET http://u@a.example/ HTTP/1.1"],
        ["GET http://a.example/#x HTTP/1.1"],
        ["GET  http://a.example/ HTTP/1.1"],
        ["GET http://a.example/ HTTP/2"],
        ["get http://a.example/ HTTP/1.1"],
        ["GET http://a.example/ HTTP/1.1", "Host: b.example"],
        ["GET http://a.example/ HTTP/1.1", "Host: a.example:81"],
        ["GET http://a.example/ HTTP/1.1", "Host: a.example", "Host: a.example"],
        ["GET http://a.example/ HTTP/1.1", " folded: x"],
        ["GET http://a.example/ HTTP/1.1", "Space : x"],
        ["GET http://a.example/ HTTP/1.1", "no colon"],
        ["GET http://a.example/ HTTP/1.1", "X: a\nHost: b.example"],
        ["GET http://a.example/ HTTP/1.1", "X: a\rb"],
        ["GET http://a.example/ HTTP/1.1", "X: \x00"],
        ["POST http://a.example/ HTTP/1.1", "Content-Length: 1", "Content-Length: 1"],
        ["POST http://a.example/ HTTP/1.1", "Content-Length: +1"],
        ["POST http://a.example/ HTTP/1.1", "Content-Length: 1, 1"],
        ["POST http://a.example/ HTTP/1.1", "Transfer-Encoding: chunked"],
        ["POST http://a.example/ HTTP/1.1", "Content-Length: 1", "Transfer-Encoding: chunked"],
        ["POST http://a.example/ HTTP/1.1", "Transfer-Encoding : chunked"],
        ["CONNECT a.example HTTP/1.1"],
        ["CONNECT http://a.example:443 HTTP/1.1"],
        ["CONNECT a.example:443/x HTTP/1.1"],
        ["CONNECT a.example:443 HTTP/1.1", "Host: b.example:443"],
        ["CONNECT a.example:443 HTTP/1.1", "Content-Length: 3"],
        ["CONNECT a.example:443 HTTP/1.1", "Transfer-Encoding: chunked"],
        ["CONNECT a.example:443 b.example:443 HTTP/1.1"],
        ["GET http://a.example/ HTTP/1.1", *["X: y"] * 101],
        [""],
    ],
)
def test_what_could_be_read_in_two_ways_is_refused(lines: list[str]) -> None:
    with pytest.raises(BadRequestError):
        read_head(head(*lines))


@given(st.binary(max_size=300))
def test_whatever_comes_is_read_or_refused(data: bytes) -> None:
    try:
        request = read_head(data + b"\r\n\r\n")
    except BadRequestError:
        return
    assert request.target.port
