"""Redacted bundles: honest ones, and those of a redactor or launcher with a trusted key who lies."""

import json
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

from launcher.canonical import canonical_bytes
from launcher.spec import bundle as names
from launcher.spec.disclosure import Choice
from tests.bundles.case import Case, Forge, Row, Trust, leave, rows
from tests.bundles.forging import (
    LOCK,
    PROVENANCE,
    RESULT,
    edit,
    json_file,
    remove,
    replace,
    result_file,
    sealed,
    signed_rows,
    write,
)
from tests.bundles.honest import Files
from tests.bundles.keys import ALICE, BOB, MALLORY
from tests.bundles.redacting import (
    KEY,
    RUN,
    USUAL,
    Lie,
    change_part,
    change_samples,
    original,
    redacted,
)
from tests.fakes.forgery import reseal

SOME = Choice(USUAL | {"targets"}, frozenset({"item-0003"}))
EVERY = Choice(USUAL, frozenset(f"item-{number:04}" for number in range(20)))
_OTHER_RUN = RUN.but(attempt=2, invocation_id="0" * 31 + "2")
_DIFFERS = "is not what was committed to"
_MADE = "is not what the values given out make"


def cases() -> Iterator[Case]:
    """Yield the redacted bundles."""
    for title, (said, base) in _HONEST.items():
        yield Case(title=title, group="redaction", attack=said, forge=leave, exit_code=0, base=cache(base))
    yield from rows("redaction", "contents", signed_rows(_OPENINGS), base=some)
    yield from rows("redaction", "redaction", _CLAIMS, base=some)
    yield from rows("redaction", "redaction", signed_rows(_FILES), base=some)
    yield from rows("redaction", "withheld", signed_rows(_MADE_OF), base=some)
    yield from rows("redaction", "withheld", _COUNTS, base=some)
    yield from rows("redaction", "ledger-proof", _PROOFS, base=some)
    yield from rows("redaction", "commitments", signed_rows(_NOT_REDACTED), base=cache(original))
    yield from rows("redaction", "agreement", _SAID_ONCE, base=some)
    for title, (said, refused_by, words, base) in _LIARS.items():
        yield Case(
            title=title,
            group="redaction",
            attack=said,
            forge=leave,
            refused_by=refused_by,
            words=words,
            base=cache(base),
        )
    yield from _other_keys()


@cache
def some() -> Files:
    """Return the files of a bundle without targets, and without one sample."""
    return redacted(SOME)


def _other_keys() -> Iterator[Case]:
    kept = (LOCK, *(names.as_original(name) for name in (LOCK, PROVENANCE, RESULT)))

    def by(signer: Any) -> Forge:
        def forge(bundle: Path) -> None:
            before = {name: (bundle / name).read_bytes() for name in kept}
            reseal(bundle, signer)
            for name, data in before.items():
                (bundle / name).write_bytes(data)

        return forge

    yield Case(
        title="redacted-by-a-stranger",
        group="redaction",
        attack="redacted what *alice* signed, and is nobody",
        forge=by(MALLORY),
        refused_by="trust:provenance",
        words="1, 0 counted",
        exit_code=3,
        base=some,
    )
    yield Case(
        title="redacted-without-the-role",
        group="redaction",
        attack="redacted what *alice* signed, and may only sign locks",
        forge=by(BOB),
        refused_by="trust:provenance",
        words="does not have the role `result`",
        exit_code=3,
        base=some,
        trust=Trust(policy=_LOCKS_ONLY),
    )


_LOCKS_ONLY = f"""version = 1
expires = 2090-01-01T00:00:00Z
[keys.alice]
public = "{ALICE.public.openssh}"
roles = ["lock", "result"]
[keys.bob]
public = "{BOB.public.openssh}"
roles = ["lock"]
[rules.lock]
threshold = 1
from = ["alice", "bob"]
[rules.result]
threshold = 1
from = ["alice", "bob"]
"""

_HONEST: dict[str, tuple[str, Callable[[], Files]]] = {
    "redactable": ("committed to every part", original),
    "redacted": ("withheld logs, artifacts and details of events", lambda: redacted(Choice(USUAL))),
    "redacted-targets-and-a-sample": ("withheld targets, and a sample whole", lambda: redacted(SOME)),
    "redacted-every-sample": ("withheld every sample", lambda: redacted(EVERY)),
    "redacted-nothing": ("withheld nothing", lambda: redacted(Choice(frozenset()))),
    "redacted-failure": (
        "withheld the logs of a candidate that failed",
        lambda: redacted(Choice(USUAL), RUN.but(failure="candidate")),
    ),
    "redacted-predictions-of-macro-f1": (
        "withheld predictions, of which ranks stay",
        lambda: redacted(Choice(USUAL | {"predictions"}), RUN.but(metric=MACRO)),
    ),
}
MACRO = (
    'name = "f1"\ndefinition = "f1@1"\n'
    'parameters = { average = "macro" }\nci = { method = "bootstrap", level = 0.9 }'
)


