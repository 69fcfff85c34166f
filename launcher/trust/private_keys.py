"""Private keys from the bytes of a file: OpenSSH and PKCS#8 PEM, in clear or under a passphrase."""

import binascii
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from launcher.errors import MalformedError
from launcher.trust.keys import PublicKey, load_public

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

# Asks for the passphrase of the key that is named to it.
Passphrase = Callable[[str], bytes]

_OPENSSH: Final = re.compile(
    rb"-----BEGIN OPENSSH PRIVATE KEY-----\n([A-Za-z0-9+/=\n]+)\n-----END OPENSSH PRIVATE KEY-----"
)
_MAGIC: Final = b"openssh-key-v1\0"
_NEW_KEY: Final = "make a key with `evalctl key new NAME`"


@dataclass(frozen=True, slots=True)
class FileSigner:
    """Sign with a private key that was read from a file."""

    public: PublicKey
    private: "Ed25519PrivateKey | EllipticCurvePrivateKey" = field(repr=False)

    def sign(self, data: bytes) -> bytes:
        """Return the signature over `data`."""
        from cryptography.hazmat.primitives import hashes
        from cryptography.hazmat.primitives.asymmetric import ec

        if isinstance(self.private, ec.EllipticCurvePrivateKey):
            return self.private.sign(data, ec.ECDSA(hashes.SHA256()))
        return self.private.sign(data)


@dataclass(frozen=True, slots=True)
class DeferredSigner:
    """Sign with a key in clear of which only the public half was read so far.

    Most commands need to know who would sign long before anything is signed, and many sign nothing:
    the cryptographic library is loaded with the first signature. `sign` raises `MalformedError` where the
    private half turns out not to be readable, or not to belong to the public one.
    """

    public: PublicKey
    name: str
    data: bytes = field(repr=False)

    def sign(self, data: bytes) -> bytes:
        """Return the signature over `data`."""
        return _loaded(self).sign(data)


@lru_cache(maxsize=4)
def _loaded(signer: DeferredSigner) -> FileSigner:
    """Return what signs: reading the key takes three times as long as a signature."""
    return _same_key(load_private(signer.name, signer.data), signer.public, signer.name)


@dataclass(frozen=True, slots=True)
class LockedSigner:
    """A key under a passphrase, whose public half is known: from the file itself, or the one beside it."""

    public: PublicKey
    name: str
    data: bytes = field(repr=False)
    ask: Passphrase = field(repr=False)

    def unlock(self) -> FileSigner:
        """Ask for the passphrase and return what signs without it.

        Raises `MalformedError` for a wrong one, and for halves that do not belong together.
        """
        return _same_key(load_private(self.name, self.data, self.ask(self.name)), self.public, self.name)

    def sign(self, data: bytes) -> bytes:
        """Return the signature over `data`, asking for the passphrase."""
        return self.unlock().sign(data)


class PublicHead(Struct, frozen=True):
    """What stands in clear at the head of an OpenSSH private key."""

    public: PublicKey
    encrypted: bool


def read_head(data: bytes) -> PublicHead | None:
    """Return the head of an OpenSSH private key, None for everything else.

    https://github.com/openssh/openssh-portable/blob/master/PROTOCOL.key
    """
    match = _OPENSSH.fullmatch(data.strip())
    try:
        body = binascii.a2b_base64(match[1]) if match else b""
        if not body.startswith(_MAGIC):
            return None
        cipher, rest = _string(body[len(_MAGIC) :])
        _, rest = _string(rest)
        _, rest = _string(rest)
        if rest[:4] != b"\0\0\0\1":
            return None
        blob, _ = _string(rest[4:])
        algorithm = _string(blob)[0].decode()
        public = load_public(f"{algorithm} {binascii.b2a_base64(blob, newline=False).decode()}")
    except (ValueError, MalformedError):
        return None
    return PublicHead(public, encrypted=cipher != b"none")


def is_encrypted(data: bytes) -> bool:
    """Say whether a private key in the file's bytes `data` needs a passphrase."""
    head = read_head(data)
    return head.encrypted if head else b"ENCRYPTED" in data[:200]


def load_private(name: str, data: bytes, passphrase: bytes | None = None) -> FileSigner:
    """Read the private key in a file's bytes; `name` is the file's, for errors.

    Raises `MalformedError` for what is no such key, is encrypted and came without its passphrase, or with a
    wrong one.
    """
    from cryptography.exceptions import InternalError, UnsupportedAlgorithm
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519

    if is_encrypted(data) and not passphrase:
        raise _wrong_passphrase(name) if passphrase is not None else _encrypted(name)
    openssh = data.startswith(b"-----BEGIN OPENSSH")
    load = serialization.load_ssh_private_key if openssh else serialization.load_pem_private_key
    try:
        private = load(data, passphrase if is_encrypted(data) else None)
    except (TypeError, ValueError, NotImplementedError, UnsupportedAlgorithm, InternalError) as error:
        # An internal one is what OpenSSL says of keys of other kinds that have another length.
        raise _refused(name, error, passphrase) from error
    if not isinstance(private, ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey):
        raise _malformed(f"`{name}` is neither an Ed25519 nor a P-256 key", hint=_NEW_KEY)
    if isinstance(private, ec.EllipticCurvePrivateKey) and private.curve.name != "secp256r1":
        raise _malformed(f"`{name}` is on the curve {private.curve.name}", "expected P-256")
    encoding, form = serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH
    return FileSigner(load_public(private.public_key().public_bytes(encoding, form).decode()), private)


def _same_key(signer: FileSigner, public: PublicKey, name: str) -> FileSigner:
    if signer.public != public:
        raise _malformed(f"the two halves of the private key `{name}` do not belong together")
    return signer


def _string(data: bytes) -> tuple[bytes, bytes]:
    """Return the string that `data` begins with, as OpenSSH writes one, and what follows it."""
    size = int.from_bytes(data[:4], "big")
    if len(data) < 4 + size:
        raise ValueError("a string is cut short")
    return data[4 : 4 + size], data[4 + size :]


def _refused(name: str, error: Exception, passphrase: bytes | None) -> MalformedError:
    from cryptography.exceptions import UnsupportedAlgorithm

    unknown = isinstance(error, UnsupportedAlgorithm) or "key encryption algorithm" in str(error)
    if unknown and passphrase is not None:
        return _malformed(
            f"the private key `{name}` is encrypted in a way that cannot be read here",
            str(error)[:200],
            "`ssh-keygen -p -f FILE` or, for PEM, `openssl pkcs8 -topk8 -v2 aes-256-cbc` encrypts it anew",
            code="key-cipher",
        )
    if "assword" in str(error) or passphrase is not None:
        return _encrypted(name) if passphrase is None else _wrong_passphrase(name)
    return _malformed(f"`{name}` cannot be read as a private key", hint=_NEW_KEY)


def _encrypted(name: str) -> MalformedError:
    return _malformed(
        f"the private key `{name}` is encrypted",
        "it needs its passphrase",
        "type it at the prompt of a terminal, or give it with `--passphrase-fd N`",
        code="key-encrypted",
    )


def _wrong_passphrase(name: str) -> MalformedError:
    return _malformed(
        f"the passphrase does not open the private key `{name}`",
        "it is another's, or the file is damaged",
        f"see whether `ssh-keygen -y -f {name}` takes it",
        code="wrong-passphrase",
    )


def _malformed(
    message: str, context: str | None = None, hint: str | None = None, *, code: str = "malformed-key"
) -> MalformedError:
    return MalformedError(message, code=code, context=context, hint=hint)
