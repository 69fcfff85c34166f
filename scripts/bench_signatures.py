"""Measure what signing and verifying the statements of a small bundle costs, in processor time.

`python -m scripts.bench_signatures` prints one object with the milliseconds; `scripts/bench.py` sets them
beside a launch of the same run.
"""

import json
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

SIGNINGS = 50


@dataclass(frozen=True)
class SigningCost:
    """Milliseconds of three signatures, made and verified alone, and as attestations that are judged."""

    alone: float
    whole: float


def signing_cost() -> SigningCost:
    """Launch with a fake engine, then sign and verify the statements of its bundle again and again."""
    from launcher.spec import bundle as names
    from launcher.store.directory import walk
    from launcher.trust.attestations import check_attestations
    from launcher.trust.dsse import PAYLOAD_TYPE, pae, statement_bytes
    from launcher.trust.key_files import load_signer
    from launcher.trust.sigstore import seal
    from launcher.verify.reading import read_signed
    from tests.fakes.forgery import statement_of
    from tests.fakes.world import copy_world, make_template

    with tempfile.TemporaryDirectory(prefix="evalctl-bench-signing-") as name:
        make_template(Path(name, "template"))
        world = copy_world(Path(name, "template"), Path(name, "world"))
        bundle, policy = world.launch().bundle, world.policy
        signer = load_signer(world.home.default_key)
        statements = [statement_of(bundle, path) for path in names.REQUIRED_ATTESTATIONS]
        with walk(bundle) as inventory:
            digests, signed = read_signed(inventory)
        texts = [pae(PAYLOAD_TYPE, statement_bytes(statement)) for statement in statements]

        def sign_and_verify() -> None:
            for text in texts:
                signer.public.is_signature_of(text, signer.sign(text))

        def seal_and_check() -> None:
            for statement in statements:
                seal(statement, signer)
            check_attestations(digests, signed, policy, datetime.now(UTC))

        return SigningCost(milliseconds(sign_and_verify), milliseconds(seal_and_check))


def milliseconds(work: Callable[[], None]) -> float:
    """Return the milliseconds of processor time that `work` takes each time."""
    work()
    start = time.process_time()
    for _ in range(SIGNINGS):
        work()
    return (time.process_time() - start) / SIGNINGS * 1000


if __name__ == "__main__":
    json.dump(asdict(signing_cost()), sys.stdout)
