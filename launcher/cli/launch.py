"""`evalctl launch`."""

import sys
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from shlex import quote
from typing import Annotated

import typer
from msgspec.structs import replace

from launcher.cli.choices import Draft, Limit, read_choices
from launcher.cli.connect import EngineChoice, connect
from launcher.cli.gpus import Gpus, read_gpus
from launcher.cli.locked import Locked, as_drift, read_locked
from launcher.cli.models import Models
from launcher.cli.options import (
    BlueprintFolder,
    Json,
    LeastRuntime,
    Offline,
    Out,
    PassphraseDescriptor,
    SigningKey,
    TargetFile,
    TimestampUrl,
)
from launcher.cli.output import hint, print_json, say, say_next
from launcher.cli.places import place_here
from launcher.cli.results import as_object, exit_code
from launcher.cli.runtimes import read_runtime
from launcher.cli.secrets import SecretFiles, read_secrets
from launcher.cli.signing import authority_for, missing_timestamps, read_signer, read_verifying_policy
from launcher.cli.site import SiteFile, read_site
from launcher.cli.targets import Target, read_target
from launcher.digest import sha256_hex
from launcher.launch import launch as launch_blueprint
from launcher.ledger.view import LedgerPlace
from launcher.report.progress import make_reporter
from launcher.report.reading import BundleView, read_view
from launcher.report.terminal import summary
from launcher.runs.request import Edges, Launched, LaunchRequest
from launcher.sources.inputs import FetchSettings
from launcher.store.bundles import copy_out, require_empty
from launcher.store.home import Home, find_home
from launcher.trust.admission import admit_lock

_ADVICE = {
    "candidate": "mend it and launch again; the same lock runs again only with `--rerun`",
    "timeout": "raise `timeout` in [run], or make the evaluation faster",
    "out-of-memory": "raise `memory` in [resources]",
    "disk": "raise `output` or `tmp` in [resources]",
}


Rerun = Annotated[
    bool, typer.Option("--rerun", help="Run again even where a finished run could be returned.")
]
Note = Annotated[
    str, typer.Option(metavar="TEXT", help="A remark to keep in the signed provenance; default: none.")
]


def launch(
    file: TargetFile,
    out: Out = None,
    key: SigningKey = None,
    passphrase_fd: PassphraseDescriptor = None,
    timestamp: TimestampUrl = None,
    blueprint_dir: BlueprintFolder = None,
    locked: Locked = False,
    offline: Offline = False,
    rerun: Rerun = False,
    runtime: LeastRuntime = None,
    engine: EngineChoice = None,
    site: SiteFile = None,
    gpus: Gpus = None,
    model: Models = None,
    secret: SecretFiles = None,
    limit: Limit = None,
    draft: Draft = False,
    note: Note = "",
    as_json: Json = False,
) -> int:
    """Run a blueprint or lock; write a signed bundle.

    A lock that ran to its end before is not run again: its bundle is returned. The last line on stdout is
    the bundle's path. Exit codes: 0 the result stands, 1 a threshold is missed or the evaluation failed,
    4 no score, 5 the interval does not decide, 6 this machine cannot give what the blueprint asks for.
    """
    home, policy, sight = find_home(), read_site(site), read_gpus(gpus)
    if out is not None:
        require_empty(out)
    target = read_locked(file, blueprint_dir) if locked else read_target(file, blueprint_dir)
    _admit(home, target)
    reporter = make_reporter(quiet=as_json and not sys.stderr.isatty())
    request = LaunchRequest(
        target.blueprint,
        FetchSettings(target.base, offline=offline, say=reporter.stage),
        target.lock,
        target.attestation,
        rerun,
        read_runtime(runtime),
        note,
        read_choices(target, model, limit, draft=draft),
        read_secrets(secret),
    )
    try:
        authority = authority_for(timestamp, policy.timestamp, offline=offline)
        signer = read_signer(home, key, passphrase_fd, authority)
        edges = Edges(home, partial(connect, engine), signer, reporter, policy, sight)
        with as_drift(file, locked=locked):
            launched = launch_blueprint(request, edges)
    finally:
        reporter.close()
    in_vain = launched.reused and timestamp is not None
    changed = (*_drift(target, file, request), *missing_timestamps(signer, reused=in_vain))
    view = read_view(launched.bundle)
    place = place_here(home, launched.bundle)
    path = copy_out(launched.bundle, out) if out else launched.bundle
    if as_json:
        more = {"remarks": (*launched.remarks, *changed), "ledger": place.as_json() if place else None}
        print_json({**as_object(view, path), "reused": launched.reused, **more})
    else:
        _print(view, path, place)
        _say_more(launched, view, changed)
        if view.result.failure is None:
            say_next(f"evalctl verify {_short_name(view, out)}")
    return exit_code(view)


def _print(view: BundleView, path: Path, place: LedgerPlace | None) -> None:
    """Print the result and the bundle's path, and say where the attempt stands in its ledger."""
    print(summary(replace(view, place=place)))
    print(path)
    if place is not None:
        say(place.in_words)


def _drift(target: Target, file: Path, request: LaunchRequest) -> tuple[str, ...]:
    """Remark on what the user changed and did not pin; who launches a lock did not mean the files here."""
    if target.lock is not None:
        return ()
    from launcher.authoring.drift import drift

    choices = request.choices
    return drift(target.blueprint, file, request.settings, filled=choices.models, draft=choices.draft)


def _say_more(launched: Launched, view: BundleView, changed: tuple[str, ...]) -> None:
    """Say what was not run, and what to do about a failure; all of it is in the object of `--json`."""
    for remark in (*launched.remarks, *changed):
        say(f"note: {remark}")
    if launched.reused:
        ended = "finished" if view.result.failure is None else "failed"
        say(f"this lock {ended} before, in attempt {launched.attempt}: that run's bundle is returned")
        if not changed:
            hint("launch it again with `--rerun`")
    elif view.result.failure is not None:
        hint(_ADVICE.get(view.result.failure, "launch it again"))


def _short_name(view: BundleView, out: Path | None) -> str:
    """Name the bundle as a person would type it: its folder, or the first digits of its digest."""
    return quote(str(out)) if out else view.digest.removeprefix("sha256:")[:12]


def _admit(home: Home, target: Target) -> None:
    """Check the signature that came beside a lock under this machine's policy."""
    if target.lock is not None and target.attestation is not None:
        lock = (sha256_hex(target.lock.data), target.lock.digest)
        admit_lock(lock, target.attestation, read_verifying_policy(home, None, None), datetime.now(UTC))
