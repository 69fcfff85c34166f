"""RFC 6962 Merkle trees: hashes, inclusion and consistency proofs.

https://www.rfc-editor.org/rfc/rfc6962#section-2.1 and, for the checks,
https://www.rfc-editor.org/rfc/rfc9162#section-2.1.3. A tree is only ever seen through `Range`, which gives
the hash of the entries from `start` to `end`.
"""

import hashlib
from collections.abc import Callable, Sequence
from typing import Final

from launcher.errors import CheckFailedError

EMPTY_ROOT: Final = hashlib.sha256(b"").digest()
HASH_BYTES: Final = 32

Range = Callable[[int, int], bytes]


def leaf_hash(entry: bytes) -> bytes:
    """Return the hash of one entry."""
    return hashlib.sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the hash over two subtrees."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def fold(hashes: Sequence[bytes]) -> bytes:
    """Return the hash of the tree over these leaf hashes, or over equal complete subtrees."""
    if not hashes:
        return EMPTY_ROOT
    level = list(hashes)
    while len(level) > 1:
        paired = [node_hash(*level[at : at + 2]) for at in range(0, len(level) - 1, 2)]
        # The last of an odd number moves up as it is, which gives the same tree as splitting from the top.
        level = paired + level[len(paired) * 2 :]
    return level[0]


def split(count: int) -> int:
    """Return how many of `count` (at least 2) entries stand in the left subtree."""
    return int(1 << ((count - 1).bit_length() - 1))


def inclusion_proof(index: int, size: int, range_hash: Range) -> list[bytes]:
    """Return the hashes beside the way from entry `index` up to the root of the tree of `size` entries."""
    start, end, path = 0, size, []
    while end - start > 1:
        middle = start + split(end - start)
        if index < middle:
            path.append(range_hash(middle, end))
            end = middle
        else:
            path.append(range_hash(start, middle))
            start = middle
    return path[::-1]


def root_of_inclusion(leaf: bytes, index: int, size: int, path: Sequence[bytes]) -> bytes:
    """Return the root that `path` leads to; raises `CheckFailedError` for a path of another length."""
    if not 0 <= index < size:
        raise bad_proof("it is about an entry behind the end of the log")
    left, last, found = index, size - 1, leaf
    for sibling in path:
        if last == 0:
            raise bad_proof("it is too long")
        if left & 1 or left == last:
            found = node_hash(sibling, found)
            while not left & 1 and left:
                left, last = left >> 1, last >> 1
        else:
            found = node_hash(found, sibling)
        left, last = left >> 1, last >> 1
    if last:
        raise bad_proof("it is too short")
    return found


def consistency_proof(old: int, new: int, range_hash: Range) -> list[bytes]:
    """Return what shows that the tree of `old` entries is the beginning of that of `new`."""
    if old in (0, new):
        return []
    start, end, whole, path = 0, new, True, []
    while old != end:
        middle = start + split(end - start)
        if old <= middle:
            path.append(range_hash(middle, end))
            end = middle
        else:
            path.append(range_hash(start, middle))
            start, whole = middle, False
    # The old tree itself is what the reader has; any other subtree of it is not.
    return [*([] if whole else [range_hash(start, end)]), *path[::-1]]


def check_consistency(old: tuple[int, bytes], new: tuple[int, bytes], path: Sequence[bytes]) -> None:
    """Raise `CheckFailedError` unless `path` shows that the tree `old` (size, root) begins `new`."""
    (first, first_root), (second, second_root) = old, new
    if first > second:
        raise bad_proof("the log became shorter")
    if first in (0, second):
        if path or (first == second and first_root != second_root):
            raise bad_proof("two logs of the same size have different roots")
        return
    hashes = [first_root, *path] if first & (first - 1) == 0 else list(path)
    left, last = first - 1, second - 1
    while left & 1:
        left, last = left >> 1, last >> 1
    if not hashes:
        raise bad_proof("it is empty")
    before = after = hashes[0]
    for sibling in hashes[1:]:
        if last == 0:
            raise bad_proof("it is too long")
        if left & 1 or left == last:
            before, after = node_hash(sibling, before), node_hash(sibling, after)
            while not left & 1 and left:
                left, last = left >> 1, last >> 1
        else:
            after = node_hash(after, sibling)
        left, last = left >> 1, last >> 1
    if last or before != first_root or after != second_root:
        raise bad_proof("one log is not the beginning of the other")


def bad_proof(message: str) -> CheckFailedError:
    """Return the error that says a proof shows nothing."""
    return CheckFailedError(f"the ledger's proof does not hold: {message}", code="bad-ledger-proof")
