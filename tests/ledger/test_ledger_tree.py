"""Merkle trees against the recursive definitions of RFC 6962, and tiles against trees."""

from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from launcher.errors import CheckFailedError
from launcher.ledger.tiles import WIDTH, Hashes, Tile, last_tile, pack_entries, tiles_of, unpack_entries
from launcher.ledger.tree import (
    check_consistency,
    consistency_proof,
    fold,
    inclusion_proof,
    leaf_hash,
    root_of_inclusion,
)

# https://github.com/google/certificate-transparency/blob/master/python/ct/crypto/merkle_test.py
INPUTS = [
    bytes.fromhex(text)
    for text in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
ROOTS = (
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
)


def plain_root(entries: list[bytes]) -> bytes:
    """MTH of RFC 6962, section 2.1."""
    if not entries:
        return sha256(b"").digest()
    if len(entries) == 1:
        return sha256(b"\0" + entries[0]).digest()
    k = largest_power_below(len(entries))
    return sha256(b"\1" + plain_root(entries[:k]) + plain_root(entries[k:])).digest()


def plain_path(m: int, entries: list[bytes]) -> list[bytes]:
    """PATH of RFC 6962, section 2.1.1."""
    if len(entries) == 1:
        return []
    k = largest_power_below(len(entries))
    if m < k:
        return [*plain_path(m, entries[:k]), plain_root(entries[k:])]
    return [*plain_path(m - k, entries[k:]), plain_root(entries[:k])]


def plain_subproof(m: int, entries: list[bytes], whole: bool) -> list[bytes]:
    """SUBPROOF of RFC 6962, section 2.1.2."""
    if m == len(entries):
        return [] if whole else [plain_root(entries)]
    k = largest_power_below(len(entries))
    if m <= k:
        return [*plain_subproof(m, entries[:k], whole), plain_root(entries[k:])]
    return [*plain_subproof(m - k, entries[k:], False), plain_root(entries[:k])]


def largest_power_below(count: int) -> int:
    k = 1
    while k * 2 < count:
        k *= 2
    return k


def entries_of(size: int) -> list[bytes]:
    return [b"entry %d" % number for number in range(size)]


def tiled(entries: list[bytes]) -> Hashes:
    """The hashes of a log out of tiles that are made in the plainest way."""

    def read(tile: Tile) -> bytes:
        span = WIDTH**tile.level
        first = tile.number * WIDTH
        starts = range(first * span, (first + tile.width) * span, span)
        return b"".join(plain_root(entries[start : start + span]) for start in starts)

    return Hashes(len(entries), read)


def test_roots_are_those_of_certificate_transparency() -> None:
    for size, root in enumerate(ROOTS, 1):
        assert (
            tiled(INPUTS[:size]).root.hex() == root == fold([leaf_hash(each) for each in INPUTS[:size]]).hex()
        )


@given(st.integers(1, 70), st.data())
def test_proofs_are_those_of_the_rfc(size: int, data: st.DataObject) -> None:
    entries = entries_of(size)
    index, old = data.draw(st.integers(0, size - 1)), data.draw(st.integers(1, size))
    hashes = tiled(entries)
    path = inclusion_proof(index, size, hashes.range)
    assert path == plain_path(index, entries)
    assert root_of_inclusion(leaf_hash(entries[index]), index, size, path) == plain_root(entries)
    proof = consistency_proof(old, size, hashes.range)
    assert proof == plain_subproof(old, entries, True)
    check_consistency((old, plain_root(entries[:old])), (size, plain_root(entries)), proof)


@given(st.integers(2, 40), st.data())
def test_a_changed_proof_does_not_hold(size: int, data: st.DataObject) -> None:
    entries = entries_of(size)
    index, old = data.draw(st.integers(0, size - 1)), data.draw(st.integers(1, size - 1))
    hashes, root = tiled(entries), plain_root(entries)
    for path, check in (
        (
            inclusion_proof(index, size, hashes.range),
            lambda path: root_of_inclusion(leaf_hash(entries[index]), index, size, path) == root or fail(),
        ),
        (
            consistency_proof(old, size, hashes.range),
            lambda path: check_consistency((old, plain_root(entries[:old])), (size, root), path),
        ),
    ):
        check(path)
        changed = list(path)
        at = data.draw(st.integers(0, len(path) - 1))
        what = data.draw(st.sampled_from(["flip", "drop", "more"]))
        if what == "flip":
            changed[at] = sha256(changed[at]).digest()
        elif what == "drop":
            del changed[at]
        else:
            changed.insert(at, changed[at])
        with pytest.raises(CheckFailedError):
            check(changed)


def fail() -> None:
    raise CheckFailedError("another root", code="bad-ledger-proof")


def test_another_past_is_not_consistent() -> None:
    entries = entries_of(20)
    forked = [*entries[:9], b"another", *entries[10:]]
    proof = consistency_proof(12, 20, tiled(entries).range)
    with pytest.raises(CheckFailedError, match="beginning"):
        check_consistency((12, plain_root(forked[:12])), (20, plain_root(entries)), proof)
    with pytest.raises(CheckFailedError, match="shorter"):
        check_consistency((20, plain_root(entries)), (12, plain_root(entries[:12])), [])
    with pytest.raises(CheckFailedError, match="different roots"):
        check_consistency((12, plain_root(forked[:12])), (12, plain_root(entries[:12])), [])


@pytest.mark.parametrize("size", [1, 255, 256, 257, 511, 512, 513, 700])
def test_large_trees_come_out_of_tiles(size: int) -> None:
    entries = entries_of(size)
    hashes = tiled(entries)
    assert hashes.root == plain_root(entries)
    for index in {0, size // 2, size - 1}:
        assert inclusion_proof(index, size, hashes.range) == plain_path(index, entries)
    for old in {min(2, size), size // 2 or 1, size}:
        assert consistency_proof(old, size, hashes.range) == plain_subproof(old, entries, True)


def test_tiles_have_the_paths_of_the_specification() -> None:
    assert Tile(0, 1234067).path == "tile/0/x001/x234/067"
    assert Tile(-1, 5, 12).path == "tile/entries/005.p/12"
    partial = [tile for level in range(3) if (tile := last_tile(level, 70_000))]
    assert [(tile.level, tile.number, tile.width) for tile in partial] == [
        (0, 273, 112),
        (1, 1, 17),
        (2, 0, 1),
    ]
    assert [tile.path for tile in tiles_of(256, 1)] == ["tile/1/000.p/1"]
    assert list(tiles_of(0, 0)) == []


@given(st.lists(st.binary(max_size=300), max_size=20))
def test_bundles_of_entries_are_read_back(entries: list[bytes]) -> None:
    assert unpack_entries(pack_entries(entries), len(entries)) == entries


@given(st.binary(max_size=64), st.integers(1, 256))
def test_other_bytes_are_no_bundle(data: bytes, width: int) -> None:
    try:
        assert pack_entries(unpack_entries(data, width)) == data
    except CheckFailedError:
        return
