"""Read what lm-evaluation-harness leaves: `results_TIME.json` and `samples_TASK_TIME.jsonl` (0.4.13).

One line of a samples file is one document under one filter; one sample of ours is one document. See
https://github.com/EleutherAI/lm-evaluation-harness, `lm_eval/loggers/evaluation_tracker.py`.
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from launcher.harness.files import log_files, read_lines, read_object, read_whole
from launcher.harness.lm_eval_documents import Documents
from launcher.harness.output import (
    Claim,
    HarnessOutput,
    bad_log,
    count_of,
    joined,
    number_of,
    plain,
    score_name,
    shown,
    table_of,
)
from launcher.spec.blueprint import Direction

MAX_RESULTS: Final = 64 << 20
MAX_LINE: Final = 16 << 20

_RESULTS: Final = re.compile(r"(?:.*/)?[^/]+_(\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d(?:\.\d+)?)\.json")
_MEANS: Final = frozenset({"acc", "acc_norm", "acc_bytes", "acc_mutual_info", "exact_match"})
_HINT: Final = (
    "run `lm_eval --log_samples --output_path /eval/out/artifacts`, with a model whose path does not "
    "start with a dot: what is named like that is not taken out of a container"
)


def is_results_name(name: str) -> bool:
    """Say whether lm-eval gives a file of results such a name."""
    return _RESULTS.fullmatch(name) is not None


def read_lm_eval(folder: Path) -> HarnessOutput:
    """Return what lm-eval left below `folder`; several invocations may have left different tasks.

    Raises `MalformedError` (`bad-harness-log`) and nothing else, whatever the files hold.
    """
    files = log_files(folder)
    names = [name for name in files if is_results_name(name)]
    if not names:
        raise bad_log("lm-eval left no file of results, `results_TIME.json`", hint=_HINT)
    return joined("lm-eval", [part for name in names for part in lm_eval_tasks(files, name)])


def lm_eval_tasks(files: Mapping[str, Path], name: str) -> list[HarnessOutput]:
    """Return what one invocation left: each task of the results `name`, with its samples among `files`.

    Raises `MalformedError` (`bad-harness-log`).
    """
    results = read_object(read_whole(files[name], MAX_RESULTS), f"`{shown(name)}`")
    counts = table_of(results.get("n-samples"), "`n-samples`")
    if not counts:
        raise bad_log(f"`{shown(name)}` names no task under `n-samples`; lm-eval 0.4.13 does")
    return [_read_task(files, name, results, task) for task in counts]


def _read_task(files: Mapping[str, Path], name: str, results: Mapping[str, Any], task: str) -> HarnessOutput:
    samples = _samples_file(name, task)
    if samples not in files:
        raise bad_log(f"lm-eval left no samples of the task `{shown(task)}`", hint=_HINT)
    documents = Documents(task, _output_type(results, task))
    with files[samples].open("rb") as stream:
        for number, line in enumerate(read_lines(stream, MAX_LINE, samples), start=1):
            what = f"line {number} of `{shown(samples)}`"
            documents.add(read_object(line, what), what)
    return _task(results, task, documents, (name, samples))


def _samples_file(results: str, task: str) -> str:
    match = _RESULTS.fullmatch(results)
    folder = results.rpartition("/")[0]
    file = f"samples_{task}_{match.group(1) if match else ''}.jsonl"
    return f"{folder}/{file}" if folder else file


def _task(
    results: Mapping[str, Any], task: str, documents: Documents, files: tuple[str, ...]
) -> HarnessOutput:
    config = table_of(results.get("config"), "`config`")
    cached = bool(config.get("use_cache"))
    return HarnessOutput(
        "lm-eval",
        samples=documents.samples(),
        claims=tuple(_claims(results, task, documents)),
        partial=tuple(_partial(results, task, len(documents))),
        notes=("lm-eval may have taken responses from a cache (`use_cache`)",) if cached else (),
        files=files,
        about=_about(results, task, config),
        task=task,
    )


def _output_type(results: Mapping[str, Any], task: str) -> str:
    return str(_config_of(results, task).get("output_type", ""))


def _config_of(results: Mapping[str, Any], task: str) -> dict[str, Any]:
    configs = table_of(results.get("configs"), "`configs`")
    return table_of(configs.get(task), f"the configuration of `{shown(task)}`")


def _counts(results: Mapping[str, Any], task: str) -> tuple[int, int]:
    """Return how many documents the task has, and how many lm-eval says it took."""
    counts = table_of(table_of(results.get("n-samples"), "`n-samples`").get(task), "`n-samples`")
    original, effective = count_of(counts.get("original")), count_of(counts.get("effective"))
    if original is None or effective is None:
        raise bad_log(f"`n-samples` does not say how many documents `{shown(task)}` has")
    return original, effective


def _partial(results: Mapping[str, Any], task: str, found: int) -> Iterator[str]:
    original, effective = _counts(results, task)
    limit = table_of(results.get("config"), "`config`").get("limit")
    if limit is not None:
        documents = f"{effective} of {original} documents of `{shown(task)}`"
        yield f"lm-eval ran with `limit` {shown(limit)}: {documents}"
    elif effective < original:
        yield f"lm-eval took {effective} of {original} documents of `{shown(task)}`"
    if found < effective:
        yield f"there are samples of {found} of {effective} documents of `{shown(task)}`"
    if found > effective:
        raise bad_log(f"there are samples of {found} documents of `{shown(task)}`, which has {effective}")


def _claims(results: Mapping[str, Any], task: str, documents: Documents) -> Iterator[Claim]:
    of_task = table_of(table_of(results.get("results"), "`results`").get(task), f"results of `{shown(task)}`")
    means = _means(results, task)
    higher = table_of(results.get("higher_is_better"), "`higher_is_better`")
    several = len(documents.filters) > 1
    for key, value in of_task.items():
        metric, comma, filtered = key.partition(",")
        number = number_of(value)
        if not comma or metric.endswith("_stderr") or number is None:
            continue
        name = score_name(metric, filtered) if several else score_name(metric)
        known = metric in means and name in documents.score_names
        stderr = number_of(of_task.get(f"{metric}_stderr,{filtered}"))
        better = table_of(higher.get(task), "`higher_is_better`").get(metric)
        direction: Direction = "lower" if better is False else "higher"
        yield Claim(task, key, number, name if known else None, stderr, len(documents), direction)


def _means(results: Mapping[str, Any], task: str) -> set[str]:
    """Return the metrics whose aggregate is the plain mean over documents."""
    means = set(_MEANS)
    listed = _config_of(results, task).get("metric_list")
    for entry in listed if isinstance(listed, list) else ():
        if isinstance(entry, dict) and isinstance(entry.get("metric"), str) and "aggregation" in entry:
            (means.add if entry["aggregation"] == "mean" else means.discard)(entry["metric"])
    return means


def _about(results: Mapping[str, Any], task: str, config: Mapping[str, Any]) -> dict[str, Any]:
    def of(name: str) -> Any:
        return table_of(results.get(name), f"`{name}`").get(task)

    told = {
        "lm_eval_version": results.get("lm_eval_version"),
        "task_version": of("versions"),
        "n_shot": of("n-shot"),
        "task_hash": of("task_hashes"),
        "model": results.get("model_source"),
        "limit": config.get("limit"),
        **{name: config.get(name) for name in ("random_seed", "numpy_seed", "torch_seed", "fewshot_seed")},
    }
    short = (str, int, float)
    return {
        name: plain(value)
        for name, value in told.items()
        if isinstance(value, short) and len(str(value)) <= 1000
    }
