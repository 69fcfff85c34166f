"""A file enters the cache only with the lock's SHA-256, wherever it came from."""

import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from launcher.digest import sha256_hex
from launcher.errors import InfrastructureError
from launcher.image.places import Cache, Places, gather
from launcher.image.recipe import Artefact, Recipe, load_recipe
from tests.image.makers import make_deb, make_wheel, text_file
from tests.image.test_build import write_recipe

WHEEL = make_wheel({"thing.py": ""}, name="no_such_thing", version="0.0.0")
PACKAGE = make_deb(text_file("./usr/x"))
ARTEFACT = Artefact(
    "no-such-thing", "0.0.0", sha256_hex(WHEEL), len(WHEEL), "no_such_thing-0.0.0-py3-none-any.whl"
)


@pytest.fixture
def recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Recipe:
    """Return a recipe of one wheel that only a mirror can have; pip looks into an empty folder."""
    (tmp_path / "empty").mkdir()
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "empty"))
    write_recipe(tmp_path / "recipe", {}, {ARTEFACT.file: (ARTEFACT.name, ARTEFACT.version, WHEEL)})
    return load_recipe(tmp_path / "recipe")


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    folder = tmp_path / "cache"
    folder.mkdir()
    return Cache(folder)


@pytest.fixture
def served(tmp_path: Path) -> Iterator[str]:
    folder = tmp_path / "served"
    folder.mkdir()

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *arguments: object) -> None:
            super().__init__(*arguments, directory=str(folder))  # type: ignore[arg-type]

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


def test_a_file_in_the_cache_is_asked_for_nowhere(recipe: Recipe, cache: Cache) -> None:
    (cache.folder / ARTEFACT.sha256).write_bytes(WHEEL)
    said: list[str] = []
    gather(recipe, Places(cache, (), said.append))
    assert said == []


@pytest.mark.parametrize("name", [ARTEFACT.file, ARTEFACT.sha256])
def test_a_folder_is_a_mirror_by_name_and_by_digest(
    recipe: Recipe, cache: Cache, tmp_path: Path, name: str
) -> None:
    mirror = tmp_path / "mirror"
    mirror.mkdir()
    (mirror / name).write_bytes(WHEEL)
    gather(recipe, Places(cache, [str(tmp_path / "empty"), str(mirror)], lambda _: None))
    assert (cache.folder / ARTEFACT.sha256).read_bytes() == WHEEL
    assert [path.name for path in cache.folder.iterdir()] == [ARTEFACT.sha256]


def test_a_url_is_a_mirror(recipe: Recipe, cache: Cache, served: str, tmp_path: Path) -> None:
    (tmp_path / "served" / ARTEFACT.file).write_bytes(WHEEL)
    gather(recipe, Places(cache, [served], lambda _: None))
    assert (cache.folder / ARTEFACT.sha256).read_bytes() == WHEEL


def test_pip_is_asked_before_mirrors(recipe: Recipe, cache: Cache, tmp_path: Path) -> None:
    (tmp_path / "empty" / ARTEFACT.file).write_bytes(WHEEL)
    gather(recipe, Places(cache, (), lambda _: None))
    assert (cache.folder / ARTEFACT.sha256).read_bytes() == WHEEL


def test_wrong_bytes_everywhere_name_the_file_and_both_digests(
    recipe: Recipe, cache: Cache, tmp_path: Path
) -> None:
    other = b"other bytes"
    (tmp_path / "empty" / ARTEFACT.file).write_bytes(other)
    (cache.folder / ARTEFACT.sha256).write_bytes(other)
    with pytest.raises(InfrastructureError) as caught:
        gather(recipe, Places(cache, [str(tmp_path / "empty"), "http://127.0.0.1:9"], lambda _: None))
    error = caught.value
    assert error.code == "package-not-found"
    assert ARTEFACT.file in error.message
    assert ARTEFACT.sha256 in str(error.context) and sha256_hex(other) in str(error.context)
    assert "--mirror" in str(error.hint)
    assert list(cache.folder.iterdir()) == []


def test_a_cached_file_that_changes_after_it_was_found_is_not_opened(cache: Cache) -> None:
    (cache.folder / ARTEFACT.sha256).write_bytes(b"changed")
    with pytest.raises(InfrastructureError) as caught:
        cache.open(ARTEFACT)
    assert caught.value.code == "package-digest-mismatch"


APT = """
Dir::Etc::sourcelist "{folder}/sources.list";
Dir::Etc::sourceparts "/dev/null";
Dir::State::lists "{folder}/lists";
Acquire::Retries "0";
"""


@pytest.fixture
def apt_recipe(tmp_path: Path, served: str, monkeypatch: pytest.MonkeyPatch) -> Recipe:
    """Return a recipe of one package, on a machine whose apt knows the local server alone."""
    if not Path("/usr/lib/apt/apt-helper").exists():
        pytest.skip("this machine has no apt")
    (tmp_path / "lists" / "partial").mkdir(parents=True)
    (tmp_path / "sources.list").write_text(f"deb {served}debian bookworm main\n")
    (tmp_path / "apt.conf").write_text(APT.format(folder=tmp_path))
    monkeypatch.setenv("APT_CONFIG", str(tmp_path / "apt.conf"))
    write_recipe(tmp_path / "recipe", {"pool/main/t/tiny+1.deb": ("tiny", "1.0", PACKAGE)}, {})
    return load_recipe(tmp_path / "recipe")


def serve_package(tmp_path: Path, data: bytes) -> None:
    folder = tmp_path / "served" / "debian" / "pool" / "main" / "t"
    folder.mkdir(parents=True)
    (folder / "tiny+1.deb").write_bytes(data)


def test_apts_own_repositories_are_asked_by_path_without_lists(
    apt_recipe: Recipe, cache: Cache, tmp_path: Path
) -> None:
    serve_package(tmp_path, PACKAGE)
    gather(apt_recipe, Places(cache, (), lambda _: None))
    assert (cache.folder / apt_recipe.packages[0].sha256).read_bytes() == PACKAGE


def test_other_bytes_from_apt_are_told_with_both_digests(
    apt_recipe: Recipe, cache: Cache, tmp_path: Path
) -> None:
    serve_package(tmp_path, b"other")
    with pytest.raises(InfrastructureError) as caught:
        gather(apt_recipe, Places(cache, (), lambda _: None))
    assert sha256_hex(PACKAGE) in str(caught.value.context)
    assert sha256_hex(b"other") in str(caught.value.context)
