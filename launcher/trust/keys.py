"""Keys: who signs, by one fingerprint everywhere, and whether a signature is theirs.

Public keys are read without a cryptographic library: OpenSSH lines (RFC 4253 section 6.6, RFC 8709, RFC 5656)
and PEM SubjectPublicKeyInfo (RFC 8410, RFC 5480), Ed25519 and ECDSA P-256 only.
"""

import base64
import binascii
import hashlib
import re
from typing import Final, Literal, Protocol

from msgspec import Struct

from launcher.errors import MalformedError

Algorithm = Literal["ssh-ed25519", "ecdsa-sha2-nistp256"]

_SPKI: Final[dict[bytes, Algorithm]] = {
    bytes.fromhex("302a300506032b6570032100"): "ssh-ed25519",
    bytes.fromhex("3059301306072a8648ce3d020106082a8648ce3d030107034200"): "ecdsa-sha2-nistp256",
}
_POINT_BYTES: Final = {"ssh-ed25519": 32, "ecdsa-sha2-nistp256": 65}
_PEM_PUBLIC = re.compile(r"-----BEGIN PUBLIC KEY-----\n([A-Za-z0-9+/=\n]+)\n-----END PUBLIC KEY-----")
_FINGERPRINT = re.compile(r"SHA256:[A-Za-z0-9+/]{43}", re.ASCII)

# NIST P-256, https://csrc.nist.gov/pubs/sp/800/186/final section 3.2.1.3: y^2 = x^3 - 3x + b (mod p).
_P256_P: Final = 2**256 - 2**224 + 2**192 + 2**96 - 1
_P256_B: Final = 0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B

# edwards25519, RFC 8032 section 5.1: the points of small order by their y, of either sign. Under such a key
# anybody can sign anything, for OpenSSL does not multiply by the cofactor either.
_ED25519_P: Final = 2**255 - 19
_ORDER_EIGHT: Final = int.from_bytes(
    bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"), "little"
)
_SMALL_ORDERS: Final = frozenset({0, 1, _ED25519_P - 1, _ORDER_EIGHT, _ED25519_P - _ORDER_EIGHT})


class PublicKey(Struct, frozen=True):
    """One public key; `point` is 32 bytes (Ed25519) or 65 (P-256, uncompressed)."""

    algorithm: Algorithm
    point: bytes

    def __post_init__(self) -> None:
        if self.algorithm == "ssh-ed25519" and len(self.point) != 32:
            raise _malformed("an Ed25519 public key has 32 bytes", f"got {len(self.point)}")
        if self.algorithm == "ssh-ed25519" and _is_weak(self.point):
            raise _malformed("this is no Ed25519 public key that anybody should trust: its point is weak")
        if self.algorithm == "ecdsa-sha2-nistp256" and not _is_on_p256(self.point):
            raise _malformed("a P-256 public key is an uncompressed point on the curve")

    @property
    def blob(self) -> bytes:
        """Return the key as OpenSSH writes it on the wire."""
        name = self.algorithm.encode()
        if self.algorithm == "ssh-ed25519":
            return _string(name) + _string(self.point)
        return _string(name) + _string(b"nistp256") + _string(self.point)

    @property
    def fingerprint(self) -> str:
        """Return `SHA256:` and unpadded base64: what `ssh-keygen -lf` prints."""
        digest = hashlib.sha256(self.blob).digest()
        return "SHA256:" + base64.b64encode(digest).decode().rstrip("=")

    @property
    def key_hex(self) -> str:
        """Return the fingerprint's 32 bytes in lowercase hex, as they stand in file names."""
        return hashlib.sha256(self.blob).hexdigest()

    @property
    def openssh(self) -> str:
        """Return the public key as one OpenSSH line without a comment or line end."""
        return f"{self.algorithm} {base64.b64encode(self.blob).decode()}"

    @property
    def pem(self) -> str:
        """Return the public key as PEM SubjectPublicKeyInfo, which OpenSSL and cosign read."""
        prefix = next(prefix for prefix, algorithm in _SPKI.items() if algorithm == self.algorithm)
        body = base64.b64encode(prefix + self.point).decode()
        lines = [body[start : start + 64] for start in range(0, len(body), 64)]
        return "\n".join(["-----BEGIN PUBLIC KEY-----", *lines, "-----END PUBLIC KEY-----", ""])

    def is_signature_of(self, data: bytes, signature: bytes) -> bool:
        """Say whether `signature` (P-256: ASN.1 DER over SHA-256) was made over `data` by this key."""
        from cryptography.exceptions import InvalidSignature

        try:
            if self.algorithm == "ssh-ed25519":
                from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

                Ed25519PublicKey.from_public_bytes(self.point).verify(signature, data)
            else:
                from cryptography.hazmat.primitives import hashes
                from cryptography.hazmat.primitives.asymmetric import ec

                key = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), self.point)
                key.verify(signature, data, ec.ECDSA(hashes.SHA256()))
        except (InvalidSignature, ValueError):
            return False
        return True


