from pathlib import Path

import pytest
from msgspec.structs import replace

from launcher.canonical import canonical_bytes
from launcher.digest import digest_of
from launcher.errors import MalformedError
from launcher.spec.blueprint import MIB, Resources, Sandbox
from launcher.spec.reading import read_blueprint
from launcher.spec.sandbox import profile_for, profile_of_run, under_runtime
from launcher.spec.seccomp import allowed_calls, seccomp_digest, seccomp_profile
from launcher.spec.widenings import OPENS, SYSTEM_CALLS, widened

FORBIDDEN = """
    add_key bpf clone3 delete_module finit_module init_module io_uring_enter io_uring_setup kexec_load keyctl
    memfd_create mknod mknodat mount move_mount msgget open_by_handle_at perf_event_open pidfd_getfd
    pivot_root process_vm_readv process_vm_writev ptrace reboot semget setgid setgroups setns setresuid setuid
    shmget swapon umount2 unshare userfaultfd
"""


def test_the_identity_is_canonical_json_without_floats() -> None:
    identity = profile_for(Resources(), Sandbox()).as_identity()
    assert b"$float" not in canonical_bytes(identity)
    assert identity["user"] == "65532:65532"
    assert identity["capabilities"] == []
    assert identity["seccomp"] == seccomp_digest()


def test_every_resource_shows_in_the_identity() -> None:
    base = profile_for(Resources(), Sandbox()).as_identity()
    for name in ("cpus", "memory", "tmp", "shm", "output", "pids"):
        changed = replace(Resources(), **{name: getattr(Resources(), name) + MIB})
        assert profile_for(changed, Sandbox()).as_identity() != base


def test_a_widening_is_named_once_and_takes_effect() -> None:
    identity = profile_for(Resources(), Sandbox(allow=("exec-tmp", "exec-tmp"))).as_identity()
    assert identity["widenings"] == ["exec-tmp"]
    options = {scratch["path"]: scratch["options"] for scratch in identity["scratch"]}
    assert "noexec" not in options["/tmp"]
    assert "noexec" in options["/eval/out"]


def test_an_unknown_widening_is_refused() -> None:
    with pytest.raises(MalformedError, match="`all`"):
        profile_for(Resources(), Sandbox(allow=("all",)))


def test_a_way_out_and_the_names_of_secrets_show_in_the_identity() -> None:
    plain = profile_for(Resources(), Sandbox()).as_identity()
    assert {"allow-hosts", "secrets"}.isdisjoint(plain)
    sandbox = Sandbox(network="egress", allow_hosts=("b.example", "a.example"), secrets=("TOKEN",))
    identity = profile_for(Resources(), sandbox).as_identity()
    assert (identity["network"], identity["allow-hosts"]) == ("egress", ["a.example", "b.example"])
    assert identity["secrets"] == ["TOKEN"]


def test_the_filter_allows_no_call_that_widens() -> None:
    allowed = {
        name
        for rule in seccomp_profile()["syscalls"]
        if rule["action"] == "SCMP_ACT_ALLOW" and not rule["args"]
        for name in rule["names"]
    }
    assert not allowed & set(FORBIDDEN.split())
    assert {"clone", "socket", "ioctl"}.isdisjoint(allowed)
    assert {"read", "write", "execve", "futex"} <= allowed


def test_what_would_slow_or_limit_the_first_process_may_name_the_caller_alone() -> None:
    rules = [rule for rule in seccomp_profile()["syscalls"] if rule["action"] == "SCMP_ACT_ALLOW"]
    for name in ("prlimit64", "sched_setattr", "sched_setparam", "sched_setscheduler", "setpriority"):
        (rule,) = (rule for rule in rules if name in rule["names"])
        last = 1 if name == "setpriority" else 0
        # An int argument is read without its upper half, so the filter must not look at that either.
        whole = [{"value": 0xFFFFFFFF, "valueTwo": 0, "op": "SCMP_CMP_MASKED_EQ"}] * (last + 1)
        assert rule["args"] == [{"index": index, **one} for index, one in enumerate(whole)]


def test_a_socket_has_its_types_own_protocol() -> None:
    rules = [rule for rule in seccomp_profile()["syscalls"] if rule["names"] == ["socket"]]
    allowed = {
        tuple(argument["valueTwo" if at else "value"] for at, argument in enumerate(rule["args"]))
        for rule in rules
    }
    assert allowed == {
        *((1, kind, 0) for kind in (1, 2)),
        *((family, 1, protocol) for family in (2, 10) for protocol in (0, 6)),
        *((family, 2, protocol) for family in (2, 10) for protocol in (0, 17)),
    }


@pytest.mark.parametrize("name", OPENS)
def test_every_widening_opens_something_and_says_what(name: str) -> None:
    narrow = profile_for(Resources(), Sandbox())
    wide = profile_for(Resources(), Sandbox(allow=(name,)))
    assert replace(wide, widenings=()) != narrow
    assert [*widened(wide.widenings)] == [f"sandbox widened (1 of 1): {name}: {OPENS[name]}"]


def test_a_state_that_is_kept_is_a_widening_that_is_named_without_being_asked_for() -> None:
    plain = (Path(__file__).parent / "blueprints" / "minimal_good.toml").read_bytes()
    resumable = plain.replace(b"[run]", b"[run]\nresumable = true")
    assert profile_of_run(read_blueprint(resumable, file="b.toml")).widenings == ("exec-state",)
    assert "/eval/state" in next(widened(("exec-state",)))


def test_a_widening_adds_its_calls_to_the_filter_and_no_others() -> None:
    for name in OPENS:
        added = allowed_calls("cpu", (name,)) - allowed_calls("cpu", ())
        assert added == set(SYSTEM_CALLS.get(name, "").split())


def test_the_filter_for_gpus_adds_the_drivers_requests_and_is_another_profile() -> None:
    assert allowed_calls("gpu", ()) > allowed_calls("cpu", ())
    assert seccomp_digest("gpu") != seccomp_digest("cpu")
    requests = [rule["args"][0] for rule in seccomp_profile("gpu")["syscalls"] if rule["names"] == ["ioctl"]]
    assert {"index": 1, "value": 0xFF00, "valueTwo": 0x4600, "op": "SCMP_CMP_MASKED_EQ"} in requests


def test_the_digest_is_of_every_value_beside_it() -> None:
    identity = profile_for(Resources(), Sandbox()).as_identity()
    values = {name: value for name, value in identity.items() if name != "profile"}
    assert identity["profile"] == digest_of(canonical_bytes(values))
    assert identity["version"] == "v1"


def test_a_stronger_runtime_is_another_digest_of_the_same_values() -> None:
    profile = profile_for(Resources(), Sandbox())
    stronger = under_runtime(profile.as_identity(), "runsc")
    assert stronger == replace(profile, runtime="runsc").as_identity()
