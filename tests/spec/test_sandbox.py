import pytest
from msgspec.structs import replace

from launcher.canonical import canonical_bytes
from launcher.errors import MalformedError, RequirementError
from launcher.spec.blueprint import MIB, Gpu, Resources, Sandbox
from launcher.spec.sandbox import profile_for
from launcher.spec.seccomp import seccomp_digest, seccomp_profile

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


@pytest.mark.parametrize(
    ("resources", "sandbox"),
    [
        (Resources(gpu=Gpu()), Sandbox()),
        (Resources(), Sandbox(network="egress")),
        (Resources(), Sandbox(secrets=("TOKEN",))),
    ],
    ids=["gpu", "egress", "secrets"],
)
def test_what_cannot_be_bounded_yet_is_refused(resources: Resources, sandbox: Sandbox) -> None:
    with pytest.raises(RequirementError):
        profile_for(resources, sandbox)


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
