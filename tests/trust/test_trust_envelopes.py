import base64
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.json_format import ParseDict
from hypothesis import given, settings
from hypothesis import strategies as st
from in_toto_attestation.predicates.provenance.v1 import provenance_pb2
from in_toto_attestation.v1 import statement_pb2
from in_toto_attestation.v1.statement import Statement as JudgeStatement
from securesystemslib.dsse import Envelope as JudgeEnvelope
from securesystemslib.signer import SSlibKey

from launcher.canonical import canonical_bytes
from launcher.errors import CheckFailedError, EvalctlError
from launcher.spec.bundle import PROVENANCE_ATTESTATION
from launcher.trust.dsse import PAYLOAD_TYPE, Envelope, pae, verify_envelope
from launcher.trust.sigstore import MAX_ENVELOPE_BYTES, MEDIA_TYPE, open_envelope, seal, seal_payload
from tests.trust.sealed_bundle import ALICE, BOB, CONTENTS, p256_signer, sealed

STATEMENT = {"_type": "https://in-toto.io/Statement/v1", "subject": [], "predicate": {"n": "1"}}
FILE = seal(STATEMENT, ALICE)
P256 = p256_signer(5)


def edited(change: Any) -> bytes:
    value = json.loads(FILE)
    change(value)
    return canonical_bytes(value) + b"\n"


def test_the_pre_authentication_encoding_is_that_of_the_specification() -> None:
    assert pae("http://example.com/HelloWorld", b"hello world") == (
        b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    )
    assert pae("ü", b"") == b"DSSEv1 2 \xc3\xbc 0 "


@pytest.mark.parametrize("signer", [ALICE, P256], ids=["ed25519", "p256"])
def test_what_is_sealed_is_opened_and_verified(signer: Any) -> None:
    envelope = open_envelope(seal(STATEMENT, signer))
    assert envelope.keyid == signer.public.fingerprint
    assert verify_envelope(envelope, signer.public) == STATEMENT


def test_another_key_does_not_verify() -> None:
    envelope = open_envelope(FILE)
    for keyid in (ALICE.public.fingerprint, BOB.public.fingerprint):
        forged = Envelope(keyid, envelope.payload_type, envelope.payload, envelope.signature)
        with pytest.raises(CheckFailedError):
            verify_envelope(forged, BOB.public)


def test_a_signed_payload_of_another_type_is_refused() -> None:
    payload = canonical_bytes(STATEMENT)
    signature = ALICE.sign(pae("text/plain", payload))
    with pytest.raises(CheckFailedError, match="in-toto"):
        verify_envelope(Envelope(ALICE.public.fingerprint, "text/plain", payload, signature), ALICE.public)


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"[]",
        b'"x"',
        b'{"a": 1}',
        b'{"a":1}\n',
        b'{"b":1,"a":1}',
        b'{"a":1,"a":1}',
        b'{"a":1.5}',
        b'{"a":1e3}',
        b'{"a":NaN}',
        b'{"a":9007199254740992}',
        b'{"a":"\\u0041"}',
        b'{"a":"\\ud800"}',
        '{"ä":1}'.encode(),
        b'{"a":"\xff"}',
        b"\xef\xbb\xbf{}",
        b'{"a":' + b"[" * 100 + b"]" * 100 + b"}",
    ],
)
def test_a_payload_that_two_parsers_could_read_differently_is_refused_though_signed(payload: bytes) -> None:
    envelope = open_envelope(seal_payload(payload, ALICE))
    with pytest.raises(CheckFailedError):
        verify_envelope(envelope, ALICE.public)


@pytest.mark.parametrize("value", [1.5, {"ä": 1}, [float("nan")], 2**53, "\ud800"])
def test_a_statement_the_profile_cannot_carry_is_not_sealed(value: Any) -> None:
    with pytest.raises(EvalctlError):
        seal({"value": value}, ALICE)


