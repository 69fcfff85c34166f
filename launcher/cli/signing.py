"""Which key signs and which policy decides: `--key`, `--trust`, else what the home holds."""

from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from shlex import quote

from launcher.cli.output import hint, say
from launcher.errors import MalformedError
from launcher.signing.passphrase import passphrases
from launcher.signing.signers import find_signer
from launcher.store.home import Home, find_home, make_private
from launcher.store.policies import accept, place_of, read_offered
from launcher.store.policy_changes import create
from launcher.trust.key_files import is_public, load_public_file, new_key, read_key_file
from launcher.trust.keys import PublicKey, Signer
from launcher.trust.policy import Policy, empty_policy, single_key_policy
from launcher.trust.policy_edit import initial_policy
from launcher.trust.private_keys import LockedSigner

_OWN_NAME = "me"


def read_signer(
    home: Home,
    key: Path | None,
    passphrase_fd: int | None = None,
    timestamp: str | None = None,
    *,
    trusting: bool = True,
) -> Signer:
    """Return the signer of `--key`, else the home's own, made at first use, and trusted where `trusting`.

    A passphrase is asked for here, so that nobody waits for it later. With `timestamp`, an authority's
    address, each signature is timestamped there.
    """
    if key is None and not home.default_key.exists():
        _make_own_key(home, trusting=trusting)
    signer = find_signer(key or home.default_key, passphrases(passphrase_fd))
    signer = signer.unlock() if isinstance(signer, LockedSigner) else signer
    if timestamp is None:
        return signer
    from launcher.signing.authority import stamped

    return stamped(signer, timestamp)


def require_online(timestamp: str | None, *, offline: bool) -> str | None:
    """Return the address of `--timestamp`; raises `MalformedError` where no network may be used."""
    if timestamp is not None and offline:
        raise MalformedError(
            "`--timestamp` and `--offline` exclude each other", code="usage", hint="give one of them"
        )
    return timestamp


def authority_for(timestamp: str | None, of_site: str | None, *, offline: bool = False) -> str | None:
    """Return the address of `--timestamp`, else that of the site policy, where the network may be used."""
    if timestamp is not None or of_site is None:
        return require_online(timestamp, offline=offline)
    if offline:
        say("note: no signature is timestamped, as no network is used")
    return None if offline else of_site


def missing_timestamps(signer: Signer, *, reused: bool = False) -> tuple[str, ...]:
    """Say which signatures lack the timestamp that was asked for; `reused`: none was made at all."""
    from launcher.trust.timestamps import StampedSigner

    if not isinstance(signer, StampedSigner):
        return ()
    if reused:
        return ("the bundle was there before, so its signatures were not timestamped",)
    remarks: tuple[str, ...] = getattr(signer.stamp, "remarks", ())
    return remarks


def read_existing_signer(home: Home, key: Path | None, passphrase_fd: int | None = None) -> Signer | None:
    """Return the signer of `--key`, else the home's own; None where there is none yet: none is made.

    A key under a passphrase stays locked.
    """
    if key is None and not home.default_key.exists():
        return None
    return find_signer(key or home.default_key, passphrases(passphrase_fd))


def _make_own_key(home: Home, *, trusting: bool) -> None:
    make_private(home.default_key.parent)
    public = new_key(home.default_key)
    say(f"made the key {public.fingerprint} in `{home.default_key}`")
    if not trusting:
        return
    if not home.trust.exists():
        now = datetime.now(UTC)
        create(place_of(home), partial(initial_policy, _OWN_NAME, public, now), None, now)
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

    Raises `MalformedError` for a policy that is not well-formed, `TrustError` for one that is older than was
    seen here, or not signed as it must be.
    """
    if key is not None and trust is not None:
        raise MalformedError(
            "`--key` and `--trust` exclude each other", code="usage", hint="give one of them"
        )
    if key is not None:
        return single_key_policy(load_public_file(key), owner_of(key))
    if trust is None and not home.trust.exists():
        return empty_policy()
    place = place_of(home, trust)
    offered = read_offered(place)
    if remark := accept(place, offered, datetime.now(UTC)):
        say(remark)
    return offered.policy


def under_policy(command: str, trust: Path | None) -> str:
    """Return a command to type next, under the policy that was named this time."""
    return f"{command} --trust {quote(str(trust))}" if trust else command
