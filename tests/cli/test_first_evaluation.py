"""The guide to a first evaluation shows what its commands say, one after the other."""

import os
import re
import subprocess
from pathlib import Path

import pytest

from tests.cli.transcripts import CHECKOUT, settled

GUIDE = (CHECKOUT / "docs" / "first-evaluation.md").read_text()
LAYOUT = CHECKOUT / "images" / "eval-python" / "layout" / "index.json"
BIN = CHECKOUT / ".venv" / "bin"
AUTHOR = {
    f"GIT_{who}_{what}": value
    for who in ("AUTHOR", "COMMITTER")
    for what, value in (("NAME", "A. Author"), ("EMAIL", "a@example.org"))
}
TYPED = "Write this to blueprint.toml? [Y/n] y"


def exchanges() -> list[tuple[str, list[str]]]:
    """Return each command of the guide with the lines below it."""
    blocks = "\n".join(re.findall(r"(?ms)^```\n(.*?)^```$", GUIDE))
    parts = re.split(r"(?m)^\$ (.*)\n", blocks + "\n")
    assert not parts[0]
    return [(command, answer.splitlines()) for command, answer in zip(parts[1::2], parts[2::2], strict=True)]


@pytest.mark.engine
@pytest.mark.image
def test_every_command_of_the_guide_answers_as_it_says(tmp_path: Path) -> None:
    if not LAYOUT.is_file():
        pytest.skip("images/eval-python is not built: make setup")
    folder = tmp_path
    for command, lines in exchanges():
        if command.startswith("cd "):
            folder /= command.removeprefix("cd ")
            continue
        said = iter(
            settled(answer(command, folder, tmp_path / "home"), [(str(CHECKOUT), "<checkout>")]).split("\n")
        )
        for line in settled("\n".join(lines)).split("\n"):
            shown = not line or line.startswith("(...") or line == TYPED or line in said
            assert shown, f"{line!r} is not in order in what {command!r} says"


def answer(command: str, folder: Path, home: Path) -> str:
    """Type `command` as on a terminal, where `pin` asks; return what comes back."""
    if command.startswith("evalctl pin "):
        command += " --yes"
    done = subprocess.run(
        ["bash", "-c", command],
        cwd=folder,
        env=os.environ | AUTHOR | {"EVALCTL_HOME": str(home), "PATH": f"{BIN}:{os.environ['PATH']}"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout
