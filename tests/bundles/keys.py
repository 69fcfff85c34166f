"""The keys of the corpus: made from fixed numbers, and signing the same bytes the same way each time."""

from dataclasses import dataclass

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from launcher.trust.keys import PublicKey, load_public

Private = Ed25519PrivateKey | ec.EllipticCurvePrivateKey


@dataclass(frozen=True)
class FixedSigner:
    """Signs without chance: Ed25519 as always, ECDSA with the nonce of RFC 6979."""

    public: PublicKey
    private: Private

    def sign(self, data: bytes) -> bytes:
        if isinstance(self.private, Ed25519PrivateKey):
            return self.private.sign(data)
        return self.private.sign(data, ec.ECDSA(hashes.SHA256(), deterministic_signing=True))


def ed25519(number: int) -> FixedSigner:
    return _signer(Ed25519PrivateKey.from_private_bytes(bytes([number]) * 32))


def p256(number: int) -> FixedSigner:
    return _signer(ec.derive_private_key(number, ec.SECP256R1()))


def _signer(private: Private) -> FixedSigner:
    line = private.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
    return FixedSigner(load_public(line.decode()), private)


# ALICE launches and is trusted; BOB is a colleague whom policies name; nobody trusts MALLORY.
ALICE, BOB, CAROL, MALLORY = map(ed25519, (11, 12, 13, 66))
ALICE_P256 = p256(11)
