"""Every forged bundle of `tests/bundles/` is refused, in one clear sentence, and the honest ones are not."""

import json
import multiprocessing
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ProcessPoolExecutor
from pathlib import Path

import pytest

from tests.bundles import cases, trial
from tests.bundles.case import Case
from tests.bundles.classes import CLASSES, AttackClass
from tests.bundles.page import PAGE, page
from tests.bundles.trial import Trial
from tests.fakes.finished import Finished

VERDICTS = {0: "verified", 1: "failed", 3: "untrusted"}
HEAVY = [case for case in cases() if case.heavy]
LIGHT = [case for case in cases() if not case.heavy]
SOME = LIGHT[::90]
METER = Path(__file__).parent / "bundles" / "meter.py"
EVALCTL = Path(sys.executable).with_name("evalctl")
MAX_SECONDS = 60
MAX_MEMORY = 256 << 20
WORKERS = 2

Trials = Mapping[str, "Future[Trial]"]


@pytest.fixture(scope="module")
def workers() -> Iterator[ProcessPoolExecutor]:
    """Return processes that try cases; none of them has a thread or a file of ours."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(WORKERS, mp_context=context, initializer=trial.begin) as pool:
        yield pool
        pool.shutdown(cancel_futures=True)


@pytest.fixture(scope="module")
def trials(workers: ProcessPoolExecutor, request: pytest.FixtureRequest) -> Trials:
    """Begin to try every case that was selected, all of them side by side."""
    wanted = {
        item.callspec.params["case"].name
        for item in request.session.items
        if hasattr(item, "callspec") and isinstance(item.callspec.params.get("case"), Case)
    }
    return {case.name: workers.submit(trial.attempt, case.name) for case in LIGHT if case.name in wanted}


@pytest.mark.parametrize("case", LIGHT, ids=[case.name for case in LIGHT])
def test_a_bundle_is_judged_as_its_case_says(case: Case, trials: Trials) -> None:
    done = trials[case.name].result(MAX_SECONDS)
    assert not done.broken, done.broken
    judged(case, Finished(done.code, done.json, done.error))
    assert (done.text_code, done.opened) == (case.exit_code, ())
    refuse_what_a_terminal_acts_on(done)


def judged(case: Case, done: Finished) -> None:
    """See that what was said of a case is what its case says, with `--json`."""
    assert done.code == case.exit_code, done
    if not done.err:
        refuse_another_verdict(case, json.loads(done.out))
        return
    error = json.loads(done.err)["error"]
    said = " ".join([error["message"], str(error["context"]), *error.get("problems", [])])
    assert (done.out, error["code"], case.words in said) == ("", case.refused_by, True), error


def refuse_another_verdict(case: Case, answer: dict[str, object]) -> None:
    checks = answer["checks"]
    assert isinstance(checks, list)
    failed = {check["name"]: check["detail"] for check in checks if check["status"] == "failed"}
    assert answer["verdict"] == VERDICTS[case.exit_code], failed
    assert bool(failed) == bool(case.exit_code)
    assert not case.exit_code or (case.refused_by in failed and case.words in failed[case.refused_by]), failed
    assert all(0 < len(detail) <= 1000 for detail in failed.values())


def refuse_what_a_terminal_acts_on(done: Trial) -> None:
    for text in (done.json, done.error, done.text, done.talk):
        assert text.replace("\n", "").isprintable(), ascii(text)
        assert "Traceback" not in text
    assert all(len(line) <= 100 for line in done.text.splitlines()), done.text


def test_the_processes_that_judged_them_stayed_small(workers: ProcessPoolExecutor, trials: Trials) -> None:
    for future in trials.values():
        future.result(MAX_SECONDS)
    for future in [workers.submit(trial.peak_memory) for _ in range(WORKERS)]:
        assert future.result(MAX_SECONDS) < MAX_MEMORY


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("case", HEAVY, ids=[case.name for case in HEAVY])
def test_a_bundle_that_exhausts_is_judged_in_bounds(case: Case, tmp_path: Path) -> None:
    done, memory = measured(case, tmp_path)
    judged(case, done)
    assert memory < MAX_MEMORY


@pytest.mark.parametrize("case", SOME, ids=[case.name for case in SOME])
def test_a_process_of_its_own_says_the_same(case: Case, tmp_path: Path) -> None:
    done, memory = measured(case, tmp_path)
    judged(case, done)
    assert memory < MAX_MEMORY


def measured(case: Case, folder: Path) -> tuple[Finished, int]:
    """Return what a real process said of a case, and how much memory it had at most."""
    case.build(folder / case.name)
    command = [sys.executable, "-E", "-S", str(METER), str(EVALCTL), *case.arguments, "--json"]
    home = {"EVALCTL_HOME": str(folder / case.name / "home")}
    done = subprocess.run(
        command,
        cwd=folder / case.name,
        env={**os.environ, **home},
        capture_output=True,
        text=True,
        timeout=MAX_SECONDS * 2,
        check=False,
    )
    shutil.rmtree(folder / case.name)
    *said, memory = done.stderr.splitlines()
    return Finished(done.returncode, done.stdout, "\n".join(said)), int(memory)


@pytest.mark.parametrize("one", CLASSES, ids=[one.words for one in CLASSES])
def test_a_class_of_attacks_has_cases(one: AttackClass) -> None:
    assert one.of(cases())
    for pattern in one.titles:
        assert AttackClass("", titles=(pattern,)).of(cases()), pattern


def test_every_forgery_is_of_a_class() -> None:
    classed = {case.name for one in CLASSES for case in one.of(cases())}
    assert {case.name for case in cases() if case.exit_code} == classed


def test_the_page_names_every_case() -> None:
    assert PAGE.read_text() == page(), "python -m tests.bundles.page"
