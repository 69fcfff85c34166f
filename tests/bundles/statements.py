"""Forgeries of statements: what a trusted key signed, and what no such statement may say."""

import json
from collections.abc import Iterator
from typing import Any

from launcher.spec import predicates
from tests.bundles.case import Case, Forge, rows
from tests.bundles.forging import LOCK, PROVENANCE, RESULT, payload, sealed, signed_envelope, statement


def cases() -> Iterator[Case]:
    """Yield the forgeries of statements."""
    yield from rows("types", "signature:result", _STATEMENTS)
    yield from rows("types", "agreement", _PREDICATE_TYPES | dict(_predicates()))


_STATEMENTS = {
    "statement-0.1": (
        "signed a statement of in-toto 0.1",
        statement(RESULT, lambda it: it.update(_type="https://in-toto.io/Statement/v0.1")),
        "not an in-toto Statement v1",
    ),
    "statement-link": (
        "signed an in-toto link",
        statement(RESULT, lambda it: {"_type": "link", "name": "x", "materials": {}, "products": {}}),
        "has no `subject`",
    ),
    "statement-without-type": (
        "signed a statement without a type",
        statement(RESULT, lambda it: it.pop("_type") and it),
        "has no `_type`",
    ),
    "statement-with-a-field-more": (
        "signed a statement with a field more",
        statement(RESULT, lambda it: it.update(note="x")),
        "unknown field",
    ),
    "statement-list": (
        "signed a list of statements",
        statement(RESULT, lambda it: [it]),
        "not a JSON object",
    ),
    "statement-text": (
        "signed a text with the statement in it",
        statement(RESULT, json.dumps),
        "not a JSON object",
    ),
    "statement-null": ("signed `null`", payload(RESULT, lambda _: b"null"), "not a JSON object"),
    "statement-number": ("signed a number", payload(RESULT, lambda _: b"1"), "not a JSON object"),
    "statement-empty": ("signed nothing", payload(RESULT, lambda _: b""), "not JSON"),
    "statement-empty-object": ("signed an empty object", payload(RESULT, lambda _: b"{}"), "has no `_type`"),
    "statement-toml": ("signed TOML", payload(RESULT, lambda _: b'_type = "x"'), "not JSON"),
    "statement-envelope": (
        "signed an envelope with the statement in it",
        statement(RESULT, lambda it: signed_envelope(json.dumps(it).encode())["dsseEnvelope"]),
        "has no `_type`",
    ),
    "predicate-missing": (
        "signed a statement without a predicate",
        statement(RESULT, lambda it: it.pop("predicate") and it),
        "has no `predicate`",
    ),
    "predicate-null": (
        "signed `null` for a predicate",
        statement(RESULT, lambda it: it.update(predicate=None)),
        "not an object",
    ),
    "predicate-text": (
        "signed a text for a predicate",
        statement(RESULT, lambda it: it.update(predicate="{}")),
        "not an object",
    ),
    "predicate-list": (
        "signed a list for a predicate",
        statement(RESULT, lambda it: it.update(predicate=[])),
        "not an object",
    ),
    "predicate-type-number": (
        "signed a number for the predicate's type",
        statement(RESULT, lambda it: it.update(predicateType=1)),
        "predicateType",
    ),
}


def _retyped(name: str, kind: str) -> Forge:
    return statement(name, lambda it: it.update(predicateType=kind))


_PREDICATE_TYPES = {
    f"predicate-type-{title}": (attack, _retyped(name, kind), "holds `")
    for title, attack, name, kind in (
        ("provenance-of-result", "called the result a provenance", RESULT, predicates.PROVENANCE_TYPE),
        ("lock-of-result", "called the result a lock statement", RESULT, predicates.LOCK_TYPE),
        ("reproduction-of-result", "called the result a reproduction", RESULT, predicates.REPRODUCTION_TYPE),
        (
            "result-v2",
            "called the result one of a later version",
            RESULT,
            predicates.PREFIX + "evaluation-result/v2",
        ),
        ("slash", "added a slash to the predicate's type", RESULT, predicates.RESULT_TYPE + "/"),
        (
            "http",
            "named the predicate's type by `http:`",
            RESULT,
            predicates.RESULT_TYPE.replace("https", "http"),
        ),
        ("capitals", "wrote the predicate's type in capitals", RESULT, predicates.RESULT_TYPE.upper()),
        (
            "draft",
            "named in-toto's draft of the predicate",
            RESULT,
            "https://in-toto.io/attestation/eval-result/v0.1",
        ),
        ("slsa-0.2", "called the provenance one of SLSA 0.2", PROVENANCE, "https://slsa.dev/provenance/v0.2"),
        (
            "vsa",
            "called the provenance a verification summary",
            PROVENANCE,
            "https://slsa.dev/verification_summary/v1",
        ),
        ("imported-lock", "called the result of a launch imported", RESULT, predicates.IMPORTED_TYPE),
        ("result-of-lock", "called the lock statement a result", LOCK, predicates.RESULT_TYPE),
        ("empty", "left the predicate's type empty", RESULT, ""),
    )
}


def _claim(**changes: Any) -> Forge:
    return sealed(result=lambda it: it["claims"][0].update(changes))


def _said(**changes: Any) -> Forge:
    return sealed(result=lambda it: it.update(changes))


def _times(**changes: Any) -> Forge:
    return sealed(provenance=lambda it: it["runDetails"]["metadata"].update(changes))


def _definition(**changes: Any) -> Forge:
    return sealed(provenance=lambda it: it["buildDefinition"].update(changes))


