"""The forger's tools: each changes one bundle on disk and signs, or does not sign, what comes out."""

import json
import os
import shutil
import socket
from base64 import b64encode
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from launcher.canonical import canonical_bytes
from launcher.spec import bundle as names
from launcher.trust.dsse import PAYLOAD_TYPE, pae
from launcher.trust.keys import Signer
from launcher.trust.sigstore import MEDIA_TYPE
from tests.bundles.case import Forge, Row
from tests.bundles.keys import ALICE
from tests.fakes.forgery import Change, change_json, reseal, statement_of

PROVENANCE, RESULT, LOCK = names.PROVENANCE_ATTESTATION, names.RESULT_ATTESTATION, names.LOCK_ATTESTATION


def then(*steps: Forge) -> Forge:
    """Return the forgery that does one thing after the other."""

    def forge(bundle: Path) -> None:
        for step in steps:
            step(bundle)

    return forge


def write(name: str, data: bytes) -> Forge:
    """Return a forgery that puts a file where it may not have been."""

    def forge(bundle: Path) -> None:
        (bundle / name).parent.mkdir(parents=True, exist_ok=True)
        (bundle / name).write_bytes(data)

    return forge


def edit(name: str, change: Callable[[bytes], bytes]) -> Forge:
    """Return a forgery that changes a file's bytes."""
    return lambda bundle: (bundle / name).write_bytes(change((bundle / name).read_bytes()))


def remove(name: str) -> Forge:
    """Return a forgery that takes a file or a folder away."""

    def forge(bundle: Path) -> None:
        path = bundle / name
        shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()

    return forge


def rename(old: str, new: str) -> Forge:
    """Return a forgery that gives a file another name."""

    def forge(bundle: Path) -> None:
        (bundle / new).parent.mkdir(parents=True, exist_ok=True)
        (bundle / old).rename(bundle / new)

    return forge


def folder(name: str) -> Forge:
    """Return a forgery that makes an empty folder."""
    return lambda bundle: (bundle / name).mkdir(parents=True)


def symlink(name: str, target: str) -> Forge:
    """Return a forgery that makes a symbolic link."""
    return lambda bundle: (bundle / name).symlink_to(target)


def fifo(name: str) -> Forge:
    """Return a forgery that makes a FIFO."""
    return lambda bundle: os.mkfifo(bundle / name)


def unix_socket(name: str) -> Forge:
    """Return a forgery that makes a socket, however long the path is."""

    def forge(bundle: Path) -> None:
        with socket.socket(socket.AF_UNIX) as server:
            parent = os.open((bundle / name).parent, os.O_RDONLY)
            server.bind(f"/proc/self/fd/{parent}/{Path(name).name}")
            os.close(parent)

    return forge


def replace(name: str, old: bytes, new: bytes) -> Forge:
    """Return a forgery that replaces bytes that are there, once."""

    def change(data: bytes) -> bytes:
        assert old in data, (name, old)
        return data.replace(old, new, 1)

    return edit(name, change)


def json_file(name: str, change: Change) -> Forge:
    """Return a forgery that changes a canonical JSON file, which stays canonical."""
    return lambda bundle: change_json(bundle / name, change)


def sealed(
    *steps: Forge,
    signer: Signer = ALICE,
    provenance: Change | None = None,
    result: Change | None = None,
    lock: Change | None = None,
) -> Forge:
    """Return the forgery of whoever holds the key: after the steps, sums and statements fit again."""
    reseals = {"provenance": provenance, "result": result, "lock": lock}
    return then(*steps, lambda bundle: reseal(bundle, signer, **reseals))


def signed_rows(table: Mapping[str, Row]) -> dict[str, Row]:
    """Return a table of forgeries after each of which the trusted key signs everything again."""
    return {title: (attack, sealed(forge), words) for title, (attack, forge, words) in table.items()}


def signed_envelope(payload: bytes, signer: Signer = ALICE, payload_type: str = PAYLOAD_TYPE) -> Any:
    """Return the JSON of an attestation file: `signer` signed these very bytes under this type."""
    return envelope_of(payload, signer.sign(pae(payload_type, payload)), signer, payload_type)


def envelope_of(
    payload: bytes, signature: bytes, signer: Signer = ALICE, payload_type: str = PAYLOAD_TYPE
) -> Any:
    """Return the JSON of an attestation file with this signature, good or not."""
    keyid = signer.public.fingerprint
    return {
        "mediaType": MEDIA_TYPE,
        "verificationMaterial": {"publicKey": {"hint": keyid}},
        "dsseEnvelope": {
            "payload": b64encode(payload).decode(),
            "payloadType": payload_type,
            "signatures": [{"keyid": keyid, "sig": b64encode(signature).decode()}],
        },
    }


def put_envelope(bundle: Path, name: str, value: Any) -> None:
    """Write an attestation file in canonical form."""
    (bundle / name).write_bytes(canonical_bytes(value) + b"\n")


def envelope(name: str, change: Change) -> Forge:
    """Return a forgery that changes the JSON of an attestation file, which stays canonical."""
    return json_file(name, change)


def payload_of(bundle: Path, name: str) -> bytes:
    """Return the bytes that an attestation signs."""
    return canonical_bytes(statement_of(bundle, name))


def statement(name: str, change: Callable[[Any], Any], signer: Signer = ALICE) -> Forge:
    """Return a forgery that changes one statement and signs it; what `change` returns replaces it."""

    def forge(bundle: Path) -> None:
        value = statement_of(bundle, name)
        changed = change(value)
        payload = canonical_bytes(value if changed is None else changed)
        put_envelope(bundle, name, signed_envelope(payload, signer))

    return forge


def payload(name: str, change: Callable[[bytes], bytes], signer: Signer = ALICE) -> Forge:
    """Return a forgery that signs other bytes than the canonical ones of a statement."""

    def forge(bundle: Path) -> None:
        put_envelope(bundle, name, signed_envelope(change(payload_of(bundle, name)), signer))

    return forge


def samples(change: Callable[[list[Any]], list[Any]]) -> Forge:
    """Return a forgery that changes the samples, each of which stays canonical."""

    def forge(bundle: Path) -> None:
        path = bundle / names.SAMPLES
        changed = change([json.loads(line) for line in path.read_bytes().splitlines()])
        path.write_bytes(b"".join(canonical_bytes(sample) + b"\n" for sample in changed))

    return forge


def result_file(change: Change) -> Forge:
    """Return a forgery that changes `result.json`."""
    return json_file(names.RESULT, change)


def fact(name: str, change: Callable[[Any], Any]) -> Forge:
    """Return a forgery that changes one fact of `environment.json`; what `change` returns replaces it."""

    def alter(environment: Any) -> None:
        found = next(one for one in environment["facts"] if one["name"] == name)
        found["value"] = change(found["value"])

    return json_file(names.ENVIRONMENT, alter)


def facts(change: Callable[[list[Any]], list[Any]]) -> Forge:
    """Return a forgery that changes the list of facts, which stays in order."""

    def alter(environment: Any) -> None:
        changed = change(environment["facts"])
        environment["facts"] = sorted(changed, key=lambda one: (one["name"], one["source"]))

    return json_file(names.ENVIRONMENT, alter)


def new_fact(name: str, value: Any, source: str) -> Forge:
    """Return a forgery that adds a fact."""
    return facts(lambda found: [*found, {"name": name, "value": value, "source": source}])
