"""Change a finished bundle and sign the lie again, as whoever holds a trusted key could."""

import json
import os
import shutil
from base64 import b64decode
from collections.abc import Callable
from pathlib import Path
from typing import Any

from launcher.canonical import canonical_bytes
from launcher.digest import hash_file, sha256_hex, sums_text
from launcher.spec import bundle as names
from launcher.spec.lock import identity_of, pins_from, read_lock
from launcher.spec.reading import read_blueprint
from launcher.spec.statement import bundle_subjects
from launcher.trust.keys import Signer
from launcher.trust.sigstore import seal

Change = Callable[[Any], None]


def copy_of(bundle: Path, place: Path) -> Path:
    """Return a copy of a bundle that may be written."""
    shutil.copytree(bundle, place, symlinks=True)
    return place


def statement_of(bundle: Path, attestation: str) -> Any:
    envelope = json.loads((bundle / attestation).read_bytes())["dsseEnvelope"]
    return json.loads(b64decode(envelope["payload"]))


def change_json(path: Path, change: Change) -> None:
    """Apply `change` to a canonical JSON file, which keeps its final line feed if it has one."""
    data = path.read_bytes()
    value = json.loads(data)
    change(value)
    path.write_bytes(canonical_bytes(value) + (b"\n" if data.endswith(b"\n") else b""))


def reseal(
    bundle: Path,
    signer: Signer,
    *,
    provenance: Change | None = None,
    result: Change | None = None,
    lock: Change | None = None,
) -> None:
    """Make SHA256SUMS and the three statements fit the files again; the changes alter predicates.

    A ledger's proof would still be of the bundle as it was.
    """
    (bundle / names.LEDGER_PROOF).unlink(missing_ok=True)
    digests = {}
    for folder, _, files in os.walk(bundle):
        for name in files:
            path = Path(folder, name).relative_to(bundle).as_posix()
            if path != names.SUMS and not path.startswith("attestations/"):
                digests[path] = hash_file(bundle / path)[0]
    sums = sums_text(digests.items())
    (bundle / names.SUMS).write_bytes(sums)
    digests[names.SUMS] = sha256_hex(sums)
    subjects = bundle_subjects(digests)
    own = ((names.LOCK, digests[names.LOCK]),)
    for attestation, about, change in (
        (names.PROVENANCE_ATTESTATION, subjects, provenance),
        (names.RESULT_ATTESTATION, subjects, result),
        (names.LOCK_ATTESTATION, own, lock),
    ):
        statement = statement_of(bundle, attestation)
        statement["subject"] = [{"name": name, "digest": {"sha256": sha256}} for name, sha256 in about]
        if change:
            change(statement["predicate"])
        (bundle / attestation).write_bytes(seal(statement, signer))


def relock(bundle: Path, tail: bytes) -> None:
    """Append to the blueprint and make the lock that fits it."""
    text = (bundle / "blueprint.toml").read_bytes() + tail
    blueprint = read_blueprint(text, file="blueprint.toml", supported_only=False)
    (bundle / "blueprint.toml").write_bytes(text)

    def change(lock: Any) -> None:
        lock["identity"] = identity_of(blueprint, pins_from(lock["identity"]))
        lock["blueprint"] = text.decode()

    change_json(bundle / "lock.json", change)


def relocked(bundle: Path) -> dict[str, Change]:
    """Return the changes that name the lock as it is now in every statement."""
    digest = read_lock((bundle / "lock.json").read_bytes()).digest
    change_json(bundle / "result.json", lambda result: result.update(lock=digest))
    return {
        "provenance": lambda it: it["buildDefinition"]["externalParameters"].update(lock=digest),
        "result": lambda it: it.update(lock=digest),
        "lock": lambda it: it.update(lock=digest),
    }
