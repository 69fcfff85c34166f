"""Where a result comes from: image, code, inputs, configuration, sandbox, machine, signer, commands."""

import json
import shlex
from collections.abc import Iterator, Mapping
from typing import Any

from msgspec import Struct

from launcher.report.record import Record, Surroundings
from launcher.report.software import blas_text, compilers_text, packages_text, runtime_text
from launcher.report.text import amount, cut
from launcher.spec.imported import Import, ImportedLock
from launcher.spec.units import size_text

_LONGEST_FACT = 300
_MOST_FACTS = 200
_MOST_INPUTS = 200
_LONGEST_TEXT = 3000


class Row(Struct, frozen=True):
    """A term and what it stands for; `is_code` for what a person copies letter by letter."""

    term: str
    text: str
    is_code: bool = False


class InputRow(Struct, frozen=True):
    """One input as the lock pins it and the blueprint describes it."""

    name: str
    kind: str
    role: str
    size: str
    licence: str
    sha256: str


def rows(record: Record) -> tuple[Row, ...]:
    """Return the facts that a stranger needs first, in order; those without a text are left out."""
    found = _import_rows(record) if isinstance(record.lock, ImportedLock) else _rows(record)
    return tuple(row for row in found if row.text)


def _import_rows(record: Record) -> Iterator[Row]:
    """Yield the facts of foreign logs: nobody saw what ran."""
    imported, around = Import.from_identity(record.lock.identity), record.around
    yield Row("Origin", imported.said)
    yield Row("Task", cut(imported.task, _LONGEST_FACT), is_code=True)
    yield Row("Model, as declared", _joined(around.fact("harness.model")), is_code=True)
    yield Row("Launcher", _launcher(around.fact("launcher.version"), around.fact("launcher.commit")))
    yield Row("Imported", around.finished)
    yield Row("Lock", record.lock.digest, is_code=True)
    yield Row("Bundle", record.finding.digest, is_code=True)
    yield Row("Signed by", ", ".join(record.finding.signers) or around.signer, is_code=True)
    yield Row("Not trusted", ", ".join(record.finding.unknown), is_code=True)


def _rows(record: Record) -> Iterator[Row]:
    blueprint, identity, around = record.blueprint, record.lock.identity, record.around
    image, code = identity["image"], identity["code"]
    yield Row("Image", f"{image['manifest']} ({image['platform']})", is_code=True)
    where = f" in {code['path']}" if code["path"] else ""
    yield Row("Code", f"commit {code['commit']}{where}, tree {code['tree']}", is_code=True)
    yield Row("Lock files", ", ".join(code["lockfiles"]), is_code=True)
    yield Row("Command", cut(shlex.join(blueprint.run.command), 1000), is_code=True)
    if blueprint.score is not None and blueprint.score.command:
        yield Row("Scored by", cut(shlex.join(blueprint.score.command), 1000), is_code=True)
    elif blueprint.score is not None:
        yield Row("Scored by", f"evalctl, which joined the held-out labels {blueprint.score.labels}")
    for item in blueprint.services:
        beside = f"{item.name}, beside [{item.phase}]: {shlex.join(item.command)}"
        yield Row("Service", cut(beside, 1000), is_code=True)
    yield Row("Seeds", cut(", ".join(map(str, blueprint.run.seeds)), 1000))
    yield Row("Determinism", f"claimed for each {blueprint.run.determinism}")
    yield Row("Sandbox", _sandbox(record))
    yield Row("Machine", _joined(around.fact("host.cpu-model"), around.fact("host.operating-system")))
    yield Row("Kernel", _joined(around.fact("host.kernel")))
    yield Row("Engine", _joined(_engine(around), runtime_text(around.values())))
    yield Row("Packages", _told_by(packages_text(around.values()), "image"))
    yield Row("BLAS", _told_by(blas_text(around.values()), "image"))
    yield Row("Compilers", _told_by(compilers_text(around.values()), "image"))
    yield Row("Launcher", _launcher(around.fact("launcher.version"), around.fact("launcher.commit")))
    yield Row("Began", around.started)
    yield Row("Ended", around.finished)
    yield Row("Lock", record.lock.digest, is_code=True)
    yield Row("Bundle", record.finding.digest, is_code=True)
    yield Row("Signed by", ", ".join(record.finding.signers) or around.signer, is_code=True)
    yield Row("Not trusted", ", ".join(record.finding.unknown), is_code=True)
    yield Row("Supersedes", blueprint.about.supersedes or "", is_code=True)
    yield Row("Note", cut(around.note, 1000))


