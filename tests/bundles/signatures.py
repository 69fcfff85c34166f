"""Forgeries of signatures: malformed, malleable, too many or too few, and by a key that is none."""

from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils

from launcher.trust.dsse import PAYLOAD_TYPE, pae
from tests.bundles.case import Case, Forge, Trust, rows
from tests.bundles.forging import LOCK, PROVENANCE, RESULT, envelope, envelope_of, payload_of, put_envelope
from tests.bundles.honest import Files, Run, launched
from tests.bundles.keys import ALICE, ALICE_P256, BOB, MALLORY, FixedSigner

# RFC 8032: the order of the base point; NIST SP 800-186: that of P-256.
_L = 2**252 + 27742317777372353535851937790883648493
_N = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
_HOLDS = "does not hold"
_CHECK = "signature:result"


@cache
def p256_bundle() -> Files:
    """Return a bundle whose three statements a P-256 key signed."""
    return launched(Run(signer=ALICE_P256))


def cases() -> Iterator[Case]:
    """Yield the forgeries of signatures."""
    yield from rows("signatures", _CHECK, _ED25519 | _COUNTS | _KEYIDS)
    yield from rows("signatures", _CHECK, _P256, base=p256_bundle, trust=Trust(ALICE_P256))
    yield Case(
        title="mirrored-p256-signature",
        group="signatures",
        attack="turned each signature (r, s) into (r, n - s), which is one as well: ECDSA has it so, and"
        " nothing is known by the bytes of a signature",
        forge=_each(_mirrored),
        exit_code=0,
        base=p256_bundle,
        trust=Trust(ALICE_P256),
    )


def _signature(change: Callable[[bytes], bytes], name: str = RESULT) -> Forge:
    """Return a forgery that changes the signature alone."""

    def alter(value: Any) -> None:
        own = value["dsseEnvelope"]["signatures"][0]
        own["sig"] = b64encode(change(b64decode(own["sig"]))).decode()

    return envelope(name, alter)


def _each(change: Callable[[bytes], bytes]) -> Forge:
    def forge(bundle: Path) -> None:
        for name in (PROVENANCE, RESULT, LOCK):
            _signature(change, name)(bundle)

    return forge


def _signatures(change: Callable[[list[Any]], Any]) -> Forge:
    def alter(value: Any) -> None:
        value["dsseEnvelope"]["signatures"] = change(value["dsseEnvelope"]["signatures"])

    return envelope(RESULT, alter)


def _keyid(change: Callable[[str], Any], *, hint: bool = True) -> Forge:
    """Return a forgery that names the key otherwise, in `keyid` and perhaps in `hint`."""

    def alter(value: Any) -> None:
        own = value["dsseEnvelope"]["signatures"][0]
        own["keyid"] = change(own["keyid"])
        if hint:
            value["verificationMaterial"]["publicKey"]["hint"] = own["keyid"]

    return envelope(RESULT, alter)


def _claimed(signer: FixedSigner, as_if: FixedSigner) -> Forge:
    """Return a forgery that one signs in the name of another."""

    def forge(bundle: Path) -> None:
        body = payload_of(bundle, RESULT)
        put_envelope(bundle, RESULT, envelope_of(body, signer.sign(pae(PAYLOAD_TYPE, body)), as_if))

    return forge


def _added_order(signature: bytes) -> bytes:
    """Return (R, S + L): the same equation, which a careless verifier takes for another signature."""
    return signature[:32] + (int.from_bytes(signature[32:], "little") + _L).to_bytes(32, "little")


def _mirrored(signature: bytes) -> bytes:
    r, s = utils.decode_dss_signature(signature)
    return utils.encode_dss_signature(r, _N - s)


def _negative(r: int, s: int) -> bytes:
    """Return the DER of r and of s with its sign turned: two's complement, with no byte to spare."""
    parts = [number.to_bytes(33, "big", signed=True) for number in (r, -s)]
    body = b"".join(b"\2\x21" + part for part in parts)
    return b"\x30" + bytes([len(body)]) + body


def _raised(r: int, s: int) -> bytes:
    """Return (r + n, s), which is equal to (r, s) where a verifier takes r modulo n."""
    return utils.encode_dss_signature(r + _N, s)


