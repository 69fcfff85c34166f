"""The site policy's file: read strictly, every problem with its place and advice."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from launcher.errors import MalformedError
from launcher.spec.site import SitePolicy
from launcher.spec.site_file import read_site_policy

HEAD = 'schema = "evalctl/site/v1"\n'


def read(text: str) -> SitePolicy:
    return read_site_policy((HEAD + text).encode(), file="site.toml")


def problems(text: str) -> list[str]:
    with pytest.raises(MalformedError) as caught:
        read_site_policy(text.encode(), file="site.toml")
    assert caught.value.exit_status == 2
    return [str(problem) for problem in caught.value.problems]


def test_an_empty_policy_demands_what_no_policy_does() -> None:
    assert read("") == SitePolicy()


def test_every_key_is_read() -> None:
    policy = read(
        'minimum-runtime = "runsc"\nrequire = ["cgroup-v2", "user-namespaces"]\nlacking = "record"\n'
        'widenings = []\negress = "refuse"\nprivate-hosts = "allow"\n'
        'foreign-gpu-processes = "record"\nengines = ["podman"]\n'
        'timestamp = "http://tsa.example.org/"\n'
    )
    assert policy.timestamp == "http://tsa.example.org/"
    assert policy.as_json() == {
        "minimum-runtime": "runsc",
        "require": ["cgroup-v2", "user-namespaces"],
        "lacking": "record",
        "widenings": [],
        "egress": "refuse",
        "private-hosts": "allow",
        "foreign-gpu-processes": "record",
        "engines": ["podman"],
    }


def test_all_problems_are_named_at_their_places_with_advice() -> None:
    assert problems(HEAD + 'minimum-runtim = "runsc"\nrequire = ["cgroup2"]\nlacking = "ignore"\n') == [
        "site.toml:2:1: unknown key `minimum-runtim`; did you mean `minimum-runtime`?",
        'site.toml:3:12: an entry of `require` must be one of "cgroup-v2", "user-namespaces", "rootless", '
        '"seccomp", "apparmor", "selinux", "swap-limit", "pids-limit", not "cgroup2"; '
        "did you mean `cgroup-v2`?",
        'site.toml:4:11: `lacking` must be "refuse" or "record", not "ignore"; known: refuse, record',
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "site.toml:1:1: the policy lacks its schema"),
        ('schema = "evalctl/site/v2"\n', "site.toml:1:10: `schema` must be"),
        (HEAD + "minimum-runtime = \n", "site.toml:2:"),
        (HEAD + "engines = []\n", "site.toml:2:11: `engines` must not be empty"),
        (HEAD + 'widenings = ["all"]\n', "site.toml:2:14: an entry of `widenings` must be"),
    ],
)
def test_a_policy_that_is_not_understood_whole_is_no_policy(text: str, said: str) -> None:
    assert problems(text)[0].startswith(said)


@given(st.binary(max_size=300))
def test_any_bytes_are_a_policy_or_malformed(data: bytes) -> None:
    try:
        read_site_policy(HEAD.encode() + data, file="site.toml")
    except MalformedError as error:
        assert error.problems
