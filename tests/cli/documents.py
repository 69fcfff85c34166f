"""Documents: what they show of a terminal, held against what the commands say.

In a Markdown file, a fenced block whose first line begins with `$ ` shows commands and what they print. It
may leave lines out; a line that begins with `(...` says what. Every other line must come, in its order.
"""

import re
from collections.abc import Iterable
from pathlib import Path

from tests.cli.transcripts import Exchange, replay, settled


def exchanges(text: str) -> list[Exchange]:
    """Return the commands that a document shows, with the lines it shows below each."""
    shown = "".join(re.findall(r"(?ms)^```\w*\n(\$ .*?)^```$", text))
    parts = re.split(r"(?m)^\$ (.*)\n", shown)
    return [Exchange("", command, answer) for command, answer in zip(parts[1::2], parts[2::2], strict=True)]


def check(shown: list[Exchange], folder: Path) -> None:
    """Type every command in `folder`; assert that each line shown comes, in its order."""
    compare(shown, replay(shown, folder))


def compare(shown: list[Exchange], came: Iterable[Exchange]) -> None:
    """Assert that each line shown is in what came, in its order."""
    for claimed, got in zip(shown, came, strict=True):
        lines = iter(got.answer.splitlines())
        for line in settled(claimed.answer).splitlines():
            assert not line or line.startswith("(...") or line in lines, f"{line!r} is not in order in\n{got}"
