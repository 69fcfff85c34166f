"""Key files: make a key pair, and sign with a private key that only its owner can read."""

import binascii
import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from launcher.errors import InfrastructureError, MalformedError
from launcher.trust.keys import PublicKey, load_public

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

_PUBLIC = (b"ssh-", b"ecdsa-")
_MAX_KEY_FILE: Final = 1 << 16
_OPENSSH: Final = re.compile(
    rb"-----BEGIN OPENSSH PRIVATE KEY-----\n([A-Za-z0-9+/=\n]+)\n-----END OPENSSH PRIVATE KEY-----"
)
# Cipher `none`, key derivation `none` without options, one key.
_OPENSSH_UNENCRYPTED: Final = (
    b"openssh-key-v1\0" + b"\0\0\0\4none" + b"\0\0\0\4none" + b"\0\0\0\0" + b"\0\0\0\1"
)


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
    """Sign with an OpenSSH key of which only the public half, written in clear, was read so far.

    Most commands need to know who would sign long before anything is signed, and many sign nothing:
    the cryptographic library is loaded with the first signature. `sign` raises `MalformedError` where the
    private half turns out not to be readable, or not to belong to the public one.
    """

    public: PublicKey
    path: Path
    data: bytes = field(repr=False)

    def sign(self, data: bytes) -> bytes:
        """Return the signature over `data`."""
        signer = _load_private(self.path, self.data)
        if signer.public != self.public:
            raise _malformed(f"the two halves of the private key `{self.path}` do not belong together")
        return signer.sign(data)


def load_public_file(path: Path) -> PublicKey:
    """Read the public key in the file at `path`; raises `MalformedError`."""
    try:
        with path.open("rb") as stream:
            data = stream.read(_MAX_KEY_FILE + 1)
        return load_public(data[:_MAX_KEY_FILE].decode())
    except OSError as error:
        raise _unreadable(path, error) from error
    except UnicodeDecodeError as error:
        raise _malformed(f"`{path}` is not a public key", "it is not text") from error
    except MalformedError as error:
        raise _malformed(f"`{path}`: {error.message}", error.context, error.hint) from error


def load_signer(path: Path) -> FileSigner | DeferredSigner:
    """Read an unencrypted OpenSSH or PKCS#8 PEM private key that only its owner can read.

    Raises `MalformedError` for a file that is missing, open to others, encrypted or of another kind.
    """
    data = _read_private(path)
    public = _openssh_public(data)
    return _load_private(path, data) if public is None else DeferredSigner(public, path, data)


def _openssh_public(data: bytes) -> PublicKey | None:
    """Return the public half of an unencrypted OpenSSH key, None for everything else.

    https://github.com/openssh/openssh-portable/blob/master/PROTOCOL.key
    """
    match = _OPENSSH.fullmatch(data.strip())
    try:
        body = binascii.a2b_base64(match[1]) if match else b""
        if not body.startswith(_OPENSSH_UNENCRYPTED):
            return None
        size = int.from_bytes(body[len(_OPENSSH_UNENCRYPTED) :][:4], "big")
        blob = body[len(_OPENSSH_UNENCRYPTED) + 4 :][:size]
        algorithm = blob[4 : 4 + int.from_bytes(blob[:4], "big")].decode()
        return load_public(f"{algorithm} {binascii.b2a_base64(blob, newline=False).decode()}")
    except (ValueError, MalformedError):
        return None


def _load_private(path: Path, data: bytes) -> FileSigner:
    if b"PRIVATE KEY-----" not in data[:64]:
        raise _malformed(f"`{path}` is not a private key", "expected an OpenSSH or PKCS#8 PEM private key")
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519

    openssh = data.startswith(b"-----BEGIN OPENSSH")
    load = serialization.load_ssh_private_key if openssh else serialization.load_pem_private_key
    try:
        private = load(data, None)
    except (TypeError, ValueError, UnsupportedAlgorithm) as error:
        raise _refused_private(path, data, error) from error
    if not isinstance(private, ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey):
        raise _malformed(
            f"`{path}` is neither an Ed25519 nor a P-256 key", hint="make a key with `evalctl key new NAME`"
        )
    if isinstance(private, ec.EllipticCurvePrivateKey) and private.curve.name != "secp256r1":
        raise _malformed(f"`{path}` is on the curve {private.curve.name}", "expected P-256")
    encoding, form = serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH
    return FileSigner(load_public(private.public_key().public_bytes(encoding, form).decode()), private)


def new_key(path: Path) -> PublicKey:
    """Make an Ed25519 key: `path` (OpenSSH private key, mode 0600) and `path` + `.pub`; never overwrite.

    Each file appears whole or not at all. Raises `MalformedError` where one exists already.
    """
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    public_path = path.with_name(path.name + ".pub")
    for existing in (path, public_path):
        if os.path.lexists(existing):
            raise _exists(existing)
    private = Ed25519PrivateKey.generate()
    text = private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
    )
    public = PublicKey("ssh-ed25519", private.public_key().public_bytes_raw())
    create_file(path, text, mode=0o600)
    create_file(public_path, f"{public.openssh}\n".encode(), mode=0o644)
    return public


def create_file(path: Path, data: bytes, *, mode: int) -> None:
    """Write a new file that appears whole or not at all.

    Raises `MalformedError` (code `file-exists`) where `path` exists, `InfrastructureError` for the disk.
    """
    import tempfile

    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(descriptor, "wb") as stream:
                os.fchmod(descriptor, mode)
                stream.write(data)
                stream.flush()
                os.fsync(descriptor)
            os.link(temporary, path)
        finally:
            Path(temporary).unlink(missing_ok=True)
    except FileExistsError as error:
        raise _exists(path) from error
    except OSError as error:
        reason = error.strerror or str(error)
        raise InfrastructureError(f"cannot write `{path}`: {reason}", code="cannot-write") from error


def _read_private(path: Path) -> bytes:
    import stat

    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as stream:
            facts = os.fstat(descriptor)
            if not stat.S_ISREG(facts.st_mode):
                raise _malformed(f"`{path}` is not a regular file")
            if stream.peek(8).startswith(_PUBLIC):
                raise _malformed(
                    f"`{path}` is a public key, and a private one signs",
                    hint=f"name the private key beside it: `{path.with_suffix('')}`",
                )
            # ssh applies the same rule to the caller's own keys only: root may be lent somebody else's.
            if facts.st_uid == os.geteuid() and facts.st_mode & 0o077:
                raise _malformed(
                    f"the private key `{path}` is open to others",
                    f"expected mode 0600, got {stat.S_IMODE(facts.st_mode):04o}",
                    f"chmod 600 {path}",
                    code="key-open-to-others",
                )
            return stream.read(_MAX_KEY_FILE)
    except OSError as error:
        raise _unreadable(path, error) from error


def _refused_private(path: Path, data: bytes, error: Exception) -> MalformedError:
    encrypted = b"ENCRYPTED" in data or "assword" in str(error) or "bcrypt" in str(error)
    if encrypted:
        return _malformed(
            f"the private key `{path}` is encrypted",
            "this version signs with unencrypted keys",
            "make another with `evalctl key new NAME`",
            code="key-encrypted",
        )
    return _malformed(
        f"`{path}` cannot be read as a private key", hint="make a key with `evalctl key new NAME`"
    )


def _exists(path: Path) -> MalformedError:
    return _malformed(
        f"`{path}` exists already", "keys are never overwritten", "name another file", code="file-exists"
    )


def _unreadable(path: Path, error: OSError) -> MalformedError:
    reason = error.strerror or str(error)
    return _malformed(
        f"cannot read the key `{path}`: {reason}",
        hint="check the path, or make a key with `evalctl key new NAME`",
        code="no-such-key",
    )


def _malformed(
    message: str, context: str | None = None, hint: str | None = None, *, code: str = "malformed-key"
) -> MalformedError:
    return MalformedError(message, code=code, context=context, hint=hint)