class Signer(Protocol):
    """Whatever can sign: a key file, and behind the same two names an agent, a command or a device."""

    @property
    def public(self) -> PublicKey:
        """Return the public half, which names the signer."""

    def sign(self, data: bytes) -> bytes:
        """Return the signature over `data` (Ed25519: 64 bytes; P-256: ASN.1 DER over SHA-256)."""


def is_fingerprint(text: str) -> bool:
    """Say whether `text` is an OpenSSH SHA-256 fingerprint in its one canonical spelling."""
    return _FINGERPRINT.fullmatch(text) is not None and fingerprint_of_hex(fingerprint_hex(text)) == text


def fingerprint_hex(fingerprint: str) -> str:
    """Return the 32 bytes of a well-formed fingerprint in lowercase hex."""
    return base64.b64decode(fingerprint[7:] + "=").hex()


def fingerprint_of_hex(key_hex: str) -> str:
    """Return the fingerprint whose 32 bytes are `key_hex`."""
    return "SHA256:" + base64.b64encode(bytes.fromhex(key_hex)).decode().rstrip("=")


def load_public(text: str) -> PublicKey:
    """Read an OpenSSH public key line or a PEM SubjectPublicKeyInfo.

    Raises `MalformedError` and nothing else, whatever text it is given.
    """
    text = text.strip()
    if "PRIVATE KEY-----" in text[:64]:
        raise _malformed("this is a private key, where a public one is expected", hint="name the `.pub` file")
    if text.startswith("-----BEGIN"):
        return _from_pem(text.replace("\r\n", "\n"))
    return _from_openssh(text)


def _is_on_p256(point: bytes) -> bool:
    if len(point) != 65 or point[0] != 4:
        return False
    x, y = int.from_bytes(point[1:33], "big"), int.from_bytes(point[33:], "big")
    return max(x, y) < _P256_P and (y * y - (x * x * x - 3 * x + _P256_B)) % _P256_P == 0


def _is_weak(point: bytes) -> bool:
    """Say whether a point is of small order, or spelled otherwise than RFC 8032 has it."""
    y = int.from_bytes(point, "little") & ~(1 << 255)
    return y >= _ED25519_P or y in _SMALL_ORDERS


def _string(data: bytes) -> bytes:
    return len(data).to_bytes(4, "big") + data


def _from_openssh(text: str) -> PublicKey:
    words = text.split(" ", 2)
    size = _POINT_BYTES.get(words[0])
    if size is None:
        raise _malformed(
            "this is not an Ed25519 or P-256 public key",
            "expected a line that starts with `ssh-ed25519` or `ecdsa-sha2-nistp256`, or PEM",
            "name the `.pub` file that the key's owner gave you",
        )
    if "\n" in text:
        raise _malformed("expected one public key", "got several lines")
    algorithm: Algorithm = "ssh-ed25519" if words[0] == "ssh-ed25519" else "ecdsa-sha2-nistp256"
    key = PublicKey(algorithm, _base64(words[1] if len(words) > 1 else "")[-size:])
    if key.openssh != " ".join(words[:2]):
        raise _malformed(f"the base64 after `{algorithm}` is not such a key in its canonical form")
    return key


def _from_pem(text: str) -> PublicKey:
    match = _PEM_PUBLIC.fullmatch(text)
    data = _base64(match[1].replace("\n", "")) if match else b""
    for prefix, algorithm in _SPKI.items():
        if data.startswith(prefix):
            return PublicKey(algorithm, data[len(prefix) :])
    raise _malformed("this PEM is not an Ed25519 or P-256 public key (SubjectPublicKeyInfo)")


def _base64(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise _malformed("the public key is not base64") from error


def _malformed(message: str, context: str | None = None, hint: str | None = None) -> MalformedError:
    return MalformedError(message, code="malformed-key", context=context, hint=hint)