def openings_file(change: Callable[[list[Any]], Any]) -> Forge:
    """Return the forgery that changes the lines of openings.jsonl."""

    def altered(data: bytes) -> bytes:
        lines = [json.loads(line) for line in data.splitlines()]
        change(lines)
        return b"".join(canonical_bytes(line) + b"\n" for line in lines)

    return edit(names.OPENINGS, altered)


def _cells(lines: list[Any], *, whole: bool = False) -> dict[str, Any]:
    found: list[dict[str, Any]] = [line["opening"] for line in lines if "sample" in line]
    return next(cells for cells in found if ("id" not in cells) is whole)


def _line(lines: list[Any], kind: str, name: str | None = None) -> Any:
    return next(line for line in lines if kind in line and name in (None, line[kind]))


def _swap(lines: list[Any], one: str, other: str, part: int | None = None) -> None:
    cells = _cells(lines)
    if part is None:
        cells[one], cells[other] = cells[other], cells[one]
    else:
        cells[one][part], cells[other][part] = cells[other][part], cells[one][part]


_OPENINGS: dict[str, Row] = {
    "opened-another-value": (
        "opened another contribution than the one committed to",
        openings_file(lambda it: _cells(it)["metric.0"].__setitem__(1, [True, False])),
        _DIFFERS,
    ),
    "opened-a-withheld-sample-better": (
        "made a sample right that is withheld",
        openings_file(lambda it: _cells(it, whole=True)["metric.0"].__setitem__(1, [False, False])),
        _DIFFERS,
    ),
    "salts-swapped": ("swapped two salts", openings_file(lambda it: _swap(it, "item", "seed", 0)), _DIFFERS),
    "openings-swapped": (
        "swapped the openings of two columns",
        openings_file(lambda it: _swap(it, "failed", "weight")),
        _DIFFERS,
    ),
    "a-salt-of-zeros": (
        "opened a value with another salt",
        openings_file(lambda it: _cells(it)["id"].__setitem__(0, "0" * 32)),
        _DIFFERS,
    ),
    "a-short-salt": (
        "opened a value with a shorter salt",
        openings_file(lambda it: _cells(it)["id"].__setitem__(0, "0" * 30)),
        "not what it must be",
    ),
    "a-threshold-opened-otherwise": (
        "opened another verdict",
        openings_file(lambda it: _line(it, "result", "verdict")["opening"].__setitem__(1, "fail")),
        _DIFFERS,
    ),
    "a-sample-dropped": (
        "left a sample out",
        openings_file(lambda it: it.remove(_line(it, "sample"))),
        "a sample is missing",
    ),
    "a-sample-added": (
        "added a sample",
        openings_file(lambda it: it.append({"sample": "f" * 32, "opening": _cells(it)})),
        "never committed to",
    ),
    "a-sample-twice": (
        "gave a sample out twice",
        openings_file(lambda it: it.append(_line(it, "sample"))),
        "out of order or stands twice",
    ),
    "a-step-dropped": (
        "left a step of the launcher out",
        openings_file(lambda it: it.remove(_line(it, "event"))),
        "a step is missing",
    ),
    "a-file-opened": (
        "opened what was committed to of a file",
        openings_file(
            lambda it: it.insert(
                it.index(_line(it, "event")), {"file": names.LOCK, "opening": ["0" * 32, "x"]}
            )
        ),
        _DIFFERS,
    ),
    "a-contribution-withheld": (
        "withheld a contribution that speaks against the score",
        openings_file(lambda it: _cells(it).pop("metric.0")),
        "withholds its 'metric.0'",
    ),
    "a-target-given-out": (
        "gave out a target that is said to be withheld",
        openings_file(lambda it: _cells(it).update(target=["0" * 32, 1])),
        _DIFFERS,
    ),
    "openings-in-another-order": (
        "gave samples out in another order",
        openings_file(lambda it: it.append(it.pop(-2))),
        "a sample is missing",
    ),
    "openings-of-nothing": ("left the openings empty", write(names.OPENINGS, b""), "the first line"),
    "commitments-of-another-run": (
        "put commitments of another attempt beside the openings",
        write(names.COMMITMENTS, original(_OTHER_RUN)[names.COMMITMENTS]),
        "are not the original's",
    ),
    "commitments-missing": ("took the commitments away", remove(names.COMMITMENTS), "has no"),
    "openings-missing": ("took the openings away", remove(names.OPENINGS), "has no"),
}


def _claim(change: Callable[[Any], Any]) -> Forge:
    """Return the forgery that claims another redaction, in the result and in the signed statement."""

    def claimed(predicate: Any) -> None:
        said = predicate["redaction"]
        said["samples"] = int(said["samples"])
        change(said)
        said["samples"] = str(said["samples"])

    return sealed(result_file(lambda it: change(it["redaction"])), result=claimed)


