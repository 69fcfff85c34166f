from pathlib import Path

import pytest

from launcher.errors import MalformedError
from launcher.spec.reading import Definitions, read_blueprint

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
