"""Draw items with replacement, with the random numbers that `metrics/bootstrap.py` defines."""

import hashlib
from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

_SEED: Final = b"evalctl/bootstrap/v1"
_BLOCK: Final = 1 << 20
_FEW_GROUPS: Final = 24
_MANY_ITEMS: Final = 1 << 18
_PIECE: Final = 1 << 16


def draws(counts: Sequence[int], resamples: int, columns: int) -> Iterator["Array"]:
    """Yield blocks of resamples: how often each group, of which there are `counts`, was drawn.

    A block is resample by group, and small enough that `columns` numbers a resample can be held too.
    """
    words, n = _words(), int(sum(counts))
    if n > _MANY_ITEMS:
        yield from _count_in_pieces(words, counts, resamples, n)
        return
    block = max(1, _BLOCK // max(n, len(counts), columns))
    count = _count_few if len(counts) <= _FEW_GROUPS else _count_many(counts)
    for start in range(0, resamples, block):
        size = min(block, resamples - start)
        yield count(words.random_raw(size * n).reshape(size, n), counts)


def _words() -> Any:
    import numpy as np

    seed = hashlib.sha256(_SEED).digest()
    generator = np.random.PCG64(0)
    generator.state = {
        "bit_generator": "PCG64",
        "state": {"state": int.from_bytes(seed[:16]), "inc": int.from_bytes(seed[16:]) | 1},
        "has_uint32": 0,
        "uinteger": 0,
    }
    return generator


def _count_in_pieces(words: Any, counts: Sequence[int], resamples: int, n: int) -> Iterator["Array"]:
    """Count resamples of many items one by one, each in pieces that the processor's caches hold."""
    import numpy as np

    few = len(counts) <= _FEW_GROUPS
    group_of = None if few or len(counts) == n else np.repeat(np.arange(len(counts), dtype=np.uint32), counts)
    for _ in range(resamples):
        drawn = np.zeros((1, len(counts)))
        for start in range(0, n, _PIECE):
            piece = words.random_raw(min(_PIECE, n - start))
            if few:
                drawn += _count_few(piece.reshape(1, -1), counts)
                continue
            items = _items(piece, n)
            np.add.at(drawn[0], items if group_of is None else group_of[items], 1.0)
        yield drawn


def _items(words: Any, n: int) -> Any:
    """Return the item that each word draws, in the place of the words."""
    import numpy as np

    words >>= np.uint64(32)
    words *= np.uint64(n)
    words >>= np.uint64(32)
    return words.view(np.int64)


def _count_few(words: Any, counts: Sequence[int]) -> "Array":
    """Count by comparing: the item of w is below b where w is below the least word whose item is b."""
    import numpy as np

    size, drawn = words.shape
    n = int(sum(counts))
    below = np.zeros((size, len(counts) + 1))
    below[:, -1] = drawn
    for group, end in enumerate(list(accumulate(counts))[:-1], start=1):
        least = -(-(int(end) << 32) // n)
        below[:, group] = np.count_nonzero(words < np.uint64(least << 32), axis=1)
    found: Array = np.diff(below, axis=1)
    return found


def _count_many(counts: Sequence[int]) -> Any:
    """Return the function that counts by looking up each drawn item's group."""
    import numpy as np

    groups, group_of = len(counts), np.repeat(np.arange(len(counts)), counts)

    def count(words: Any, _: Sequence[int]) -> "Array":
        size, n = words.shape
        picked = group_of[_items(words, n)]
        picked += groups * np.arange(size)[:, None]
        found = np.bincount(picked.ravel(), minlength=size * groups)
        return found.reshape(size, groups).astype(np.float64)

    return count
