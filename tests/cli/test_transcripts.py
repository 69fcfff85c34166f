"""What people type comes back as the transcripts say."""

from pathlib import Path

import pytest

from tests.cli.transcripts import CHECKOUT, FILES, needs, read, replay

LAYOUT = CHECKOUT / "images" / "eval-python" / "layout" / "index.json"


def cases() -> list[object]:
    marks = {path: [getattr(pytest.mark, mark) for mark in needs(path)] for path in FILES}
    return [pytest.param(path, marks=marks[path], id=path.stem) for path in FILES]


@pytest.mark.parametrize("path", cases())
def test_every_command_answers_as_its_transcript_says(path: Path, tmp_path: Path) -> None:
    if "image" in needs(path) and not LAYOUT.is_file():
        pytest.skip("images/eval-python is not built: make setup")
    expected = read(path)
    for number, got in enumerate(replay(expected, tmp_path)):
        assert str(got) == str(expected[number]), "review, then python -m tests.cli.write_transcripts"
