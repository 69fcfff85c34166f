"""Secrets as they may stand in what an evaluation writes: masked in logs, looked for in what it leaves."""

import base64
import json
import re
from collections.abc import Iterable, Mapping
from urllib.parse import quote, quote_plus

_LEAST_LINE = 16
# NumPy keeps texts as UTF-32, Windows as UTF-16; longer values would make looking for them slow.
_WIDE = ("utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be")
_LONGEST_WIDE = 512


class Masker:
    """Puts a secret's name in the place of its value, however the bytes are cut into pieces.

    Upper and lower case are not told apart. One for each stream.
    """

    def __init__(self, secrets: Mapping[str, str]) -> None:
        self._forms = {form: name for name, value in secrets.items() for form in forms(value)}
        longest_first = sorted(self._forms, key=len, reverse=True)
        self._pattern = re.compile(b"|".join(map(re.escape, longest_first))) if self._forms else None
        self._longest = max(map(len, self._forms), default=0)
        self._firsts = frozenset(form[0] for form in self._forms)
        self._rest = b""

    def feed(self, data: bytes) -> bytes:
        """Return what is known to be none of a secret, or is masked; the end may wait for what follows."""
        if self._pattern is None:
            return data
        out, rest = self._split(self._rest + data)
        kept = self._held(rest)
        self._rest = rest[len(rest) - kept :]
        return out + rest[: len(rest) - kept]

    def flush(self) -> bytes:
        """Return what still waits."""
        rest, self._rest = self._rest, b""
        return rest

    def mask(self, text: str) -> str:
        """Return a whole text masked."""
        if self._pattern is None:
            return text
        out, rest = self._split(text.encode("utf-8", "surrogateescape"))
        return (out + rest).decode("utf-8", "surrogateescape")

    def found(self, data: bytes) -> str | None:
        """Return the name of a secret that stands in `data`."""
        match = self._pattern.search(data.lower()) if self._pattern else None
        return self._forms[match[0]] if match else None

    def found_in(self, chunks: Iterable[bytes]) -> str | None:
        """Return the name of a secret that stands in the chunks put together."""
        tail = b""
        for chunk in chunks:
            tail += chunk
            if name := self.found(tail):
                return name
            tail = tail[-self._longest :]
        return None

    def _split(self, data: bytes) -> tuple[bytes, bytes]:
        """Return `data` up to its last secret, masked, and what follows that."""
        assert self._pattern is not None  # noqa: S101 - the callers looked
        out, at = bytearray(), 0
        for match in self._pattern.finditer(data.lower()):
            out += data[at : match.start()] + f"[secret {self._forms[match[0]]}]".encode()
            at = match.end()
        return bytes(out), data[at:]

    def _held(self, data: bytes) -> int:
        """Return how many bytes at the end may be the beginning of a secret."""
        tail = data[-(self._longest - 1) :].lower() if self._longest > 1 else b""
        for start in range(len(tail)):
            if tail[start] in self._firsts and any(form.startswith(tail[start:]) for form in self._forms):
                return len(tail) - start
        return 0


def forms(value: str) -> set[bytes]:
    """Return the bytes, in lower case, by which `value` is known: as it is, and as it is commonly written."""
    raw = value.encode("utf-8", "surrogateescape")
    lines = [line.strip() for line in raw.splitlines() if len(line.strip()) >= _LEAST_LINE]
    found = {raw, raw.hex().encode(), *lines}
    found |= {json.dumps(value, ensure_ascii=plain)[1:-1].encode(errors="replace") for plain in (True, False)}
    found |= {quote(raw, safe="").encode(), quote(raw).encode(), quote_plus(raw).encode()}
    if len(value) <= _LONGEST_WIDE:
        found |= {value.encode(wide, "surrogatepass") for wide in _WIDE}
    found |= {core for lead in range(3) for core in _base64_cores(raw, lead)}
    return {form.lower() for form in found if form}


def _base64_cores(raw: bytes, lead: int) -> Iterable[bytes]:
    """Yield what stands in any Base64 text of `raw` behind `lead` bytes (of three) of something else."""
    whole = base64.b64encode(bytes(lead) + raw)
    # The first digits mix with what came before, the last with what comes after.
    first = (0, 2, 3)[lead]
    last = len(whole) - (0, 4, 4)[(lead + len(raw)) % 3] + (0, 1, 2)[(lead + len(raw)) % 3]
    core = whole[first:last]
    yield core
    yield core.translate(bytes.maketrans(b"+/", b"-_"))
