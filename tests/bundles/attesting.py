"""Forgeries of the attestation set: true signatures about something else, and statements that do not fit."""

import shutil
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from launcher.canonical import canonical_bytes
from launcher.spec import bundle as names
from tests.bundles.case import Case, Forge, rows, write_files
from tests.bundles.forging import (
    LOCK,
    PROVENANCE,
    RESULT,
    put_envelope,
    rename,
    sealed,
    signed_envelope,
    statement,
    then,
    write,
)
from tests.bundles.honest import Files, Run, launched
from tests.bundles.keys import BOB
from tests.fakes.forgery import statement_of

_SECOND = Run(attempt=2, invocation_id="00000000000000000000000000000002")


@cache
def second() -> Files:
    """Return the bundle of the same lock's second attempt."""
    return launched(_SECOND)


@cache
def other() -> Files:
    """Return a bundle of the same signer about other items."""
    return launched(_SECOND.but(items=30))


@cache
def newer() -> Files:
    """Return a bundle of the same signer of another lock."""
    return launched(_SECOND.but(metric='name = "accuracy"\ndefinition = "accuracy@1"'))


def taken(files: Any, *paths: str) -> Forge:
    """Return a forgery that takes files from another true bundle."""
    return lambda bundle: write_files(bundle, {path: files()[path] for path in paths})


def _swap(left: str, right: str) -> Forge:
    return then(rename(left, "swap"), rename(right, left), rename("swap", right))


def _copy(name: str, to: str) -> Forge:
    return lambda bundle: shutil.copy(bundle / name, bundle / to)


def _subjects(name: str, change: Any) -> Forge:
    """Return a forgery that signs a statement with other subjects."""

    def alter(value: Any) -> None:
        value["subject"] = change(value["subject"])

    return statement(name, alter)


def _digest(**digest: str) -> Any:
    return lambda subjects: [{**subjects[0], "digest": digest}, *subjects[1:]]


def _both(change: Any) -> Forge:
    return then(_subjects(PROVENANCE, change), _subjects(RESULT, change))


def _listed_above_a_thousand(bundle: Path) -> None:
    """Sign every one of 1,001 files instead of SHA256SUMS alone."""
    lines = (bundle / names.SUMS).read_text().splitlines()
    for name in (PROVENANCE, RESULT):
        value = statement_of(bundle, name)
        listed = [(line[66:], line[:64]) for line in lines]
        (own,) = value["subject"]
        value["subject"] = sorted(
            [{"name": path, "digest": {"sha256": sha256}} for path, sha256 in listed] + [own],
            key=lambda subject: subject["name"],
        )
        put_envelope(bundle, name, signed_envelope(canonical_bytes(value)))


@cache
def many_files() -> Files:
    """Return a bundle of more than a thousand files, all of them signed through SHA256SUMS."""
    return launched(Run(kept={f"artifacts/0/{number:04}": b"" for number in range(1001)}))


_OTHERS = "about other files"


def cases() -> Iterator[Case]:
    """Yield the forgeries of attestations."""
    yield from rows("attestations", "agreement", _SWAPPED)
    yield from rows("attestations", "agreement", _ABOUT)
    for name, label in ((PROVENANCE, "provenance"), (RESULT, "result"), (LOCK, "lock")):
        table = {
            f"{label}-{title}": (f"signed a {label} statement {attack}", _subjects(name, change), words)
            for title, (attack, change, words) in _SUBJECTS.items()
        }
        yield from rows("attestations", f"signature:{label}", table)
    yield Case(
        title="subjects-listed-above-a-thousand",
        group="attestations",
        attack="signed each of 1,001 files instead of SHA256SUMS alone",
        forge=_listed_above_a_thousand,
        base=many_files,
        refused_by="agreement",
        words=_OTHERS,
    )
    yield from rows("attestations", "attestation-names", _NAMES)


