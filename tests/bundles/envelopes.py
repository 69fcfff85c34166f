"""Forgeries of envelopes: attestation files whose type, signed bytes or key are not what they seem."""

import hashlib
from base64 import b64encode
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from launcher.trust.dsse import PAYLOAD_TYPE, pae
from tests.bundles.case import Case, Forge, rows
from tests.bundles.forging import RESULT, envelope, envelope_of, payload_of, put_envelope, signed_envelope
from tests.bundles.keys import ALICE


def cases() -> Iterator[Case]:
    """Yield the forgeries of envelopes."""
    yield from rows("types", "signature:result", _PAYLOAD_TYPES | _SIGNED_OTHERWISE | _MATERIAL | _STAMPED)
    yield from rows("types", "timestamp:result", _STAMPED_FALSELY)


def _typed(payload_type: str) -> Forge:
    """Return a forgery that signs the payload under another type, and says so."""

    def forge(bundle: Path) -> None:
        value = signed_envelope(payload_of(bundle, RESULT), ALICE, payload_type)
        put_envelope(bundle, RESULT, value)

    return forge


def _over(message: Callable[[bytes], bytes]) -> Forge:
    """Return a forgery whose signature is true, but over other bytes than the pre-authentication encoding."""

    def forge(bundle: Path) -> None:
        body = payload_of(bundle, RESULT)
        put_envelope(bundle, RESULT, envelope_of(body, ALICE.sign(message(body))))

    return forge


def _material(**material: Any) -> Forge:
    return envelope(RESULT, lambda it: it.update(verificationMaterial=material))


def _beside(**more: Any) -> Forge:
    return envelope(RESULT, lambda it: it["verificationMaterial"].update(more))


def _stamped(*stamps: Any) -> Forge:
    """Return a forgery that puts RFC 3161 timestamps beside the key."""
    listed = [{"signedTimestamp": b64encode(stamp).decode()} for stamp in stamps]
    return _beside(timestampVerificationData={"rfc3161Timestamps": listed})


def _dsse(change: Callable[[Any], Any]) -> Forge:
    return envelope(RESULT, lambda it: change(it["dsseEnvelope"]))


def _without(key: str) -> Forge:
    return envelope(RESULT, lambda it: it.pop(key))


def _message_signature(bundle: Path) -> None:
    body = payload_of(bundle, RESULT)
    value = envelope_of(body, b"")
    value.pop("dsseEnvelope")
    value["messageSignature"] = {
        "messageDigest": {
            "algorithm": "SHA2_256",
            "digest": b64encode(hashlib.sha256(body).digest()).decode(),
        },
        "signature": b64encode(ALICE.sign(body)).decode(),
    }
    put_envelope(bundle, RESULT, value)


def _both_contents(bundle: Path) -> None:
    value = signed_envelope(payload_of(bundle, RESULT))
    value["messageSignature"] = {"messageDigest": {}, "signature": ""}
    put_envelope(bundle, RESULT, value)


