"""Judges of attestations that know nothing of evalctl, and of its code nothing is used here.

Each says of every case why it refuses it, None where it accepts: the signature holds under the key, the
statement is of the type asked for, and its subjects have the digests that it says.
"""

import base64
import hashlib
import json
import shutil
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.json_format import ParseDict
from in_toto_attestation.predicates.provenance.v1 import provenance_pb2
from in_toto_attestation.v1 import statement_pb2
from in_toto_attestation.v1.statement import Statement
from securesystemslib.dsse import Envelope
from securesystemslib.exceptions import VerificationError
from securesystemslib.signer import SSlibKey

HERE = Path(__file__).parent
MODULES = HERE.parents[1] / "build" / "verifiers" / "node_modules"


@dataclass(frozen=True, slots=True)
class Case:
    """An attestation's file, the PEM of the key it must be of, its type, and the folder of its subjects.

    `authority` holds the certificates of one whose timestamp it must have, from its signer to its root.
    """

    attestation: str
    key: str
    predicateType: str  # noqa: N815 - as the JavaScript judge reads it
    folder: str
    authority: tuple[str, ...] = ()


Judge = Callable[[Sequence[Case], Path], list[str | None]]


def sigstore_js(cases: Sequence[Case], work: Path) -> list[str | None]:
    """Ask @sigstore/bundle and @sigstore/verify, in one process for all cases."""
    need("node")
    if not MODULES.is_dir():
        pytest.skip("@sigstore/verify is not here; `make test` installs it")
    command = ["node", HERE / "verify_attestations.mjs", MODULES]
    asked = json.dumps([asdict(case) for case in cases])
    done = subprocess.run(command, input=asked, capture_output=True, text=True, timeout=60, check=True)
    answers: list[str | None] = json.loads(done.stdout)
    assert len(answers) == len(cases)
    return answers


def securesystemslib(cases: Sequence[Case], work: Path) -> list[str | None]:
    """Ask securesystemslib about the signature and in-toto-attestation about the statement."""
    return [_told(_by_securesystemslib, case) for case in cases]


def openssl(cases: Sequence[Case], work: Path) -> list[str | None]:
    """Ask `openssl` whether the signature is over the pre-authentication encoding."""
    need("openssl")
    return [_told(lambda one: _by_openssl(one, work), case) for case in cases]


JUDGES: dict[str, Judge] = {
    "sigstore-js": sigstore_js,
    "securesystemslib": securesystemslib,
    "openssl": openssl,
}


def need(program: str) -> None:
    if shutil.which(program) is None:
        pytest.skip(f"`{program}` is not here; `make test` installs it as root")


def envelope_of(attestation: str) -> dict[str, Any]:
    envelope: dict[str, Any] = json.loads(Path(attestation).read_bytes())["dsseEnvelope"]
    return envelope


def pre_authentication_encoding(envelope: dict[str, Any]) -> bytes:
    kind, payload = envelope["payloadType"].encode(), base64.b64decode(envelope["payload"])
    return b" ".join([b"DSSEv1", str(len(kind)).encode(), kind, str(len(payload)).encode(), payload])


class RefusedError(Exception):
    """A judge refuses."""


def _told(ask: Callable[[Case], None], case: Case) -> str | None:
    try:
        ask(case)
    except (RefusedError, VerificationError, ValueError, OSError) as error:
        return f"{type(error).__name__}: {error}"
    return None


def _by_securesystemslib(case: Case) -> None:
    value = envelope_of(case.attestation)
    keyid = value["signatures"][0]["keyid"]
    envelope = Envelope.from_dict(value)
    curve = "ecdsa" if len(case.key) > 140 else "ed25519"
    scheme = {"ecdsa": "ecdsa-sha2-nistp256", "ed25519": "ed25519"}[curve]
    public = case.key if curve == "ecdsa" else _raw_ed25519(case.key)
    key = SSlibKey(keyid, curve, scheme, {"public": public})
    envelope.verify([key], 1)
    statement = json.loads(envelope.payload)
    Statement.copy_from_pb(ParseDict(statement, statement_pb2.Statement())).validate()
    if statement["predicateType"] == "https://slsa.dev/provenance/v1":
        ParseDict(statement["predicate"], provenance_pb2.Provenance())
    _check_statement(statement, case)


def _by_openssl(case: Case, work: Path) -> None:
    envelope = envelope_of(case.attestation)
    key, signature, message = work / "key.pem", work / "signature", work / "message"
    key.write_text(case.key)
    signature.write_bytes(base64.b64decode(envelope["signatures"][0]["sig"]))
    message.write_bytes(pre_authentication_encoding(envelope))
    command = ["openssl", "dgst", "-sha256", "-verify", key, "-signature", signature, message]
    if len(case.key) < 140:
        options = ["-pubin", "-inkey", key, "-rawin", "-in", message, "-sigfile", signature]
        command = ["openssl", "pkeyutl", "-verify", *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    if done.returncode:
        raise RefusedError(done.stdout.strip() or done.stderr.strip())
    _check_statement(json.loads(base64.b64decode(envelope["payload"])), case)


def _check_statement(statement: dict[str, Any], case: Case) -> None:
    if statement["predicateType"] != case.predicateType:
        raise RefusedError(f"it is {statement['predicateType']}")
    for subject in statement["subject"]:
        found = hashlib.sha256(Path(case.folder, subject["name"]).read_bytes()).hexdigest()
        if subject["digest"] != {"sha256": found}:
            raise RefusedError(f"{subject['name']} was changed")


def _raw_ed25519(pem: str) -> str:
    """Return the 32 bytes of the key in hex, as securesystemslib takes them."""
    return base64.b64decode("".join(pem.splitlines()[1:-1]))[-32:].hex()
