"""Read what Inspect leaves: one log for each task, `.eval` or `.json` (version 2, 0.3.285 and later).

https://inspect.aisi.org.uk/reference/inspect_ai.log.html
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from msgspec import Struct

from launcher.harness.files import log_files, read_object, read_whole
from launcher.harness.inspect_archive import Archive
from launcher.harness.inspect_samples import Counts, inspect_sample
from launcher.harness.output import (
    Claim,
    HarnessOutput,
    bad_log,
    count_of,
    joined,
    list_of,
    number_of,
    plain,
    refuse_repeats,
    score_name,
    shown,
    table_of,
)

MAX_JSON_LOG: Final = 128 << 20

_JSON_NAME: Final = re.compile(r"(?:.*/)?\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d.*\.json")
_HINT: Final = (
    "give it the log folder: `inspect eval --log-dir /eval/out/artifacts`, and leave the samples in the log"
)
# Looked for by comparison: what a log holds may be no key of a set.
_SANDBOXES: Final = (None, "local")
_MEANS: Final = frozenset({"accuracy", "mean"})


class _Log(Struct, frozen=True):
    """One log: what stands in it beside the samples, and the samples as they are read."""

    name: str
    header: Mapping[str, Any]
    samples: Iterator[Any]

    @property
    def spec(self) -> dict[str, Any]:
        """What was asked for."""
        return table_of(self.header.get("eval"), f"`eval` in `{shown(self.name)}`")

    @property
    def task(self) -> str:
        """The task's name."""
        task = self.spec.get("task")
        if not isinstance(task, str) or not task:
            raise bad_log(f"`{shown(self.name)}` does not name its task")
        return task


def is_inspect_name(name: str) -> bool:
    """Say whether Inspect gives a log such a name."""
    return name.endswith(".eval") or _JSON_NAME.fullmatch(name) is not None


def read_inspect(folder: Path) -> HarnessOutput:
    """Return what Inspect left below `folder`; several logs are of different tasks.

    Raises `MalformedError` (`bad-harness-log`; `harness-failed` where Inspect says that the run did not
    succeed) and nothing else, whatever the files hold.
    """
    files = {name: path for name, path in log_files(folder).items() if is_inspect_name(name)}
    if not files:
        raise bad_log("Inspect left no log, `TIME_TASK_ID.eval` or `.json`", hint=_HINT)
    return joined("inspect", [read_inspect_log(path, name) for name, path in files.items()])


def read_inspect_log(path: Path, name: str) -> HarnessOutput:
    """Return what one log holds; raises `MalformedError` as `read_inspect` does."""
    return _read(_opened(path, name))


def inspect_spec(path: Path, name: str) -> Mapping[str, Any]:
    """Return what a log says was asked for: its `eval`; raises `MalformedError` where it is no log."""
    return _opened(path, name).spec


def _opened(path: Path, name: str) -> _Log:
    if not name.endswith(".eval"):
        header = read_object(read_whole(path, MAX_JSON_LOG), f"`{shown(name)}`")
        return _Log(name, header, iter(list_of(header.pop("samples", None), f"`samples` in `{shown(name)}`")))
    archive = Archive(path)
    if "header.json" in archive.names:
        return _Log(name, archive.read("header.json"), archive.objects("samples/"))
    if "_journal/start.json" in archive.names:
        return _Log(name, {"status": "started", **archive.read("_journal/start.json")}, iter(()))
    raise bad_log(f"`{shown(name)}` has neither a header nor a start, so it is not a log of Inspect")


def _read(log: _Log) -> HarnessOutput:
    if log.header.get("version") != 2:
        raise bad_log(f"`{shown(log.name)}` is not a log of version 2, which Inspect 0.3.285 writes")
    _refuse_failed(log)
    counts = Counts()
    samples = tuple(inspect_sample(sample, log.task, counts) for sample in log.samples)
    if not samples:
        raise bad_log(f"Inspect's log of `{shown(log.task)}` holds no samples", hint=_HINT)
    refuse_repeats(samples, "Inspect")
    results = table_of(log.header.get("results"), "`results`")
    return HarnessOutput(
        "inspect",
        samples=samples,
        claims=tuple(_claims(results, log.task, counts)),
        partial=tuple(_partial(log, results, len(samples), counts)),
        notes=tuple(counts.notes(log.task)),
        files=(log.name,),
        about=plain(_about(log)),
        task=log.task,
    )


