"""`evalctl redact`."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from shlex import quote
from typing import Annotated, Any

import typer

from launcher.cli.options import (
    BundleName,
    BundleSigner,
    Json,
    Out,
    OwnKey,
    PassphraseDescriptor,
    TimestampUrl,
)
from launcher.cli.output import hint, print_json, say, say_next
from launcher.cli.signing import authority_for, missing_timestamps, read_signer, read_verifying_policy
from launcher.cli.site import SiteFile, site_authority
from launcher.errors import MalformedError
from launcher.redact import Redacted, Redactor
from launcher.redact import redact as redact_bundle
from launcher.spec.disclosure import Choice
from launcher.spec.redaction import SAMPLE_FIELDS, WITHHOLDABLE
from launcher.store.bundles import bundle_digest, copy_out, find_bundle, require_empty
from launcher.store.home import Home, find_home

_FIELDS = tuple(SAMPLE_FIELDS)
_BY_DEFAULT = tuple(word for word in WITHHOLDABLE if word not in SAMPLE_FIELDS)


_Withhold = Annotated[
    list[str] | None, typer.Option(metavar="WHAT,...", help=f"Of every sample: {', '.join(_FIELDS)}.")
]
_Samples = Annotated[
    list[str] | None, typer.Option(metavar="ID...", help="Withhold the samples of these ids whole, ids too.")
]
_More = Annotated[list[str] | None, typer.Argument(metavar="[ID]...", hidden=True)]
_SamplesFrom = Annotated[
    list[Path] | None, typer.Option(metavar="FILE", help="Withhold the samples whose ids are its lines.")
]
_Keep = Annotated[
    list[str] | None, typer.Option(metavar="WHAT,...", help=f"Do not withhold: {', '.join(_BY_DEFAULT)}.")
]


def redact(
    bundle: BundleName,
    withhold: _Withhold = None,
    samples: _Samples = None,
    more: _More = None,
    samples_from: _SamplesFrom = None,
    keep: _Keep = None,
    out: Out = None,
    key: OwnKey = None,
    passphrase_fd: PassphraseDescriptor = None,
    timestamp: TimestampUrl = None,
    site: SiteFile = None,
    signer: BundleSigner = None,
    as_json: Json = False,
) -> int:
    """Withhold parts of a bundle; the rest still verifies.

    Makes a new bundle, signed by you, that carries the original's signatures. Logs, artifacts, predictions/
    and the details of events are withheld unless kept. It works for bundles whose blueprint says
    `redactable = true`, in the home that launched them. It says which withheld values follow from what
    stays, and whether the rest can be guessed. The last line on stdout is the new bundle's path.
    """
    home = find_home()
    if out is not None:
        require_empty(out)
    if more and not samples:
        raise MalformedError(
            f"`redact` takes one bundle, and `{more[0]}` is too much",
            code="usage",
            hint=f"`evalctl redact BUNDLE --samples {more[0]}` withholds the sample of that id",
        )
    named = [identifier for file in samples_from or () for identifier in _lines(file)]
    choice = _choice(withhold or (), keep or (), [*(samples or ()), *(more or ()), *named])
    path = find_bundle(home, bundle)
    _require_key(home, key)
    own = read_signer(home, key, passphrase_fd, authority_for(timestamp, site_authority(site)))
    redactor = Redactor(home, own, read_verifying_policy(home, None, signer), datetime.now(UTC))
    made = redact_bundle(path, choice, redactor)
    place = copy_out(made.path, out) if out else made.path
    remarks = missing_timestamps(own)
    if as_json:
        print_json(_as_object(made, place, remarks))
        return 0
    _warn(made)
    for remark in remarks:
        say(f"note: {remark}")
    print(made.redaction.said)
    print(place)
    say_next(f"evalctl verify {quote(str(out)) if out else bundle_digest(made.path)[7:19]}")
    return 0


def _require_key(home: Home, key: Path | None) -> None:
    """Raise `MalformedError` rather than make a key in a home that launched nothing."""
    if key is None and not home.default_key.exists():
        raise MalformedError(
            "this home has no key to sign with, so it did not launch the bundle",
            code="no-key",
            context=f"the home is `{home.root}`",
            hint="set EVALCTL_HOME to the home that launched it, or name a key with `--key FILE`",
        )


def _as_object(made: Redacted, place: Path, remarks: Sequence[str]) -> dict[str, Any]:
    return {
        "bundle": str(place),
        "digest": bundle_digest(made.path),
        "redaction": made.redaction.as_json(),
        "left": list(made.left),
        "exposure": made.exposure.as_json() if made.exposure else None,
        "remarks": list(remarks),
    }


def _choice(withhold: Sequence[str], keep: Sequence[str], ids: Sequence[str]) -> Choice:
    fields = _words(withhold, _FIELDS, "--withhold")
    kept = _words(keep, _BY_DEFAULT, "--keep")
    return Choice(frozenset(fields) | {*_BY_DEFAULT} - {*kept}, frozenset(ids))


def _words(given: Sequence[str], known: tuple[str, ...], option: str) -> list[str]:
    words = [word.strip() for one in given for word in one.split(",") if word.strip()]
    for word in words:
        if word not in known:
            raise MalformedError(
                f"`{option}` does not know `{word}`", code="usage", hint=f"it takes {', '.join(known)}"
            )
    return words


def _lines(file: Path) -> list[str]:
    """Return the ids in a file; raises `MalformedError` where there are none: nothing would be withheld."""
    try:
        # Only a line feed ends a line: an id may hold any other mark that Unicode ends lines with.
        lines = file.read_bytes().decode().split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise MalformedError(
            f"cannot read `{file}`", code="no-such-file", context=str(error), hint="one id a line"
        ) from error
    found = [line for each in lines if (line := each.removesuffix("\r"))]
    if not found:
        raise MalformedError(f"there is no id in `{file}`", code="no-ids", hint="one id a line")
    return found


def _warn(made: Redacted) -> None:
    """Say what is still in the bundle, though it withholds something."""
    for words in made.left:
        say(f"of each sample stays {words}")
    for words in made.exposure.sentences() if made.exposure else ():
        say(f"warning: {words}")
    say("the SHA-256 of each withheld file stays: where few bits of it are unknown, it can be guessed")
    if made.redaction.withheld or made.redaction.samples:
        hint("keep the original, and its key under `redaction/` in the home: nobody else can redact it again")
