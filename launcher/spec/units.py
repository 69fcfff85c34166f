"""Sizes, durations and moments as people write them, in exact bytes and whole seconds."""

import re
from datetime import UTC, datetime

MAX_SIZE = 2**53 - 1
MAX_DURATION = 366 * 86_400

SIZE_PATTERN = r"[1-9][0-9]{0,15}(?:B|KB|MB|GB|TB|KiB|MiB|GiB|TiB)"
DURATION_PATTERN = r"(?=[1-9])(?:[0-9]{1,3}d)?(?:[0-9]{1,4}h)?(?:[0-9]{1,6}m)?(?:[0-9]{1,8}s)?"

_BYTES = {
    "TiB": 1 << 40,
    "GiB": 1 << 30,
    "MiB": 1 << 20,
    "KiB": 1 << 10,
    "TB": 10**12,
    "GB": 10**9,
    "MB": 10**6,
    "KB": 10**3,
    "B": 1,
}
_SECONDS = {"d": 86_400, "h": 3600, "m": 60, "s": 1}


def parse_size(text: str) -> int:
    """Return the bytes that `text` names; raises `ValueError` with advice."""
    if re.fullmatch(SIZE_PATTERN, text) is None:
        raise ValueError(_size_advice(text))
    digits = text.rstrip("BKMGTi")
    size = int(digits) * _BYTES[text[len(digits) :]]
    if size > MAX_SIZE:
        raise ValueError("it is beyond 2^53 bytes")
    return size


def _size_advice(text: str) -> str:
    match = re.fullmatch(r"\s*([1-9][0-9]{0,8})\s*([KMGT])(i?)B?\s*", text, re.IGNORECASE)
    if match is None:
        return "write a whole number and one of B, KiB, MiB, GiB, TiB, KB, MB, GB, TB"
    number, prefix = match[1], match[2].upper()
    return f"write `{number}{prefix}iB` (1024-based) or `{number}{prefix}B` (1000-based)"


def parse_duration(text: str) -> int:
    """Return the whole seconds that `text` names; raises `ValueError` with advice."""
    if re.fullmatch(DURATION_PATTERN, text) is None:
        if re.search(r"[0-9]ms$", text):
            raise ValueError("durations are whole seconds")
        raise ValueError("write days, hours, minutes, seconds in this order: `1d`, `2h`, `45m`, `90s`")
    seconds = sum(int(number) * _SECONDS[unit] for number, unit in re.findall(r"([0-9]+)([dhms])", text))
    if seconds > MAX_DURATION:
        raise ValueError("it is longer than 366 days")
    return seconds


def duration_text(seconds: int) -> str:
    """Return the spelling of whole seconds in the largest units, such as `1d12h`."""
    parts = []
    for unit, size in _SECONDS.items():
        count, seconds = divmod(seconds, size)
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts) or "0s"


def size_text(size: int) -> str:
    """Return the shortest exact spelling of `size` bytes in binary units."""
    for unit in ("TiB", "GiB", "MiB", "KiB"):
        if size and size % _BYTES[unit] == 0:
            return f"{size // _BYTES[unit]}{unit}"
    return f"{size}B"


def time_text(moment: datetime) -> str:
    """Return a moment as TOML and people write it: `2027-06-01T00:00:00Z`."""
    try:
        return moment.astimezone(UTC).replace(tzinfo=None).isoformat() + "Z"
    except OverflowError:  # at the ends of the calendar, in another zone
        return moment.isoformat()