_CLAIMS: dict[str, Row] = {
    "said-original-samples": (
        "called redacted samples the original's",
        _claim(lambda it: it["redacted"].remove(names.SAMPLES)),
        "are not those that must be",
    ),
    "said-logs-are-there": (
        "did not say that logs are withheld",
        _claim(lambda it: it["withheld"].remove("logs")),
        "against what is said",
    ),
    "said-another-original": (
        "named another original",
        _claim(lambda it: it.update(original="sha256:" + "0" * 64)),
        "names another original",
    ),
}
_COUNTS: dict[str, Row] = {
    "said-more-samples-withheld": (
        "said that two more samples are withheld than are",
        _claim(lambda it: it.update(samples=4)),
        "2 samples are withheld, and 4 are said to be",
    ),
    "said-one-sample-withheld": (
        "said that one sample less is withheld than is",
        _claim(lambda it: it.update(samples=1)),
        "2 samples are withheld, and 1 are said to be",
    ),
}
_FILES: dict[str, Row] = {
    "another-environment-beside-the-original": (
        "noted another fact in an environment that is said to be the original's",
        json_file(names.ENVIRONMENT, lambda it: it["facts"][-1].update(source="declared")),
        "is not the original's",
    ),
    "a-file-more-than-the-original": (
        "added a file that the original did not have",
        write("artifacts/more.txt", b"more\n"),
        "was not in the original",
    ),
    "a-withheld-file-put-back": (
        "put another log in the place of the one that is withheld",
        write("logs/run-0.stdout", b"all is well\n"),
        "against what is said",
    ),
}
_PROOFS: dict[str, Row] = {
    "a-ledger-proof-of-its-own": (
        "put a proof of a ledger beside the redactor's attestations",
        write(names.LEDGER_PROOF, b"c2sp.org/tlog-proof@v1\n"),
        "a redacted bundle stands in no ledger",
    ),
}
_MADE_OF: dict[str, Row] = {
    "a-visible-answer-changed": (
        "changed an answer in `samples.jsonl`",
        replace(names.SAMPLES, b'"prediction":0', b'"prediction":1'),
        _MADE,
    ),
    "a-visible-sample-removed": (
        "took a sample from `samples.jsonl`",
        edit(names.SAMPLES, lambda data: data.partition(b"\n")[2]),
        _MADE,
    ),
    "a-step-removed-from-events": ("emptied `events.jsonl`", write(names.EVENTS, b""), _MADE),
    "a-result-with-other-replicates": (
        "changed an exit code that nothing signs by name",
        result_file(lambda it: it["replicates"][0].update(exit_code=None)),
        _MADE,
    ),
}
_NOT_REDACTED: dict[str, Row] = {
    "redactable-without-commitments": (
        "left the commitments out",
        remove(names.COMMITMENTS),
        "has no `commitments.jsonl`",
    ),
    "redactable-with-a-commitment-less": (
        "did not commit to a sample",
        edit(names.COMMITMENTS, lambda data: data[: data[:-1].rindex(b"\n") + 1]),
        "commitments to 39 samples, and 40 samples",
    ),
    "redactable-with-a-step-in-a-list": (
        "put a step of the launcher into a list",
        edit(names.EVENTS, lambda data: data + b'[{"source":"launcher"}]\n'),
        "an event is no object",
    ),
}
_SAID_ONCE: dict[str, Row] = {
    "redaction-not-signed": (
        "told of the redaction in `result.json` alone",
        sealed(result=lambda it: it.pop("redaction")),
        "the redaction",
    ),
    "redaction-called-a-launch": (
        "signed a redacted bundle as launched",
        sealed(
            provenance=lambda it: it["buildDefinition"].update(
                buildType=it["buildDefinition"]["buildType"].replace("redact", "launch")
            )
        ),
        "the redaction",
    ),
}


def _lying(lie: Lie, choice: Choice = SOME) -> Callable[[], Files]:
    return lambda: redacted(choice, lie=lie)


def _flip(cells: dict[str, Any]) -> None:
    cells["prediction"] = (cells["target"] + 1) % 3


def _other_item(cells: dict[str, Any]) -> None:
    if cells["replicate"] == 1 and cells["id"] == "item-0004":
        cells["item"] = KEY.item(None, "item-0003")


_INPUTS = Choice(USUAL | {"inputs"})
_LIARS: dict[str, tuple[str, str, str, Callable[[], Files]]] = {
    "answers-that-contradict-the-score": (
        "committed to a good score, showed answers that are wrong, and said that inputs are withheld",
        "metrics",
        "something else than its fields say",
        _lying(change_samples(_flip), _INPUTS),
    ),
    "tables-that-no-samples-make": (
        "committed to a table of confusions that no samples make",
        "metrics",
        "the tables do not follow from the samples",
        _lying(
            change_part("tables", {"confusion": {"labels": [0], "counts": [[40]], "failed": [0]}}),
            Choice(USUAL),
        ),
    ),
    "withheld-items-of-one-replicate": (
        "committed to other items in one replicate, and withheld them",
        "metrics",
        "the replicates answered different items",
        _lying(change_samples(_other_item), EVERY),
    ),
    "a-committed-value-that-was-not-signed": (
        "committed to another verdict than the original's signed one",
        "claims",
        "the original's signed statement says something else",
        _lying(change_part("deviations", ["none"])),
    ),
}
