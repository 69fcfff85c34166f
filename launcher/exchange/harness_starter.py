"""The folder that `evalctl init` writes for an evaluation of lm-eval or Inspect: what both have in common."""

from collections.abc import Iterable, Mapping, Sequence

from msgspec import Struct

from launcher.authoring.scaffold import Scaffold
from launcher.authoring.starter import StartingPoint
from launcher.spec.imported import Harness
from launcher.spec.toml_text import toml_value

_IGNORED = (
    "# What is large, or only here; `evalctl pin` writes down its checksum.\nimage\nmodel/\n__pycache__/\n"
)


class HarnessStart(Struct, frozen=True):
    """What is known of the evaluation; `scores` are (name, score, task where there are several).

    `wants_model` says that a model's files are mounted at `/eval/inputs/model`; `todo` what is left to do.
    """

    harness: Harness
    title: str
    command: Sequence[str]
    seeds: Sequence[int]
    scores: Sequence[tuple[str, str, str]]
    env: Mapping[str, str] = {}
    files: Mapping[str, bytes] = {}
    remarks: Mapping[str, str] = {}
    wants_model: bool = False
    gpus: int = 0
    todo: Sequence[str] = ()


def scaffold(begun: HarnessStart, start: StartingPoint) -> Scaffold:
    """Return the files of the new evaluation, digests and commit left for `pin`; the image is linked."""
    files = {
        ".gitignore": _IGNORED.encode(),
        "blueprint.toml": _blueprint(begun, start).encode(),
        "README.md": _readme(begun, start).encode(),
        **begun.files,
    }
    remarks = {
        "blueprint.toml": "what is evaluated, how, and what counts as a result",
        **begun.remarks,
        "README.md": "what is left to do",
        "image": f"-> {start.layout}",
    }
    return Scaffold(files, {"image": str(start.layout)}, remarks)


def _blueprint(begun: HarnessStart, start: StartingPoint) -> str:
    return "\n".join(
        [
            f"# An evaluation with {begun.harness}; `evalctl schema blueprint` describes every key.",
            'schema = "evalctl/blueprint/v1"',
            "",
            "[blueprint]",
            f"name = {toml_value(start.name)}",
            'version = "1.0.0"            # a step of the first number says: not comparable any more',
            f"title = {toml_value(begun.title)}",
            "",
            f"# An image with {begun.harness} in it, by digest: `evalctl pin` adds the digest.",
            "[image]",
            f"ref = {toml_value(start.reference)}",
            "",
            "# This folder's commit, mounted read-only at /eval/code. `evalctl pin` fills it in.",
            "[code]",
            f"git = {toml_value(start.repository)}",
            'commit = ""',
            *([f"path = {toml_value(start.path)}"] if start.path else []),
            *_model(begun),
            "",
            "[run]",
            f"command = {toml_value(list(begun.command))}",
            f"seeds = {toml_value(list(begun.seeds))}                 # one run for each",
            'timeout = "2h"',
            f"env = {{ {', '.join(f'{name} = {toml_value(text)}' for name, text in begun.env.items())} }}",
            f"format = {toml_value(begun.harness)}   "
            "# its logs, anywhere below /eval/out, are read as samples",
            "",
            "[resources]",
            "cpus = 2",
            'memory = "4GiB"              # what model and harness need together',
            'tmp = "512MiB"',
            'output = "256MiB"',
            *(["", "[resources.gpu]", f"count = {begun.gpus}"] if begun.gpus else []),
            *_metrics(begun.scores),
            "",
        ]
    )


def _model(begun: HarnessStart) -> Iterable[str]:
    if not begun.wants_model:
        return ()
    return (
        "",
        "# The folder `model`, mounted at /eval/inputs/model; `evalctl pin` adds its checksum.",
        "[[model]]",
        'name = "model"',
        'uri = "model"',
        'sha256 = ""',
        'license = ""',
    )


def _metrics(scores: Sequence[tuple[str, str, str]]) -> Iterable[str]:
    yield from ("", "# Computed by evalctl from the samples, and held against what the harness says itself.")
    for index, (name, score, task) in enumerate(scores):
        yield from ([""] if index else [])
        yield from (
            "[[metric]]",
            f"name = {toml_value(name)}",
            'definition = "mean@1"',
            f"of = {toml_value(f'scores.{score}')}",
        )
        yield from [f"where = {{ task = {toml_value(task)} }}"] if task else []
        yield from ["primary = true"] if not index else []


def _readme(begun: HarnessStart, start: StartingPoint) -> str:
    steps = [*begun.todo, "Commit, then `evalctl pin blueprint.toml` and `evalctl launch blueprint.toml`."]
    listed = "".join(f"{number}. {step}\n" for number, step in enumerate(steps, start=1))
    return f"# {start.name}\n\nAn evaluation with {begun.harness}. What is left to do:\n\n{listed}"
