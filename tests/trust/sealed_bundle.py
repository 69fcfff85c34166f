"""A small sealed bundle in memory, made with keys that never change."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from msgspec.structs import replace

from launcher.digest import sha256_hex, sums_text
from launcher.spec.bundle import (
    LOCK_ATTESTATION,
    PROVENANCE_ATTESTATION,
    REQUIRED,
    RESULT_ATTESTATION,
    SUMS,
)
from launcher.spec.predicates import (
    LOCAL_BUILDER,
    Builder,
    Claim,
    Dependency,
    EvaluationResult,
    LockStatement,
    Provenance,
    Suite,
)
from launcher.spec.reproduction import MetricReproduction, Reproduction
from launcher.spec.statement import lock_statement, provenance_statement, result_statement
from launcher.trust.attestations import AttestationReport, check_attestations
from launcher.trust.key_files import FileSigner
from launcher.trust.keys import load_public
from launcher.trust.policy import Policy, single_key_policy
from launcher.trust.sigstore import seal

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
LOCK_DIGEST = "sha256:" + "ab" * 32
SUITE = Suite("acme/digits", "1.0.0")
BUILDER = Builder(LOCAL_BUILDER, {"evalctl": "0.1.0"})


def ed25519_signer(number: int) -> FileSigner:
    private = Ed25519PrivateKey.from_private_bytes(bytes([number]) * 32)
    line = private.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
    return FileSigner(load_public(line.decode()), private)


def p256_signer(number: int) -> FileSigner:
    private = ec.derive_private_key(number + 1, ec.SECP256R1())
    line = private.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
    return FileSigner(load_public(line.decode()), private)


ALICE, BOB, MALLORY = map(ed25519_signer, (1, 2, 3))

PROVENANCE = Provenance(
    lock=LOCK_DIGEST,
    suite=SUITE,
    dependencies=(
        Dependency("image", {"sha256": "11" * 32}, "registry.example/acme/digits"),
        Dependency("code", {"gitCommit": "22" * 20, "gitTree": "33" * 20}),
        Dependency("data/test", {"sha256": "44" * 32}),
    ),
    builder=BUILDER,
    invocation_id="attempt-1",
    started_on="2026-11-20T11:00:00Z",
    finished_on="2026-11-20T11:00:05.25Z",
    internal={"runtime": "runc"},
)
CLAIM = Claim(
    metric="accuracy",
    definition="accuracy@1",
    value="0.968854282536",
    ci=("0.955299538047", "0.978386812546"),
    n="899",
    verdict="pass",
    threshold="0.95",
    comparator="gte",
    on="ci-lower",
    primary=True,
)
RESULT = EvaluationResult(
    invocation_id="attempt-1",
    verifier=BUILDER,
    evaluated_at="2026-11-20T11:00:06Z",
    suite=SUITE,
    lock=LOCK_DIGEST,
    status="succeeded",
    failure=None,
    verdict="pass",
    sample_size="899",
    claims=(CLAIM,),
)
LOCK = LockStatement(LOCK_DIGEST, SUITE)
CONTENTS = {name: f"the bytes of {name}\n".encode() for name in REQUIRED if name != SUMS}
CONTENTS |= {"logs/run-0.txt": b"hello\n", "artifacts/plots/roc curve.png": b"\x89PNG", "predictions/p": b"p"}


@dataclass(frozen=True)
class Seal:
    """What goes into a bundle's statements and who signs each of them."""

    provenance: Provenance = PROVENANCE
    result: EvaluationResult = RESULT
    lock: LockStatement = LOCK
    provenance_signer: FileSigner = ALICE
    result_signer: FileSigner = ALICE
    lock_signer: FileSigner = ALICE


def sealed(seal_with: Seal = Seal(), contents: Mapping[str, bytes] = CONTENTS) -> dict[str, bytes]:
    """Return every file of a bundle, by path."""
    files = dict(contents)
    files[SUMS] = sums_text((name, sha256_hex(data)) for name, data in contents.items())
    digests = {name: sha256_hex(data) for name, data in files.items()}
    lock = lock_statement(digests["lock.json"], seal_with.lock)
    files[PROVENANCE_ATTESTATION] = seal(
        provenance_statement(digests, seal_with.provenance), seal_with.provenance_signer
    )
    files[RESULT_ATTESTATION] = seal(result_statement(digests, seal_with.result), seal_with.result_signer)
    files[LOCK_ATTESTATION] = seal(lock, seal_with.lock_signer)
    return files


def signed_by(signer: FileSigner) -> dict[str, bytes]:
    return sealed(Seal(provenance_signer=signer, result_signer=signer, lock_signer=signer))


def reproduction_of(files: Mapping[str, bytes], **changes: object) -> Reproduction:
    reproduction = Reproduction(
        original="sha256:" + sha256_hex(files[SUMS]),
        reproduced="sha256:" + "55" * 32,
        lock=LOCK_DIGEST,
        verifier=BUILDER,
        evaluated_at="2026-11-21T11:00:06Z",
        verdict="identical",
        metrics=(MetricReproduction("accuracy", "0.968854282536", "0.968854282536", "identical"),),
        samples=("899", "899"),
        environment={"gpu": "none", "machine": "x86_64"},
    )
    return replace(reproduction, **changes)  # type: ignore[arg-type]


def checked(
    files: Mapping[str, bytes], policy: Policy | None = None, now: datetime = NOW
) -> AttestationReport:
    """Check a bundle in memory as `verify` does; by default only ALICE is trusted."""
    inside = {path: data for path, data in files.items() if path.startswith("attestations/")}
    digests = {path: sha256_hex(data) for path, data in files.items() if path not in inside}
    if SUMS in files:
        inside[SUMS] = files[SUMS]
    return check_attestations(digests, inside, policy or single_key_policy(ALICE.public, "alice"), now)


def failures(report: AttestationReport) -> str:
    return "\n".join(f"{check.name}: {check.detail}" for check in report.checks if check.status == "failed")
