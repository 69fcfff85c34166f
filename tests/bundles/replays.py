"""Replays and downgrades: true words at the wrong time, and true words left out."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from launcher.spec import bundle as names
from launcher.spec.lock import read_lock
from tests.bundles.attesting import newer, second, taken
from tests.bundles.case import Case, Forge, Row, rows
from tests.bundles.forging import (
    LOCK,
    PROVENANCE,
    RESULT,
    facts,
    json_file,
    result_file,
    sealed,
    signed_rows,
    statement,
    then,
)
from tests.bundles.keys import ALICE
from tests.fakes.forgery import reseal

_NAMED = "different values for the "
_CONTENTS = (names.BLUEPRINT, names.RESULT, names.ENVIRONMENT, names.SBOM, names.SAMPLES, names.EVENTS)
_SECOND = "0" * 31 + "2"


def cases() -> Iterator[Case]:
    """Yield the replays and downgrades."""
    yield from rows("replay", "agreement", _REPLAYED)
    yield from rows("replay", "contents", _MIXED)
    yield from rows("replay", "lock", _RELOCKED)
    yield from rows("replay", "environment", _ATTEMPTS)
    yield from rows("downgrade", "agreement", _DOWNGRADED)
    yield from rows("downgrade", "environment", signed_rows(_SILENT))


def _invoked(provenance: str, result: str) -> Forge:
    return sealed(
        provenance=lambda it: it["runDetails"]["metadata"].update(invocationId=provenance),
        result=lambda it: it.update(invocationId=result),
    )


def _newer_lock(bundle: Path) -> None:
    """Put the newer lock, signed, under the older result."""
    taken(newer, names.LOCK, LOCK)(bundle)


def _resigned(bundle: Path) -> None:
    """Sign the files as they are, but keep the lock's attestation."""
    own = (bundle / LOCK).read_bytes()
    reseal(bundle, ALICE)
    (bundle / LOCK).write_bytes(own)


_REPLAYED: dict[str, Row] = {
    "older-attestations": (
        "put the attestations of the first attempt on the files of the second",
        taken(second, *_CONTENTS),
        "about other files",
    ),
    "older-result-statement": (
        "put the result statement of another attempt beside the provenance",
        taken(second, RESULT),
        "about other files",
    ),
    "older-provenance": (
        "put the provenance of another attempt beside the result",
        taken(second, PROVENANCE),
        "about other files",
    ),
    "old-result-under-a-new-invocation": (
        "signed a new provenance for the result of an older invocation",
        _invoked(_SECOND, "0" * 31 + "1"),
        _NAMED + "invocation",
    ),
    "old-result-under-a-newer-lock": (
        "put a newer lock and its attestation under an older result",
        then(_newer_lock, _resigned),
        _NAMED + "lock",
    ),
    "newer-lock-statement": (
        "put the attestation of a newer lock beside the older lock",
        taken(newer, LOCK),
        "about other files",
    ),
}
_MIXED: dict[str, Row] = {
    "newer-blueprint": (
        "put the blueprint of a newer lock beside the older lock",
        sealed(taken(newer, names.BLUEPRINT)),
        "not the text inside",
    ),
}


def _relocked(bundle: Path) -> None:
    """Sign the older result again under the newer lock, which every statement names."""
    taken(newer, names.LOCK, names.BLUEPRINT, LOCK)(bundle)
    digest = read_lock((bundle / names.LOCK).read_bytes()).digest
    reseal(
        bundle,
        ALICE,
        provenance=lambda it: it["buildDefinition"]["externalParameters"].update(lock=digest),
        result=lambda it: it.update(lock=digest),
    )


_RELOCKED: dict[str, Row] = {
    "newer-lock-signed-again": (
        "signed everything again with a newer lock under an older result",
        _relocked,
        "name different runs",
    ),
    "result-of-another-lock": (
        "signed the result and samples of another lock",
        sealed(taken(newer, names.RESULT, names.SAMPLES)),
        "name different runs",
    ),
}


def _first_attempt(environment: Any) -> None:
    listed = next(one for one in environment["facts"] if one["name"] == "launch.attempts")
    listed["value"][-1]["attempt"] = 3


_ATTEMPTS: dict[str, Row] = {
    "third-attempt-called-the-first": (
        "called the third attempt the first, but not in the environment",
        sealed(json_file(names.ENVIRONMENT, _first_attempt)),
        "not those up to this one",
    ),
    "first-attempt-called-the-third": (
        "called the first attempt the third, but not in the environment",
        sealed(result_file(lambda it: it.update(attempt=3))),
        "not those up to this one",
    ),
    "environment-of-an-older-attempt": (
        "signed the environment of an older attempt",
        sealed(taken(second, names.ENVIRONMENT)),
        "not those up to this one",
    ),
}
_DOWNGRADED: dict[str, Row] = {
    "provenance-of-slsa-0.2": (
        "signed a provenance in the form of SLSA 0.2",
        statement(
            PROVENANCE,
            lambda it: {
                **it,
                "predicateType": "https://slsa.dev/provenance/v0.2",
                "predicate": {"builder": {"id": "x"}, "buildType": "x", "materials": []},
            },
        ),
        "holds `",
    ),
    "result-without-its-lock": (
        "left the lock out of the result",
        sealed(result=lambda it: it.pop("lock")),
        "has no `lock`",
    ),
    "result-without-its-invocation": (
        "left the invocation out of the result",
        sealed(result=lambda it: it.pop("invocationId")),
        "has no `invocationId`",
    ),
    "provenance-without-inputs-at-all": (
        "left the inputs out of the provenance",
        sealed(provenance=lambda it: it["buildDefinition"].pop("resolvedDependencies")),
        "has no `resolvedDependencies`",
    ),
    "provenance-without-a-builder": (
        "left the builder out of the provenance",
        sealed(provenance=lambda it: it["runDetails"].pop("builder")),
        "has no `builder`",
    ),
    "result-without-deviations": (
        "left the deviations out of the result",
        sealed(result=lambda it: it.pop("deviations")),
        "has no `deviations`",
    ),
    "claim-without-its-interval": (
        "left the interval out of a claim",
        sealed(result=lambda it: it["claims"][0].pop("ci")),
        "has no `ci`",
    ),
}
_SILENT: dict[str, Row] = {
    "attempts-dropped": (
        "left out which attempts ran what",
        facts(lambda found: [one for one in found if one["name"] != "launch.attempts"]),
        "does not say which attempts there were",
    ),
}
