"""Set-up builds the layouts that blueprints pin, and nothing that is there already."""

import json
from pathlib import Path

import pytest

from scripts.console import Console, SetupError
from scripts.layouts import LARGE, ensure_large_layouts, ensure_layouts, held_digests, pinned_layouts

PINNED = "sha256:" + "a" * 64
OTHER = "sha256:" + "b" * 64
BUILDER = """#!/bin/sh
set -e
test "$1 $2 $3" = "image build images/tiny"
mkdir -p "$3/layout"
printf '{"manifests": [{"digest": "%s"}]}' DIGEST >"$3/layout/index.json"
echo built >>builds
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Return a checkout with one blueprint and a stand-in for evalctl that builds what is pinned."""
    blueprint = tmp_path / "blueprints" / "demo" / "blueprint.toml"
    blueprint.parent.mkdir(parents=True)
    blueprint.write_text(f'[image]\nref = "oci:../../images/tiny/layout@{PINNED}"\n')
    (tmp_path / "images" / "tiny").mkdir(parents=True)
    (tmp_path / ".venv" / "bin").mkdir(parents=True)
    _builds(tmp_path, PINNED)
    return tmp_path


def _builds(checkout: Path, digest: str) -> None:
    evalctl = checkout / ".venv" / "bin" / "evalctl"
    evalctl.write_text(BUILDER.replace("DIGEST", digest))
    evalctl.chmod(0o755)


def test_a_pinned_layout_is_built_once(checkout: Path) -> None:
    ensure_layouts(checkout, Console())
    ensure_layouts(checkout, Console())
    assert (checkout / "builds").read_text() == "built\n"
    assert held_digests(checkout / "images" / "tiny" / "layout") == {PINNED}


def test_a_layout_of_an_older_recipe_is_built_again(checkout: Path) -> None:
    layout = checkout / "images" / "tiny" / "layout"
    layout.mkdir()
    (layout / "index.json").write_text(json.dumps({"manifests": [{"digest": OTHER}]}))
    ensure_layouts(checkout, Console())
    assert held_digests(layout) == {PINNED}


def test_a_build_that_comes_out_otherwise_than_pinned_is_an_error_with_both_digests(checkout: Path) -> None:
    _builds(checkout, OTHER)
    with pytest.raises(SetupError) as caught:
        ensure_layouts(checkout, Console())
    assert PINNED in str(caught.value)
    assert OTHER in str(caught.value)


def test_a_build_that_fails_shows_the_end_of_its_output(checkout: Path) -> None:
    evalctl = checkout / ".venv" / "bin" / "evalctl"
    evalctl.write_text("#!/bin/sh\necho no such package\nexit 4\n")
    with pytest.raises(SetupError, match="status 4") as caught:
        ensure_layouts(checkout, Console())
    assert "no such package" in str(caught.value)


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"manifests": 1}', '{"manifests": [{}]}'])
def test_a_broken_index_counts_as_no_layout(tmp_path: Path, text: str) -> None:
    (tmp_path / "index.json").write_text(text)
    assert held_digests(tmp_path) == set()


def test_a_large_layout_is_built_only_where_it_is_asked_for(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ensure_large_layouts(checkout, Console())
    assert not (checkout / "builds").exists()
    monkeypatch.setattr("scripts.layouts.LARGE", {"tiny"})
    ensure_layouts(checkout, Console())
    assert not (checkout / "builds").exists()
    ensure_large_layouts(checkout, Console())
    assert held_digests(checkout / "images" / "tiny" / "layout") == {PINNED}


def test_every_image_that_counts_as_large_has_a_recipe() -> None:
    images = Path(__file__).parents[2] / "images"
    assert all((images / name / "recipe.toml").is_file() for name in LARGE)


def test_images_from_elsewhere_are_not_ours_to_build(checkout: Path) -> None:
    blueprint = checkout / "blueprints" / "demo" / "blueprint.toml"
    for reference in (f"registry.example/acme/tiny@{PINNED}", f"oci:image@{PINNED}"):
        blueprint.write_text(f'[image]\nref = "{reference}"\n')
        assert pinned_layouts(checkout) == {}
