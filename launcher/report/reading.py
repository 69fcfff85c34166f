"""Read a bundle for display: what it says of itself, without judging whether it may be believed."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from msgspec import Struct

from launcher.canonical import parse_json, thaw
from launcher.digest import sha256_hex
from launcher.environment.facts import read_environment
from launcher.errors import CheckFailedError, EvalctlError
from launcher.ledger.view import LedgerPlace
from launcher.report.software import runtime_text, software_text
from launcher.report.wording import selection_text
from launcher.spec import bundle
from launcher.spec.imported import Import, ImportedLock, read_any_lock
from launcher.spec.lock import Lock
from launcher.spec.result import Result
from launcher.store.directory import Inventory, walk
from launcher.trust.sigstore import open_envelope

_MAX_BYTES = 64 << 20
_LAST_LINES = 10
_SHOWN = (
    bundle.SUMS,
    bundle.RESULT,
    bundle.LOCK,
    bundle.ENVIRONMENT,
    bundle.RESULT_ATTESTATION,
    bundle.PROVENANCE_ATTESTATION,
)


class Confusion(Struct, frozen=True):
    """How often each target (a row) met each prediction (a column), and how often none came."""

    labels: tuple[str, ...]
    counts: tuple[tuple[int, ...], ...]
    failed: tuple[int, ...]

    def scope(self, result: Result) -> str:
        """Say what the table adds up where a reader of the primary metric would expect less; else nothing."""
        seeds, samples = len(result.replicates), sum(map(sum, self.counts)) + sum(self.failed)
        over = f", over {seeds} seeds" if seeds > 1 else ""
        more = any(metric.primary and metric.n * seeds != samples for metric in result.metrics)
        return f"{over}, all {samples} samples" if more else over


class LastWords(Struct, frozen=True):
    """The last lines of the log of the replicate that failed; `name` is the file inside the bundle."""

    name: str
    lines: tuple[str, ...]


class BundleView(Struct, frozen=True):
    """What views show; every text in it is as the bundle gives it, control characters and all.

    `about` are words and what they stand for, from the lock, the environment and the provenance; `where` says
    which samples a metric is over, by its name, where those are not all. `reproduced` is what somebody who
    checked the reproductions found, in words; `place` is what a ledger says of the attempt.
    """

    digest: str
    result: Result
    signer: str
    about: tuple[tuple[str, str], ...]
    reproductions: int = 0
    reproduced: str = ""
    confusion: Confusion | None = None
    last_words: LastWords | None = None
    where: Mapping[str, str] = {}
    place: LedgerPlace | None = None


def read_view(path: Path) -> BundleView:
    """Read the bundle at `path`; nothing is verified.

    Raises `MalformedError` where it is no directory, `CheckFailedError` for content that cannot be shown.
    """
    try:
        with walk(path) as inventory:
            return _read(inventory)
    except (CheckFailedError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise _not_shown(path, error) from error
    except EvalctlError as error:
        if path.is_dir():
            raise _not_shown(path, error) from error
        raise


def _not_shown(path: Path, error: Exception) -> CheckFailedError:
    missing = isinstance(error, KeyError)
    return CheckFailedError(
        f"`{path}` cannot be shown: it is not a whole bundle",
        code="bad-bundle",
        context=f"there is no `{error.args[0]}`" if missing else str(error),
        hint=f"see what is wrong with `evalctl verify {path}`",
    )


def _read(inventory: Inventory) -> BundleView:
    data = {name: inventory.read(name, _MAX_BYTES) for name in _SHOWN}
    result = Result.from_json(parse_json(data[bundle.RESULT], what=bundle.RESULT))
    envelope = open_envelope(data[bundle.RESULT_ATTESTATION])
    lock = read_any_lock(data[bundle.LOCK])
    added = f"{bundle.ATTESTATIONS}/reproduction-"
    return BundleView(
        digest=f"sha256:{sha256_hex(data[bundle.SUMS])}",
        result=result,
        signer=envelope.keyid,
        about=tuple(_about(lock, data)),
        reproductions=sum(1 for name in inventory.files if name.startswith(added)),
        confusion=read_confusion(result),
        last_words=read_last_words(inventory, result),
        where={} if isinstance(lock, ImportedLock) else _where(lock.identity["metrics"]),
    )


def _where(metrics: Sequence[Mapping[str, Any]]) -> Mapping[str, str]:
    said = {metric["name"]: selection_text(thaw(metric["where"])) for metric in metrics}
    return {name: text for name, text in said.items() if text}


def _about(lock: Lock | ImportedLock, data: Mapping[str, bytes]) -> Sequence[tuple[str, str]]:
    if isinstance(lock, ImportedLock):
        return _about_import(lock.imported, data)
    identity, filled = lock.identity, _filled_slots(lock)
    facts = read_environment(data[bundle.ENVIRONMENT])
    profile = facts.get("sandbox.profile") or {}
    parameters, metadata = _provenance(data[bundle.PROVENANCE_ATTESTATION])
    said = [
        ("image", identity["image"]["manifest"]),
        ("code", _code(identity["code"])),
        ("command", " ".join(identity["run"]["command"])),
        *((str(item["kind"]), _input(item, filled)) for item in identity["inputs"]),
        *(("service", _service(item, identity["image"])) for item in identity.get("services", ())),
        ("sandbox", f"{profile.get('runtime', '?')}, network {profile.get('network', '?')}{_probed(facts)}"),
        ("engine", _engine(facts)),
        ("machine", f"{facts.get('host.cpu-model', '?')}, kernel {facts.get('host.kernel', '?')}"),
        ("software", software_text(facts)),
        ("launcher", f"evalctl {facts.get('launcher.version', '?')}, {facts.get('launcher.commit') or '?'}"),
        ("began", metadata["startedOn"]),
        ("ended", metadata["finishedOn"]),
        ("remark", parameters.get("note")),
    ]
    return [(word, str(text)) for word, text in said if text]


def _probed(facts: Mapping[str, Any]) -> str:
    """Say how many containers were looked at from inside before their command was started."""
    reports = [report for name, listed in facts.items() if name.startswith("probe.") for report in listed]
    count = sum(len(report["replicates"]) for report in reports)
    return f", probed from inside in {count} container{'' if count == 1 else 's'}" if count else ""


def _service(item: Mapping[str, Any], own: Mapping[str, Any]) -> str:
    image = item["image"]["manifest"]
    where = "" if image == own["manifest"] else f", in {image}"
    return f"{item['name']}, beside [{item['phase']}]: {' '.join(item['command'])}{where}"


def _engine(facts: Mapping[str, Any]) -> str:
    parts = runtime_text(facts)
    return f"{facts.get('engine.name', '?')} {facts.get('engine.version', '?')}{', ' if parts else ''}{parts}"


def _about_import(imported: Import, data: Mapping[str, bytes]) -> Sequence[tuple[str, str]]:
    facts = read_environment(data[bundle.ENVIRONMENT])
    _, metadata = _provenance(data[bundle.PROVENANCE_ATTESTATION])
    return [
        ("origin", imported.said),
        ("task", imported.task),
        *(
            (name.removesuffix("-version"), str(facts[f"harness.{name}"]))
            for name in ("model", "lm-eval-version", "inspect-version")
            if f"harness.{name}" in facts
        ),
        *(
            ("source", f"{item.name}, {item.size} bytes, sha256:{item.sha256[:16]}...")
            for item in imported.sources
        ),
        ("imported", metadata["finishedOn"]),
    ]


def _code(code: Mapping[str, Any]) -> str:
    return f"{code['commit']}{' in ' if code['path'] else ''}{code['path']}"


def _filled_slots(lock: Lock) -> Mapping[str, str]:
    """Return the slots, by the model's name, that the launch filled with other bytes than the blueprint's."""
    import tomli

    pinned = {item["name"]: item["sha256"] for item in lock.identity["inputs"]}
    models = [item for item in tomli.loads(lock.blueprint).get("model", []) if "slot" in item]
    return {item["name"]: item["slot"] for item in models if pinned[item["name"]] != item["sha256"]}


def _input(item: Mapping[str, Any], filled: Mapping[str, str]) -> str:
    said = ", held out" if item["role"] == "held-out" else ""
    if item["name"] in filled:
        said += f", put into the slot {filled[item['name']]}"
    return f"{item['name']}, {item['size']} bytes{said}, sha256:{str(item['sha256'])[:16]}..."


def _provenance(data: bytes) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """Return the launch's internal parameters and its metadata from a statement nobody has checked."""
    statement = parse_json(open_envelope(data).payload, what=bundle.PROVENANCE_ATTESTATION)
    predicate = statement["predicate"]
    return predicate["buildDefinition"]["internalParameters"], predicate["runDetails"]["metadata"]


