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


def draws(counts: Sequence[int], resamples: int, columns: int) -> Iterator["Array"]:
    """Yield blocks of resamples: how often each group, of which there are `counts`, was drawn.

    A block is resample by group, and small enough that `columns` numbers a resample can be held too.
    """
    words, n = _words(), sum(counts)
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


def _count_few(words: Any, counts: Sequence[int]) -> "Array":
    """Count by comparing: the item of w is below b where w is below the least word whose item is b."""
    import numpy as np

    size, n = words.shape
    below = np.zeros((size, len(counts) + 1))
    below[:, -1] = n
    for group, end in enumerate(list(accumulate(counts))[:-1], start=1):
        least = -(-(end << 32) // n)
        below[:, group] = np.count_nonzero(words < np.uint64(least << 32), axis=1)
    drawn: Array = np.diff(below, axis=1)
    return drawn


def _count_many(counts: Sequence[int]) -> Any:
    """Return the function that counts by looking up each drawn item's group."""
    import numpy as np

    groups, group_of = len(counts), np.repeat(np.arange(len(counts)), counts)

    def count(words: Any, _: Sequence[int]) -> "Array":
        size, n = words.shape
        words >>= np.uint64(32)
        words *= np.uint64(n)
        words >>= np.uint64(32)
        picked = group_of[words.view(np.int64)]
        picked += groups * np.arange(size)[:, None]
        found = np.bincount(picked.ravel(), minlength=size * groups)
        return found.reshape(size, groups).astype(np.float64)

    return count