def _engine(around: Surroundings) -> str:
    return _joined(around.fact("engine.name"), around.fact("engine.version"), separator=" ")


def _told_by(text: str, source: str) -> str:
    return f"{text} (read from the {source})" if text else ""


def _sandbox(record: Record) -> str:
    observed = record.around.fact("sandbox.profile")
    profile: Mapping[str, Any] = observed if isinstance(observed, Mapping) else {}
    limits = record.blueprint.resources
    allowed = record.blueprint.sandbox.allow
    return (
        f"runtime {_plain(profile.get('runtime', '?'))}, network {_plain(profile.get('network', '?'))}, "
        f"user {_plain(profile.get('user', '?'))}, {limits.cpus} CPU, {size_text(limits.memory)} of memory, "
        f"{limits.pids} processes, widenings: {', '.join(allowed) or 'none'}"
    )


def _launcher(version: Any, commit: Any) -> str:
    return f"evalctl {_plain(version)}, commit {_plain(commit)}" if version else ""


def _joined(*values: Any, separator: str = ", ") -> str:
    return separator.join(_plain(value) for value in values if value not in (None, ""))


def _plain(value: Any) -> str:
    return cut(value if isinstance(value, str) else json.dumps(value), _LONGEST_FACT)


def inputs(record: Record) -> tuple[InputRow, ...]:
    """Return the inputs of the lock, in its order; of an import, the logs."""
    if isinstance(record.lock, ImportedLock):
        sources = record.lock.imported.sources[:_MOST_INPUTS]
        return tuple(
            InputRow(cut(item.name, _LONGEST_FACT), "log", "", amount(item.size), "not stated", item.sha256)
            for item in sources
        )
    described = {(item.kind, item.name): item for item in record.blueprint.inputs}
    found = []
    for pinned in record.lock.identity["inputs"][:_MOST_INPUTS]:
        item = described.get((pinned["kind"], pinned["name"]))
        words = [pinned["role"] if pinned["role"] != "input" else "", item.access if item else ""]
        words += [pinned["split"] if pinned["split"] != "other" else "", item.version if item else ""]
        found.append(
            InputRow(
                name=pinned["name"],
                kind=pinned["kind"],
                role=cut(", ".join(word for word in words if word), _LONGEST_FACT),
                size=amount(pinned["size"]),
                licence=cut(item.license if item else "", _LONGEST_FACT) or "not stated",
                sha256=str(pinned["sha256"]),
            )
        )
    return tuple(found)


def configuration(record: Record) -> str:
    """Return the blueprint's configuration as JSON, empty where there is none."""
    if not record.blueprint.config:
        return ""
    text = json.dumps(record.blueprint.config, indent=2, sort_keys=True, ensure_ascii=False, default=str)
    return text if len(text) <= _LONGEST_TEXT else f"{text[:_LONGEST_TEXT]}\n... (all of it is in lock.json)"


def facts(record: Record) -> tuple[tuple[str, str, str], ...]:
    """Return the facts of the environment manifest: name, value, and who says so."""
    return tuple(
        (cut(fact.name, _LONGEST_FACT), _plain(fact.value), cut(fact.source, 40))
        for fact in record.around.facts[:_MOST_FACTS]
    )


def commands(record: Record) -> str:
    """Return what to type to check the bundle and to get its result again."""
    again = () if record.result.origin else ('evalctl reproduce "$bundle"',)
    return "\n".join(
        (
            f"bundle={record.finding.digest.removeprefix('sha256:')}   # or the folder that you were given",
            'evalctl verify "$bundle"',
            *again,
        )
    )


def trust_command() -> str:
    """Return what to type before, where the signer is a stranger to the machine."""
    return "evalctl trust add NAME.pub"


def seconds_in_words(seconds: float) -> str:
    """Return a duration in seconds, or in minutes and hours where it is long."""
    if seconds < 120:
        return f"{seconds:.2f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 120 else f"{minutes // 60} h {minutes % 60} min"
