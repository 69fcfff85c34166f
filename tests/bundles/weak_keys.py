"""Public keys that are none: points under which anybody can sign, off the curve, or of another curve.

A bundle brings no key; whoever verifies it might be given one. He is told so (exit code 2).
"""

from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec, ed448, x25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.bundles.case import Case, Forge, Trust, leave
from tests.bundles.forging import LOCK, PROVENANCE, RESULT, envelope_of, payload_of, put_envelope
from tests.bundles.keys import ALICE, ALICE_P256
from tests.bundles.policies import policy

_P = 2**255 - 19
# The base point, and 1: with the neutral point for a key, a signature over everything.
_OVER_EVERYTHING = bytes.fromhex("58" + "66" * 31) + (1).to_bytes(32, "little")
_WEAK = "its point is weak"


def openssh(kind: str, *fields: bytes) -> str:
    """Return an OpenSSH public key line with these fields."""
    blob = b"".join(len(field).to_bytes(4, "big") + field for field in (kind.encode(), *fields))
    return f"{kind} {b64encode(blob).decode()}"


def _edwards(y: int, sign: int = 0) -> str:
    return openssh("ssh-ed25519", (y | sign << 255).to_bytes(32, "little"))


def _p256(point: bytes, curve: bytes = b"nistp256") -> str:
    return openssh("ecdsa-sha2-nistp256", curve, point)


def _pem(key: x25519.X25519PublicKey | ed448.Ed448PublicKey | ec.EllipticCurvePublicKey) -> str:
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def _on(curve: ec.EllipticCurve) -> ec.EllipticCurvePublicKey:
    return ec.derive_private_key(11, curve).public_key()


_EIGHT = int.from_bytes(
    bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"), "little"
)
_POINT = ALICE_P256.public.point
_COMPRESSED = bytes([2 + _POINT[-1] % 2]) + _POINT[1:33]

# Title: what it is, the key, the words of the refusal.
_LINES = {
    "neutral": ("that is the neutral point", _edwards(1), _WEAK),
    "neutral-otherwise": ("that is the neutral point in another spelling", _edwards(1, 1), _WEAK),
    "neutral-beyond-p": ("that is the neutral point, written as p + 1", _edwards(_P + 1), _WEAK),
    "of-order-two": ("that is a point of order two", _edwards(_P - 1), _WEAK),
    "of-order-four": ("that is a point of order four", _edwards(0), _WEAK),
    "of-order-four-negative": ("that is the other point of order four", _edwards(0, 1), _WEAK),
    "of-order-four-beyond-p": ("that is a point of order four, written as p", _edwards(_P), _WEAK),
    "of-order-eight": ("that is a point of order eight", _edwards(_EIGHT), _WEAK),
    "of-order-eight-negative": ("that is another point of order eight", _edwards(_P - _EIGHT, 1), _WEAK),
    "beyond-p": ("whose point is spelled beyond p", _edwards(_P + 3), _WEAK),
    "off-the-curve": (
        "that is on no curve",
        _p256(_POINT[:-1] + bytes([_POINT[-1] ^ 1])),
        "point on the curve",
    ),
    "at-infinity": ("that is the point at infinity", _p256(b"\0"), "point on the curve"),
    "of-zeros": ("that is (0, 0)", _p256(b"\4" + bytes(64)), "point on the curve"),
    "compressed": ("that is a compressed point", _p256(_COMPRESSED), "point on the curve"),
    "of-another-curve-in-its-name": (
        "of P-384 called one of P-256",
        _p256(_on(ec.SECP384R1()).public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)),
        "point on the curve",
    ),
    "of-p384": (
        "of P-384",
        openssh(
            "ecdsa-sha2-nistp384",
            b"nistp384",
            _on(ec.SECP384R1()).public_bytes(Encoding.X962, PublicFormat.UncompressedPoint),
        ),
        "not an Ed25519 or P-256",
    ),
    "with-a-field-more": (
        "with bytes behind its point",
        openssh("ssh-ed25519", ALICE.public.point, b"more"),
        "not such a key",
    ),
    "of-31-bytes": ("of 31 bytes", openssh("ssh-ed25519", ALICE.public.point[:31]), "not such a key"),
    "of-a-certificate": (
        "that is an OpenSSH certificate",
        openssh("ssh-ed25519-cert-v01@openssh.com", bytes(32), ALICE.public.point),
        "not an Ed25519 or P-256",
    ),
}
_FILES = {
    "of-secp256k1": ("of secp256k1", _pem(_on(ec.SECP256K1())), "not an Ed25519 or P-256"),
    "of-ed448": (
        "of Ed448",
        _pem(ed448.Ed448PrivateKey.from_private_bytes(b"\7" * 57).public_key()),
        "not an Ed25519 or P-256",
    ),
    "of-x25519": (
        "of X25519, which signs nothing",
        _pem(x25519.X25519PrivateKey.from_private_bytes(b"\7" * 32).public_key()),
        "not an Ed25519 or P-256",
    ),
    "with-text-behind": ("with a second one behind it", ALICE.public.pem * 2, "not an Ed25519 or P-256"),
    "empty": ("of no bytes", "", "not an Ed25519 or P-256"),
}


def _over_everything(bundle: Path) -> None:
    """Sign each statement without any private key, in the name of the neutral point."""
    (bundle.parent / "key.pub").write_text(_edwards(1) + "\n")
    for name in (PROVENANCE, RESULT, LOCK):
        put_envelope(bundle, name, envelope_of(payload_of(bundle, name), _OVER_EVERYTHING))


def cases() -> Iterator[Case]:
    """Yield the keys that are refused wherever they are given."""
    for title, (said, line, words) in _LINES.items():
        yield Case(
            title=f"policy-with-a-key-{title}",
            group="policy",
            attack=f"was honest, but the policy has a key {said}",
            forge=leave,
            trust=Trust(policy=policy().replace(ALICE.public.openssh, line)),
            exit_code=2,
            refused_by="malformed-policy",
            words=words,
        )
    for title, (said, text, words) in _FILES.items():
        yield Case(
            title=f"key-file-{title}",
            group="policy",
            attack=f"was honest, but `--key` is given a key {said}",
            forge=_given(text),
            exit_code=2,
            refused_by="malformed-key",
            words=words,
        )
    yield Case(
        title="signed-under-the-neutral-point",
        group="signatures",
        attack="signed without any private key, under a public one for which one signature fits everything",
        forge=_over_everything,
        exit_code=2,
        refused_by="malformed-key",
        words=_WEAK,
    )


def _given(text: str) -> Forge:
    return lambda bundle: (bundle.parent / "key.pub").write_text(text)
