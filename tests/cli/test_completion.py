"""Completion in real shells: every command and option, and no Python at TAB."""

import shutil
import subprocess
from pathlib import Path

import pytest

from launcher.cli.app import run
from launcher.cli.commands import all_commands
from launcher.cli.completion import SHELLS
from launcher.cli.shells.parameters import describe
from tests.cli.test_commands import options_of

TYPE = """
source "$1"; shift
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
_evalctl 2>/dev/null
printf '%s\\n' "${COMPREPLY[@]}"
"""


@pytest.fixture
def script(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    return written("bash", tmp_path, capsys)


def written(shell: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    assert run(["completion", shell]) == 0
    path = folder / f"evalctl.{shell}"
    path.write_text(capsys.readouterr().out)
    return path


def typed(script: Path, *words: str, folder: Path | None = None) -> list[str]:
    """Return what bash offers for the last of `words`, with neither Python nor evalctl on the path."""
    shown = subprocess.run(
        [str(shutil.which("bash")), "-c", TYPE, "bash", str(script), *words],
        env={"PATH": "/nowhere", "HOME": str(script.parent)},
        cwd=folder or script.parent,
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    )
    return [line for line in shown.stdout.splitlines() if line]


def test_bash_offers_every_first_word_and_every_second(script: Path) -> None:
    firsts = typed(script, "evalctl", "")
    assert set(firsts) == {command.words[0] for command in all_commands()} | {"--help", "--version"}
    assert firsts[:2] == ["init", "pin"]
    assert typed(script, "evalctl", "key", "") == ["new", "show"]
    assert typed(script, "evalctl", "la") == ["launch"]
    assert typed(script, "evalctl", "image", "insp") == ["inspect"]


@pytest.mark.parametrize("command", all_commands(), ids=lambda command: " ".join(command.words))
def test_bash_offers_every_option_of_a_command(
    command: object, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    script = written("bash", tmp_path, capsys)
    (described,) = (item for item in describe() if item.command == command)
    offered = set(typed(script, "evalctl", *described.command.words, "--"))
    assert offered == {name for name in options_of(described.command) if name.startswith("--")} | {"--help"}


def test_bash_offers_known_words_and_leaves_files_to_itself(script: Path) -> None:
    assert typed(script, "evalctl", "schema", "resu") == ["result"]
    assert typed(script, "evalctl", "launch", "--runtime", "") == ["runc", "runsc"]
    assert typed(script, "evalctl", "validate", "") == []
    assert typed(script, "evalctl", "launch", "--note", "x") == []
    assert typed(script, "evalctl", "nothing", "") == []


def test_bash_offers_folders_where_a_folder_is_wanted(script: Path) -> None:
    (script.parent / "results").mkdir()
    (script.parent / "result.txt").write_text("")
    assert typed(script, "evalctl", "launch", "--out", "res") == ["results"]


def test_bash_offers_the_bundles_of_the_home_by_their_first_digits(script: Path) -> None:
    bundles = script.parent / ".local" / "share" / "evalctl" / "bundles"
    for digit in "ab":
        (bundles / (digit * 64)).mkdir(parents=True)
    assert typed(script, "evalctl", "verify", "") == ["a" * 12, "b" * 12]
    assert typed(script, "evalctl", "show", "bb") == ["b" * 12]


@pytest.mark.parametrize("shell", SHELLS)
def test_each_shell_reads_its_script(shell: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    path = written(shell, tmp_path, capsys)
    done = subprocess.run([shell, "-n", str(path)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_fish_offers_commands_words_and_options(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    if shutil.which("fish") is None:
        pytest.skip("fish is not installed")
    path = written("fish", tmp_path, capsys)

    def offered(line: str) -> list[str]:
        command = [str(shutil.which("fish")), "--no-config", "-c", f"source {path}; complete -C '{line}'"]
        done = subprocess.run(
            command, capture_output=True, text=True, check=True, timeout=60, env={"HOME": str(tmp_path)}
        )
        return [row.split("\t")[0] for row in done.stdout.splitlines()]

    assert offered("evalctl la") == ["launch"]
    assert offered("evalctl image insp") == ["inspect"]
    assert offered("evalctl schema resu") == ["result"]
    assert offered("evalctl launch --run") == ["--runtime"]
    assert offered("evalctl launch --runtime ") == ["runc", "runsc"]


def test_zsh_takes_its_script_as_the_completion_of_evalctl(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if shutil.which("zsh") is None:
        pytest.skip("zsh is not installed")
    path = written("zsh", tmp_path, capsys)
    program = f"autoload -U compinit; compinit -D -u; source {path}; print $_comps[evalctl]"
    done = subprocess.run(
        [str(shutil.which("zsh")), "-f", "-c", program],
        capture_output=True,
        text=True,
        check=True,
        env={"HOME": str(tmp_path)},
    )
    assert done.stdout.strip() == "_evalctl"
