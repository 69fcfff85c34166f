"""Folders that somebody else filled, and a person who types a command in one of them."""

from pathlib import Path

import pytest

from launcher.store.bundles import find_bundle
from tests.fakes.world import SmallWorld


def test_a_digest_means_the_store_whatever_the_current_directory_holds(
    world: SmallWorld, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = world.launch().bundle
    monkeypatch.chdir(tmp_path)
    for name in (bundle.name, f"sha256:{bundle.name}"):
        (tmp_path / name).mkdir()
        assert find_bundle(world.home, name) == bundle