def _predicates() -> Iterator[tuple[str, tuple[str, Forge, str]]]:
    """Yield statements of the right type, signed by the trusted key, with one field that cannot be."""
    for title, value in {
        "number": 0.9,
        "nan": "NaN",
        "infinity": "Infinity",
        "hexadecimal": "0x1",
        "underscore": "1_0",
        "plus": "+0.9",
        "space": " 0.9",
        "line-feed": "0.9\n",
        "comma": "0,9",
        "leading-zero": "00.9",
        "bare-point": ".9",
        "other-digits": "\u0660.\u0669",
        "list": ["0.9"],
        "empty": "",
    }.items():
        if title == "number":
            continue
        yield (
            f"decimal-{title}",
            (f"signed the value {value!a}", _claim(value=value), "`value` is not the text"),
        )
    for title, count in {"exponent": "1e2", "negative": "-1", "fraction": "1.5", "number": 20}.items():
        yield f"count-{title}", (f"signed the count {count!a}", _claim(n=count), "`n` is not the text")
    for title, time in {
        "without-zone": "2026-11-20T11:00:00",
        "with-offset": "2026-11-20T11:00:00+00:00",
        "of-no-month": "2026-13-20T11:00:00Z",
        "leap-second": "2026-12-31T23:59:60Z",
        "year-zero": "0000-01-01T00:00:00Z",
        "nanoseconds": "2026-11-20T11:00:00.123456789Z",
        "lower-case": "2026-11-20t11:00:00z",
        "date": "2026-11-20",
        "number": 1763636400,
    }.items():
        yield f"time-{title}", (f"signed the time {time!a}", _times(startedOn=time), "`startedOn` is not")
    yield from _FIELDS.items()


_FIELDS: dict[str, tuple[str, Forge, str]] = {
    "finished-before-it-started": (
        "signed an end before the beginning",
        _times(startedOn="2026-11-20T12:00:00Z"),
        "finished before it started",
    ),
    "invocation-with-a-path": (
        "signed an invocation that is a path",
        sealed(
            provenance=lambda it: it["runDetails"]["metadata"].update(invocationId="../../x"),
            result=lambda it: it.update(invocationId="../../x"),
        ),
        "`invocationId` is not the text",
    ),
    "another-build-type": (
        "signed a build of GitHub's",
        _definition(buildType="https://actions.github.io/buildtypes/workflow/v1"),
        "another build type",
    ),
    "import-that-was-launched": (
        "called a launch an import",
        _definition(buildType=predicates.IMPORT_BUILD_TYPE),
        "different values for the origin",
    ),
    "origin-of-a-launch": (
        "said that the logs of a launch were imported",
        _said(origin="unsigned"),
        "different values for the origin",
    ),
    "unknown-external-parameter": (
        "signed an external parameter that nobody checks",
        sealed(provenance=lambda it: it["buildDefinition"]["externalParameters"].update(more="x")),
        "unknown field",
    ),
    "unknown-field-of-the-result": (
        "signed a field that nobody checks",
        _said(certified=True),
        "unknown field",
    ),
    "unknown-field-of-a-claim": (
        "signed a field of a claim that nobody checks",
        _claim(p="0.01"),
        "unknown field",
    ),
    "byproducts": (
        "signed by-products of the build",
        sealed(provenance=lambda it: it["runDetails"].update(byproducts=[])),
        "unknown field",
    ),
    "third-party-assurance": (
        "called its own word a third party's",
        _said(assuranceLevel="third_party"),
        "another assurance level",
    ),
    "passed-against-its-verdict": (
        "signed `passed` for what failed",
        _claim(passed=False),
        "not what its verdict says",
    ),
    "threshold-without-comparator": (
        "signed a threshold without its comparison",
        _claim(comparator=None),
        "threshold",
    ),
    "success-with-a-failure": (
        "signed a success that failed",
        _said(failure="candidate"),
        "contradict each other",
    ),
    "failure-without-a-class": (
        "signed a failure without saying which",
        _said(status="failed"),
        "contradict each other",
    ),
    "unknown-status": ("signed a status that there is not", _said(status="perfect"), "not one of"),
    "unknown-verdict": ("signed a verdict that there is not", _said(verdict="great"), "not one of"),
    "mark-twice": ("signed a mark twice", _said(marks=["draft", "draft"]), "one twice"),
    "unknown-mark": ("signed a mark that there is not", _said(marks=["certified"]), "not one of"),
    "lock-digest-in-capitals": (
        "signed the lock's digest in capitals",
        _said(lock="sha256:" + "AB" * 32),
        "`lock`",
    ),
    "lock-digest-sha512": ("signed a SHA-512 of the lock", _said(lock="sha512:" + "ab" * 64), "`lock`"),
    "claims-object": ("signed an object for the claims", _said(claims={}), "not a list"),
    "claims-beyond-count": ("signed 4,097 deviations", _said(deviations=["x"] * 4097), "at most 4096"),
    "deviation-beyond-length": (
        "signed a deviation of 4,097 letters",
        _said(deviations=["x" * 4097]),
        "not the text",
    ),
    "interval-of-one-end": ("signed an interval of one end", _claim(ci=["0.8"]), "two ends"),
    "builder-list": (
        "signed a list of builders",
        sealed(provenance=lambda it: it["runDetails"].update(builder=[])),
        "not an object",
    ),
    "dependency-by-sha1": (
        "named an input by SHA-1",
        sealed(
            provenance=lambda it: it["buildDefinition"]["resolvedDependencies"][0].update(
                digest={"sha1": "0" * 40}
            )
        ),
        "digest is neither",
    ),
    "dependency-without-digest": (
        "named an input without a digest",
        sealed(provenance=lambda it: it["buildDefinition"]["resolvedDependencies"][0].update(digest={})),
        "digest is neither",
    ),
}
