"""Edit distances by this image's compiled operator; `python -m eval_op` checks it against plain Python."""

import ctypes
from collections.abc import Sequence

import numpy

LIBRARY = "/usr/local/lib/libeval_op.so"
FAULTS = {1: ValueError("offsets do not rise"), 2: MemoryError("no memory for the distances")}


def edit_distances(first: Sequence[str], second: Sequence[str]) -> numpy.ndarray:
    """Return how many insertions, deletions and replacements of code points part each pair of texts."""
    if len(first) != len(second):
        raise ValueError(f"{len(first)} and {len(second)} texts are no pairs")
    distances = numpy.empty(len(first), dtype=numpy.int64)
    arrays = [*_symbols(first), *_symbols(second)]
    pointers = [ctypes.c_void_p(array.ctypes.data) for array in arrays]
    operator = ctypes.CDLL(LIBRARY).eval_op_edit_distances
    status = operator(*pointers, ctypes.c_int64(len(first)), ctypes.c_void_p(distances.ctypes.data))
    if status:
        raise FAULTS[status]
    return distances


def _symbols(texts: Sequence[str]) -> tuple[numpy.ndarray, numpy.ndarray]:
    """Return all code points in one array, and where each text begins and the last one ends."""
    symbols = numpy.frombuffer("".join(texts).encode("utf-32-le"), dtype=numpy.int32)
    lengths = numpy.array([0, *map(len, texts)], dtype=numpy.int64)
    return symbols, numpy.cumsum(lengths)


def plain_distance(first: str, second: str) -> int:
    """Return the same number, slowly."""
    row = list(range(len(second) + 1))
    for at, symbol in enumerate(first, 1):
        diagonal, row[0] = row[0], at
        for column, other in enumerate(second, 1):
            diagonal, row[column] = (
                row[column],
                min(row[column] + 1, row[column - 1] + 1, diagonal + (symbol != other)),
            )
    return row[-1]


def self_check(pairs: int = 200) -> None:
    """Raise `AssertionError` unless the operator agrees with plain Python on texts made from a fixed seed."""
    generator = numpy.random.default_rng(1)
    words = ["", "kitten", "sitting", "naïve", "日本語", "🙂🙃"]
    words += ["".join(generator.choice(list("abcd"), size=generator.integers(0, 12))) for _ in range(pairs)]
    first, second = words, words[::-1]
    expected = [plain_distance(one, other) for one, other in zip(first, second, strict=True)]
    found = edit_distances(first, second).tolist()
    if found != expected:
        raise AssertionError(f"expected {expected}, got {found}")


if __name__ == "__main__":
    self_check()
    print("the operator agrees with plain Python")
