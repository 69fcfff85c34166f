"""Begin an evaluation from a log of Inspect: the task, model and settings that it tells of."""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from msgspec import Struct

from launcher.authoring.scaffold import Scaffold
from launcher.authoring.starter import StartingPoint
from launcher.errors import MalformedError
from launcher.exchange.harness_starter import HarnessStart, scaffold
from launcher.harness.files import read_whole
from launcher.harness.inspect_log import inspect_spec, read_inspect_log
from launcher.harness.output import HarnessOutput, plain, shown, table_of

_LONGEST = 200
_MAX_TASK_FILE = 1 << 20
_LOCAL = frozenset({"hf", "vllm", "sglang", "transformer_lens", "nnterp"})
# What makes a run less than a whole one, or depends on the machine.
_KEPT = (
    "epochs",
    "message_limit",
    "token_limit",
    "turn_limit",
    "time_limit",
    "working_limit",
    "score_on_error",
)
_GENERATION = ("temperature", "top_p", "top_k", "max_tokens", "num_choices")
_WRAPPER = '''"""Run the Inspect task with this replicate's seed, as the log that it was begun from did."""

import os

from inspect_ai import eval

TASK = {task}
TASK_ARGUMENTS = {task_arguments}
MODEL = {model}
MODEL_ARGUMENTS = {model_arguments}
SETTINGS = {settings}

eval(
    TASK,
    task_args=TASK_ARGUMENTS,
    model=MODEL,
    model_args=MODEL_ARGUMENTS,
    seed=int(os.environ["EVALCTL_SEED"]),
    log_dir="/eval/out/artifacts",
    log_format="eval",
    display="none",
    **SETTINGS,
)
'''


class InspectStart(Struct, frozen=True):
    """What a log tells of the evaluation that made it: `eval` of its header, and what was read of it."""

    spec: Mapping[str, Any]
    output: HarnessOutput


def read_start(path: Path) -> InspectStart:
    """Return what the log at `path` tells; raises `MalformedError` where its run did not succeed."""
    if not path.is_file():
        raise MalformedError(
            f"`{path}` is a folder" if path.is_dir() else f"there is no log `{path}`",
            code="no-such-file",
            hint=f"name one log in it: `{path}/TIME_TASK_ID.eval`" if path.is_dir() else "check the path",
        )
    try:
        return InspectStart(plain(inspect_spec(path, path.name)), read_inspect_log(path, path.name))
    except MalformedError as error:
        raise MalformedError(
            error.message,
            code=error.code,
            context=error.context or f"in `{path}`",
            hint="name the log of a run that succeeded, `TIME_TASK_ID.eval` or `.json`",
        ) from error


def read_task_file(log: InspectStart, folder: Path) -> bytes | None:
    """Return the task's code where it is in `folder`, at the path that the log has."""
    written = log.spec.get("task_file")
    if not _file_name(log) or not isinstance(written, str) or not (folder / written).is_file():
        return None
    return read_whole(folder / written, _MAX_TASK_FILE)


def begin_from_inspect(log: InspectStart, start: StartingPoint, task_file: bytes | None) -> Scaffold:
    """Return an evaluation that runs the log's task; `task_file` holds its code, where that is at hand.

    Raises `MalformedError` where it cannot run in a container.
    """
    _refuse_sandbox(log)
    model = str(log.spec.get("model") or "")
    provider, _, rest = model.partition("/")
    local = provider in _LOCAL and bool(rest)
    name = _file_name(log)
    files = {"run.py": _wrapper(log, f"{provider}/local" if local else model, local=local).encode()}
    if task_file is not None and name:
        files[name] = task_file
    begun = HarnessStart(
        harness="inspect",
        title=f"Inspect: {shown(log.output.task)}",
        command=["python3.11", "run.py"],
        seeds=[0],
        scores=tuple(_scores(log)),
        env={"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "INSPECT_DISPLAY": "none"},
        files=files,
        remarks={"run.py": "calls Inspect with the seed", **({name: "the task"} if name in files else {})},
        wants_model=local,
        todo=tuple(_todo(log, name if name not in files else "", local=local)),
    )
    return scaffold(begun, start)


def _refuse_sandbox(log: InspectStart) -> None:
    sandbox = table_of(log.spec.get("sandbox"), "`sandbox`").get("type")
    if sandbox not in (None, "local"):
        raise MalformedError(
            f"the task asks for Inspect's sandbox `{shown(sandbox)}`, which needs an engine",
            code="unsupported-sandbox",
            context="no engine can be reached from the container in which evalctl runs an evaluation",
            hint="let the task use the sandbox `local`: the container isolates it",
        )


def _file_name(log: InspectStart) -> str:
    """Return the name of the task's file, empty for a task of an installed package."""
    written = log.spec.get("task_file")
    name = PurePosixPath(written).name if isinstance(written, str) else ""
    return (
        name if re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]*\.(?:py|ipynb)", name) and name != "run.py" else ""
    )


def _wrapper(log: InspectStart, model: str, *, local: bool) -> str:
    file, task = _file_name(log), str(log.spec.get("task_registry_name") or log.output.task)
    arguments = dict(_short(log.spec.get("model_args")))
    if local:
        arguments |= {"model_path": "/eval/inputs/model"}
    config = table_of(log.spec.get("config"), "`config`")
    generation = table_of(log.spec.get("model_generate_config"), "`model_generate_config`")
    settings = {key: config[key] for key in _KEPT if config.get(key) is not None}
    settings |= {key: generation[key] for key in _GENERATION if generation.get(key) is not None}
    return _WRAPPER.format(
        task=_python(f"{file}@{task.rpartition('/')[2]}" if file else task),
        task_arguments=_python(dict(_short(log.spec.get("task_args_passed")))),
        model=_python(model),
        model_arguments=_python(arguments),
        settings=_python(dict(_short(settings))),
    )


def _short(value: Any) -> Iterator[tuple[str, Any]]:
    """Yield the settings that a person would write: short text, numbers, flags."""
    for key, item in table_of(value, "settings").items():
        if isinstance(item, str | int | float | bool) and len(str(item)) <= _LONGEST:
            yield key, item


def _python(value: Any) -> str:
    """Return JSON-like data as Python source."""
    return repr(json.loads(json.dumps(value)))


def _scores(log: InspectStart) -> Iterator[tuple[str, str, str]]:
    scores = dict.fromkeys(claim.score for claim in log.output.claims if claim.score is not None)
    for score in scores or {"SCORER": None}:
        yield score, score, ""


def _todo(log: InspectStart, missing: str, *, local: bool) -> Iterator[str]:
    model = str(log.spec.get("model") or "")
    if missing:
        yield f"Put the task's file, `{missing}`, and what it imports beside `run.py`."
    if local:
        yield f"Put the files of the model `{model}` into `model`; say its licence in the blueprint."
        yield "Under transformers 5, Inspect's `hf` fails at a temperature of 0: leave it out of `run.py`."
    elif model and not model.startswith("mockllm"):
        yield f"The model `{model}` is a service, and the container reaches none: choose a local one."
    yield "Nothing is fetched in the container: make the data a `[[data]]`, read from `/eval/inputs/NAME`."
    yield "See that `run.py` gives every argument: long ones of the log were left out."
    if log.output.partial:
        yield "The log was of a partial run; this one is whole."
