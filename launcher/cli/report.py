"""`evalctl report`."""

from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from shlex import quote
from typing import Annotated

import typer

from launcher.cli.options import BundleName, Json, TrustedKey, TrustPolicy
from launcher.cli.output import print_json, say_next
from launcher.cli.places import place_verified
from launcher.cli.signing import read_verifying_policy
from launcher.cli.verify import EXIT_CODES, say_stranger
from launcher.errors import CheckFailedError, EvalctlError, MalformedError
from launcher.ledger.view import LedgerPlace
from launcher.report.answers import Answers, read_answers
from launcher.report.record import Finding, Record, read_surroundings
from launcher.store.bundles import find_bundle
from launcher.store.files import write_atomically
from launcher.store.home import find_home
from launcher.verify import Contents, Verification, load_contents
from launcher.verify import verify as verify_bundle
from launcher.verify.remembered import remembered


class Format(StrEnum):
    """What a report is written in."""

    html = "html"
    markdown = "markdown"


ReportFormat = Annotated[
    Format | None,
    typer.Option("--format", help="Default: markdown where --out ends in .md, else html."),
]
ReportFile = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Write the report here; default: standard output.")
]


def report(
    bundle: BundleName,
    format_: ReportFormat = None,
    out: ReportFile = None,
    key: TrustedKey = None,
    trust: TrustPolicy = None,
    as_json: Json = False,
) -> int:
    """Write a bundle's report: HTML or Markdown.

    The HTML is one page that loads nothing. The bundle is verified first, as `evalctl verify` does it.
    Exit codes: 0 verified; 1 tampered with or malformed, and no report; 3 signed by nobody the policy
    trusts, and the report says so.
    """
    home = find_home()
    path = find_bundle(home, bundle)
    if out is not None:
        _refuse_place(out, path)
    policy = read_verifying_policy(home, trust, key)
    verification = remembered(home, verify_bundle(path, policy, datetime.now(UTC)))
    record = read_record(path, verification, place_verified(home, path, verification, policy))
    chosen = format_ or (Format.markdown if out and out.suffix == ".md" else Format.html)
    text = _written(record, chosen)
    if out is not None:
        write_atomically(out, text.encode())
    if as_json:
        print_json(
            {
                "verdict": verification.verdict,
                "digest": verification.digest,
                "format": chosen.value,
                "report": None if out is None else str(out),
                "text": text if out is None else None,
            }
        )
    else:
        print(text if out is None else out, end="" if out is None else "\n")
    say_stranger(verification, bundle, trust)
    if (
        out is not None
        and not as_json
        and verification.verdict == "verified"
        and record.result.origin is None
    ):
        say_next(f"evalctl reproduce {quote(bundle)}")
    return EXIT_CODES[verification.verdict]


def read_record(path: Path, verification: Verification, place: LedgerPlace | None = None) -> Record:
    """Return what the report is made of; raises `CheckFailedError` where the bundle does not verify."""
    if verification.verdict == "failed" or verification.digest is None:
        failed = [check for check in verification.checks if check.status == "failed"]
        raise CheckFailedError(
            f"`{path}` does not verify, so there is no report of it",
            code="not-verified",
            context="; ".join(f"{check.name}: {check.detail}" for check in failed[:3]),
            hint=f"see what is wrong with `evalctl verify {path}`",
        )
    finding = Finding(
        verification.verdict,
        verification.digest,
        verification.checks,
        verification.signers,
        verification.unknown,
        verification.reproductions,
    )
    contents, answers = _read(path, verification.contents)
    around = read_surroundings(path, verification.digest, contents.result)
    return Record(finding, contents.blueprint, contents.lock, contents.result, answers, around, place)


def _read(path: Path, verified: Contents | None) -> tuple[Contents, Answers]:
    """Read what a bundle says of itself; whatever is in it, the fault is the bundle's."""
    try:
        contents = verified or load_contents(path)
        answers = read_answers(contents.source.blocks(), contents.source.file.size)
    except EvalctlError as error:
        raise CheckFailedError(
            f"`{path}` cannot be reported on: {error.message}",
            code="bad-bundle",
            context=error.context,
            hint=f"see what is wrong with `evalctl verify {path}`",
        ) from error
    return contents, answers


def _written(record: Record, chosen: Format) -> str:
    if chosen is Format.markdown:
        from launcher.report.markdown import markdown

        return markdown(record)
    from launcher.report.page import html_page

    return html_page(record)


def _refuse_place(out: Path, bundle: Path) -> None:
    """Refuse to write over what is no file, or into the bundle: a finished one is never written again."""
    place = out.absolute()
    if out.is_symlink() or (out.exists() and not out.is_file()):
        raise MalformedError(f"`{out}` is not a regular file", code="usage", hint="give the name of a file")
    if not place.parent.is_dir():
        raise MalformedError(f"there is no folder `{place.parent}`", code="usage", hint="make it first")
    if place.parent.resolve().is_relative_to(bundle.resolve()):
        raise MalformedError(
            f"`{out}` is inside the bundle, which is never written again",
            code="usage",
            hint="write the report beside it",
        )
