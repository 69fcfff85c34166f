"""Each fuzz target takes its seeds and a fixed number of their mutations without an error of another's."""

import random

import pytest

from tests.fuzz.seeds import seeds
from tests.fuzz.targets import TARGETS, attempt

RUNS = 150
# What two parsers may take differently, and what bounds are made of.
TOKENS = (
    b"{", b"}", b"[", b"]", b'"', b",", b":", b"null", b"true", b"-0", b"1e400", b"NaN", b"9007199254740993",
    b"\\ud800", b"\\u0000", b"\xed\xa0\x80", b"\xff", b"\xef\xbb\xbf", b"\r\n", b"\n\n", b"=", b"../",
    b"0" * 64, b"2026-02-30T00:00:00Z", b"1" * 5000, b"[" * 200, b"\xe2\x80\xa8", b"#", b"'", b"\x00",
)  # fmt: skip


def mutated(data: bytes, chance: random.Random) -> bytes:
    """Return `data` after a few changes: bits, tokens, cuts and copies of parts."""
    changed = bytearray(data)
    for _ in range(chance.randint(1, 4)):
        start = chance.randrange(len(changed) + 1)
        end = min(len(changed), start + chance.randrange(1, 40))
        match chance.randrange(5):
            case 0 if start < len(changed):
                changed[start] ^= 1 << chance.randrange(8)
            case 1:
                changed[start:end] = chance.choice(TOKENS)
            case 2:
                del changed[start:end]
            case 3:
                changed[start:start] = changed[chance.randrange(len(changed) + 1) :][: end - start]
            case _:
                changed[start:start] = chance.choice(TOKENS)
    return bytes(changed)


@pytest.mark.parametrize("target", TARGETS)
def test_a_reader_takes_what_fuzzing_begins_with(target: str) -> None:
    # A seed that is refused at once leads no mutation anywhere; some are of what did not succeed.
    TARGETS[target](seeds(target)[0])


@pytest.mark.parametrize("target", TARGETS)
def test_a_reader_returns_or_raises_our_own_error(target: str) -> None:
    chance, own = random.Random(target), seeds(target)
    for data in (*own, b"", b"\0", b"{}", b"[]", b"\xff" * 64):
        attempt(target, data)
    for _ in range(RUNS):
        data = mutated(chance.choice(own), chance)
        try:
            attempt(target, data)
        except Exception as error:
            error.add_note(f"{target} was given {data!r}"[:4000])
            raise