def _refuse_failed(log: _Log) -> None:
    """Refuse a log whose run did not succeed: what it scored is not the evaluation."""
    status = log.header.get("status")
    if status == "success":
        return
    said = [f"Inspect ended the task `{shown(log.task)}` with the status `{shown(status)}`"]
    error = table_of(log.header.get("error"), "`error`").get("message")
    if error is not None:
        said.append(shown(error))
    sandbox = table_of(log.spec.get("sandbox"), "`sandbox`").get("type")
    if sandbox not in _SANDBOXES:
        said.append(f"the task asks for the sandbox `{shown(sandbox)}`, which a container cannot start")
    raise bad_log(": ".join(said), code="harness-failed")


def _partial(log: _Log, results: Mapping[str, Any], found: int, counts: Counts) -> Iterator[str]:
    task, config = shown(log.task), table_of(log.spec.get("config"), "`config`")
    if config.get("limit") is not None:
        yield f"Inspect ran `{task}` with `limit` {shown(config['limit'])}"
    if config.get("sample_id") is not None:
        yield f"Inspect ran chosen samples of `{task}` alone (`sample_id`)"
    if results.get("early_stopping") is not None:
        yield f"Inspect stopped `{task}` early"
    if log.spec.get("shards") is not None:
        yield f"the log of `{task}` speaks of shards"
    if log.header.get("invalidated") is True:
        yield f"the log of `{task}` says that samples of it are invalid"
    total, completed = count_of(results.get("total_samples")), count_of(results.get("completed_samples"))
    if total is not None and found != total:
        yield f"Inspect's log of `{task}` holds {found} of {total} samples"
    if counts.errors:
        yield f"{counts.errors} of {found} samples of `{task}` ended with an error"
    elif total is not None and completed is not None and completed < total:
        yield f"Inspect completed {completed} of {total} samples of `{task}`"


def _claims(results: Mapping[str, Any], task: str, counts: Counts) -> Iterator[Claim]:
    for score in list_of(results.get("scores"), "`scores`"):
        score = table_of(score, "a score in `results`")  # noqa: PLW2901 - the same one, checked
        name, scorer, reducer = (score.get(key) for key in ("name", "scorer", "reducer"))
        metrics = table_of(score.get("metrics"), "`metrics`")
        if not isinstance(name, str) or not isinstance(scorer, str):
            raise bad_log("a score in `results` has no name or no scorer")
        stderr = number_of(table_of(metrics.get("stderr"), "`stderr`").get("value"))
        for metric, said in metrics.items():
            value = number_of(table_of(said, "a metric in `results`").get("value"))
            if value is None or metric.startswith(("stderr", "std", "var")):
                continue
            mean = metric in _MEANS and reducer in (None, "mean")
            key = next(
                (key for key in (score_name(name), score_name(scorer, name)) if key in counts.scores), None
            )
            scored = count_of(score.get("scored_samples"))
            said_by = name if name == scorer else f"{scorer}.{name}"
            yield Claim(task, f"{said_by}/{metric}", value, key if mean else None, stderr, scored)


def _about(log: _Log) -> dict[str, Any]:
    spec = log.spec
    packages = table_of(spec.get("packages"), "`packages`")
    dataset = table_of(spec.get("dataset"), "`dataset`")
    told = {
        "inspect_version": packages.get("inspect_ai"),
        "task_version": spec.get("task_version"),
        "model": spec.get("model"),
        "dataset": dataset.get("name"),
        "dataset_samples": dataset.get("samples"),
        "epochs": table_of(spec.get("config"), "`config`").get("epochs"),
        "sandbox": table_of(spec.get("sandbox"), "`sandbox`").get("type"),
    }
    short = (str, int, float)
    return {k: v for k, v in told.items() if isinstance(v, short) and len(str(v)) <= 1000}
