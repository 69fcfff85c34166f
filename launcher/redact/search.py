"""Search a redacted bundle for what it withholds: the last look before anybody gets it.

Names of files, and texts that were signed, cannot be taken away: a sample that stands in one of them cannot
be withheld.
"""

import base64
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote_to_bytes

from launcher.errors import CheckFailedError
from launcher.redact.patterns import Patterns
from launcher.spec import bundle
from launcher.spec.sample import Sample
from launcher.trust.sigstore import open_envelope

# Shorter texts, and short ones of hexadecimal digits, stand in every bundle by chance.
_SHORTEST: Final = 6
_SHORTEST_HEX: Final = 12
_HEX: Final = frozenset("0123456789abcdefABCDEF")
_PIECE: Final = 1 << 20
_ESCAPES: Final = re.compile(rb"(?:\\u[0-9a-fA-F]{4})+")
_NAME_LIKE: Final = 12
_UNNAMED: Final = re.compile(r"[^A-Za-z0-9_.-]+")
_URL_SAFE: Final = bytes.maketrans(b"+/", b"-_")
# What programs leave; a text between quotes there, be it short, is one of their values.
_TOLD: Final = (bundle.EVENTS, bundle.LOGS, bundle.ARTIFACTS, bundle.PREDICTIONS)
_QUOTED: Final = re.compile(rb'"(?=([^"\n]{1,66})")')
_LONGEST_QUOTED: Final = 68


def telling_texts(samples: Iterable[Sample], public: Iterable[Sample]) -> frozenset[str]:
    """Return the texts of `samples` that are long enough to be found and stand in none of `public`.

    Of ids and tasks it is also each word that has a digit, for programs name files after them.
    """
    found: dict[str, set[str]] = {}
    for text in _all_texts(samples):
        found.setdefault(text.casefold(), set()).add(text)
    for text in _all_texts(public) if found else ():
        found.pop(text.casefold(), None)
    return frozenset(text for alike in found.values() for text in alike)


def _all_texts(samples: Iterable[Sample]) -> Iterator[str]:
    for sample in samples:
        names = re.split(r"[\s/:]+", f"{sample.task or ''} {sample.id}")
        words = [name for name in names if any(map(str.isdigit, name))]
        yield from filter(_is_long, (*_texts(sample.as_json()), *words))


def _is_long(text: str) -> bool:
    return len(text.encode()) >= (_SHORTEST_HEX if _HEX.issuperset(text) else _SHORTEST)


def _texts(value: Any) -> Iterator[str]:
    """Yield every string in the values of a sample; its field names are nobody's secret."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)
    elif isinstance(value, Mapping):
        for name, item in value.items():
            yield from _texts(item)
            if name not in Sample.__struct_fields__:
                yield name


def found_in(staging: Path, texts: frozenset[str]) -> str | None:
    """Return the first file in `staging` that holds one of `texts`, plain or encoded; else None.

    Commitments hold digests and the names of files, which stand in the original's listing too.
    """
    plain = Patterns(text.encode() for text in texts)
    renamed = Patterns(form for text in texts for form in _spellings(text))
    encoded = Patterns(form for text in texts for form in _encodings(text))
    longest = max((one.longest for one in (plain, renamed, encoded)), default=0)
    for path in sorted(path for path in staging.rglob("*") if path.is_file()) if texts else ():
        for data in _pieces(path, longest) if path.name != bundle.COMMITMENTS else ():
            readings = set(_readings(data))
            if (
                any(map(plain.any_in, readings))
                or any(renamed.any_in(reading.lower()) for reading in readings)
                or encoded.any_in(data)
            ):
                return path.relative_to(staging).as_posix()
    return None


def _readings(data: bytes) -> Iterator[bytes]:
    """Yield how bytes may be read: as they are, as UTF-16 of ASCII, with `\\uXXXX` or `%XX` resolved."""
    yield data
    if b"\0" in data:
        yield data.replace(b"\0", b"")
    if b"\\u" in data:
        yield _ESCAPES.sub(_resolved, data)
    if b"%" in data:
        yield unquote_to_bytes(data)


def _resolved(match: re.Match[bytes]) -> bytes:
    units = bytes.fromhex(match[0].replace(b"\\u", b"").decode())
    return units.decode("utf-16-be", "replace").encode()


def _pieces(path: Path, longest: int) -> Iterator[bytes]:
    """Yield a file in pieces that overlap by what one text takes; of an attestation also its payload."""
    # A character may take six bytes where it is escaped.
    overlap = 6 * longest
    with path.open("rb") as stream:
        rest = b""
        while piece := stream.read(_PIECE + overlap):
            yield rest + piece
            rest = (rest + piece)[-overlap:] if overlap else b""
    if path.name.endswith(".sigstore.json") and path.parent.name == bundle.ATTESTATIONS:
        yield open_envelope(path.read_bytes()).payload


def _spellings(text: str) -> Iterator[bytes]:
    """Yield in lower case how programs write a text: in hexadecimal, and as they name a file after it."""
    yield text.encode().hex().encode()
    # A short word without a digit may well be somebody else's, in another case.
    if len(text) >= _NAME_LIKE or any(map(str.isdigit, text)):
        yield text.encode().lower()
        yield json.dumps(text)[1:-1].encode().lower()
        named = (_UNNAMED.sub(mark, text).strip(mark) for mark in "-_.")
        # Of a text in another script little may be left.
        yield from (name.encode().lower() for name in named if len(name) >= _SHORTEST)


def _encodings(text: str) -> Iterator[bytes]:
    """Yield a text escaped, in base64 at any offset, and in UTF-16 where it is not ASCII."""
    data = text.encode()
    if not text.isascii():
        yield json.dumps(text)[1:-1].encode()
        yield text.encode("utf-16-le")
        yield text.encode("utf-16-be")
    for offset in range(3):
        # Only the characters that the text alone decides.
        shifted = base64.b64encode(bytes(offset) + data)
        first, last = (offset * 8 + 5) // 6, (offset + len(data)) * 8 // 6
        yield shifted[first:last]
        yield shifted[first:last].translate(_URL_SAFE)


def quoted_in(staging: Path, ids: Iterable[str], *, events: bool) -> str | None:
    """Return the first file told by programs that holds one of `ids` between quotes; else None.

    It is for ids that are too short to be looked for everywhere; of `events` where those are kept.
    """
    short = [name for name in ids if not _is_long(name)]
    wanted = {form for name in short for form in (name.encode(), json.dumps(name)[1:-1].encode())}
    told = [place for place in _TOLD if events or place != bundle.EVENTS]
    for path in sorted(path for path in staging.rglob("*") if path.is_file()) if wanted else ():
        place = path.relative_to(staging)
        if place.parts[0] in told:
            for data in _pieces(path, _LONGEST_QUOTED):
                if any(match[1] in wanted for match in _QUOTED.finditer(data)):
                    return place.as_posix()
    return None


def refuse_found(staging: Path, texts: frozenset[str], ids: Iterable[str], *, events: bool) -> None:
    """Raise `CheckFailedError` where a withheld sample still stands somewhere in the bundle."""
    place = found_in(staging, texts) or quoted_in(staging, ids, events=events)
    if place is not None:
        raise CheckFailedError(
            f"a withheld sample still stands in `{place}`, so there is no bundle",
            code="still-there",
            context="it is in a text that nobody withheld, or that was signed, such as a file's name",
            hint="withhold more, or leave out what `--keep` keeps; where it was signed, launch it again "
            "without it",
        )
