"""Key files: make a key pair, and read one that only its owner can read."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, get_args

from launcher.errors import InfrastructureError, MalformedError
from launcher.trust.keys import PublicKey, load_public
from launcher.trust.private_keys import (
    DeferredSigner,
    FileSigner,
    LockedSigner,
    Passphrase,
    is_encrypted,
    load_private,
    read_head,
)

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

KeyType = Literal["ed25519", "p256"]

KEY_TYPES: Final[tuple[KeyType, ...]] = get_args(KeyType)
_PUBLIC = (b"ssh-", b"ecdsa-", b"-----BEGIN PUBLIC KEY-----")
_MAX_KEY_FILE: Final = 1 << 16


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


def load_signer(path: Path, ask: Passphrase | None = None) -> FileSigner | DeferredSigner | LockedSigner:
    """Read an OpenSSH or PKCS#8 PEM private key that only its owner can read.

    `ask` gives passphrases; without it, an encrypted key is refused. It is asked here only where nothing
    else tells the public half. Raises `MalformedError` for a file that is missing, open to others or of
    another kind.
    """
    data = read_key_file(path)
    if is_public(data):
        raise _malformed(
            f"`{path}` is a public key, and a private one signs",
            hint=f"name the private key beside it: `{path.with_suffix('')}`",
        )
    if b"PRIVATE KEY-----" not in data[:64]:
        raise _malformed(f"`{path}` is not a private key", "expected an OpenSSH or PKCS#8 PEM private key")
    head = read_head(data)
    if not is_encrypted(data):
        return DeferredSigner(head.public, str(path), data) if head else load_private(str(path), data)
    beside = path.with_name(f"{path.name}.pub")
    if ask is None:
        return load_private(str(path), data)
    if head or beside.is_file():
        public = head.public if head else load_public_file(beside)
        return LockedSigner(public, str(path), data, ask)
    return load_private(str(path), data, ask(str(path)))


def is_public(data: bytes) -> bool:
    """Say whether a key file's bytes are a public key's."""
    return data.startswith(_PUBLIC)


def new_key(path: Path, kind: KeyType = "ed25519", passphrase: bytes | None = None) -> PublicKey:
    """Make a key: `path` (OpenSSH private key, mode 0600) and `path` + `.pub`; never overwrite.

    With a `passphrase` the private key is encrypted under it. Each file appears whole or not at all. Raises
    `MalformedError` where one exists already.
    """
    from cryptography.hazmat.primitives import serialization

    refuse_existing(path)
    private = _generate(kind)
    encryption = (
        serialization.BestAvailableEncryption(passphrase) if passphrase else serialization.NoEncryption()
    )
    text = private.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, encryption)
    encoding, form = serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH
    public = load_public(private.public_key().public_bytes(encoding, form).decode())
    create_file(path, text, mode=0o600)
    create_file(path.with_name(f"{path.name}.pub"), f"{public.openssh}\n".encode(), mode=0o644)
    return public


def refuse_existing(path: Path) -> None:
    """Raise `MalformedError` where one of the two files that `new_key` would write is there already."""
    for existing in (path, path.with_name(f"{path.name}.pub")):
        if os.path.lexists(existing):
            raise _exists(existing)


def _generate(kind: KeyType) -> "Ed25519PrivateKey | EllipticCurvePrivateKey":
    if kind == "p256":
        from cryptography.hazmat.primitives.asymmetric import ec

        return ec.generate_private_key(ec.SECP256R1())
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    return Ed25519PrivateKey.generate()


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


def read_key_file(path: Path) -> bytes:
    """Return the bytes of a file that signs or says who does; all but public keys are their owner's alone.

    Raises `MalformedError` for one that is missing or open to others.
    """
    import stat

    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as stream:
            facts = os.fstat(descriptor)
            if not stat.S_ISREG(facts.st_mode):
                raise _malformed(f"`{path}` is not a regular file")
            data = stream.read(_MAX_KEY_FILE)
    except OSError as error:
        raise _unreadable(path, error) from error
    # A file without a secret names a program that is run: nobody else may change it, and all may read it.
    shut = 0o077 if b"PRIVATE KEY-----" in data[:64] else 0o022
    # ssh applies the same rule to the caller's own keys only: root may be lent somebody else's.
    if not is_public(data) and facts.st_uid == os.geteuid() and facts.st_mode & shut:
        what, wanted = ("the private key", 0o600) if shut == 0o077 else ("the file", 0o644)
        raise _malformed(
            f"{what} `{path}` is open to others",
            f"expected mode {wanted:04o}, got {stat.S_IMODE(facts.st_mode):04o}",
            f"chmod {wanted:o} {path}",
            code="key-open-to-others",
        )
    return data


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
