"""Gather what a report is made of: what verification found and read, and the files that nobody parsed yet."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from msgspec import Struct

from launcher.canonical import parse_json
from launcher.digest import digest_of, sha256_hex
from launcher.environment.facts import Fact, read_facts
from launcher.errors import CheckFailedError, MalformedError
from launcher.ledger.view import LedgerPlace
from launcher.report.answers import Answers
from launcher.report.reading import Confusion, LastWords, read_confusion, read_last_words
from launcher.report.usage import Step, Usage, read_steps, read_usage
from launcher.spec import bundle
from launcher.spec.blueprint import Blueprint
from launcher.spec.lock import Lock
from launcher.spec.result import Result
from launcher.store.directory import Inventory, walk
from launcher.trust.checks import Check
from launcher.trust.reproductions import CountedReproduction
from launcher.trust.sigstore import open_envelope
from launcher.trust.tally import Tally, tally

_MAX_BYTES = 64 << 20
_LAST_LINES = 40


class Finding(Struct, frozen=True):
    """What verification found, in its own words; `unknown` are signers that the policy does not know."""

    verdict: Literal["verified", "untrusted"]
    digest: str
    checks: tuple[Check, ...]
    signers: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()
    reproductions: tuple[CountedReproduction, ...] = ()

    @property
    def tally(self) -> Tally:
        """How many keys got the result again, on how many machine kinds."""
        return tally(self.reproductions, self.checks)


class Surroundings(Struct, frozen=True):
    """What the bundle says beside its result; every text in it is as the bundle gives it."""

    signer: str
    started: str
    finished: str
    note: str
    facts: tuple[Fact, ...]
    usage: tuple[Usage, ...]
    steps: tuple[Step, ...]
    confusion: Confusion | None = None
    last_words: LastWords | None = None

    def fact(self, name: str) -> Any:
        """Return the value of the fact with this name, None where there is none."""
        return next((fact.value for fact in self.facts if fact.name == name), None)

    def values(self) -> Mapping[str, Any]:
        """Return the facts by their names."""
        return {fact.name: fact.value for fact in self.facts}


class Record(Struct, frozen=True):
    """Everything a report is made of; `place` is what a ledger says of the attempt."""

    finding: Finding
    blueprint: Blueprint
    lock: Lock
    result: Result
    answers: Answers
    around: Surroundings
    place: LedgerPlace | None = None


def read_surroundings(path: Path, digest: str, result: Result) -> Surroundings:
    """Read the rest of the bundle at `path`, whose SHA256SUMS must have `digest`, as verified before.

    Raises `CheckFailedError` where a file is another one by now, or says what no launch writes.
    """
    try:
        with walk(path) as inventory:
            return _read(_Files(inventory, _listed(inventory, digest)), result)
    except (MalformedError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise CheckFailedError(
            f"`{path}` cannot be reported on: it says what no launch writes",
            code="bad-bundle",
            context=f"there is no `{error.args[0]}`" if isinstance(error, KeyError) else str(error),
            hint=f"see what is wrong with `evalctl verify {path}`",
        ) from error


class _Files(Struct, frozen=True):
    """Files of a bundle, each with the very bytes that SHA256SUMS lists."""

    inventory: Inventory
    sums: Mapping[str, str]

    def read(self, name: str) -> bytes:
        data = self.inventory.read(name, _MAX_BYTES)
        if sha256_hex(data) != self.sums[name]:
            raise CheckFailedError(f"`{name}` changed while it was read", code="changed-file")
        return data


def _listed(inventory: Inventory, digest: str) -> Mapping[str, str]:
    sums = inventory.read(bundle.SUMS, _MAX_BYTES)
    if digest_of(sums) != digest:
        raise CheckFailedError("the bundle changed while it was read", code="changed-file")
    return {line[66:]: line[:64] for line in sums.decode().splitlines()}


def _read(files: _Files, result: Result) -> Surroundings:
    envelope = open_envelope(files.inventory.read(bundle.PROVENANCE_ATTESTATION, _MAX_BYTES))
    predicate = parse_json(envelope.payload, what=bundle.PROVENANCE_ATTESTATION)["predicate"]
    metadata = predicate["runDetails"]["metadata"]
    return Surroundings(
        signer=envelope.keyid,
        started=str(metadata["startedOn"]),
        finished=str(metadata["finishedOn"]),
        note=str(predicate["buildDefinition"]["internalParameters"].get("note") or ""),
        facts=read_facts(files.read(bundle.ENVIRONMENT)),
        usage=tuple(read_usage(files.read(bundle.RESOURCES))),
        steps=tuple(read_steps(files.read(bundle.EVENTS))),
        confusion=read_confusion(result),
        last_words=read_last_words(files.inventory, result, _LAST_LINES),
    )