_SWAPPED = {
    "swapped-provenance-and-result": (
        "gave provenance and result each other's names",
        _swap(PROVENANCE, RESULT),
        "holds `",
    ),
    "swapped-lock-and-result": ("gave lock and result each other's names", _swap(LOCK, RESULT), "holds `"),
    "result-for-provenance": (
        "copied the result's attestation over the provenance's",
        _copy(RESULT, PROVENANCE),
        "holds `",
    ),
    "lock-for-provenance": (
        "copied the lock's attestation over the provenance's",
        _copy(LOCK, PROVENANCE),
        "holds `",
    ),
    "result-of-another-bundle": (
        "took the result's attestation of another bundle",
        taken(other, RESULT),
        _OTHERS,
    ),
    "provenance-of-another-bundle": (
        "took the provenance of another bundle",
        taken(other, PROVENANCE),
        _OTHERS,
    ),
    "lock-of-another-bundle": ("took the lock's attestation of another bundle", taken(newer, LOCK), _OTHERS),
    "attestations-of-another-bundle": (
        "took every attestation of another bundle",
        taken(other, PROVENANCE, RESULT, LOCK),
        _OTHERS,
    ),
    "attestations-and-sums-of-another-bundle": (
        "took attestations, SHA256SUMS and samples of another bundle",
        taken(other, PROVENANCE, RESULT, LOCK),
        _OTHERS,
    ),
}
_ABOUT = {
    "statements-of-two-attempts": (
        "signed a provenance with another invocation than the result",
        sealed(provenance=lambda it: it["runDetails"]["metadata"].update(invocationId="other")),
        "different values for the invocation",
    ),
    "statements-of-two-builders": (
        "signed a result by another builder than the provenance",
        sealed(result=lambda it: it["verifier"].update(id="https://example.org/other")),
        "different values for the builder",
    ),
    "statements-of-two-launchers": (
        "signed a result by another version of the builder",
        sealed(result=lambda it: it["verifier"].update(version={"evalctl-launcher": "9.9.9"})),
        "different values for the builder",
    ),
    "statements-of-two-locks": (
        "signed a provenance of another lock",
        sealed(
            provenance=lambda it: it["buildDefinition"]["externalParameters"].update(
                lock="sha256:" + "0" * 64
            )
        ),
        "different values for the lock",
    ),
    "statements-of-two-blueprints": (
        "signed a lock statement of another blueprint",
        sealed(lock=lambda it: it["blueprint"].update(version="9.0.0")),
        "different values for the blueprint",
    ),
    "lock-statement-of-another-lock": (
        "signed a lock statement that names another lock",
        sealed(lock=lambda it: it.update(lock="sha256:" + "0" * 64)),
        "different values for the lock",
    ),
    "result-signed-by-a-colleague": (
        "had a colleague sign the result, whom the policy trusts as well",
        statement(RESULT, lambda it: it, BOB),
        "signed by different keys",
    ),
    "subjects-without-samples": (
        "left `samples.jsonl` out of what is signed",
        _both(lambda subjects: [item for item in subjects if item["name"] != names.SAMPLES]),
        _OTHERS,
    ),
    "subjects-without-sums": (
        "left SHA256SUMS out of what is signed",
        _both(lambda subjects: [item for item in subjects if item["name"] != names.SUMS]),
        _OTHERS,
    ),
    "subjects-of-sums-alone": (
        "signed SHA256SUMS alone where all files must be listed",
        _both(lambda subjects: [item for item in subjects if item["name"] == names.SUMS]),
        _OTHERS,
    ),
    "subjects-and-one-more": (
        "signed a file that is not there",
        _both(lambda subjects: [*subjects, {"name": "zzz", "digest": {"sha256": "0" * 64}}]),
        _OTHERS,
    ),
    "subjects-with-a-path-outside": (
        "signed `../../etc/passwd`",
        _both(lambda subjects: [{"name": "../../etc/passwd", "digest": {"sha256": "0" * 64}}, *subjects]),
        _OTHERS,
    ),
    "subjects-renamed": (
        "signed a file under another name",
        _both(lambda subjects: [*subjects[:-1], {**subjects[-1], "name": "zzz"}]),
        _OTHERS,
    ),
    "subjects-of-the-result-differ": (
        "signed fewer files in the result than in the provenance",
        _subjects(RESULT, lambda subjects: subjects[:-1]),
        _OTHERS,
    ),
    "lock-statement-about-the-blueprint": (
        "signed a lock statement about `blueprint.toml`",
        _subjects(LOCK, lambda subjects: [{**subjects[0], "name": names.BLUEPRINT}]),
        _OTHERS,
    ),
    "lock-statement-about-everything": (
        "signed a lock statement about two files",
        _subjects(
            LOCK, lambda subjects: [*subjects, {"name": "result.json", "digest": {"sha256": "0" * 64}}]
        ),
        _OTHERS,
    ),
}
_SUBJECTS = {
    "without-subjects": ("without a subject", lambda subjects: [], "there is none"),
    "with-a-subject-twice": (
        "with a subject twice",
        lambda subjects: [*subjects, subjects[-1]],
        "one stands twice",
    ),
    "with-sha512": ("with SHA-512 alone", _digest(sha512="0" * 128), "has no `sha256`"),
    "with-two-digests": (
        "with a second algorithm beside SHA-256",
        _digest(sha256="0" * 64, sha1="0" * 40),
        "unknown field",
    ),
    "with-a-digest-in-capitals": (
        "with a digest in capitals",
        _digest(sha256="AB" * 32),
        "not 64 lowercase hex digits",
    ),
    "with-a-short-digest": ("with half a digest", _digest(sha256="ab" * 16), "not 64 lowercase hex digits"),
    "with-a-prefixed-digest": (
        "with `sha256:` before the digest",
        _digest(sha256="sha256:" + "ab" * 32),
        "not 64 lowercase hex digits",
    ),
    "with-a-uri": (
        "with a place beside the digest",
        lambda subjects: [{**subjects[0], "uri": "https://example.org"}, *subjects[1:]],
        "unknown field",
    ),
    "with-subjects-that-are-no-list": (
        "whose subjects are an object",
        lambda subjects: subjects[0],
        "not a list",
    ),
    "with-1025-subjects": (
        "with 1,025 subjects",
        lambda subjects: [
            {"name": f"x{number:04}", "digest": {"sha256": "0" * 64}} for number in range(1025)
        ],
        "at most 1024",
    ),
}
_NAMES = {
    "co-signature-of-nothing": (
        "added a co-signature of a reproduction that is not there",
        write(f"attestations/reproduction-x.{'ab' * 32}.sigstore.json", b"{}\n"),
        "co-signs what is not there",
    ),
}
