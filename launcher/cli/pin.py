"""`evalctl pin`."""

import difflib
import sys
from pathlib import Path
from shlex import quote
from typing import Annotated, Any

import typer

from launcher.authoring.pin import Pinned
from launcher.authoring.pin import pin as pin_blueprint
from launcher.cli.options import Json, Offline
from launcher.cli.output import hint, print_json, say, say_next
from launcher.cli.targets import read_file
from launcher.errors import CheckFailedError, MalformedError
from launcher.report.progress import make_reporter
from launcher.report.text import printable
from launcher.sources.inputs import FetchSettings
from launcher.store.cache import Cache
from launcher.store.files import write_atomically
from launcher.store.home import find_home


def pin(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A blueprint (TOML), finished or not.")],
    yes: Annotated[bool, typer.Option("--yes", help="Write without asking.")] = False,
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing; exit 1 if something is not pinned.")
    ] = False,
    update: Annotated[
        list[str] | None,
        typer.Option(
            metavar="WHAT",
            help="Pin this anew: image, code, data:NAME or model:NAME; may be repeated.",
        ),
    ] = None,
    offline: Offline = False,
    as_json: Json = False,
) -> int:
    """Fill in a blueprint's digests, commit and sizes.

    An image layout gets its digest, a branch, a tag or nothing the commit, each input its checksum and size.
    The changes are shown and, once agreed to or with --yes, written in place; everything else in the file
    stays as it is, comments included. What is pinned already stays: running it again changes nothing.
    Without a terminal to ask on, nothing is written unless --yes is given (exit 2).
    """
    data = read_file(file)
    pinned = _pin(data, file, tuple(update or ()), offline=offline, quiet=as_json and not sys.stderr.isatty())
    if not as_json:
        _show(pinned, file)
    written = bool(pinned.changes) and not check and _agreed(file, yes=yes)
    if written:
        _write(file, data, pinned)
    if as_json:
        print_json(_as_object(pinned, file, written=written))
    elif check and pinned.changes:
        say(f"{file}: {len(pinned.changes)} value{'' if len(pinned.changes) == 1 else 's'} would change")
        hint(f"write with `evalctl pin {quote(str(file))}`")
    elif written or not pinned.changes:
        say_next(f"evalctl validate {quote(str(file))}")
    return 0 if written or not pinned.changes else 1


def _pin(data: bytes, file: Path, update: tuple[str, ...], *, offline: bool, quiet: bool) -> Pinned:
    reporter = make_reporter(quiet=quiet)
    try:
        settings = FetchSettings(file.parent, offline=offline, say=reporter.stage)
        return pin_blueprint(data, file, Cache(find_home().cache), settings, update)
    finally:
        reporter.close()


def _show(pinned: Pinned, file: Path) -> None:
    """Print the difference, as `diff -u` would, and the remarks."""
    before, after = (text.splitlines() for text in (pinned.before, pinned.after))
    lines = difflib.unified_diff(before, after, str(file), f"{file} (pinned)", lineterm="", n=2)
    for line in lines:
        print(printable(line))
    if not pinned.changes:
        print(f"{file}: everything is pinned")
    for remark in pinned.remarks:
        say(f"note: {remark}")


def _agreed(file: Path, *, yes: bool) -> bool:
    if yes:
        return True
    if not (sys.stdin is not None and sys.stdin.isatty() and sys.stderr.isatty()):
        raise MalformedError(
            "nothing was written: there is no terminal to ask on",
            code="not-confirmed",
            hint=f"agree with `evalctl pin {file} --yes`",
        )
    sys.stdout.flush()
    print(f"Write this to {printable(str(file))}? [Y/n] ", end="", file=sys.stderr, flush=True)
    answer = sys.stdin.readline()
    agreed = answer.endswith("\n") and answer.strip().lower() in ("", "y", "yes")
    if not agreed:
        say("nothing was written")
    return agreed


def _write(file: Path, data: bytes, pinned: Pinned) -> None:
    """Replace the file, through a link if it is one, unless somebody else changed it meanwhile."""
    if read_file(file) != data:
        raise CheckFailedError(
            f"`{file}` changed meanwhile: nothing was written",
            code="changed-meanwhile",
            hint=f"look again with `evalctl pin {file}`",
        )
    target = file.resolve()
    write_atomically(target, pinned.after.encode(), mode=target.stat().st_mode & 0o777)


def _as_object(pinned: Pinned, file: Path, *, written: bool) -> dict[str, Any]:
    return {
        "file": str(file),
        "pinned": written or not pinned.changes,
        "written": written,
        "changes": [
            {"key": change.key, "path": list(change.path), "value": change.value} for change in pinned.changes
        ],
        "remarks": list(pinned.remarks),
    }
