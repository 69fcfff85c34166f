"""Every check of doctor fails or warns where it should, and says what to type."""

from datetime import timedelta
from pathlib import Path

import pytest
from msgspec.structs import replace

from launcher.doctor.checks import machine_checks
from launcher.doctor.observe import EngineState, Fault, KeyState, Observed, TrustState
from launcher.report.checkup import checkup
from launcher.spec.health import HealthCheck, worst
from tests.doctor.seen import HEALTHY, NOW, TWO, ill

FAULT = Fault("it does not answer", "systemctl start docker")


def found(seen: Observed, name: str) -> HealthCheck:
    return next(check for check in machine_checks(seen) if check.name == name)


def test_a_healthy_machine_passes_every_check() -> None:
    checks = list(machine_checks(HEALTHY))
    assert [check for check in checks if check.status != "ok"] == []
    assert [check for check in checks if check.fix] == []
    assert len({check.name for check in checks}) == len(checks) == 17


ILLS = {
    "an old python": ("python", "fail", ill("machine", python=(3, 10, 1)), "3.10.1"),
    "no git": ("git", "fail", ill("machine", git=None), "not installed"),
    "a noexec installation": ("installation", "fail", ill("installation", executable=False), "noexec"),
    "a shut installation": (
        "installation",
        "fail",
        replace(HEALTHY, shut=((Path("/x/init"), 0o555),)),
        "/x/init",
    ),
    "a home nobody may write": ("home", "fail", ill("home", writable=False), "may not be written"),
    "a home on NFS": ("home", "warn", ill("home", file_system="nfs4"), "nfs4"),
    "a home in memory": ("home", "warn", ill("home", file_system="tmpfs"), "lost"),
    "a full disk": ("home-space", "fail", ill("home", free=10**6), "1 MB free"),
    "a disk nearly full": ("home-space", "warn", ill("home", free=10**9), "1 GB free"),
    "a disk without inodes": ("home-space", "fail", ill("home", free_inodes=3), "only 3 files more"),
    "a clock that is behind": (
        "clock",
        "fail",
        ill("clock", newest=NOW + timedelta(hours=1), newest_file="/x/id"),
        "/x/id",
    ),
    "a clock that drifts": ("clock", "warn", ill("clock", synchronised=False), "synchronised"),
    "a key open to others": ("key", "fail", ill("key", fault=FAULT), "does not answer"),
    "a malformed policy": ("trust", "fail", ill("trust", fault=FAULT), "does not answer"),
    "no policy beside a key": ("trust", "warn", ill("trust", expires=None), "nobody is trusted"),
    "an expired policy": ("trust", "fail", ill("trust", expires=NOW), "expired"),
    "a policy near its end": (
        "trust",
        "warn",
        ill("trust", expires=NOW + timedelta(days=3)),
        "until 2026-11-26",
    ),
    "a policy without the own key": ("trust", "warn", ill("trust", refusals=("not in it",)), "not in it"),
    "no engine": ("engine", "fail", replace(HEALTHY, engine=EngineState(None, fault=FAULT)), "answer"),
    "another processor": ("engine", "fail", ill("engine.facts", architecture="aarch64"), "x86_64 alone"),
    "no runc": ("runtimes", "fail", ill("engine.facts", runtimes=("crun",)), "no runc among crun"),
    "no gVisor": ("runtimes", "warn", ill("engine.facts", runtimes=("runc",)), "no runsc"),
    "a Podman of runc alone": (
        "runtimes",
        "warn",
        ill("engine.facts", name="podman", runtimes=("runc",)),
        "one runtime",
    ),
    "a Podman of another runtime": (
        "runtimes",
        "fail",
        ill("engine.facts", name="podman", runtimes=("crun",)),
        "crun: launches ask",
    ),
    "an engine without root or groups": (
        "limits",
        "fail",
        ill(
            "engine.facts",
            limits=(),
            security_options=("name=seccomp", "name=apparmor", "name=rootless"),
        ),
        "without root the engine cannot bound memory, cpus, pids",
    ),
    "no bound of processes": (
        "limits",
        "fail",
        ill("engine.facts", limits=("memory", "swap", "cpus")),
        "cannot bound pids",
    ),
    "no bound of swap": (
        "limits",
        "warn",
        ill("engine.facts", limits=("memory", "cpus", "pids")),
        "swap is not bounded",
    ),
    "an engine that copies": ("storage-driver", "warn", ill("engine.facts", storage_driver="vfs"), "vfs"),
    "a full engine": ("engine-space", "fail", ill("engine.disk", free=1), "1 bytes free"),
    "an engine's disk out of sight": ("engine-space", "warn", ill("engine", disk=None), "not seen"),
    "no seccomp": ("confinement", "fail", ill("engine.facts", security_options=()), "no system calls"),
    "no security module": (
        "confinement",
        "warn",
        ill("engine.facts", security_options=("name=seccomp",)),
        "neither AppArmor",
    ),
    "no user namespaces": ("user-namespaces", "warn", ill("machine", user_namespaces=0), "gives none"),
    "a driver without its library": ("gpus", "warn", ill("gpus", kernel_driver=True), "there is no library"),
    "a GPU that is lost": (
        "gpus",
        "warn",
        ill("gpus", devices=(replace(TWO[0], fault="the GPU is lost"),)),
        "GPU 0: the GPU is lost",
    ),
    "left-overs that stay": ("left-overs", "warn", ill("leftovers", fault=FAULT), "not removed"),
}


@pytest.mark.parametrize("case", ILLS)
def test_each_ill_is_found_named_and_has_a_fix(case: str) -> None:
    name, status, seen, said = ILLS[case]
    check = found(seen, name)
    assert (check.status, said in check.detail) == (status, True), check
    assert check.fix
    others = [other for other in machine_checks(seen) if other.name != name]
    touched = {"home", "home-space"} if name.startswith("home") else set()
    assert [other.name for other in others if other.status != "ok" and other.name not in touched] == []


def test_a_first_use_is_healthy() -> None:
    nobody = KeyState(Path("/h/keys/default"))
    seen = replace(HEALTHY, key=nobody, trust=TrustState(Path("/h/trust.toml")))
    assert worst(machine_checks(seen)) == "ok"
    assert "none yet" in found(seen, "key").detail


def test_gpus_are_named_with_their_driver() -> None:
    seen = ill("gpus", devices=TWO, driver="550.1", cuda="12.4", fault="")
    assert found(seen, "gpus").detail == "2 x A100; driver 550.1, CUDA 12.4"


def test_a_clock_whose_state_cannot_be_read_is_no_ill() -> None:
    assert found(ill("clock", synchronised=None), "clock").status == "ok"


def test_the_worst_status_decides() -> None:
    kinds = [HealthCheck("x", "ok", ""), HealthCheck("x", "warn", "", "y"), HealthCheck("x", "fail", "", "y")]
    assert [worst(kinds[:count]) for count in range(4)] == ["ok", "ok", "warn", "fail"]


def test_a_checkup_fits_a_terminal_and_shows_control_characters_escaped() -> None:
    long = ill("engine", facts=None, fault=Fault("x" * 200 + "\x1b[2J", "fix " * 60))
    lines = checkup(list(machine_checks(long))).splitlines()
    assert max(map(len, lines)) <= 80
    assert all(line.isprintable() for line in lines)
    assert lines[-1].endswith("1 fail")
