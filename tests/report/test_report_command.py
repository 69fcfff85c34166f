"""`evalctl report`: verified first; what does not verify has no report, what nobody trusts says so."""

import json
import os
import subprocess
import sys
from pathlib import Path
from random import Random
from typing import Any

import pytest

from launcher.cli.report import read_record
from launcher.errors import CheckFailedError
from launcher.report.page import html_page
from launcher.trust.policy import empty_policy
from tests.conftest import Evalctl
from tests.fakes.forgery import change_json, copy_of, reseal
from tests.fakes.world import SmallWorld
from tests.report.conftest import Story
from tests.report.pages import faults


@pytest.fixture
def bundle(world: SmallWorld) -> Path:
    return world.launch().bundle


def test_the_page_goes_to_standard_output_or_to_a_file(
    evalctl: Evalctl, bundle: Path, tmp_path: Path
) -> None:
    printed = evalctl("report", bundle)
    written = evalctl("report", bundle, "--out", tmp_path / "report.html")
    assert printed.code == written.code == 0
    assert printed.out == (tmp_path / "report.html").read_text()
    assert printed.out.startswith("<!DOCTYPE html>\n")
    assert written.out == f"{tmp_path / 'report.html'}\n"


def test_a_name_that_ends_in_md_means_markdown(evalctl: Evalctl, bundle: Path, tmp_path: Path) -> None:
    evalctl("report", bundle, "--out", tmp_path / "report.md")
    assert (tmp_path / "report.md").read_text() == evalctl("report", bundle, "--format", "markdown").out


def test_json_says_what_was_verified_and_where_the_report_is(
    evalctl: Evalctl, bundle: Path, tmp_path: Path
) -> None:
    out = tmp_path / "report.html"
    said = json.loads(evalctl("report", bundle, "--json", "--out", out).out)
    assert said == {
        "verdict": "verified",
        "digest": f"sha256:{bundle.name}",
        "format": "html",
        "report": str(out),
        "text": None,
    }
    assert json.loads(evalctl("report", bundle, "--json").out)["text"] == out.read_text()


def test_the_same_bytes_come_out_in_every_process(bundle: Path, world: SmallWorld) -> None:
    pages = []
    for seed in ("1", "2"):
        environment = os.environ | {
            "PYTHONHASHSEED": seed,
            "EVALCTL_HOME": str(world.home.root),
            "TZ": f"X{seed}",
        }
        program = "import sys; from launcher.cli.app import main; sys.argv[0] = 'evalctl'; main()"
        command = [sys.executable, "-c", program, "report", str(bundle)]
        pages.append(subprocess.run(command, env=environment, capture_output=True, check=True).stdout)
    assert pages[0] == pages[1]


def test_a_bundle_that_was_tampered_with_has_no_report(
    evalctl: Evalctl, bundle: Path, tmp_path: Path
) -> None:
    changed = copy_of(bundle, tmp_path / "changed")
    change_json(changed / "result.json", lambda result: result["metrics"][0].update(value=1.0))
    done = evalctl("report", changed, "--out", tmp_path / "report.html")
    assert done.code == 1
    assert "does not verify, so there is no report" in done.err
    assert not (tmp_path / "report.html").exists()


def test_a_signed_lie_has_no_report_either(
    evalctl: Evalctl, bundle: Path, tmp_path: Path, world: SmallWorld
) -> None:
    lie = copy_of(bundle, tmp_path / "lie")
    change_json(lie / "result.json", lambda result: result["metrics"][0].update(value=1.0))
    reseal(lie, world.signer)
    done = evalctl("report", lie)
    assert (done.code, done.out) == (1, "")
    assert "metrics: " in done.err


def test_a_stranger_is_reported_on_with_the_exit_code_of_verify(
    evalctl: Evalctl, bundle: Path, tmp_path: Path, world: SmallWorld
) -> None:
    world.home.trust.unlink()
    done = evalctl("report", bundle, "--out", tmp_path / "report.html")
    assert done.code == 3
    assert "Not verified" in (tmp_path / "report.html").read_text()
    assert "evalctl trust add" in done.err
    assert evalctl("report", bundle, "--key", f"{world.home.default_key}.pub").code == 0


@pytest.mark.parametrize(
    "name", ["resources.jsonl", "events.jsonl", "environment.json", "result.json", "samples.jsonl"]
)
@pytest.mark.parametrize("data", [b"", b"nonsense\n", b"[" * 5000 + b"\n", b'{"facts":[1]}\n', b"\xff\n"])
def test_a_strangers_odd_bundle_is_an_error_and_never_a_bug(
    evalctl: Evalctl, bundle: Path, tmp_path: Path, world: SmallWorld, name: str, data: bytes
) -> None:
    odd = copy_of(bundle, tmp_path / "odd")
    (odd / name).write_bytes(data)
    reseal(odd, world.signer)
    world.home.trust.unlink()
    done = evalctl("report", odd)
    assert done.code in (1, 3), done.err
    assert "bug" not in done.err


ODD = (
    None,
    True,
    -1,
    1e308,
    5e-324,
    2**53 - 1,
    "",
    "\u202e<b>",
    [],
    {},
    [[]],
    {"a": 1},
    "sha256:" + "0" * 64,
)
FILES = ("result.json", "lock.json", "environment.json")


def test_what_a_stranger_may_have_put_anywhere_is_shown_or_refused(story: Story, tmp_path: Path) -> None:
    world, bundle = story("several_seeds")
    choose, shown = Random(11), 0
    for number in range(160):
        odd = copy_of(bundle, tmp_path / str(number))
        change_json(odd / FILES[number % 3], lambda value: _put(value, choose))
        reseal(odd, world.signer)
        try:
            page = html_page(read_record(odd, world.verify(odd, empty_policy())))
        except CheckFailedError:
            continue
        assert faults(page) == []
        shown += 1
    assert shown > 10, "some of it is shown"


def _put(value: Any, choose: Random) -> None:
    """Put an odd value at any place inside `value`."""
    key = choose.choice(list(value) if isinstance(value, dict) else range(len(value)))
    inner = value[key]
    if isinstance(inner, dict | list) and inner and choose.random() < 0.9:
        _put(inner, choose)
    else:
        value[key] = choose.choice(ODD)


def test_a_report_never_goes_into_a_bundle_or_over_what_is_no_file(
    evalctl: Evalctl, bundle: Path, tmp_path: Path
) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    for out in (bundle / "report.html", bundle / "logs/../x.html", tmp_path, tmp_path / "link", "/dev/null"):
        done = evalctl("report", bundle, "--out", out)
        assert done.code == 2, out
    assert evalctl("report", bundle, "--out", tmp_path / "none" / "report.html").code == 2
    assert evalctl("verify", bundle).code == 0
    assert not (tmp_path / "elsewhere").exists()
