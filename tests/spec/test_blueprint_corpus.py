import re
from pathlib import Path

import pytest

from launcher.errors import MalformedError
from launcher.spec.reading import Definitions, read_blueprint

# How a message says what to write instead.
FIX = re.compile(
    r"must be |did you mean|known: |lacks |needs |it is a key of|write |leave |save |give |rename|"
    r"swap|lower it|close |add |put |keep one|name |text needs|one `key = value`|see https"
)
CORPUS = Path(__file__).parent / "blueprints"
GOOD = sorted(CORPUS.glob("*_good.toml"))
BAD = sorted(CORPUS.glob("*_bad.toml"))


def problems_text(path: Path, definitions: Definitions) -> str:
    """Return one line for each problem, in the order reported."""
    with pytest.raises(MalformedError) as caught:
        read_blueprint(path.read_bytes(), file=path.name, definitions=definitions)
    assert caught.value.code == "invalid-blueprint"
    assert caught.value.exit_status == 2
    return "".join(f"{problem}\n" for problem in caught.value.problems)


def test_the_corpus_is_as_large_as_it_must_be() -> None:
    assert len(BAD) >= 50
    assert len(GOOD) >= 2


@pytest.mark.parametrize("path", GOOD, ids=lambda path: path.stem)
def test_a_good_blueprint_is_read(path: Path, definitions: Definitions) -> None:
    blueprint = read_blueprint(
        path.read_bytes(), file=path.name, definitions=definitions, supported_only=False
    )
    assert blueprint.text.encode() == path.read_bytes()
    assert sum(metric.primary for metric in blueprint.metrics) == 1


@pytest.mark.parametrize("path", BAD, ids=lambda path: path.stem)
def test_a_bad_blueprint_gives_all_its_problems_with_their_places(
    path: Path, definitions: Definitions
) -> None:
    assert problems_text(path, definitions) == path.with_suffix(".txt").read_text(encoding="utf-8")


@pytest.mark.parametrize("path", BAD, ids=lambda path: path.stem)
def test_every_problem_has_a_place_and_says_what_to_write_instead(path: Path) -> None:
    for line in path.with_suffix(".txt").read_text(encoding="utf-8").splitlines():
        place, message = line.split(": ", 1)
        assert re.fullmatch(rf"{path.name}:[1-9][0-9]*:[1-9][0-9]*", place)
        assert FIX.search(message), line