def read_confusion(result: Result) -> Confusion | None:
    """Return the confusion table of a result that has one; raises `ValueError` for one that is none."""
    table: Any = result.tables.get("confusion")
    if table is None:
        return None
    labels = tuple(str(label) for label in table["labels"])
    counts = tuple(tuple(int(count) for count in row) for row in table["counts"])
    failed = tuple(int(count) for count in table["failed"])
    if not labels or not len(labels) == len(counts) == len(failed) or {*map(len, counts)} != {len(labels)}:
        raise ValueError("the confusion table has no labels, or rows of other lengths than it has labels")
    if min(*failed, *(count for row in counts for count in row)) < 0:
        raise ValueError("the confusion table has counts below 0")
    return Confusion(labels, counts, failed)


def read_last_words(inventory: Inventory, result: Result, lines: int = _LAST_LINES) -> LastWords | None:
    """Return the end of what the replicate that stopped the run wrote last, to stderr or else to stdout.

    Where every container did its part and what they left does not fit, that is the first replicate.
    """
    if result.failure is None:
        return None
    failed = [replicate for replicate in result.replicates if replicate.failure]
    own = [replicate for replicate in failed if replicate.failure != "interrupted"]
    for replicate in [*own, *failed, *result.replicates][:1]:
        for log in ("score-{}.stderr", "score-{}.stdout", "run-{}.stderr", "run-{}.stdout"):
            name = f"{bundle.LOGS}/{log.format(replicate.replicate)}"
            if name in inventory.files:
                text = inventory.read(name, _MAX_BYTES).decode(errors="backslashreplace")
                return LastWords(name, tuple(line.expandtabs() for line in text.splitlines()[-lines:]))
    return None
