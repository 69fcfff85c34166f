"""`evalctl launch`."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from launcher.cli.connect import connect
from launcher.cli.output import print_json, say
from launcher.cli.results import as_object, exit_code
from launcher.cli.signing import read_signer, read_verifying_policy
from launcher.cli.targets import Target, read_target
from launcher.digest import sha256_hex
from launcher.errors import MalformedError
from launcher.launch import launch as launch_blueprint
from launcher.report.progress import make_reporter
from launcher.report.reading import read_view
from launcher.report.terminal import summary
from launcher.runs.request import RUNTIMES, Edges, LaunchRequest, Runtime
from launcher.sources.inputs import FetchSettings
from launcher.store.bundles import copy_out, require_empty
from launcher.store.home import Home, find_home
from launcher.trust.admission import admit_lock


def launch(
    file: Annotated[Path, typer.Argument(help="A blueprint (TOML) or a lock (JSON).")],
    out: Annotated[Path | None, typer.Option(help="Copy the bundle here; absent or empty before.")] = None,
    key: Annotated[
        Path | None, typer.Option(help="The private key that signs; default: this home's.")
    ] = None,
    blueprint_dir: Annotated[
        Path | None, typer.Option(help="Where relative paths start; default: the file's folder.")
    ] = None,
    offline: Annotated[bool, typer.Option("--offline", help="Use no network.")] = False,
    rerun: Annotated[
        bool, typer.Option("--rerun", help="Run again even if a finished bundle exists.")
    ] = False,
    runtime: Annotated[str | None, typer.Option(help="At least this isolation: runc or runsc.")] = None,
    note: Annotated[str, typer.Option(help="A remark kept in the signed provenance.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> int:
    """Run a blueprint or lock; write a signed bundle."""
    home = find_home()
    if out is not None:
        require_empty(out)
    target = read_target(file, blueprint_dir)
    _admit(home, target)
    reporter = make_reporter()
    settings = FetchSettings(target.base, offline=offline, say=reporter.stage)
    request = LaunchRequest(
        target.blueprint, settings, target.lock, target.attestation, rerun, _runtime(runtime), note
    )
    try:
        launched = launch_blueprint(request, Edges(home, connect, read_signer(home, key), reporter))
    finally:
        reporter.close()
    view = read_view(launched.bundle)
    for remark in launched.remarks:
        say(f"note: {remark}")
    if launched.reused:
        say("this lock has a finished run: here is its bundle; `--rerun` runs it again")
    path = copy_out(launched.bundle, out) if out else launched.bundle
    if as_json:
        print_json(as_object(view, path))
    else:
        print(summary(view))
        print(path)
    return exit_code(view)


def _admit(home: Home, target: Target) -> None:
    """Check the signature that came beside a lock under this machine's policy."""
    if target.lock is not None and target.attestation is not None:
        lock = (sha256_hex(target.lock.data), target.lock.digest)
        admit_lock(lock, target.attestation, read_verifying_policy(home, None, None), datetime.now(UTC))


def _runtime(name: str | None) -> Runtime | None:
    for runtime in RUNTIMES:
        if name == runtime:
            return runtime
    if name is None:
        return None
    raise MalformedError(
        f"there is no runtime `{name}`", code="unknown-runtime", context=f"expected {' or '.join(RUNTIMES)}"
    )
