"""Bundles whose bytes cost their maker nothing and would cost a verifier its memory or its day."""

import os
import tracemalloc
from collections.abc import Iterable
from pathlib import Path

import pytest

from launcher.spec.bundle import MAX_BYTES, SAMPLES
from launcher.store.directory import Inventory
from launcher.store.hashing import hash_files
from launcher.verify import reading
from tests.fakes.world import SmallWorld

MANY, LARGE = 1 << 28, 8 << 20


def _sparse(path: Path, size: int) -> None:
    path.parent.mkdir(exist_ok=True)
    path.touch()
    os.truncate(path, size)


def _peak_of_a_failed_verification(world: SmallWorld, bundle: Path) -> int:
    world.verify(bundle)
    tracemalloc.start()
    try:
        assert world.verify(bundle).verdict == "failed"
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_samples_are_not_held_in_memory_before_their_signature_holds(world: SmallWorld) -> None:
    bundle = world.launch().bundle
    _sparse(bundle / SAMPLES, MANY)
    assert _peak_of_a_failed_verification(world, bundle) < MANY // 8


def test_too_many_attestations_are_refused_unread(world: SmallWorld) -> None:
    bundle = world.launch().bundle
    for number in range(64):
        _sparse(bundle / "attestations" / f"reproduction-{number}.sigstore.json", LARGE)
    assert _peak_of_a_failed_verification(world, bundle) < 4 * LARGE


def test_a_bundle_larger_than_any_is_refused_unread(world: SmallWorld) -> None:
    bundle = world.launch().bundle
    _sparse(bundle / "logs" / "x", MAX_BYTES)
    (check,) = world.verify(bundle).checks
    assert (check.status, "bytes" in check.detail) == ("failed", True)


def test_a_file_that_changes_after_it_was_hashed_is_not_parsed(
    world: SmallWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = world.launch().bundle
    data = (bundle / SAMPLES).read_bytes()

    def hash_and_change(inventory: Inventory, names: Iterable[str]) -> dict[str, str]:
        found = hash_files(inventory, names)
        (bundle / SAMPLES).write_bytes(data.replace(b"1", b"2"))
        return found

    monkeypatch.setattr(reading, "hash_files", hash_and_change)
    (check,) = world.verify(bundle).checks
    assert (check.status, "changed while it was read" in check.detail) == ("failed", True)
