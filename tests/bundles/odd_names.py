"""Forgeries of names: what a shell, a terminal or another file system would take for something else."""

import os
from collections.abc import Iterator
from pathlib import Path

from tests.bundles.case import Case, Forge, rows
from tests.bundles.forging import sealed, signed_rows, then, write

_LONG = "x" * 201
_DEEP = "/".join(["d"] * 16)
# Name of the artifact, and what is odd about it. All of them are listed and signed by the trusted key.
_ODD = {
    "line-feed": ("a\nb", "a line feed in its name"),
    "escape": ("\x1b[2J\x1b[31mok", "terminal escapes in its name"),
    "carriage-return": ("ok\rfailed", "a carriage return in its name"),
    "tab": ("a\tb", "a tab in its name"),
    "delete": ("a\x7f", "a delete character in its name"),
    "bell": ("a\x07", "a bell in its name"),
    "c1-control": ("a\x9b31m", "a C1 control character in its name"),
    "bidi": ("a\u202egnp.exe", "a right-to-left override in its name"),
    "zero-width": ("pl\u200bot.png", "a zero-width space in its name"),
    "nfc": ("caf\u00e9", "a composed accent in its name"),
    "nfd": ("cafe\u0301", "a combining accent in its name"),
    "homoglyph": ("pl\u043et.png", "a Cyrillic letter in its name"),
    "fullwidth": ("\uff0e\uff0e", "full-width dots for a name"),
    "three-dots": ("...", "three dots for a name"),
    "hidden": (".bashrc", "a leading dot in its name"),
    "option": ("-rf", "a leading dash in its name"),
    "leading-space": (" plot", "a leading space in its name"),
    "trailing-space": ("plot ", "a trailing space in its name"),
    "trailing-dot": ("plot.", "a trailing dot in its name"),
    "stream": ("plot.png:hidden", "a stream of NTFS for a name"),
    "drive": ("C:", "a drive of Windows for a name"),
    "backslash": ("..\\..\\plot", "backslashes for separators"),
    "wildcard": ("*", "a wildcard for a name"),
    "question-mark": ("plot?.png", "a wildcard in its name"),
    "quote": ('a"b', "a quotation mark in its name"),
    "apostrophe": ("a'b", "an apostrophe in its name"),
    "command": ("$(reboot)", "a command in its name"),
    "backquote": ("`reboot`", "a command in its name"),
    "semicolon": ("a;b", "a semicolon in its name"),
    "pipe-character": ("a|b", "a pipe in its name"),
    "markup": ("<script>", "markup in its name"),
    "home": ("~root", "somebody's home for a name"),
    "percent": ("%2e%2e", "percent escapes in its name"),
    "dos-device": ("nul.png", "a device of Windows for a name"),
    "dos-device-capitals": ("CON", "a device of Windows for a name"),
    "dos-port": ("com1", "a port of Windows for a name"),
    "long": (_LONG, "a name of 201 characters"),
    "deep": (f"{_DEEP}/x", "18 folders above it"),
}


def cases() -> Iterator[Case]:
    """Yield the forgeries of names."""
    signed = {
        f"name-{title}": (
            f"signed an artifact with {said}",
            sealed(write(f"artifacts/{name}", b"")),
            "which it may not",
        )
        for title, (name, said) in _ODD.items()
    }
    yield from rows("names", "files", signed)
    yield from rows("names", "files", _UNSIGNED)
    yield from rows("names", "files", signed_rows(_COLLIDING))


def _bytes_name(bundle: Path) -> None:
    path = os.fsencode(bundle / "artifacts" / "0") + b"/\xff\xfe"
    os.close(os.open(path, os.O_CREAT | os.O_WRONLY))


def _many(*paths: str) -> Forge:
    return then(*(write(path, b"x") for path in paths))


_UNSIGNED = {
    "name-not-utf-8": ("gave an artifact a name that is no UTF-8", _bytes_name, "which it may not"),
    "name-attestation-in-capitals": (
        "added `attestations/RESULT.sigstore.json` beside the lower-case one",
        write("attestations/RESULT.sigstore.json", b"{}\n"),
        "which it may not",
    ),
    "name-lock-in-capitals": ("added `LOCK.json` beside `lock.json`", write("LOCK.json", b"{}"), "may not"),
    "name-folder-in-capitals": (
        "added the folder `Artifacts/` beside `artifacts/`",
        write("Artifacts/0/plot.png", b""),
        "which it may not",
    ),
    "name-key-in-capitals": (
        "named a co-signature by a key in capital digits",
        write(f"attestations/result.{'AB' * 32}.sigstore.json", b"{}\n"),
        "which it may not",
    ),
    "name-key-too-short": (
        "named a co-signature by half a key",
        write(f"attestations/result.{'ab' * 16}.sigstore.json", b"{}\n"),
        "which it may not",
    ),
    "name-reproduction-with-dots": (
        "named a reproduction `reproduction-a.b.sigstore.json`",
        write("attestations/reproduction-a.b.sigstore.json", b"{}\n"),
        "which it may not",
    ),
    "name-reproduction-without-id": (
        "named a reproduction `reproduction-.sigstore.json`",
        write("attestations/reproduction-.sigstore.json", b"{}\n"),
        "which it may not",
    ),
}
_COLLIDING = {
    "names-in-two-cases": (
        "signed two artifacts whose names differ in capitals alone",
        _many("artifacts/0/Plot.png", "artifacts/0/plot.PNG"),
        "are one name to some systems",
    ),
    "folders-in-two-cases": (
        "signed artifacts in two folders whose names differ in capitals alone",
        _many("artifacts/0/more/a", "artifacts/0/More/b"),
        "are one name to some systems",
    ),
    "file-and-folder-in-two-cases": (
        "signed a file and a folder whose names differ in capitals alone",
        _many("artifacts/0/more/a", "artifacts/0/MORE"),
        "are one name to some systems",
    ),
}
