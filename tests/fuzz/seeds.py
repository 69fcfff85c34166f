"""What fuzzing begins with: parts of an honest bundle, and what once broke a reader (`seeds/TARGET/`)."""

import base64
import json
import tempfile
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)

from launcher.canonical import canonical_bytes
from launcher.ledger.checkpoint import ledger_key, witness_key
from launcher.ledger.entries import entry_bytes
from launcher.spec import bundle
from launcher.trust.sigstore import open_envelope
from tests.bundles.case import honest
from tests.bundles.keys import ALICE, ALICE_P256
from tests.bundles.ledgers import WITNESS, counted_and_witnessed, proof_of
from tests.bundles.lies_about_kinds import egress, foreign
from tests.bundles.lies_about_records import EVENT_LINES, RESOURCE_LINES
from tests.bundles.policies import policy
from tests.bundles.redactions import some
from tests.fuzz.folder_seeds import folder_seeds
from tests.signing.authorities import TestAuthority, make_authority

FOLDER = Path(__file__).parent / "seeds"


def seeds(target: str) -> tuple[bytes, ...]:
    """Return the seeds of a target; there is at least one."""
    kept = sorted((FOLDER / target).glob("*")) if (FOLDER / target).is_dir() else []
    return (*_made().get(target, (b"{}",)), *(path.read_bytes() for path in kept))


@cache
def _made() -> Mapping[str, tuple[bytes, ...]]:
    files = honest()
    attestations = [files[name] for name in bundle.REQUIRED_ATTESTATIONS]
    payloads = tuple(open_envelope(data).payload for data in attestations)
    proof = proof_of(counted_and_witnessed(), witness=WITNESS)
    identity = canonical_bytes(json.loads(files[bundle.LOCK])["identity"])
    return {
        **folder_seeds(),
        "attestation": tuple(attestations),
        "payload": payloads,
        "statement": payloads,
        "sums": (files[bundle.SUMS],),
        "lock": (files[bundle.LOCK], foreign()[bundle.LOCK], egress()[bundle.LOCK]),
        "identity": (identity,),
        "blueprint": (files[bundle.BLUEPRINT],),
        "result": (files[bundle.RESULT],),
        "samples": (files[bundle.SAMPLES], foreign()[bundle.SAMPLES]),
        "events": (EVENT_LINES,),
        "resources": (RESOURCE_LINES,),
        "container-samples": (b'{"id":"a","prediction":1,"seconds":0.5}\n{"id":"b","error":"x"}\n',),
        "environment": (files[bundle.ENVIRONMENT],),
        "probe": tuple(_probes(files[bundle.ENVIRONMENT])),
        "sbom": (files[bundle.SBOM],),
        "policy": (policy().encode(),),
        "public-key": tuple(
            text.encode() for key in (ALICE, ALICE_P256) for text in (key.public.openssh, key.public.pem)
        ),
        "site-policy": (_SITE,),
        "published-keys": (f"{ALICE.public.openssh} a\n{ALICE_P256.public.openssh}\n".encode(),),
        "timestamp": (authority().stamp(SIGNATURE),),
        "private-key": tuple(_private_keys()),
        "ledger-entry": tuple(entry_bytes(entry) for entry in (proof.attempt, proof.outcome)),
        "commitments": (some()[bundle.COMMITMENTS],),
        "openings": (some()[bundle.OPENINGS],),
        "note-key": tuple(key.text.encode() for key in (ledger_key(ALICE.public), witness_key(ALICE.public))),
        "checkpoint": (_NOTE, proof.checkpoint.data),
        "note": (_NOTE, proof.checkpoint.data),
        "proof": (proof.data,),
        "ledger-growth": (b"old 1\n" + base64.b64encode(bytes(32)) + b"\n\n" + _NOTE,),
        "canonical": (files[bundle.RESULT], b'[1e21,-0.5,1e-7,"\\u00e9\\ud83d\\ude00",9007199254740991]'),
    }


@cache
def authority() -> TestAuthority:
    """Return an authority whose folder is there as long as this process."""
    return make_authority(Path(_FOLDER.name))


SIGNATURE = b"the bytes of a signature"
_FOLDER = tempfile.TemporaryDirectory(prefix="authority-")
_SITE = b"""schema = "evalctl/site/v1"
minimum-runtime = "runc"
require = []
widenings = ["exec-tmp"]
engines = ["docker"]
timestamp = "https://tsa.example.org/"
"""
_NOTE = (
    b"example.org/log\n5\n"
    + base64.b64encode(bytes(32))
    + b"\n\n\xe2\x80\x94 example.org/log "
    + base64.b64encode(bytes(68))
    + b"\n"
)


def _private_keys() -> Iterator[bytes]:
    for signer in (ALICE, ALICE_P256):
        for form in (PrivateFormat.OpenSSH, PrivateFormat.PKCS8):
            yield signer.private.private_bytes(Encoding.PEM, form, NoEncryption())
        encryption = BestAvailableEncryption(b"passphrase")
        yield signer.private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)


def _probes(environment: bytes) -> Iterator[bytes]:
    for fact in json.loads(environment)["facts"]:
        if fact["name"] == "probe.run":
            yield canonical_bytes(fact["value"][0]["report"])
