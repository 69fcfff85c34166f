"""What is fuzzed: every reader of bytes that somebody else chose. Each returns, or raises our own error.

A target is a function of bytes. Whatever it raises that is no `EvalctlError` is a bug, and so is what takes
for ever. Its seeds are parts of an honest bundle, which a mutation turns into almost one.
"""

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import Any

from launcher.canonical import canonical_bytes, parse_json
from launcher.environment.agreement import compare_environment
from launcher.environment.facts import read_facts
from launcher.environment.sbom_reading import check_sbom, listed_packages
from launcher.errors import EvalctlError
from launcher.ledger.checkpoint import read_checkpoint
from launcher.ledger.consistency import read_growth
from launcher.ledger.entries import read_entry
from launcher.ledger.proof import read_proof
from launcher.signing.wire import keys_in, signature_in
from launcher.sources.published_keys import read_published_keys
from launcher.spec import bundle
from launcher.spec.bundle import check_sums
from launcher.spec.commitments import read_commitments, read_header
from launcher.spec.imported import Import, read_any_lock
from launcher.spec.lock import check_lock, pins_from
from launcher.spec.openings import read_openings
from launcher.spec.predicates import EvaluationResult, LockStatement, Provenance
from launcher.spec.probe import report_from_json
from launcher.spec.reading import read_blueprint
from launcher.spec.record_lines import check_event_lines, check_resource_lines
from launcher.spec.reproduction import Reproduction
from launcher.spec.result import Result
from launcher.spec.sample import read_container_samples
from launcher.spec.sample_lines import sample_blocks
from launcher.spec.site_file import read_site_policy
from launcher.spec.statement import Statement
from launcher.trust.dsse import parse_payload
from launcher.trust.keys import load_public
from launcher.trust.notes import read_note, read_note_key
from launcher.trust.policy_file import read_policy
from launcher.trust.private_keys import load_private, read_head
from launcher.trust.sigstore import open_envelope
from launcher.trust.timestamps import Authority, check_timestamp, read_certificates
from tests.fuzz.folders import entries, ledger, logs_of, unpacking

Target = Callable[[bytes], object]


def _value(read: Callable[[Any], object]) -> Target:
    """Return a target that reads a JSON value after it was parsed."""
    return lambda data: read(parse_json(data))


def _text(read: Callable[[str], object]) -> Target:
    return lambda data: read(data.decode("utf-8", "replace"))


def _predicates(value: Any) -> None:
    statement = Statement.from_json(value)
    for reader in (Provenance, EvaluationResult, LockStatement, Reproduction):
        with suppress(EvalctlError):
            reader.from_json(statement.predicate)


def _lock(data: bytes) -> None:
    lock = read_any_lock(data)
    with suppress(EvalctlError):
        Import.from_identity(lock.identity)
    blueprint = read_blueprint(lock.blueprint.encode("utf-8", "replace"), file="it", supported_only=False)
    check_lock(lock, blueprint)


def _samples(data: bytes) -> list[Any]:
    """Read samples fast and plainly: both refuse, or both find the same."""
    found = [[sample for block in sample_blocks([data]) for sample in block]]
    found.append([sample for block in sample_blocks(_bytewise(data)) for sample in block])
    assert [sample.as_json() for sample in found[0]] == [sample.as_json() for sample in found[1]]
    assert b"".join(sample.line() for sample in found[0]) == data
    return found[0]


def _bytewise(data: bytes) -> Iterable[bytes]:
    return (data[start : start + 7] for start in range(0, len(data), 7))


def _records(check: Callable[[Iterable[bytes]], int]) -> Target:
    """Return a target that reads lines in blocks, in pieces and one by one, which come to the same."""

    def read(data: bytes) -> None:
        found = [_outcome(check, pieces) for pieces in ([data], _bytewise(data))]
        lines = [_outcome(check, [line + b"\n"]) for line in data.split(b"\n")[:-1]]
        whole = sum(lines) if data.endswith(b"\n") and None not in lines else None if data else 0
        assert found == [whole, whole], (found, whole)

    return read


def _outcome(check: Callable[[Iterable[bytes]], int], pieces: Iterable[bytes]) -> Any:
    try:
        return check(pieces)
    except EvalctlError:
        return None


def _canonical(data: bytes) -> None:
    """Whatever is read is written so that it is read as the same."""
    import rfc8785

    value = parse_json(data)
    again = canonical_bytes(value)
    assert canonical_bytes(parse_json(again)) == again
    assert rfc8785.dumps(value) == again


