"""What a bundle says: blueprint, lock, result and samples, read strictly."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from msgspec import Struct

from launcher.canonical import canonical_bytes, parse_json
from launcher.errors import CheckFailedError, MalformedError
from launcher.metrics.reference import references
from launcher.spec import bundle
from launcher.spec.blueprint import Blueprint
from launcher.spec.imported import ImportedLock, read_any_lock
from launcher.spec.lock import Lock, check_lock
from launcher.spec.reading import read_blueprint
from launcher.spec.result import Result
from launcher.spec.sample import Sample
from launcher.store.directory import walk
from launcher.verify.reading import read_parsed
from launcher.verify.samples import SampleSource, sample_source


class Contents(Struct, frozen=True):
    """What a bundle says, read strictly."""

    blueprint: Blueprint
    lock: Lock
    result: Result
    source: SampleSource

    @property
    def samples(self) -> Iterator[Sample]:
        """Read the samples, some thousand at a time, in order."""
        return (sample for block in self.source.blocks() for sample in block)


def load_contents(path: Path) -> Contents:
    """Return what the bundle at `path` says, read strictly; its signatures are not looked at.

    Raises `EvalctlError` where it is not well-formed.
    """
    with walk(path) as inventory:
        return read_contents(read_parsed(inventory), sample_source(inventory))


def read_contents(files: Mapping[str, bytes], source: SampleSource) -> Contents:
    """Read blueprint, lock and result strictly, and check lock against blueprint.

    Raises `EvalctlError` where one is not well-formed or they contradict each other.
    """
    lock = read_any_lock(files[bundle.LOCK])
    if lock.blueprint.encode() != files[bundle.BLUEPRINT]:
        raise CheckFailedError("`blueprint.toml` is not the text inside `lock.json`", code="disagreement")
    blueprint = _blueprint(lock)
    value = parse_json(files[bundle.RESULT], what=bundle.RESULT)
    if canonical_bytes(value) + b"\n" != files[bundle.RESULT]:
        raise CheckFailedError("`result.json` is not in canonical form", code="bad-result")
    result = Result.from_json(value)
    if (result.origin is None) == isinstance(lock, ImportedLock):
        raise CheckFailedError("`result.json` and `lock.json` differ in the origin", code="disagreement")
    return Contents(blueprint, lock, result, source)


def _blueprint(lock: Lock) -> Blueprint:
    """Return the blueprint in a lock after checking that the lock is what it gives."""
    if isinstance(lock, ImportedLock):
        return lock.imported.blueprint
    text = lock.blueprint.encode()
    blueprint = read_blueprint(text, file=bundle.BLUEPRINT, definitions=references(), supported_only=False)
    check_lock(lock, blueprint)
    return blueprint


def beyond_this_version(contents: Contents) -> str:
    """Say what the blueprint asks for that this version does not do; empty where it does everything."""
    try:
        read_blueprint(contents.lock.blueprint.encode(), file=bundle.BLUEPRINT)
    except MalformedError as error:
        return "; ".join(map(str, error.problems)) or error.message
    return ""