_PAYLOAD_TYPES = {
    f"payload-type-{title}": (attack, _typed(kind), "payload type is wrong")
    for title, attack, kind in (
        ("text", "signed the statement as plain text", "text/plain"),
        ("json", "signed the statement as bare JSON", "application/json"),
        ("capitals", "wrote the payload type in capitals", PAYLOAD_TYPE.upper()),
        ("parameter", "added a parameter to the payload type", f"{PAYLOAD_TYPE}; charset=utf-8"),
        ("space", "added a space to the payload type", f"{PAYLOAD_TYPE} "),
        (
            "simple-signing",
            "signed it as a container image's",
            "application/vnd.dev.cosign.simplesigning.v1+json",
        ),
        ("empty", "signed it under no type", ""),
    )
} | {
    "payload-type-not-signed": (
        "changed the payload type that the envelope names, not the one that was signed",
        _dsse(lambda it: it.update(payloadType="application/vnd.in-toto+jsonx")),
        "payload type is wrong",
    ),
    "payload-type-number": (
        "gave a number for a payload type",
        _dsse(lambda it: it.update(payloadType=1)),
        "type",
    ),
}
_SIGNED_OTHERWISE = {
    f"signed-{title}": (f"signed {attack}", _over(message), "does not hold")
    for title, attack, message in (
        ("bare-payload", "the payload itself, without its type", lambda body: body),
        ("base64", "the base64 of the payload", b64encode),
        ("digest", "the payload's digest", lambda body: hashlib.sha256(body).digest()),
        (
            "digest-of-pae",
            "the digest of what DSSE signs",
            lambda body: hashlib.sha256(pae(PAYLOAD_TYPE, body)).digest(),
        ),
        (
            "other-type",
            "the payload under another type than the envelope names",
            lambda body: pae("text/plain", body),
        ),
        (
            "other-version",
            "under another version of DSSE",
            lambda body: pae(PAYLOAD_TYPE, body).replace(b"v1", b"v2", 1),
        ),
        (
            "no-lengths",
            "type and payload without their lengths",
            lambda body: b"DSSEv1 " + PAYLOAD_TYPE.encode() + body,
        ),
        (
            "wrong-length",
            "with a length that is one short",
            lambda body: (
                b"DSSEv1 %d %b %d %b" % (len(PAYLOAD_TYPE), PAYLOAD_TYPE.encode(), len(body) - 1, body)
            ),
        ),
        (
            "padded-length",
            "with a length that has a leading zero",
            lambda body: b"DSSEv1 %d %b 0%d %b" % (len(PAYLOAD_TYPE), PAYLOAD_TYPE.encode(), len(body), body),
        ),
        (
            "binary-lengths",
            "with lengths of eight bytes, as an early DSSE had them",
            lambda body: b"".join(
                (
                    (2).to_bytes(8, "little"),
                    len(PAYLOAD_TYPE).to_bytes(8, "little"),
                    PAYLOAD_TYPE.encode(),
                    len(body).to_bytes(8, "little"),
                    body,
                )
            ),
        ),
        (
            "ssh",
            "as `ssh-keygen -Y sign` does",
            lambda body: (
                b"SSHSIG"
                + b"\0\0\0\4file"
                + b"\0\0\0\0"
                + b"\0\0\0\6sha512"
                + b"\0\0\0\x40"
                + hashlib.sha512(body).digest()
            ),
        ),
    )
}
_CERTIFICATE = b64encode(b"\x30\x03\x02\x01\x00").decode()
_MATERIAL = {
    "media-type-0.1": (
        "named version 0.1 of the Sigstore bundle",
        envelope(
            RESULT, lambda it: it.update(mediaType="application/vnd.dev.sigstore.bundle+json;version=0.1")
        ),
        "media type is wrong",
    ),
    "media-type-0.2": (
        "named version 0.2 of the Sigstore bundle",
        envelope(
            RESULT, lambda it: it.update(mediaType="application/vnd.dev.sigstore.bundle+json;version=0.2")
        ),
        "media type is wrong",
    ),
    "media-type-0.3-old-spelling": (
        "named version 0.3 of the Sigstore bundle in its old spelling",
        envelope(
            RESULT, lambda it: it.update(mediaType="application/vnd.dev.sigstore.bundle+json;version=0.3")
        ),
        "media type is wrong",
    ),
    "media-type-0.4": (
        "named a later version of the Sigstore bundle",
        envelope(RESULT, lambda it: it.update(mediaType="application/vnd.dev.sigstore.bundle.v0.4+json")),
        "media type is wrong",
    ),
    "media-type-missing": ("left the media type out", _without("mediaType"), "exactly the keys"),
    "material-missing": (
        "left the verification material out",
        _without("verificationMaterial"),
        "exactly the keys",
    ),
    "envelope-missing": ("left the envelope out", _without("dsseEnvelope"), "exactly the keys"),
    "message-signature": (
        "signed the file as a message, without a type",
        _message_signature,
        "exactly the keys",
    ),
    "message-signature-beside": (
        "put a message signature beside the envelope",
        _both_contents,
        "exactly the keys",
    ),
    "certificate-for-a-key": (
        "brought a certificate in the key's place",
        _material(certificate={"rawBytes": _CERTIFICATE}),
        "verificationMaterial",
    ),
    "certificate-beside-the-key": (
        "brought a certificate beside the key",
        _beside(certificate={"rawBytes": _CERTIFICATE}),
        "verificationMaterial",
    ),
    "certificate-chain": (
        "brought a chain of certificates",
        _material(x509CertificateChain={"certificates": [{"rawBytes": _CERTIFICATE}]}),
        "verificationMaterial",
    ),
    "key-in-the-bundle": (
        "brought the key itself beside its name",
        envelope(RESULT, lambda it: it["verificationMaterial"]["publicKey"].update(rawBytes="AAAA")),
        "publicKey",
    ),
    "log-entries": (
        "brought entries of a log that nobody asked for",
        _beside(tlogEntries=[{}]),
        "verificationMaterial",
    ),
    "log-entries-empty": (
        "brought an empty list of log entries",
        _beside(tlogEntries=[]),
        "verificationMaterial",
    ),
    "material-list": (
        "made the verification material a list",
        envelope(RESULT, lambda it: it.update(verificationMaterial=[])),
        "verificationMaterial",
    ),
    "field-beside-the-envelope": (
        "added a field to the file",
        envelope(RESULT, lambda it: it.update(note="trusted")),
        "exactly the keys",
    ),
    "field-in-the-envelope": (
        "added a field to the envelope",
        _dsse(lambda it: it.update(note="trusted")),
        "exactly the keys",
    ),
    "envelope-list": (
        "made the envelope a list",
        envelope(RESULT, lambda it: it.update(dsseEnvelope=[])),
        "dsseEnvelope",
    ),
}

_STAMPED = {
    "timestamps-two": (
        "brought two timestamps, for a verifier to pick one",
        _stamped(b"a", b"b"),
        "exactly one",
    ),
    "timestamps-none": ("brought a list of timestamps with nothing in it", _stamped(), "exactly one"),
    "timestamp-empty": ("brought a timestamp of no bytes", _stamped(b""), "0 bytes"),
    "timestamp-huge": ("brought a timestamp of 20 KB", _stamped(bytes(20_000)), "20000 bytes"),
    "timestamp-with-a-log-entry": (
        "brought a timestamp, and a log entry beside it",
        _beside(
            timestampVerificationData={"rfc3161Timestamps": [{"signedTimestamp": "AAAA"}]}, tlogEntries=[]
        ),
        "verificationMaterial",
    ),
}
_STAMPED_FALSELY = {
    "timestamp-that-is-none": (
        "brought bytes that are no timestamp, for one that nobody would check",
        _stamped(b"2020-01-01T00:00:00Z"),
        "malformed",
    ),
}
