"""Which hosts may be reached: to the letter, and never back inside."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from launcher.egress.addresses import is_public
from launcher.errors import MalformedError
from launcher.spec.hosts import AllowList, Target, target_of

LISTED = AllowList(
    ["api.example.org", "files.example.org:8443", "*.models.example", "127.0.0.1:9", "*.x.test:1"]
)


@pytest.mark.parametrize(
    "asked",
    [
        "api.example.org:443",
        "API.Example.ORG:80",
        "api.example.org.:443",
        "files.example.org:8443",
        "a.models.example:443",
        "a.b.models.example:80",
        "127.0.0.1:9",
        "y.x.test:1",
    ],
)
def test_what_is_listed_is_allowed(asked: str) -> None:
    target = target_of(asked)
    assert target and LISTED.allows(target)


@pytest.mark.parametrize(
    "asked",
    [
        "api.example.org:8080",
        "files.example.org:443",
        "example.org:443",
        "xapi.example.org:443",
        "api.example.org.evil.test:443",
        "models.example:443",
        "evilmodels.example:443",
        "127.0.0.1:10",
        "127.0.0.2:9",
        "y.x.test:443",
    ],
)
def test_what_is_not_listed_is_not(asked: str) -> None:
    target = target_of(asked)
    assert target and not LISTED.allows(target)


@pytest.mark.parametrize(
    "asked",
    [
        "",
        ":443",
        "a",
        "a:",
        "a:0",
        "a:65536",
        "a:4 43",
        "a:+443",
        "a:٤٤٣",
        "a b:443",
        "a..b:443",
        "-a:443",
        "ünï.example:443",
        "a@b:443",
        "a/b:443",
        "[::1]:443",
        "::1",
        "127.1:443",
        "2130706433:443",
        "0x7f.1:443",
        "0x7f000001:443",
        "0177.0.0.1:443",
        "127.0.0.01:443",
        "256.0.0.1:443",
        "a" * 300 + ":443",
        "a\r\nb:443",
        "a\x00:443",
    ],
)
def test_what_is_no_host_or_an_address_in_disguise_is_none(asked: str) -> None:
    assert target_of(asked) is None


@pytest.mark.parametrize("entry", ["a:0", "a..b", "*.127.0.0.1", "127.1", "a:99999"])
def test_an_entry_that_lists_nothing_is_refused(entry: str) -> None:
    with pytest.raises(MalformedError):
        AllowList([entry])


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "10.0.0.1",
        "172.17.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.100.100.200",
        "168.63.129.16",
        "0.0.0.0",
        "224.0.0.1",
        "255.255.255.255",
        "::1",
        "::",
        "fe80::1",
        "fd00:ec2::254",
        "::ffff:127.0.0.1",
        "::ffff:169.254.169.254",
        "64:ff9b::7f00:1",
        "2002:7f00:1::",
        "ff02::1",
        "fe80::1%eth0",
        "fec0::1",
        "::7f00:1",
        "64:ff9b:1::7f00:1",
        "nonsense",
    ],
)
def test_an_address_inside_is_not_public(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", ["8.8.8.8", "93.184.215.14", "2606:4700::1111", "64:ff9b::808:808"])
def test_an_address_of_the_internet_is_public(address: str) -> None:
    assert is_public(address)


@given(st.text(max_size=60))
def test_whatever_is_asked_for_is_a_target_or_none(text: str) -> None:
    target = target_of(text, 443)
    assert target is None or target_of(str(target)) == target


def test_a_target_is_written_as_it_is_read() -> None:
    assert str(Target("a.example", 443)) == "a.example:443"
