"""`evalctl logs`."""

import codecs
import sys
from collections.abc import Iterator
from pathlib import Path
from shlex import quote
from typing import Annotated, Any, Final, TextIO

import typer

from launcher.cli.connect import connect
from launcher.cli.options import Json
from launcher.cli.output import pass_on, print_json, say
from launcher.errors import CheckFailedError, MalformedError
from launcher.report.reading import read_view
from launcher.report.text import printable
from launcher.runs.leftovers import reap_left_overs
from launcher.runs.tail import STREAMS, Piece, Stream, Wanted, attempt_pieces, bundle_pieces
from launcher.store.bundles import find_bundle
from launcher.store.home import Home, find_home
from launcher.store.naming import attempt_called

_MOST_JSON: Final = 16 << 20

AttemptOrBundle = Annotated[
    str,
    typer.Argument(
        metavar="ATTEMPT|LOCK|BUNDLE",
        help="The start of an attempt's id, of a lock's or bundle's digest, a bundle's folder, or the "
        "name of what runs.",
    ),
]
Follow = Annotated[bool, typer.Option("--follow", "-f", help="Go on until the attempt has ended.")]
OfReplicate = Annotated[
    int, typer.Option(metavar="N", min=0, show_default=False, help="Whose output; default: 0.")
]
OneStream = Annotated[str | None, typer.Option(metavar="NAME", help="stdout or stderr; default: both.")]


def logs(
    name: AttemptOrBundle,
    follow: Follow = False,
    replicate: OfReplicate = 0,
    stream: OneStream = None,
    as_json: Json = False,
) -> int:
    """Print what an attempt's containers write, or wrote.

    What they write to stderr comes on stderr. On a terminal control characters are escaped; elsewhere every
    byte is as it was written. Only what is captured is shown: `show` says where a log was cut.
    """
    home, wanted = find_home(), Wanted(replicate, _streams(stream))
    if follow and as_json:
        raise MalformedError(
            "`--follow` and `--json` exclude each other",
            code="usage",
            hint="`--json` prints one object at the end",
        )
    reap_left_overs(home, connect, say)
    pieces = _pieces(home, name, wanted, follow=follow)
    if as_json:
        print_json({"replicate": replicate, "files": _as_json(pieces)})
        return 0
    shown = _Shown()
    for piece in pieces:
        if not shown.write(piece):
            break
    return 0


def _pieces(home: Home, name: str, wanted: Wanted, *, follow: bool) -> Iterator[Piece]:
    """Return the pieces of the attempt called `name`, or of the bundle in that folder."""
    if Path(name).is_dir():
        bundle = find_bundle(home, name)
        result = read_view(bundle).result
        if result.redaction is not None and "logs" in result.redaction.withheld:
            raise CheckFailedError(
                f"the logs of `{name}` are withheld",
                code="withheld",
                context=result.redaction.said,
                hint=f"whoever keeps the original has them: `evalctl logs {result.redaction.original[7:19]}`",
            )
        _require_replicate(name, wanted.replicate, len(result.replicates))
        return bundle_pieces(bundle, wanted)
    found = attempt_called(home, name)
    count = found.state.get("replicates")
    if isinstance(count, int):
        _require_replicate(name, wanted.replicate, count)
    return attempt_pieces(home, found, wanted, follow=follow)


def _require_replicate(name: str, wanted: int, count: int) -> None:
    if wanted >= count:
        raise MalformedError(
            f"`{name}` has no replicate {wanted}",
            code="no-such-replicate",
            context=f"it has {count}, counted from 0",
            hint=f"evalctl logs {quote(name)} --replicate {count - 1}",
        )


def _streams(name: str | None) -> tuple[Stream, ...]:
    chosen = tuple(stream for stream in STREAMS if name in (None, stream))
    if not chosen:
        raise MalformedError(
            f"there is no stream `{name}`",
            code="unknown-stream",
            context="expected stdout or stderr",
            hint="see `evalctl logs --help`",
        )
    return chosen


def _as_json(pieces: Iterator[Piece]) -> list[dict[str, Any]]:
    kept: dict[tuple[str, str], bytearray] = {}
    for piece in pieces:
        kept.setdefault((piece.phase, piece.stream), bytearray()).extend(piece.data[:_MOST_JSON])
    return [
        {"phase": phase, "stream": stream, "bytes": len(data), "text": data.decode(errors="replace")}
        for (phase, stream), data in kept.items()
    ]


class _Shown:
    """Passes pieces on: as they are to a file or a pipe, escaped to a terminal."""

    def __init__(self) -> None:
        self._decoders: dict[tuple[str, str], codecs.IncrementalDecoder] = {}

    def write(self, piece: Piece) -> bool:
        """Show a piece on the stream that it was written to; return False once nobody reads any more."""
        target: TextIO = sys.stdout if piece.stream == "stdout" else sys.stderr
        return pass_on(target, self._escaped(piece).encode() if target.isatty() else piece.data)

    def _escaped(self, piece: Piece) -> str:
        """Return the piece as text that moves no cursor; a letter may be cut between two pieces."""
        key = (piece.phase, piece.stream)
        if key not in self._decoders:
            self._decoders[key] = codecs.getincrementaldecoder("utf-8")("backslashreplace")
        text = self._decoders[key].decode(piece.data)
        return "".join(each if each == "\t" else printable(each) for each in text)
