"""Trust policies on disk: the file, the signatures beside it, and the newest that counted here before.

The home remembers the bytes of the newest policy that counted: for its own under one name, for `--trust FILE`
under the digest of the absolute path as it was typed, links and all. Whoever swaps the file, or what a link
leads to, does not choose that name, and so cannot avoid being compared.
"""

import fcntl
import os
import re
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Final

from msgspec import Struct

from launcher.digest import sha256_hex
from launcher.errors import EvalctlError, InfrastructureError, MalformedError
from launcher.store.files import sweep, write_atomically
from launcher.store.home import Home, make_private
from launcher.trust.dsse import Envelope
from launcher.trust.keys import fingerprint_hex
from launcher.trust.policy_file import MAX_POLICY_BYTES, read_policy
from launcher.trust.policy_signature import OfferedPolicy, refuse_policy
from launcher.trust.sigstore import MAX_ENVELOPE_BYTES, open_envelope

MAX_SIGNATURES: Final = 64
_PATIENCE_SECONDS: Final = 30
_SUFFIX: Final = ".sigstore.json"
# What the names of signatures add to the policy's, as a regular expression.
SIGNATURE: Final = rf"(?:\.([0-9a-f]{{64}}))?{re.escape(_SUFFIX)}"


class PolicyPlace(Struct, frozen=True):
    """Where a policy lies, and where this home keeps the newest one that counted there."""

    path: Path
    memory: Path

    def signature(self, key_hex: str | None = None) -> Path:
        """Return where the first signature lies, or with `key_hex` a further one by that key."""
        infix = "" if key_hex is None else f".{key_hex}"
        return self.path.with_name(f"{self.path.name}{infix}{_SUFFIX}")


def place_of(home: Home, path: Path | None = None) -> PolicyPlace:
    """Return the place of the policy at `path`, by default of the home's own."""
    typed = home.trust.absolute() if path is None else Path(os.path.abspath(path))  # noqa: PTH100
    own = typed == Path(os.path.abspath(home.trust))  # noqa: PTH100
    name = "home" if own else sha256_hex(os.fsencode(typed))
    return PolicyPlace(typed if path is None else path, home.root / "policies" / f"{name}.toml")


def read_offered(place: PolicyPlace) -> OfferedPolicy:
    """Return the policy at `place` with the signatures beside it; whether it counts is not asked.

    Raises `MalformedError` where it cannot be read.
    """
    try:
        with place.path.open("rb") as stream:
            data = stream.read(MAX_POLICY_BYTES + 1)
    except OSError as error:
        raise MalformedError(
            f"cannot read the policy `{place.path}`",
            code="no-such-file",
            context=error.strerror,
            hint="check the path",
        ) from error
    policy = read_policy(data, file=str(place.path))
    return OfferedPolicy(
        data, policy, tuple(signatures_beside(place).values()) if "root" in policy.rules else ()
    )


def read_seen(place: PolicyPlace) -> OfferedPolicy | None:
    """Return the newest policy that counted at `place` before, None where none did."""
    try:
        data = place.memory.read_bytes()
        return OfferedPolicy(data, read_policy(data, file=str(place.memory)))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, MalformedError) as error:
        raise InfrastructureError(
            "what this home remembers of the trust policy cannot be read",
            code="home-not-readable",
            context=str(error),
            hint=f"look at `{place.memory}`; without it an older policy would not be noticed",
        ) from error


def accept(place: PolicyPlace, offered: OfferedPolicy, now: datetime) -> str | None:
    """Let `offered` count, and remember it so that no older one does; return what is to be said, if anything.

    Raises `TrustError` where it does not count after what was seen before.
    """
    seen = read_seen(place)
    refuse_policy(offered, seen, now)
    if seen is not None and seen.data == offered.data:
        return None
    try:
        _remember(place, offered)
    except EvalctlError as error:
        return f"cannot remember the policy in this home ({error.in_words}): an older one will not be noticed"
    if seen is None and offered.is_signed:
        return f"the policy `{place.path}` is the first one seen here: {offered.digest}; compare that digest"
    return None


def signatures_beside(place: PolicyPlace) -> dict[Path, Envelope]:
    """Read the signatures beside a policy; one that is malformed is an error, not a signature less."""
    name = re.compile(re.escape(place.path.name) + SIGNATURE)
    found: dict[Path, Envelope] = {}
    for path in sorted(place.path.parent.iterdir()):
        match = name.fullmatch(path.name)
        if match is None:
            continue
        if len(found) == MAX_SIGNATURES:
            raise _malformed(path, f"it is one more than the {MAX_SIGNATURES} that are looked at")
        found[path] = _envelope(path, match[1])
    return found


def _envelope(path: Path, key_hex: str | None) -> Envelope:
    try:
        envelope = open_envelope(_read_regular(path))
    except (OSError, EvalctlError) as error:
        raise _malformed(path, str(error)) from error
    if key_hex is not None and fingerprint_hex(envelope.keyid) != key_hex:
        raise _malformed(path, "its name and its keyid name different keys")
    return envelope


def _read_regular(path: Path) -> bytes:
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as stream:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError("it is no regular file")
        return stream.read(MAX_ENVELOPE_BYTES + 1)


def _malformed(path: Path, reason: str) -> MalformedError:
    return MalformedError(
        f"`{path}` is no signature of the trust policy",
        code="bad-policy-signature",
        context=reason,
        hint="remove the file; a root key signs the policy again with `evalctl trust sign`",
    )


def _remember(place: PolicyPlace, offered: OfferedPolicy) -> None:
    """Keep the bytes, unless something newer was kept meanwhile."""
    with locked(make_private(make_private(place.memory.parent.parent) / place.memory.parent.name)):
        seen = read_seen(place)
        if seen is None or seen.policy.version <= offered.policy.version:
            sweep(place.memory.parent, re.escape(place.memory.name))
            write_atomically(place.memory, offered.data, mode=0o600)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the lock of `folder` itself: nothing is left behind in it, and the kernel ends it with us."""
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise InfrastructureError(
            f"cannot open the folder `{folder}`", code="not-readable", context=error.strerror
        ) from error
    try:
        _lock(descriptor, folder)
        yield
    finally:
        os.close(descriptor)


def _lock(descriptor: int, folder: Path) -> None:
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while True:
        try:
            return fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            if time.monotonic() > deadline:
                raise InfrastructureError(
                    f"another command changes the policy in `{folder}`",
                    code="policy-locked",
                    hint="try again when it has ended",
                ) from error
        time.sleep(0.02)
