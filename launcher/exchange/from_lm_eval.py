"""Begin an evaluation from a command line of lm-eval."""

import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from msgspec import Struct

from launcher.authoring.scaffold import Scaffold
from launcher.authoring.starter import StartingPoint
from launcher.errors import MalformedError
from launcher.exchange.harness_starter import HarnessStart, scaffold
from launcher.harness.files import log_files, read_whole
from launcher.harness.output import score_name

_LONG = {
    "-M": "--model",
    "-a": "--model_args",
    "-t": "--tasks",
    "-o": "--output_path",
    "-s": "--log_samples",
    "-L": "--limit",
    "-E": "--samples",
    "-c": "--use_cache",
    "-C": "--config",
}
# What decides where results go, or makes a run less than a whole one; or speaks to services there are not.
_DROPPED = {
    "--output_path": "",
    "--log_samples": "",
    "--seed": "",
    "--limit": "a limit makes a partial run; `evalctl launch --limit N` keeps the first items instead",
    "--samples": "chosen samples make a partial run",
    "--use_cache": "a cache of responses would not be of this run",
    "--wandb_args": "nothing can be reached from the container",
    "--wandb_config_args": "",
    "--trackio_args": "nothing can be reached from the container",
    "--hf_hub_log_args": "nothing can be reached from the container",
}
_OFFLINE = {
    "HF_HUB_OFFLINE": "1",
    "HF_DATASETS_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "HF_HOME": "/tmp/hf",  # noqa: S108 - in the container
}
_LOCAL = ("", "hf", "hf-auto", "huggingface", "hf-multimodal", "vllm", "sglang")
_MODEL = re.compile(r"(^|,)(pretrained|model|path)=([^,]+)")
_TASK_SUFFIXES = (".yaml", ".yml", ".py", ".jinja")
_MAX_TASK_FILE = 1 << 20
_SHELL = frozenset({"&&", "||", "|", ";", ">", ">>", "<", "&"})
_NAME = re.compile(r"^task:\s*[\"']?([^\"'\s#]+)", re.MULTILINE)
_METRIC = re.compile(r"\bmetric:\s*[\"']?([A-Za-z0-9_.-]+)")
_FILTERS = re.compile(r"^filter_list:\s*$(.*?)(?=^\S|\Z)", re.MULTILINE | re.DOTALL)
_FILTER = re.compile(r"^\s*-\s*name:\s*[\"']?([^\"'\s#]+)", re.MULTILINE)
_WRAPPER = '''"""Run lm-eval with the seed of this replicate; the blueprint's command gives all else."""

import os
import sys

command = [sys.executable, "-m", "lm_eval", *sys.argv[1:], "--seed", os.environ["EVALCTL_SEED"]]
os.execv(sys.executable, command)
'''


class CommandLine(Struct, frozen=True):
    """A command line of lm-eval: its options in their long form, in order, each with its values."""

    options: tuple[tuple[str, tuple[str, ...]], ...]

    def values(self, name: str) -> tuple[str, ...]:
        """Return the values of an option; none where it is not given."""
        return next((values for option, values in reversed(self.options) if option == name), ())

    def value(self, name: str) -> str:
        """Return the values of an option as one text."""
        return ",".join(self.values(name))


def read_command(text: str) -> CommandLine:
    """Read a command line as a shell would; raises `MalformedError` unless it runs lm-eval, and only that."""
    if re.search("[\ud800-\udfff]", text):
        raise _refused("it is not Unicode")
    try:
        words = shlex.split(text, comments=True)
    except ValueError as error:
        raise _refused(f"it is not a command line: {error}") from error
    places = [index for index, word in enumerate(words) if re.fullmatch(r"(?:.*/)?lm[_-]eval", word)]
    if not places:
        raise _refused("it does not call `lm_eval`")
    rest = words[places[0] + 1 :]
    if _SHELL.intersection(rest):
        raise _refused("it is more than one command")
    rest = rest[1:] if rest[:1] == ["run"] else rest
    options = tuple(_options(rest))
    if not any(values for name, values in options if name == "--tasks"):
        raise _refused("it names no tasks")
    return CommandLine(options)


