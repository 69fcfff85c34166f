"""What a real engine, kernel and pid 1 say of a failure leads to its class."""

import signal
import struct
from pathlib import Path

import pytest

from launcher.engines.engine import Mount
from launcher.runs.failures import classify
from launcher.spec.blueprint import Run
from launcher.spec.predicates import Failure
from tests.engines.tasks import Shell


@pytest.mark.engine
@pytest.mark.parametrize(
    ("script", "failure"),
    [
        ("exit 3", "candidate"),
        ("exit 137", "candidate"),
        ("kill -9 $$", "candidate"),
        ("cat /dev/zero > /tmp/full", "disk"),
        ("cat /dev/zero > /eval/out/full", "disk"),
        ("cd /eval/out; for i in $(seq 3000); do : > f$i || exit 1; done", "disk"),
        ("cat /dev/zero > /tmp/full; rm /tmp/full; exit 1", "candidate"),
        ("dd if=/dev/zero of=/dev/null bs=300M count=1", "out-of-memory"),
        ("sleep 60", "timeout"),
    ],
)
def test_the_class_of_a_real_container_follows_from_what_was_seen(
    shell: Shell,
    script: str,
    failure: Failure,
) -> None:
    outcome, _ = shell(script, timeout=3, memory=64 << 20)
    assert classify(outcome, Run(("sh",), timeout=3), "runc")[0] == failure, outcome


@pytest.mark.engine
def test_a_call_of_another_architecture_is_a_violation_of_the_sandbox(
    shell: Shell,
    tmp_path: Path,
) -> None:
    program = tmp_path / "old-calls"
    program.write_bytes(_elf(b"\x31\xc0\xb0\x14\xcd\x80\xeb\xfe"))  # eax = 20; int 0x80; for ever
    program.chmod(0o755)
    outcome, _ = shell("exec /x", timeout=10, mounts=(Mount(program, "/x"),))
    assert (outcome.signal, classify(outcome, Run(("sh",)), "runc")[0]) == (signal.SIGSYS, "sandbox")


@pytest.mark.engine
def test_a_file_that_no_scratch_folder_could_hold_is_disk(
    shell: Shell,
) -> None:
    outcome, _ = shell("exec dd if=/dev/zero of=/tmp/hole bs=1 count=1 seek=1000000000")
    assert classify(outcome, Run(("sh",)), "runc")[0] == "disk"


def _elf(code: bytes) -> bytes:
    """Return a static x86-64 program that is `code` and nothing else."""
    base, head = 0x400000, 64 + 56
    ident = b"\x7fELF\x02\x01\x01" + bytes(9)
    header = struct.pack("<HHIQQQIHHHHHH", 2, 62, 1, base + head, 64, 0, 0, 64, 56, 1, 0, 0, 0)
    size = head + len(code)
    segment = struct.pack("<IIQQQQQQ", 1, 5, 0, base, base, size, size, 0x1000)
    return ident + header + segment + code
