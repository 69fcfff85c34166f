"""Lies about the run that a trusted key signed: result, lock, claims and inputs that do not fit."""

from collections.abc import Callable, Iterator
from typing import Any

from launcher.spec import bundle as names
from tests.bundles.case import Case, Forge, Row, rows
from tests.bundles.forging import json_file, result_file, sealed, signed_rows
from tests.fakes.forgery import Change

_SAYS = "does not say what `result.json` says"


def cases() -> Iterator[Case]:
    """Yield the lies about the run."""
    yield from rows("lies", "lock", signed_rows(_RUNS))
    yield from rows("lies", "contents", signed_rows(_LOCKS))
    yield from rows("lies", "claims", _CLAIMS)
    yield from rows("lies", "lock", _INPUTS)


def _replicate(number: int, **changes: Any) -> Forge:
    return result_file(lambda it: it["replicates"][number].update(changes))


def _identity(change: Change) -> Forge:
    return json_file(names.LOCK, lambda lock: change(lock["identity"]))


def _dependency(change: Callable[[list[Any]], Any]) -> Forge:
    return sealed(provenance=lambda it: change(it["buildDefinition"]["resolvedDependencies"]))


_RUNS: dict[str, Row] = {
    "another-lock": (
        "named another lock in the result",
        result_file(lambda it: it.update(lock="sha256:" + "0" * 64)),
        "name different runs",
    ),
    "another-blueprint-name": (
        "named another evaluation in the result",
        result_file(lambda it: it["blueprint"].update(name="acme/other")),
        "different evaluations",
    ),
    "another-blueprint-version": (
        "named another version of the evaluation in the result",
        result_file(lambda it: it["blueprint"].update(version="2.0.0")),
        "different evaluations",
    ),
    "another-seed": ("named another seed of a replicate", _replicate(1, seed=9), "lock's seeds"),
    "seeds-swapped": (
        "swapped the seeds of two replicates",
        result_file(lambda it: [it["replicates"][0].update(seed=4), it["replicates"][1].update(seed=3)]),
        "lock's seeds",
    ),
    "replicate-missing": (
        "left a replicate out",
        result_file(lambda it: it["replicates"].pop()),
        "lock's seeds",
    ),
    "replicate-more": (
        "added a replicate",
        result_file(lambda it: it["replicates"].append({**it["replicates"][1], "replicate": 2, "seed": 5})),
        "lock's seeds",
    ),
    "replicate-twice": (
        "listed a replicate twice",
        result_file(lambda it: it["replicates"].append(it["replicates"][1])),
        "lock's seeds",
    ),
    "replicate-failed": (
        "hid a failed replicate behind a score",
        _replicate(1, status="failed", failure="candidate"),
        "one of the replicates",
    ),
    "replicate-exited-badly": (
        "hid the exit code of a replicate behind a score",
        _replicate(1, exit_code=3),
        "one of the replicates",
    ),
    "replicate-of-a-later-attempt": (
        "took a replicate of an attempt that came later",
        _replicate(1, attempt=2),
        "an attempt that came later",
    ),
}
_LOCKS: dict[str, Row] = {
    f"lock-of-{title}": (f"locked {attack} than the blueprint", _identity(change), words)
    for title, (attack, change, words) in {
        "another-commit": ("another commit", lambda it: it["code"].update(commit="0" * 40), "code differ"),
        "another-command": ("another command", lambda it: it["run"].update(command=["cheat"]), "run differ"),
        "another-seed": ("another seed", lambda it: it["run"].update(seeds=[9, 4]), "run differ"),
        "another-timeout": ("another timeout", lambda it: it["run"].update(timeout=1), "run differ"),
        "another-environment-variable": (
            "an environment variable more",
            lambda it: it["run"]["env"].update(A="1"),
            "run differ",
        ),
        "another-input": (
            "other bytes",
            lambda it: it["inputs"][0].update(sha256="0" * 64),
            "other bytes of `items`",
        ),
        "no-input": ("fewer inputs", lambda it: it["inputs"].clear(), "other inputs"),
        "another-input-name": (
            "another input",
            lambda it: it["inputs"][0].update(name="other"),
            "other inputs",
        ),
        "another-role": ("another role", lambda it: it["inputs"][0].update(role="held-out"), "inputs differ"),
        "another-image": (
            "another image",
            lambda it: it["image"].update(manifest="sha256:" + "0" * 64),
            "another image",
        ),
        "another-platform": (
            "another platform",
            lambda it: it["image"].update(platform="linux/arm64"),
            "another image",
        ),
        "an-index": (
            "an index more",
            lambda it: it["image"].update(index="sha256:" + "0" * 64),
            "another image",
        ),
        "an-impossible-size": (
            "an impossible size",
            lambda it: it["inputs"][0].update(size=-1),
            "does not pin",
        ),
        "no-image": ("no image", lambda it: it.pop("image"), "does not pin"),
        "a-wider-network": (
            "a wider network",
            lambda it: it["sandbox"].update(network="egress"),
            "sandbox differ",
        ),
        "a-widening": (
            "a wider sandbox",
            lambda it: it["sandbox"]["widenings"].append("ptrace"),
            "sandbox differ",
        ),
        "another-filter": (
            "another filter of system calls",
            lambda it: it["sandbox"].update(seccomp="sha256:" + "0" * 64),
            "sandbox differ",
        ),
        "more-memory": ("more memory", lambda it: it["resources"].update(memory=1), "resources differ"),
        "another-metric": ("another metric", lambda it: it["metrics"][0].update(name="f1"), "metrics differ"),
        "a-lower-threshold": (
            "a lower threshold",
            lambda it: it["metrics"][0].update(threshold=None),
            "metrics differ",
        ),
        "another-name": ("another name", lambda it: it.update(name="acme/other"), "name differ"),
        "a-field-more": ("a field more", lambda it: it.update(more=1), "more differ"),
        "a-field-less": ("a field less", lambda it: it.pop("redactable"), "redactable differ"),
        "one-for-true": (
            "1 for `true`",
            lambda it: it["metrics"][0].update(primary=1),
            "is not its blueprint's",
        ),
        "another-config": ("another configuration", lambda it: it["config"].update(x="1"), "config differ"),
        "a-limit": ("fewer items", lambda it: it.update(limit=0), "does not pin"),
        "predictions": (
            "predictions that nothing scores",
            lambda it: it.update(predictions=["0" * 64] * 2),
            "does not score",
        ),
    }.items()
}


