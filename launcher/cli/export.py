"""`evalctl export`: what other programs read of a bundle, and the verifier in one file."""

from pathlib import Path
from typing import Annotated

import typer

from launcher.cli.options import Json
from launcher.cli.output import print_json, say_next
from launcher.digest import digest_of
from launcher.errors import MalformedError
from launcher.store.files import write_atomically

_VERIFIER = Path(__file__).parent.parent / "exports" / "evalctl_verify.py"

OutFile = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Write it here; default: standard output.")
]


def verifier(out: OutFile = None, as_json: Json = False) -> int:
    """Print the stand-alone verifier, one Python file.

    It needs Python 3.11 and the package `cryptography`, and nothing of evalctl: `python3 evalctl_verify.py
    BUNDLE --key PUB` or `--trust trust.toml`. Its exit codes are those of `evalctl verify`; what it does not
    check it names.
    """
    data = _VERIFIER.read_bytes()
    place = _written(data, out)
    if as_json:
        print_json({"file": place, "digest": digest_of(data), "text": None if out else data.decode()})
    elif out is None:
        print(data.decode(), end="")
    else:
        print(out)
        say_next(f"python3 {out} BUNDLE --key PUB")
    return 0


def _written(data: bytes, out: Path | None) -> str | None:
    """Write `data` at `out` where there is one; refuse what is no regular file."""
    if out is None:
        return None
    if out.is_symlink() or (out.exists() and not out.is_file()):
        raise MalformedError(f"`{out}` is not a regular file", code="usage", hint="give the name of a file")
    if not out.absolute().parent.is_dir():
        raise MalformedError(f"there is no folder `{out.parent}`", code="usage", hint="make it first")
    write_atomically(out, data)
    return str(out)
