"""Find the logs of lm-eval and Inspect that a person names, and read them: one task at a time."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from msgspec import Struct

from launcher.digest import hash_file
from launcher.errors import InfrastructureError, MalformedError
from launcher.harness.files import log_files
from launcher.harness.inspect_log import is_inspect_name, read_inspect_log
from launcher.harness.lm_eval import is_results_name, lm_eval_tasks
from launcher.harness.output import HarnessOutput, shown
from launcher.spec.imported import Source


class FoundLog(Struct, frozen=True):
    """What one log says of one task, and the files it was read from."""

    output: HarnessOutput
    sources: tuple[Source, ...]


def find_logs(place: Path) -> list[FoundLog]:
    """Return what the log at `place`, or each log below that folder, says of each of its tasks.

    Raises `MalformedError` where there is no such log or one cannot be read, `InfrastructureError` where one
    changes meanwhile.
    """
    files, names = _named(place)
    if not names:
        raise MalformedError(
            f"`{place}` holds no log of lm-eval or Inspect",
            code="no-logs",
            context="expected `results_TIME.json` with its samples, or `TIME_TASK_ID.eval` or `.json`",
            hint="name the folder that was given to lm-eval or Inspect for its logs",
        )
    return [found for name in names for found in _read(files, name)]


def _named(place: Path) -> tuple[Mapping[str, Path], list[str]]:
    """Return the files that may be read, by name, and which of them are logs to begin with."""
    if place.is_dir():
        files = log_files(place)
        return files, [name for name in files if is_results_name(name) or is_inspect_name(name)]
    if not place.is_file():
        raise MalformedError(f"there is no `{place}`", code="no-such-file", hint="check the path")
    if is_results_name(place.name):
        beside = {path.name: path for path in place.parent.glob("samples_*.jsonl") if path.is_file()}
        return {**beside, place.name: place}, [place.name]
    return {place.name: place}, [place.name]


def _read(files: Mapping[str, Path], name: str) -> Iterator[FoundLog]:
    try:
        before = {path: _state(path) for path in files.values()}
        for output in _outputs(files, name):
            yield FoundLog(output, tuple(_source(files[file], before) for file in output.files))
    except MalformedError as error:
        raise _placed(error, files[name]) from error
    except OSError as error:
        raise MalformedError(
            f"cannot read `{shown(name)}`", code="no-such-file", context=error.strerror, hint="check the path"
        ) from error


def _outputs(files: Mapping[str, Path], name: str) -> list[HarnessOutput]:
    return lm_eval_tasks(files, name) if is_results_name(name) else [read_inspect_log(files[name], name)]


def _placed(error: MalformedError, path: Path) -> MalformedError:
    """Return the error with the log it is about; advice on what a container leaves is no use here."""
    unlogged = is_results_name(path.name) and error.hint is not None
    return MalformedError(
        error.message,
        code=error.code,
        context=error.context or f"in `{path}`",
        hint="run `lm_eval --log_samples`: without samples there is nothing to compute from"
        if unlogged
        else "nothing was imported; name the logs one by one, without this one",
    )


def _source(path: Path, before: Mapping[Path, tuple[int, int]]) -> Source:
    sha256, size = hash_file(path)
    if before[path] != _state(path):
        raise InfrastructureError(
            f"`{path}` changed while it was read",
            code="input-changed",
            hint="import it when the evaluation has ended",
        )
    return Source(path.name, sha256, size)


def _state(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_mtime_ns, status.st_size