_CLAIMS: dict[str, Row] = {
    f"claim-of-{title}": (f"signed {attack} than `result.json` has", sealed(result=change), _SAYS)
    for title, (attack, change) in {
        "another-value": ("another value", lambda it: it["claims"][0].update(value="0.99")),
        "another-spelling": (
            "another spelling of the value",
            lambda it: it["claims"][0].update(value="0.90"),
        ),
        "another-interval": ("another interval", lambda it: it["claims"][0].update(ci=["0.89", "0.91"])),
        "no-interval": ("no interval other", lambda it: it["claims"][0].update(ci=None)),
        "another-count": ("another count", lambda it: it["claims"][0].update(n="2000")),
        "another-threshold": ("another threshold", lambda it: it["claims"][0].update(threshold="0.1")),
        "another-comparison": ("another comparison", lambda it: it["claims"][0].update(comparator="lte")),
        "another-bound": ("a bound on something else", lambda it: it["claims"][0].update(on="ci-upper")),
        "another-verdict": ("another verdict", lambda it: it.update(verdict="none")),
        "another-metric": ("another metric", lambda it: it["claims"][0].update(metric="f1")),
        "one-more": ("a claim more", lambda it: it["claims"].append(it["claims"][0])),
        "none": ("fewer claims", lambda it: it["claims"].clear()),
        "another-sample-size": ("another sample size", lambda it: it.update(sampleSize="2000")),
        "a-deviation-more": ("a deviation more", lambda it: it["deviations"].append("none")),
        "a-mark-more": ("a mark more", lambda it: it.update(marks=["draft"])),
        "a-failure": ("another ending", lambda it: it.update(status="failed", failure="candidate")),
    }.items()
}


_INPUTS: dict[str, Row] = {
    f"provenance-{title}": (
        f"signed a provenance {attack}",
        _dependency(change),
        "other inputs than the lock pins",
    )
    for title, (attack, change) in {
        "without-an-input": ("without an input", lambda it: it.pop()),
        "without-inputs": ("without inputs", lambda it: it.clear()),
        "with-an-input-more": ("with an input more", lambda it: it.append({**it[-1], "name": "data/more"})),
        "with-an-input-twice": ("with an input twice", lambda it: it.append(it[-1])),
        "of-another-image": ("of another image", lambda it: it[0]["digest"].update(sha256="0" * 64)),
        "of-another-commit": ("of another commit", lambda it: it[2]["digest"].update(gitCommit="0" * 40)),
        "of-another-place": (
            "that names another place of an input",
            lambda it: it[-1].update(uri="https://example.org/x"),
        ),
        "in-another-order": ("with its inputs in another order", lambda it: it.reverse()),
    }.items()
}
