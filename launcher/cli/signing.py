"""Which key signs and which policy decides: `--key`, `--trust`, else what the home holds."""

from datetime import UTC, datetime
from pathlib import Path

from launcher.cli.output import hint, say
from launcher.errors import MalformedError
from launcher.signing.passphrase import passphrases
from launcher.signing.signers import find_signer
from launcher.store.files import write_atomically
from launcher.store.home import Home, find_home, make_private
from launcher.trust.key_files import is_public, load_public_file, new_key, read_key_file
from launcher.trust.keys import PublicKey, Signer
from launcher.trust.policy import Policy, empty_policy, refuse_rollback, single_key_policy
from launcher.trust.policy_edit import initial_policy
from launcher.trust.policy_file import read_policy
from launcher.trust.private_keys import LockedSigner

_OWN_NAME = "me"


def read_signer(home: Home, key: Path | None, passphrase_fd: int | None = None) -> Signer:
    """Return the signer of `--key`, else the home's own, made and trusted on this machine at first use.

    A passphrase is asked for here, so that nobody waits for it later.
    """
    if key is None and not home.default_key.exists():
        _make_own_key(home)
    signer = find_signer(key or home.default_key, passphrases(passphrase_fd))
    return signer.unlock() if isinstance(signer, LockedSigner) else signer


def read_existing_signer(home: Home, key: Path | None) -> Signer | None:
    """Return the signer of `--key`, else the home's own; None where there is none yet: none is made.

    A key under a passphrase stays locked.
    """
    if key is None and not home.default_key.exists():
        return None
    return find_signer(key or home.default_key, passphrases(None))


def _make_own_key(home: Home) -> None:
    make_private(home.default_key.parent)
    public = new_key(home.default_key)
    say(f"made the key {public.fingerprint} in `{home.default_key}`")
    if not home.trust.exists():
        save_policy(home, first_policy(home, _OWN_NAME, public))
        say(f"this machine now trusts it (`{home.trust}`); nobody else does until they add it")
    else:
        hint(
            f"`{home.trust}` does not name it: `evalctl trust add {home.default_key}.pub --name {_OWN_NAME}`"
        )


def read_public_key(path: Path | None, passphrase_fd: int | None = None) -> PublicKey:
    """Return the public half of what `--key` takes; a `.pub` beside it says it; default: the home's own."""
    if path is None:
        path = find_home().default_key
        if not path.exists():
            raise MalformedError(
                "this home has no key yet",
                code="no-key",
                hint="the first `evalctl launch` makes one, or `evalctl key new NAME`",
            )
    beside = path.with_name(f"{path.name}.pub")
    if beside.is_file():
        return load_public_file(beside)
    if is_public(read_key_file(path)):
        return load_public_file(path)
    return find_signer(path, passphrases(passphrase_fd)).public


def owner_of(public_key: Path) -> str:
    """Return what the owner of a key is called where nobody says: as its file is."""
    return public_key.name.removesuffix(".pub").replace(".", "-")


def read_verifying_policy(home: Home, trust: Path | None, key: Path | None) -> Policy:
    """Return the policy that `verify` applies: `--key` replaces every other; without any, nobody is trusted.

    Raises `MalformedError` for a policy that is not well-formed, `TrustError` for one older than was seen.
    """
    if key is not None and trust is not None:
        raise MalformedError(
            "`--key` and `--trust` exclude each other", code="usage", hint="give one of them"
        )
    if key is not None:
        return single_key_policy(load_public_file(key), owner_of(key))
    if trust is None and not home.trust.exists():
        return empty_policy()
    path = trust or home.trust
    try:
        policy = read_policy(path.read_bytes(), file=str(path))
    except OSError as error:
        raise MalformedError(
            f"cannot read the policy `{path}`",
            code="no-such-file",
            context=error.strerror,
            hint="check the path",
        ) from error
    if trust is None:
        refuse_rollback(policy, _highest_seen(home))
    return policy


def first_policy(home: Home, name: str, public: PublicKey) -> str:
    """Return the text of a policy for a home without one, newer than any that was there before."""
    return initial_policy(name, public, datetime.now(UTC), _highest_seen(home) + 1)


def save_policy(home: Home, text: str) -> None:
    """Write the home's policy, and remember its version so that an older one is refused from now on."""
    version = read_policy(text.encode(), file=str(home.trust)).version
    make_private(home.root)
    write_atomically(home.trust, text.encode())
    write_atomically(_seen(home), f"{max(version, _highest_seen(home))}\n".encode())


def _seen(home: Home) -> Path:
    return home.root / "trust.version"


def _highest_seen(home: Home) -> int:
    try:
        return int(_seen(home).read_text())
    except (OSError, ValueError):
        return 0