CHANGES = {
    "two signatures": lambda v: v["dsseEnvelope"]["signatures"].append(v["dsseEnvelope"]["signatures"][0]),
    "no signature": lambda v: v["dsseEnvelope"].update(signatures=[]),
    "signatures as an object": lambda v: v["dsseEnvelope"].update(signatures={"0": 1}),
    "no keyid": lambda v: v["dsseEnvelope"]["signatures"][0].pop("keyid"),
    "another hint": lambda v: v["verificationMaterial"]["publicKey"].update(hint=BOB.public.fingerprint),
    "a keyid that is a number": lambda v: v["dsseEnvelope"]["signatures"][0].update(keyid=1),
    "a hex keyid": lambda v: v["dsseEnvelope"]["signatures"][0].update(keyid=ALICE.public.key_hex),
    "a certificate": lambda v: v["verificationMaterial"].update(certificate={"rawBytes": ""}),
    "an older media type": lambda v: v.update(mediaType=MEDIA_TYPE.replace("0.3", "0.2")),
    "a message signature": lambda v: v.update(messageSignature=v.pop("dsseEnvelope")),
    "another payload type": lambda v: v["dsseEnvelope"].update(payloadType="text/plain"),
    "url-safe base64": lambda v: v["dsseEnvelope"].update(payload="__-_"),
    "base64 without padding": lambda v: v["dsseEnvelope"].update(payload="YQ"),
    "base64 with loose bits": lambda v: v["dsseEnvelope"].update(payload="YR=="),
    "a payload that is a list": lambda v: v["dsseEnvelope"].update(payload=[]),
    "a signature too long": lambda v: v["dsseEnvelope"]["signatures"][0].update(sig="A" * 400),
    "an extra field": lambda v: v.update(note="x"),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_a_bundle_file_of_another_shape_is_refused(change: Any) -> None:
    with pytest.raises(CheckFailedError):
        open_envelope(edited(change))


@pytest.mark.parametrize(
    "data",
    [
        FILE[:-1],
        FILE + b"\n",
        b" " + FILE,
        FILE.replace(b":", b": ", 1),
        FILE.replace(b"{", b'{"dsseEnvelope":{},', 1),
        b"[" * 10_000,
        b"{}\n",
        b"null\n",
        b"\xff",
        b" " * (MAX_ENVELOPE_BYTES + 1),
        json.dumps(json.loads(FILE), indent=1).encode(),
    ],
)
def test_a_bundle_file_in_other_bytes_is_refused(data: bytes) -> None:
    with pytest.raises(CheckFailedError):
        open_envelope(data)


@settings(max_examples=300, deadline=None)
@given(
    st.binary() | st.recursive(st.none() | st.text(), st.lists).map(lambda value: json.dumps(value).encode())
)
def test_whatever_bytes_are_opened_only_our_error_is_raised(data: bytes) -> None:
    with pytest.raises(CheckFailedError):
        open_envelope(data)


@pytest.mark.parametrize("signer", [ALICE, P256], ids=["ed25519", "p256"])
def test_openssl_accepts_the_signature_and_refuses_a_changed_payload(signer: Any, tmp_path: Path) -> None:
    envelope = json.loads(seal(STATEMENT, signer))["dsseEnvelope"]
    payload = base64.b64decode(envelope["payload"])
    (tmp_path / "key.pem").write_text(signer.public.pem)
    (tmp_path / "signature").write_bytes(base64.b64decode(envelope["signatures"][0]["sig"]))
    verdicts = []
    for body in (payload, payload.replace(b"1", b"2")):
        (tmp_path / "message").write_bytes(pae(PAYLOAD_TYPE, body))
        digest = ["-digest", "sha256"] if signer is P256 else []
        command = ["openssl", "pkeyutl", "-verify", "-pubin", "-inkey", "key.pem", "-rawin", *digest]
        command += ["-in", "message", "-sigfile", "signature"]
        done = subprocess.run(command, check=False, cwd=tmp_path, capture_output=True, timeout=20)
        verdicts.append(done.returncode == 0)
    assert verdicts == [True, False]


@pytest.mark.parametrize("signer", [ALICE, P256], ids=["ed25519", "p256"])
def test_securesystemslib_accepts_the_envelope_and_refuses_another_key(signer: Any) -> None:
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    envelope = JudgeEnvelope.from_dict(json.loads(seal(STATEMENT, signer))["dsseEnvelope"])

    def key(public: Any) -> SSlibKey:
        return SSlibKey.from_crypto(load_pem_public_key(public.pem.encode()), keyid=public.fingerprint)

    assert envelope.verify([key(signer.public)], 1)
    with pytest.raises(Exception, match="threshold"):
        envelope.verify([key(BOB.public)], 1)


def test_in_toto_reads_the_statement_and_the_provenance() -> None:
    payload = json.loads(open_envelope(sealed()[PROVENANCE_ATTESTATION]).payload)
    statement = JudgeStatement.copy_from_pb(ParseDict(payload, statement_pb2.Statement()))
    statement.validate()
    provenance = ParseDict(payload["predicate"], provenance_pb2.Provenance())
    assert provenance.run_details.metadata.invocation_id == "attempt-1"
    assert len(provenance.build_definition.resolved_dependencies) == 3
    assert len(statement.pb.subject) == len(CONTENTS) + 1
