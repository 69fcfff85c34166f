"""`evalctl resolve`."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from launcher.cli.locked import drifted, no_lock
from launcher.cli.options import Json, Offline, PassphraseDescriptor, SigningKey, TimestampUrl
from launcher.cli.output import print_json
from launcher.cli.signing import authority_for, read_signer
from launcher.cli.site import SiteFile, site_authority
from launcher.cli.targets import attestation_path, lock_path, read_file, read_target
from launcher.errors import MalformedError
from launcher.report.progress import make_reporter
from launcher.resolve import resolve as resolve_blueprint
from launcher.runs.assemble import seal_lock
from launcher.sources.inputs import FetchSettings
from launcher.store.cache import Cache
from launcher.store.files import write_atomically
from launcher.store.home import find_home

BlueprintFile = Annotated[Path, typer.Argument(metavar="FILE", help="A blueprint (TOML).")]
CheckOnly = Annotated[bool, typer.Option("--check", help="Write nothing; exit 1 if the lock would change.")]


def resolve(
    file: BlueprintFile,
    key: SigningKey = None,
    passphrase_fd: PassphraseDescriptor = None,
    timestamp: TimestampUrl = None,
    site: SiteFile = None,
    check: CheckOnly = False,
    offline: Offline = False,
    as_json: Json = False,
) -> int:
    """Pin everything a blueprint names; write its lock.

    NAME.toml gives NAME.lock.json and its signature NAME.lock.sigstore.json beside it. The lock has the same
    bytes on every machine; its identity names the run.
    """
    home, target, path = find_home(), read_target(file), lock_path(file)
    if target.lock is not None:
        raise MalformedError(
            f"`{file}` is a lock already",
            code="not-a-blueprint",
            context="expected a blueprint (TOML)",
            hint=f"launch it with `evalctl launch {file}`",
        )
    authority = authority_for(timestamp, site_authority(site), offline=offline)
    signer = None if check else read_signer(home, key, passphrase_fd, authority)
    reporter = make_reporter(quiet=as_json and not sys.stderr.isatty())
    try:
        settings = FetchSettings(target.base, offline=offline, say=reporter.stage)
        lock = resolve_blueprint(target.blueprint, Cache(home.cache), settings).lock
    finally:
        reporter.close()
    if signer is None:
        _refuse_drift(file, path, lock.data)
    else:
        write_atomically(path, lock.data)
        write_atomically(attestation_path(path), seal_lock(lock, signer))
    if as_json:
        print_json({"lock": str(path), "digest": lock.digest})
    else:
        print(f"{lock.digest}  {path}")
    return 0


def _refuse_drift(file: Path, path: Path, data: bytes) -> None:
    if not path.exists():
        raise no_lock(file, path)
    if read_file(path) != data:
        raise drifted(file, path)
