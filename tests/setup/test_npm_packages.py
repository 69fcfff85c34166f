"""The JavaScript packages are installed once for each lock, and their absence is said."""

from pathlib import Path

import pytest

from scripts.console import Console
from scripts.npm_packages import ensure_verifiers


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a checkout, and an `npm` on the path that notes its arguments and where it was started."""
    source = tmp_path / "tests" / "outside"
    source.mkdir(parents=True)
    for name in ("package.json", "package-lock.json", ".npmrc"):
        (source / name).write_text(f"{name}\n")
    program = tmp_path / "bin" / "npm"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\necho "$1 $PWD" >>{tmp_path}/calls\ntest ! -e {tmp_path}/broken\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")
    return tmp_path


def calls(checkout: Path) -> list[str]:
    return (checkout / "calls").read_text().splitlines()


def test_packages_are_installed_once_and_again_when_the_lock_changes(checkout: Path) -> None:
    for _ in range(2):
        ensure_verifiers(checkout, Console())
        assert calls(checkout) == [f"ci {checkout / 'build' / 'verifiers'}"]
    (checkout / "tests" / "outside" / "package-lock.json").write_text("another\n")
    ensure_verifiers(checkout, Console())
    assert len(calls(checkout)) == 2
    assert (checkout / "build" / "verifiers" / "package-lock.json").read_text() == "another\n"


def test_an_installation_that_failed_is_tried_again(checkout: Path) -> None:
    (checkout / "broken").touch()
    with pytest.raises(Exception, match="npm"):
        ensure_verifiers(checkout, Console())
    (checkout / "broken").unlink()
    ensure_verifiers(checkout, Console())
    assert len(calls(checkout)) == 2


def test_without_npm_it_is_said_what_to_type(
    checkout: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(checkout))
    ensure_verifiers(checkout, Console())
    assert "apt-get install -y nodejs npm" in capsys.readouterr().err
