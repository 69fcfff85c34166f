"""`evalctl reproduce`."""

import sys
from collections.abc import Iterable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from shlex import quote
from typing import Annotated, Any

import typer
from msgspec.structs import replace

from launcher.cli.connect import EngineChoice, connect
from launcher.cli.gpus import Gpus, read_gpus
from launcher.cli.models import Models, read_models
from launcher.cli.options import (
    BundleName,
    BundleSigner,
    Json,
    Offline,
    Out,
    PassphraseDescriptor,
    SigningKey,
    TimestampUrl,
)
from launcher.cli.output import hint, print_json, say, say_next
from launcher.cli.places import place_here
from launcher.cli.secrets import SecretFiles, read_secrets
from launcher.cli.signing import authority_for, missing_timestamps, read_signer, read_verifying_policy
from launcher.cli.site import SiteFile, read_site
from launcher.report.findings import agreement as render
from launcher.report.progress import make_reporter
from launcher.reproduce import Original, Reproduced, Scope
from launcher.reproduce import reproduce as reproduce_bundle
from launcher.runs.request import Edges
from launcher.sources.inputs import FetchSettings
from launcher.store.bundles import copy_out, find_bundle, require_empty
from launcher.store.home import find_home
from launcher.trust.keys import Signer
from launcher.verify import verify
from launcher.verify.remembered import remembered

EXIT_CODES = {"identical": 0, "equivalent": 0, "diverged": 1, "inconclusive": 5, "not-runnable": 4}

OriginalFolder = Annotated[
    Path | None,
    typer.Option(
        metavar="DIR",
        help="Where relative paths in its blueprint start; not needed for what the cache holds.",
    ),
]
ScoreOnly = Annotated[
    bool, typer.Option("--score-only", help="Score the bundle's own predictions again; predict nothing.")
]
Samples = Annotated[
    int | None,
    typer.Option(metavar="N", min=1, help="Run and compare only the first N items; default: all."),
]


def reproduce(
    bundle: BundleName,
    out: Out = None,
    key: SigningKey = None,
    passphrase_fd: PassphraseDescriptor = None,
    timestamp: TimestampUrl = None,
    signer: BundleSigner = None,
    blueprint_dir: OriginalFolder = None,
    model: Models = None,
    secret: SecretFiles = None,
    score_only: ScoreOnly = False,
    samples: Samples = None,
    offline: Offline = False,
    engine: EngineChoice = None,
    site: SiteFile = None,
    gpus: Gpus = None,
    as_json: Json = False,
) -> int:
    """Launch a bundle's lock again and compare.

    The original is verified first. What was found (identical, equivalent, diverged) is signed and put
    beside the original's attestations. The last line on stdout is the new bundle's path. Exit codes: 0
    identical or equivalent, 1 diverged or the original is broken, 3 its signer is not trusted, 4 not
    runnable here, 5 inconclusive. What was done only in part (`--score-only`, `--samples`) is signed as
    that, and no view counts it as a reproduction.
    """
    home, demanded, sight = find_home(), read_site(site), read_gpus(gpus)
    if out is not None:
        require_empty(out)
    path = find_bundle(home, bundle)
    own = read_signer(home, key, passphrase_fd, authority_for(timestamp, demanded.timestamp, offline=offline))
    policy = read_verifying_policy(home, None, signer)
    scope = Scope(score_only=score_only, samples=samples, models=read_models(model))
    reporter = make_reporter(quiet=as_json and not sys.stderr.isatty())
    reporter.stage("verifying the original")
    try:
        original = Original(path, remembered(home, verify(path, policy, datetime.now(UTC))))
        if original.verification.verdict == "verified":
            scope = replace(scope, secrets=read_secrets(secret))
        settings = FetchSettings(blueprint_dir or path, offline=offline, say=reporter.stage)
        edges = Edges(home, partial(connect, engine), own, reporter, demanded, sight)
        reproduced = reproduce_bundle(original, settings, edges, scope)
    finally:
        reporter.close()
    place = copy_out(reproduced.bundle, out) if out and reproduced.bundle else reproduced.bundle
    contents = original.verification.contents
    redaction = contents.result.redaction if contents else None
    remarks = [*([redaction.said] if redaction else []), *missing_timestamps(own)]
    counted = place_here(home, reproduced.bundle) if reproduced.bundle else None
    if as_json:
        told = {"scope": scope.name, "remarks": remarks, "ledger": counted.as_json() if counted else None}
        print_json({**_as_object(original, reproduced, place), **told})
    else:
        _print(reproduced, place, scope)
        if counted is not None:
            say(counted.in_words)
        _say_more(original, reproduced, own, remarks)
        if reproduced.statement:
            say_next(f"evalctl verify {quote(bundle)}")
    return EXIT_CODES[reproduced.verdict]


def _say_more(original: Original, reproduced: Reproduced, own: Signer, remarks: Iterable[str]) -> None:
    for remark in remarks:
        say(f"note: {remark}")
    if reproduced.statement and own.public.fingerprint in original.verification.signers:
        say("note: the same key signed both; a reproduction by another key is what adds truth")


def _print(reproduced: Reproduced, place: Path | None, scope: Scope) -> None:
    if reproduced.agreement is not None:
        print(render(reproduced.agreement))
    if reproduced.reason:
        say(reproduced.reason)
    if reproduced.hint:
        hint(reproduced.hint)
    if reproduced.statement is not None:
        say(f"signed statement: {reproduced.statement}")
        if not reproduced.beside:
            say("it stands in this home: the original's folder could not be written")
            hint(f"whoever keeps the original attaches it: `evalctl attach BUNDLE {reproduced.statement}`")
    if scope.name != "full":
        say(f"note: `--{scope.name}` does only a part again, which does not count as a reproduction")
    print(reproduced.verdict)
    if place is not None:
        print(place)


def _as_object(original: Original, reproduced: Reproduced, place: Path | None) -> dict[str, Any]:
    agreement = reproduced.agreement
    return {
        "verdict": reproduced.verdict,
        "original": original.verification.digest,
        "bundle": str(place) if place else None,
        "metrics": [metric.as_json() for metric in agreement.metrics] if agreement else [],
        "samples": agreement.samples.as_json() if agreement else {"n": 0, "equal": 0},
        "statement": str(reproduced.statement) if reproduced.statement else None,
        "reason": reproduced.reason,
        "hint": reproduced.hint or None,
    }