def begin_from_lm_eval(text: str, start: StartingPoint, tasks: Mapping[str, bytes]) -> Scaffold:
    """Return an evaluation that runs the command `text`; `tasks` are the files of its include path.

    Raises `MalformedError` where the command cannot be run in a container.
    """
    command = read_command(text)
    pretrained = _pretrained(command)
    texts = [data.decode(errors="replace") for data in tasks.values()]
    files = {f"tasks/{name}": data for name, data in tasks.items()}
    begun = HarnessStart(
        harness="lm-eval",
        title=f"lm-eval: {', '.join(_named(command))}"[:200],
        command=["python3.11", "run.py", *_arguments(command)],
        seeds=[_seed(command)],
        scores=tuple(_scores(_named(command), texts)),
        env=_OFFLINE,
        files={"run.py": _WRAPPER.encode(), **files},
        remarks={"run.py": "calls lm-eval with the seed", **({"tasks": "the task files"} if files else {})},
        wants_model=bool(pretrained),
        gpus=1 if command.value("--device").startswith("cuda") else 0,
        todo=tuple(_todo(command, pretrained, has_tasks=bool(tasks))),
    )
    return scaffold(begun, start)


def read_task_files(folder: Path) -> dict[str, bytes]:
    """Return the task files below `folder` by their names; raises `MalformedError` where there is none."""
    if not folder.is_dir():
        raise _refused(f"its include path `{folder}` is no folder here")
    files = {
        name: path
        for name, path in log_files(folder).items()
        if path.suffix in _TASK_SUFFIXES and not any(part.startswith(".") for part in name.split("/"))
    }
    return {name: read_whole(path, _MAX_TASK_FILE) for name, path in files.items()}


def include_path(text: str) -> str:
    """Return the folder of task files that a command line names, or the empty string."""
    return read_command(text).value("--include_path")


def _options(words: Sequence[str]) -> Iterator[tuple[str, tuple[str, ...]]]:
    name, values = "", list[str]()
    for word in words:
        if re.match(r"-{1,2}[A-Za-z]", word):
            if name:
                yield name, tuple(values)
            name, equals, value = word.partition("=")
            name, values = _LONG.get(name, name), [value] if equals else []
        elif not name:
            raise _refused(f"`{word}` is no option of `lm_eval run`")
        else:
            values.append(word)
    if name:
        yield name, tuple(values)


def _named(command: CommandLine) -> list[str]:
    return [task for value in command.values("--tasks") for task in value.split(",") if task]


def _pretrained(command: CommandLine) -> str:
    found = _MODEL.search(command.value("--model_args"))
    local = command.value("--model") in _LOCAL
    return found.group(3) if found and local else ""


def _arguments(command: CommandLine) -> Iterator[str]:
    for name, values in command.options:
        if name in _DROPPED:
            continue
        if name == "--include_path":
            yield from (name, "tasks")
        elif name == "--model_args" and _pretrained(command):
            yield from (name, *(_MODEL.sub(r"\1\2=/eval/inputs/model", value) for value in values))
        else:
            yield from (name, *values)
    yield from ("--log_samples", "--output_path", "/eval/out/artifacts")


def _seed(command: CommandLine) -> int:
    first = command.value("--seed").split(",")[0]
    return int(first) if first.isdecimal() and len(first) < 10 else 0


def _scores(tasks: Sequence[str], texts: Sequence[str]) -> Iterator[tuple[str, str, str]]:
    """Yield metrics for each task: those of its file, or else `acc`."""
    several = len(tasks) > 1
    for task in tasks:
        text = next((text for text in texts if task in _NAME.findall(text)), "")
        filters = [name for block in _FILTERS.findall(text) for name in _FILTER.findall(block)]
        metrics = list(dict.fromkeys(_METRIC.findall(text))) or ["acc"]
        for metric in metrics:
            for filtered in filters if len(filters) > 1 else [""]:
                score = score_name(metric, filtered) if filtered else score_name(metric)
                yield score_name(task, score) if several else score, score, task if several else ""


def _todo(command: CommandLine, pretrained: str, *, has_tasks: bool) -> Iterator[str]:
    if pretrained:
        yield f"Put the model `{pretrained}` into the folder `model`; say its licence in the blueprint."
    else:
        yield "The model is no folder of files: see that it is in the image, or in a `[[model]]`."
    if has_tasks:
        yield "Let the task files read their data from `/eval/inputs/NAME`, each a `[[data]]`."
    else:
        yield (
            "Nothing is fetched in the container: write the tasks as YAML files in `tasks` with "
            "`dataset_path: json` and data from `[[data]]`, and give lm-eval that folder as its include path."
        )
        yield "See that each metric names a score of its task: lm-eval's own table lists them."
    for name, _ in command.options:
        if _DROPPED.get(name):
            yield f"`{name}` was left out: {_DROPPED[name]}."


def _refused(message: str) -> MalformedError:
    return MalformedError(
        f"no evaluation can be begun from this command: {message}",
        code="bad-command",
        hint="give a command line that runs lm-eval, in quotes: see `evalctl init --help`",
    )
