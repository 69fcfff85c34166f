"""Installing Debian packages: the lists are refreshed once, and a failure says what to type."""

from collections.abc import Callable
from pathlib import Path

import pytest

from scripts.console import Console, SetupError
from scripts.debian import install_packages

Apt = Callable[[str], Path]


@pytest.fixture
def apt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Apt:
    """Return a function that puts an `apt-get` on the path: it notes its first argument, then runs `body`."""

    def make(body: str) -> Path:
        program = tmp_path / "apt-get"
        program.write_text(f'#!/bin/sh\necho "$1" >>"{tmp_path}/calls"\n{body}\n')
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
        return tmp_path / "calls"

    return make


def test_packages_that_install_at_once_need_no_fresh_lists(apt: Apt) -> None:
    calls = apt("exit 0")
    install_packages(["mount"], Console())
    assert calls.read_text().split() == ["install"]


def test_packages_that_the_lists_do_not_hold_are_tried_again_with_fresh_ones(apt: Apt) -> None:
    calls = apt('test "$(wc -l <"${0%/*}/calls")" != 1')
    install_packages(["mount"], Console())
    assert calls.read_text().split() == ["install", "update", "install"]


@pytest.mark.parametrize("body", ["exit 100", 'test "$1" = update'])
def test_an_apt_that_does_not_work_is_said_with_what_to_type(apt: Apt, body: str) -> None:
    apt(body)
    with pytest.raises(SetupError) as caught:
        install_packages(["docker.io"], Console())
    assert "apt-get update && apt-get install -y docker.io" in str(caught.value)
