"""Read a bundle for display: what it says of itself, without judging whether it may be believed."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from launcher.canonical import parse_json
from launcher.digest import sha256_hex
from launcher.errors import CheckFailedError, EvalctlError
from launcher.spec import bundle
from launcher.spec.lock import Lock, read_lock
from launcher.spec.result import Result
from launcher.store.directory import walk
from launcher.trust.sigstore import open_envelope

_MAX_BYTES = 64 << 20


@dataclass(frozen=True, slots=True)
class BundleView:
    """What views show: the result, the lock, facts about the environment, and who claims to have signed."""

    digest: str
    result: Result
    lock: Lock
    signer: str
    facts: dict[str, Any]
    reproductions: int


def read_view(path: Path) -> BundleView:
    """Read the bundle at `path`; nothing is verified.

    Raises `MalformedError` where it is no directory, `CheckFailedError` for content that cannot be shown.
    """
    with walk(path) as inventory:
        try:
            data = {name: inventory.read(name, _MAX_BYTES) for name in _SHOWN}
            facts = parse_json(data[bundle.ENVIRONMENT], what=bundle.ENVIRONMENT)["facts"]
            added = [
                name for name in inventory.files if name.startswith(f"{bundle.ATTESTATIONS}/reproduction-")
            ]
            return BundleView(
                digest=f"sha256:{sha256_hex(data[bundle.SUMS])}",
                result=Result.from_json(parse_json(data[bundle.RESULT], what=bundle.RESULT)),
                lock=read_lock(data[bundle.LOCK], what=bundle.LOCK),
                signer=open_envelope(data[bundle.RESULT_ATTESTATION]).keyid,
                facts={fact["name"]: fact["value"] for fact in facts},
                reproductions=len(added),
            )
        except (EvalctlError, KeyError, TypeError) as error:
            raise CheckFailedError(
                f"`{path}` cannot be shown",
                code="bad-bundle",
                context=str(error),
                hint=f"see what is wrong with `evalctl verify {path}`",
            ) from error


_SHOWN = (bundle.SUMS, bundle.RESULT, bundle.LOCK, bundle.ENVIRONMENT, bundle.RESULT_ATTESTATION)