def _raw(signature: bytes) -> bytes:
    r, s = utils.decode_dss_signature(signature)
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


def _padded_integer(signature: bytes) -> bytes:
    """Return the DER with a zero byte too many before r."""
    size = signature[3]
    body = b"\2" + bytes([size + 1]) + b"\0" + signature[4 : 4 + size] + signature[4 + size :]
    return b"\x30" + bytes([len(body)]) + body


def _long_length(signature: bytes) -> bytes:
    return b"\x30\x81" + signature[1:]


def _by_sha384(bundle: Path) -> None:
    body = payload_of(bundle, RESULT)
    private = ALICE_P256.private
    assert isinstance(private, ec.EllipticCurvePrivateKey)
    signature = private.sign(pae(PAYLOAD_TYPE, body), ec.ECDSA(hashes.SHA384(), deterministic_signing=True))
    put_envelope(bundle, RESULT, envelope_of(body, signature, ALICE_P256))


def _pair(r: int, s: int) -> Forge:
    return _signature(lambda _: utils.encode_dss_signature(r, s))


_ED25519 = {
    "signature-bit": (
        "changed one bit of the signature",
        _signature(lambda it: bytes([it[0] ^ 1]) + it[1:]),
        _HOLDS,
    ),
    "signature-last-bit": (
        "changed the last bit of the signature",
        _signature(lambda it: it[:-1] + bytes([it[-1] ^ 0x80])),
        _HOLDS,
    ),
    "signature-zero": ("gave 64 zero bytes for a signature", _signature(lambda _: bytes(64)), _HOLDS),
    "signature-identity": (
        "gave the neutral point and zero for a signature",
        _signature(lambda _: b"\1" + bytes(63)),
        _HOLDS,
    ),
    "signature-empty": ("gave no bytes for a signature", _signature(lambda _: b""), _HOLDS),
    "signature-cut": ("cut a byte off the signature", _signature(lambda it: it[:-1]), _HOLDS),
    "signature-and-a-byte": ("added a byte to the signature", _signature(lambda it: it + b"\0"), _HOLDS),
    "signature-beyond-order": ("added the group's order to the signature", _signature(_added_order), _HOLDS),
    "signature-twice-as-long": ("doubled the signature", _signature(lambda it: it + it), "too long"),
    "signature-of-a-megabyte": (
        "gave a megabyte for a signature",
        _signature(lambda _: bytes(1 << 20)),
        "too long",
    ),
    "signature-of-the-provenance": (
        "took the provenance's signature for the result",
        lambda bundle: put_envelope(
            bundle,
            RESULT,
            envelope_of(
                payload_of(bundle, RESULT), ALICE.sign(pae(PAYLOAD_TYPE, payload_of(bundle, PROVENANCE)))
            ),
        ),
        _HOLDS,
    ),
    "signature-reversed": ("reversed the signature", _signature(lambda it: it[::-1]), _HOLDS),
    "signature-by-a-stranger-in-the-name-of-alice": (
        "had a stranger sign in the trusted key's name",
        _claimed(MALLORY, ALICE),
        _HOLDS,
    ),
    "signature-by-p256-in-the-name-of-ed25519": (
        "had a P-256 key sign in the trusted Ed25519 key's name",
        _claimed(ALICE_P256, ALICE),
        _HOLDS,
    ),
}
_P256 = {
    "p256-zeros": ("gave (0, 0) for a signature", _pair(0, 0), _HOLDS),
    "p256-r-zero": ("gave (0, 1) for a signature", _pair(0, 1), _HOLDS),
    "p256-ones": ("gave (1, 1) for a signature", _pair(1, 1), _HOLDS),
    "p256-order": ("gave (n, n) for a signature", _pair(_N, _N), _HOLDS),
    "p256-beyond-order": (
        "added the group's order to s",
        _signature(lambda it: utils.encode_dss_signature(1, utils.decode_dss_signature(it)[1] + _N)),
        _HOLDS,
    ),
    "p256-negative": (
        "gave (r, -s) for a signature",
        _signature(lambda it: _negative(*utils.decode_dss_signature(it))),
        _HOLDS,
    ),
    "p256-r-beyond-order": (
        "added the group's order to r",
        _signature(lambda it: _raised(*utils.decode_dss_signature(it))),
        _HOLDS,
    ),
    "p256-indefinite-length": (
        "wrote the DER with a length that is not told",
        _signature(lambda it: b"\x30\x80" + it[2:] + b"\0\0"),
        "signature",
    ),
    "p256-raw": ("gave r and s without DER", _signature(_raw), _HOLDS),
    "p256-trailing": ("added a byte behind the DER", _signature(lambda it: it + b"\0"), _HOLDS),
    "p256-padded-integer": ("wrote r with a zero byte too many", _signature(_padded_integer), _HOLDS),
    "p256-long-length": ("wrote the DER's length in two bytes", _signature(_long_length), _HOLDS),
    "p256-empty": ("gave no bytes for a signature of P-256", _signature(lambda _: b""), _HOLDS),
    "p256-sha384": ("signed with SHA-384", _by_sha384, _HOLDS),
    "p256-by-ed25519": (
        "had an Ed25519 key sign in the P-256 key's name",
        _claimed(ALICE, ALICE_P256),
        _HOLDS,
    ),
}
_COUNTS = {
    "signatures-none": ("took the signature out", _signatures(lambda _: []), "exactly one signature"),
    "signatures-two": (
        "gave the same signature twice",
        _signatures(lambda it: it * 2),
        "exactly one signature",
    ),
    "signatures-two-keys": (
        "added a second signature by another key",
        _signatures(lambda it: [*it, {"keyid": BOB.public.fingerprint, "sig": "AAAA"}]),
        "exactly one signature",
    ),
    "signatures-first-bad": (
        "put a bad signature before the good one",
        _signatures(lambda it: [{**it[0], "sig": "AAAA"}, *it]),
        "exactly one signature",
    ),
    "signatures-thousand": (
        "gave the signature a thousand times",
        _signatures(lambda it: it * 1000),
        "exactly one",
    ),
    "signatures-null": (
        "gave `null` for the signatures",
        _signatures(lambda _: None),
        "exactly one signature",
    ),
    "signatures-object": (
        "gave an object for the signatures",
        _signatures(lambda it: it[0]),
        "exactly one signature",
    ),
    "signatures-text": (
        "gave a text in the list of signatures",
        _signatures(lambda _: ["x"]),
        "the signature",
    ),
    "signature-with-a-certificate": (
        "brought a certificate with the signature",
        _signatures(lambda it: [{**it[0], "cert": "AAAA"}]),
        "the signature must be",
    ),
    "signature-number": (
        "gave a number for a signature",
        _signatures(lambda it: [{**it[0], "sig": 1}]),
        "not base64",
    ),
}
_KEYIDS = {
    "keyid-empty": ("left the key's name empty", _keyid(lambda _: ""), "not an OpenSSH fingerprint"),
    "keyid-number": ("gave a number for the key's name", _keyid(lambda _: 1), "not an OpenSSH fingerprint"),
    "keyid-hex": (
        "named the key in hexadecimal digits",
        _keyid(lambda _: ALICE.public.key_hex),
        "fingerprint",
    ),
    "keyid-padded": ("padded the key's fingerprint", _keyid(lambda it: it + "="), "fingerprint"),
    "keyid-md5": ("named the key by MD5", _keyid(lambda _: "MD5:" + ":".join(["ab"] * 16)), "fingerprint"),
    "keyid-other-spelling": (
        "spelled the same fingerprint otherwise, in the bits that base64 leaves over",
        _keyid(lambda it: it[:-1] + chr(ord(it[-1]) + 1)),
        "fingerprint",
    ),
    "keyid-beside-the-hint": (
        "named another key in `keyid` than in `hint`",
        _keyid(lambda _: BOB.public.fingerprint, hint=False),
        "name different keys",
    ),
    "keyid-missing": (
        "left the key's name out of the signature",
        _signatures(lambda it: [{"sig": it[0]["sig"]}]),
        "the signature must be",
    ),
    "keyid-with-a-line-feed": (
        "ended the key's name with a line feed",
        _keyid(lambda it: it + "\n"),
        "fingerprint",
    ),
}
