"""Every forged bundle of `tests/bundles/` is refused, in one clear sentence, and the honest ones are not."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from launcher.cli.app import run
from tests.bundles import cases
from tests.bundles.case import Case
from tests.bundles.page import PAGE, page
from tests.fakes.finished import Finished

VERDICTS = {0: "verified", 1: "failed", 3: "untrusted"}
LIGHT = [case for case in cases() if not case.heavy]

Verify = Callable[..., Finished]


@pytest.fixture
def verify(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Verify]:
    """Return a function that runs a case's command in its folder."""

    def call(case: Case, folder: Path, *more: str) -> Finished:
        monkeypatch.chdir(folder)
        monkeypatch.setenv("EVALCTL_HOME", str(folder / "home"))
        capsys.readouterr()
        code = run([*case.arguments, *more])
        said = capsys.readouterr()
        return Finished(code, said.out, said.err)

    return call


@pytest.mark.timeout(60)
@pytest.mark.parametrize("case", LIGHT, ids=[case.name for case in LIGHT])
def test_a_bundle_is_judged_as_its_case_says(case: Case, verify: Verify, tmp_path: Path) -> None:
    case.build(tmp_path / case.name)
    done = verify(case, tmp_path / case.name, "--json")
    assert done.code == case.exit_code, done
    if done.err:
        error = json.loads(done.err)["error"]
        said = " ".join([error["message"], str(error["context"]), *error.get("problems", [])])
        assert (done.out, error["code"], case.words in said) == ("", case.refused_by, True), error
        return
    answer = json.loads(done.out)
    assert answer["verdict"] == VERDICTS[case.exit_code]
    failed = {check["name"]: check["detail"] for check in answer["checks"] if check["status"] == "failed"}
    assert bool(failed) == bool(case.exit_code)
    assert not case.exit_code or case.words in failed.get(case.refused_by, ""), failed


def test_the_page_names_every_case() -> None:
    assert PAGE.read_text() == page(), "python -m tests.bundles.page"


def test_nothing_was_left_open_by_all_that(verify: Verify, tmp_path: Path) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    for case in LIGHT[:40]:
        case.build(tmp_path / case.name)
        verify(case, tmp_path / case.name)
    assert len(list(Path("/proc/self/fd").iterdir())) <= before
