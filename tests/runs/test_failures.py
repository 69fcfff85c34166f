"""Failures are told from facts: what an engine, a kernel and pid 1 saw, never from a log."""

import signal
from pathlib import Path

import pytest
from msgspec.structs import replace

from launcher.engines.engine import Mount, Room
from launcher.errors import InfrastructureError
from launcher.runs.failures import classify, failure_of
from launcher.spec.blueprint import Run, Runtime
from launcher.spec.predicates import Failure
from launcher.spec.usage import LimitsHit, Usage
from tests.runs.outcomes import DONE

ANSWERED = replace(DONE, exit_code=1)
FULL = (Room("/eval/out", 4096, 1), Room("/tmp", 0, 5))
NO_INODES = (Room("/eval/out", 4096, 0),)
UNBOUNDED = (Room("/dev/shm", None, None),)
BUSY = Usage(limits=LimitsHit(pids_refusals=3))


@pytest.mark.parametrize(
    ("change", "failure", "said"),
    [
        ({"exit_code": 137}, "candidate", "code 137"),
        ({"exit_code": None, "signal": signal.SIGKILL}, "candidate", "signal 9"),
        ({"exit_code": None, "signal": signal.SIGSYS}, "sandbox", "system call"),
        ({"exit_code": None, "signal": signal.SIGXFSZ}, "disk", "a file grew"),
        ({"room": FULL}, "disk", "`/tmp` was full"),
        ({"exit_code": None, "signal": signal.SIGBUS, "room": FULL}, "disk", "`/tmp` was full"),
        ({"room": NO_INODES}, "disk", "`/eval/out` was full"),
        ({"room": UNBOUNDED}, "candidate", "code 1"),
        ({"exit_code": 0, "room": FULL}, None, ""),
        ({"exit_code": None, "timed_out": True, "room": FULL}, "timeout", "still running"),
        ({"usage": BUSY}, "candidate", "3 processes or threads could not be made"),
        ({"exit_code": 0, "usage": BUSY}, None, ""),
        ({"exit_code": None, "exec_error": "ENOENT: none"}, "candidate", "could not be started"),
        ({"exit_code": None, "exec_error": "ENOEXEC: odd"}, "image", "could not be started"),
    ],
)
def test_each_fact_leads_to_its_class(change: dict[str, object], failure: Failure | None, said: str) -> None:
    found, reason = classify(replace(ANSWERED, **change), Run(("answer",), timeout=60), "runc")
    assert found == failure
    assert said in reason


@pytest.mark.parametrize(
    ("runtime", "engine_exit_code", "failure"),
    [("runsc", 2, "sandbox"), ("runsc", None, "engine"), ("runc", 2, "engine")],
)
def test_only_gvisor_lets_a_command_end_its_own_sandbox(
    runtime: Runtime, engine_exit_code: int | None, failure: Failure
) -> None:
    silent = replace(ANSWERED, exit_code=None, engine_exit_code=engine_exit_code)
    assert classify(silent, Run(("answer",)), runtime)[0] == failure


@pytest.mark.parametrize("program", ["/eval/code/run", "./run", "bin/run"])
def test_a_program_of_the_code_that_is_none_is_the_candidates(program: str) -> None:
    outcome = replace(ANSWERED, exit_code=None, exec_error="ENOEXEC: Exec format error")
    assert classify(outcome, Run((program,)), "runc")[0] == "candidate"


@pytest.mark.parametrize(
    ("code", "target", "failure"),
    [
        ("image-gone", "there", "image"),
        ("image-damaged", "there", "image"),
        ("mount-not-visible", "gone", "input"),
        ("mount-not-visible", "there", "engine"),
        ("engine-unreachable", "gone", "engine"),
    ],
)
def test_an_engines_fault_is_told_from_an_inputs(
    tmp_path: Path, code: str, target: str, failure: Failure
) -> None:
    (tmp_path / "there").touch()
    found, reason = failure_of(
        InfrastructureError("no", code=code), [Mount(tmp_path / target, "/eval/inputs/x")]
    )
    assert found == failure
    assert ("/eval/inputs/x" in reason) == (failure == "input")
