"""What a service is asked is one request line, whoever wrote the blueprint."""

import pytest

from launcher.spec.service_rules import Address, address_of


@pytest.mark.parametrize(
    "url",
    ["http://s:80/\0", "http://s:80/a b", "http://s:80/a\r\nX: y", "http://s\n:80/", "http://s:80/\x7f"],
)
def test_a_url_that_no_request_line_can_hold_is_no_address(url: str) -> None:
    assert address_of(url) is None


def test_a_path_and_a_query_are_kept() -> None:
    assert address_of("http://s:80/a~b?c=%20&d") == Address("s", 80, "/a~b?c=%20&d")
