"""Sigstore bundle v0.3 with one DSSE signature by a bare key: the bytes of a `*.sigstore.json` file.

https://github.com/sigstore/protobuf-specs/blob/main/protos/sigstore_bundle.proto. A file is the RFC 8785
bytes of its JSON and one line feed; any other spelling of the same content is refused.
"""

import base64
import binascii
from collections.abc import Mapping
from typing import Any, Final

from launcher.canonical import canonical_bytes, count_values, parse_json
from launcher.errors import CheckFailedError, MalformedError
from launcher.trust.dsse import PAYLOAD_TYPE, Envelope, pae, statement_bytes
from launcher.trust.keys import Signer, is_fingerprint
from launcher.trust.timestamps import MAX_TIMESTAMP_BYTES, StampedSigner

MEDIA_TYPE: Final = "application/vnd.dev.sigstore.bundle.v0.3+json"
MAX_ENVELOPE_BYTES: Final = 8 << 20
_MAX_DEPTH: Final = 5
_MAX_VALUES: Final = 4096
_MAX_SIGNATURE_BYTES: Final = 72


def seal(statement: dict[str, Any], signer: Signer) -> bytes:
    """Return the attestation file for `statement`, signed by `signer`."""
    return seal_payload(statement_bytes(statement), signer)


def seal_payload(payload: bytes, signer: Signer) -> bytes:
    """Return the attestation file for a payload's exact bytes, as a co-signature needs it."""
    signature = signer.sign(pae(PAYLOAD_TYPE, payload))
    stamp = signer.stamp(signature) if isinstance(signer, StampedSigner) else None
    data = _encode(Envelope(signer.public.fingerprint, PAYLOAD_TYPE, payload, signature, stamp))
    if len(data) > MAX_ENVELOPE_BYTES:
        raise _failed(f"the attestation would have {len(data)} bytes", f"the limit is {MAX_ENVELOPE_BYTES}")
    return data


def open_envelope(data: bytes) -> Envelope:
    """Read the structure of an attestation file; nothing in it is verified and the payload stays opaque.

    Raises `CheckFailedError` and nothing else, whatever bytes it is given.
    """
    if len(data) > MAX_ENVELOPE_BYTES:
        raise _failed(f"it has {len(data)} bytes", f"the limit is {MAX_ENVELOPE_BYTES}")
    if count_values(data) > _MAX_VALUES:
        raise _failed(f"it holds more than {_MAX_VALUES} values")
    try:
        value = parse_json(data, what="it", max_depth=_MAX_DEPTH)
    except MalformedError as error:
        raise _failed(error.message) from error
    envelope = _decode(value)
    if _encode(envelope) != data:
        raise _failed("its bytes are not the canonical form (RFC 8785, base64 with padding, one line feed)")
    return envelope


def _decode(value: Any) -> Envelope:
    top = _object(value, "the bundle", "dsseEnvelope", "mediaType", "verificationMaterial")
    if top["mediaType"] != MEDIA_TYPE:
        raise _failed("its media type is wrong", f"expected `{MEDIA_TYPE}`")
    material, timestamp = _timestamp(top["verificationMaterial"])
    hint = _object(material["publicKey"], "publicKey", "hint")["hint"]
    envelope = _object(top["dsseEnvelope"], "dsseEnvelope", "payload", "payloadType", "signatures")
    signatures = envelope["signatures"]
    if not isinstance(signatures, list) or len(signatures) != 1:
        raise _failed("it must hold exactly one signature")
    signature = _object(signatures[0], "the signature", "keyid", "sig")
    keyid = signature["keyid"]
    if not isinstance(keyid, str) or not is_fingerprint(keyid):
        raise _failed("its keyid is not an OpenSSH fingerprint (`SHA256:...`)")
    if hint != keyid:
        raise _failed("its hint and its keyid name different keys")
    if envelope["payloadType"] != PAYLOAD_TYPE:
        raise _failed("its payload type is wrong", f"expected `{PAYLOAD_TYPE}`")
    signed = _base64(signature["sig"], "signature")
    if len(signed) > _MAX_SIGNATURE_BYTES:
        raise _failed("its signature is too long for Ed25519 or P-256")
    return Envelope(keyid, PAYLOAD_TYPE, _base64(envelope["payload"], "payload"), signed, timestamp)


def _timestamp(material: Any) -> tuple[Mapping[str, Any], bytes | None]:
    """Return the verification material, and the one timestamp in it, if any."""
    if not isinstance(material, dict) or "timestampVerificationData" not in material:
        return _object(material, "verificationMaterial", "publicKey"), None
    material = _object(material, "verificationMaterial", "publicKey", "timestampVerificationData")
    data = _object(material["timestampVerificationData"], "timestampVerificationData", "rfc3161Timestamps")[
        "rfc3161Timestamps"
    ]
    if not isinstance(data, list) or len(data) != 1:
        raise _failed("it must hold exactly one timestamp, or say nothing of timestamps")
    stamp = _base64(_object(data[0], "the timestamp", "signedTimestamp")["signedTimestamp"], "timestamp")
    if not 0 < len(stamp) <= MAX_TIMESTAMP_BYTES:
        raise _failed(f"its timestamp has {len(stamp)} bytes", f"expected 1 to {MAX_TIMESTAMP_BYTES}")
    return material, stamp


def _encode(envelope: Envelope) -> bytes:
    material: dict[str, Any] = {"publicKey": {"hint": envelope.keyid}}
    if envelope.timestamp is not None:
        stamp = {"signedTimestamp": base64.b64encode(envelope.timestamp).decode()}
        material["timestampVerificationData"] = {"rfc3161Timestamps": [stamp]}
    value = {
        "mediaType": MEDIA_TYPE,
        "verificationMaterial": material,
        "dsseEnvelope": {
            "payload": base64.b64encode(envelope.payload).decode(),
            "payloadType": envelope.payload_type,
            "signatures": [
                {"keyid": envelope.keyid, "sig": base64.b64encode(envelope.signature).decode()},
            ],
        },
    }
    return canonical_bytes(value) + b"\n"


def _object(value: Any, what: str, *keys: str) -> Mapping[str, Any]:
    if not isinstance(value, dict) or set(value) != set(keys):
        raise _failed(f"{what} must be an object with exactly the keys {', '.join(keys)}")
    return value


def _base64(value: Any, what: str) -> bytes:
    if not isinstance(value, str):
        raise _failed(f"its {what} is not base64")
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError) as error:
        raise _failed(f"its {what} is not base64") from error


def _failed(message: str, context: str | None = None) -> CheckFailedError:
    return CheckFailedError(
        f"the attestation is malformed: {message}", code="bad-attestation", context=context
    )
