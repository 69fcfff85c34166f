"""The probe's report: read strictly, and held against profile and runtime, one difference at a time."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from launcher.engines.docker_request import INIT_SOURCE
from launcher.engines.probe import read_probe
from launcher.environment.probe import EXPECTATIONS, differences, expected
from launcher.errors import CheckFailedError, EvalctlError
from launcher.spec.blueprint import MIB, Resources, Sandbox
from launcher.spec.probe import report_from_json
from launcher.spec.sandbox import MASKED_PATHS, SandboxProfile, profile_for
from launcher.spec.system_calls import call_name
from tests.fakes.probe import clean_report

REPORTS = Path(__file__).parent / "reports"
RESOURCES = Resources(memory=128 * MIB, tmp=8 * MIB, output=8 * MIB, shm=8 * MIB)
NARROW = profile_for(RESOURCES, Sandbox())
SCALARS = st.none() | st.booleans() | st.integers() | st.text()
ANYTHING = st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner))
RUNC = (REPORTS / "runc.txt").read_bytes()
RUNSC = (REPORTS / "runsc.txt").read_bytes()


def found(data: bytes, profile: SandboxProfile = NARROW, runtime: str = "runc") -> tuple[str, ...]:
    return differences(read_probe(data), profile, runtime)


def test_what_real_runtimes_gave_is_as_the_profile_has_it() -> None:
    assert found(RUNC) == ()
    assert found(RUNSC, runtime="runsc") == ()


def test_a_runtime_that_nobody_knows_is_held_to_everything() -> None:
    assert expected(NARROW, "another") == EXPECTATIONS
    assert found(RUNC, runtime="another") == ()
    assert found(RUNSC, runtime="another") != ()


def test_the_fake_report_is_of_the_same_form_and_clean() -> None:
    real, fake = read_probe(RUNC), clean_report(NARROW)
    assert differences(fake, NARROW, "runc") == ()
    assert fake.attempts.keys() == real.attempts.keys()
    assert fake.visible.keys() <= real.visible.keys()
    assert report_from_json(fake.as_json()) == fake
    assert report_from_json(real.as_json()) == real


WEAKER = {
    "user": (b"ids 65532", b"ids 0", "runc runsc"),
    "group": (b"groups 65532", b"groups 0 65532", "runc runsc"),
    "capabilities": (b"sets 0000000000000000 0", b"sets 0000000000000000 2", "runc runsc"),
    "bounding": (b"0000 0000000000000000\nguards", b"ffff 0000000000000000\nguards", "runc runsc"),
    "privileges": (b"guards 1", b"guards 0", "runc runsc"),
    "filter": (b"guards 1 2", b"guards 1 0", "runc"),
    "system-calls": (b"000000\nend", b"000001\nend", "runc"),
    "entries": (b"32-bit killed", b"32-bit answered", "runc"),
    "x32": (b"x32 refused", b"x32 answered", "runsc"),
    "interfaces": (b"interfaces lo", b"interfaces lo eth0", "runc runsc"),
    "public": (b"connect:public 101", b"connect:public 115", "runc"),
    "metadata": (b"connect:metadata 113", b"connect:metadata 111", "runsc"),
    "dns": (b"connect:dns 101", b"connect:dns 0", "runc"),
    "sockets": (b"socket:packet 1", b"socket:packet 0", "runc runsc"),
    "netlink": (b"socket:netlink 1", b"socket:netlink 0", "runc"),
    "root": (b"mount / overlay ro,relatime rw", b"mount / overlay rw,relatime rw", "runc"),
    "root-guest": (b"mount / 9p ro ro", b"mount / 9p rw rw", "runsc"),
    "extra-mount": (b"interfaces", b"mount /srv ext4 rw,relatime rw\ninterfaces", "runc runsc"),
    "uncovered": (b"interfaces", b"mount /proc/sys proc rw rw\ninterfaces", "runc"),
    "writes": (b"write:/etc 30", b"write:/etc 0", "runc"),
    "writes-guest": (b"write:/ 13", b"write:/ 0", "runsc"),
    "execution": (b"execute:/tmp 13", b"execute:/tmp 0", "runc runsc"),
    "rights": (b"try mount 1", b"try mount 0", "runc runsc"),
    "setuid": (b"try setuid 1", b"try setuid 0", "runc runsc"),
    "namespaces": (b"unshare:user 1", b"unshare:user 0", "runc"),
    "masks": (b"see /proc/cmdline 0", b"see /proc/cmdline 99", "runc"),
    "engine-socket": (b"see /run/docker.sock 0", b"see /run/docker.sock 1", "runc runsc"),
    "limits": (b"limit 7 1024 1024", b"limit 7 1024 1048576", "runc runsc"),
    "unbounded": (b"limit 4 0 0", b"limit 4 0 18446744073709551615", "runc runsc"),
    "sizes": (b"space /tmp 8388608", b"space /tmp 8392704", "runc runsc"),
    "inodes": (b"space /eval/out 8388608 2001", b"space /eval/out 8388608 9000", "runc"),
    "processes": (b"processes 2", b"processes 3", "runc runsc"),
    "hostname": (b"names sandbox", b"names thishost", "runc runsc"),
}


@pytest.mark.parametrize("name", WEAKER)
def test_each_weakness_is_a_difference(name: str) -> None:
    old, new, runtimes = WEAKER[name]
    for runtime in runtimes.split():
        data = {"runc": RUNC, "runsc": RUNSC}[runtime]
        assert old in data
        said = found(data.replace(old, new, 1), runtime=runtime)
        assert len(said) == 1, said


def test_every_expectation_has_a_weakness_that_shows_it() -> None:
    shown = set()
    for old, new, runtimes in WEAKER.values():
        data = RUNC if "runc" in runtimes.split() else RUNSC
        said = found(data.replace(old, new, 1), runtime=runtimes.split()[0])
        shown |= {text.partition(":")[0] for text in said}
    assert shown == {one.name for one in EXPECTATIONS}


def test_a_gpus_devices_may_be_mounted_where_gpus_were_asked_for() -> None:
    given = clean_report(NARROW)
    with_device = replace(given, mounts={**given.mounts, "/dev/nvidia0": "devtmpfs rw,nosuid,noexec"})
    assert differences(with_device, replace(NARROW, variant="gpu"), "runc") == ()
    assert differences(with_device, NARROW, "runc") == ("mounts: '/dev/nvidia0' is mounted writable",)


def test_a_report_that_does_not_say_is_no_proof() -> None:
    report = clean_report(NARROW)
    silent = replace(report, attempts={}, visible={}, limits={}, scratch={}, capabilities={}, mounts={})
    said = differences(silent, NARROW, "runc")
    assert "rights: the report does not say" in said
    odd = replace(report, capabilities=dict.fromkeys(report.capabilities, "none"))
    assert differences(odd, NARROW, "runc") == ("capabilities: the report does not say",)


def test_a_widening_allows_what_it_names_and_nothing_else() -> None:
    netlink = RUNC.replace(b"socket:netlink 1", b"socket:netlink 0")
    assert found(netlink, profile_for(RESOURCES, Sandbox(allow=("netlink",)))) == ()
    executable = RUNC.replace(b"execute:/tmp 13", b"execute:/tmp 0")
    assert found(executable, profile_for(RESOURCES, Sandbox(allow=("exec-tmp",)))) == ()
    report = read_probe(RUNC)
    traced = replace(report, answered=(*report.answered, "ptrace"))
    assert differences(traced, profile_for(RESOURCES, Sandbox(allow=("ptrace",))), "runc") == ()
    assert differences(traced, profile_for(RESOURCES, Sandbox(allow=("memfd",))), "runc") != ()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        RUNC[:-1],
        RUNC[:-5],
        RUNC.replace(b"probe 1", b"probe 2"),
        RUNC.replace(b"processors", b"processor"),
        RUNC + b"more\n",
        RUNC.replace(b"processes 2\n", b""),
        RUNC.replace(b"processes 2", b"processes 2\nprocesses 2"),
        RUNC.replace(b"processes 2", b"processes -2"),
        RUNC.replace(b"limit 15", b"limit 16"),
        RUNC.replace(b"interfaces lo", b"interfaces \xff"),
        RUNC.replace(b"sets 0", b"sets "),
    ],
)
def test_a_report_that_is_not_whole_and_of_this_form_is_refused(data: bytes) -> None:
    with pytest.raises(EvalctlError, match="malformed"):
        read_probe(data)


@given(st.binary(max_size=200), st.integers(0, len(RUNC)))
def test_whatever_stands_in_a_report_gives_a_report_or_our_error(odd: bytes, place: int) -> None:
    try:
        read_probe(RUNC[:place] + odd + RUNC[place:])
    except EvalctlError as error:
        assert error.code == "probe-malformed"


@given(ANYTHING)
def test_whatever_stands_in_a_bundle_gives_a_report_or_our_error(value: object) -> None:
    with pytest.raises(CheckFailedError):
        report_from_json(value)


def test_the_probe_looks_at_every_masked_path() -> None:
    source = (INIT_SOURCE.parent / "probe.c").read_text()
    assert set(MASKED_PATHS) <= set(re.findall(r'"(/(?:proc|sys)[^"]*)"', source))
    assert set(MASKED_PATHS) <= read_probe(RUNC).visible.keys()


def test_numbers_of_system_calls_have_their_names() -> None:
    assert [call_name(number) for number in (0, 59, 334, 335, 424, 462)] == [
        "read",
        "execve",
        "rseq",
        "335",
        "pidfd_send_signal",
        "mseal",
    ]