def _public_key(data: bytes) -> None:
    """What is taken for a public key, a library takes for the same one, and it is written as it was read."""
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key

    key = load_public(data.decode("utf-8", "replace"))
    theirs = load_pem_public_key(key.pem.encode())
    line = theirs.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()
    assert line == key.openssh
    assert load_public(key.pem) == load_public(line) == key


def _timestamp(data: bytes) -> None:
    """Whatever stands for a token proves no time but the one that the authority signed."""
    from tests.fuzz.seeds import SIGNATURE, authority

    pinned = {"own": Authority("own", read_certificates(authority().root))}
    for known in ({}, pinned):
        check, time = check_timestamp("timestamp:it", data, SIGNATURE, known)
        assert (time is not None) == (check.status == "ok")


def _agent_signature(data: bytes) -> None:
    """Whatever an agent answers is no signature of what it was not asked to sign."""
    from tests.bundles.keys import ALICE, ALICE_P256

    for key in (ALICE.public, ALICE_P256.public):
        with suppress(EvalctlError):
            assert not key.is_signature_of(b"other data", signature_in(data, key.algorithm))


def _commitments(data: bytes) -> None:
    lines = iter(data.splitlines(keepends=True))
    for _ in read_commitments(read_header(lines), lines):
        pass


def _openings(data: bytes) -> None:
    for _ in read_openings(iter(data.splitlines(keepends=True))):
        pass


def _sbom(data: bytes) -> None:
    with suppress(EvalctlError):
        listed_packages(data)
    check_sbom(data, _pins().image)


def _environment(data: bytes) -> None:
    read_facts(data)
    files = {**_honest(), bundle.ENVIRONMENT: data}
    result = Result.from_json(parse_json(files[bundle.RESULT]))
    statement = Statement.from_json(
        parse_payload(open_envelope(files[bundle.PROVENANCE_ATTESTATION]).payload)
    )
    compare_environment(files, _identity(), Provenance.from_json(statement.predicate), result)


def _honest() -> Mapping[str, bytes]:
    from tests.bundles.case import honest

    return honest()


def _sums() -> Mapping[str, str]:
    lines = _honest()[bundle.SUMS].decode().splitlines()
    return {name: sha256 for sha256, _, name in (line.partition("  ") for line in lines)}


def _identity() -> Mapping[str, Any]:
    return read_any_lock(_honest()[bundle.LOCK]).identity


def _pins() -> Any:
    return pins_from(_identity())


TARGETS: Mapping[str, Target] = {
    "attestation": open_envelope,
    "payload": parse_payload,
    "statement": _value(_predicates),
    "sums": lambda data: check_sums(data, _sums()),
    "lock": _lock,
    "identity": _value(pins_from),
    "blueprint": lambda data: read_blueprint(data, file="it", supported_only=False),
    "result": _value(Result.from_json),
    "samples": _samples,
    "events": _records(check_event_lines),
    "resources": _records(check_resource_lines),
    "container-samples": read_container_samples,
    "environment": _environment,
    "probe": _value(report_from_json),
    "sbom": _sbom,
    "policy": read_policy,
    "site-policy": lambda data: read_site_policy(data, file="it"),
    "published-keys": _text(lambda text: read_published_keys(text, "https://example.org/it.keys")),
    "public-key": _public_key,
    "timestamp": _timestamp,
    "private-key": lambda data: (read_head(data), load_private("it", data)),
    "note": read_note,
    "note-key": _text(read_note_key),
    "checkpoint": read_checkpoint,
    "proof": read_proof,
    "ledger-entry": read_entry,
    "ledger-growth": read_growth,
    "commitments": _commitments,
    "openings": _openings,
    "canonical": _canonical,
    "agent-keys": keys_in,
    "agent-signature": _agent_signature,
    "tar": unpacking("tar"),
    "zip": unpacking("zip"),
    "gz": unpacking("gz"),
    "zst": unpacking("zst"),
    "lm-eval": logs_of("lm-eval"),
    "inspect": logs_of("inspect"),
    "ledger": ledger,
    "ledger-entries": entries,
}


def attempt(target: str, data: bytes) -> None:
    """Give bytes to a target; only what is not foreseen gets out."""
    with suppress(EvalctlError):
        TARGETS[target](data)
