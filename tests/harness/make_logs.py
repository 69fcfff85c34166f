"""Make the logs under `logs/` with the real tools; run by hand where lm-eval and Inspect are installed.

    PYTHON_OF_THE_HARNESSES tests/harness/make_logs.py

The model of lm-eval is a GPT-2 of some thousand random parameters, Inspect's is its own `mockllm`; nothing
is fetched. Times and ids differ from one making to the next; what the tests read does not. Tracebacks and the
description of the machine are taken out again: they hold the paths of the machine.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Any

LOGS = Path(__file__).resolve().parent / "logs"
OFFLINE = {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1"}
PATHS = rb'("(?:traceback|traceback_ansi|pretty_env_info)": ?)"(?:[^"\\\\]|\\\\.)*"'
COLOURS = ("red", "green", "blue")

TASKS = {
    "colours": """
task: colours
dataset_path: json
dataset_kwargs: {data_files: {test: DATA}}
test_split: test
output_type: multiple_choice
doc_to_text: "The {{thing}} is"
doc_to_choice: "{{choices}}"
doc_to_target: label
metric_list:
  - {metric: acc, aggregation: mean, higher_is_better: true}
  - {metric: acc_norm, aggregation: mean, higher_is_better: true}
metadata: {version: 1.0}
""",
    "sums": """
task: sums
dataset_path: json
dataset_kwargs: {data_files: {test: DATA}}
test_split: test
output_type: generate_until
doc_to_text: "{{number}} + 1 ="
doc_to_target: "{{number + 1}}"
generation_kwargs: {until: ["\\n"], max_gen_toks: 4, do_sample: false}
filter_list:
  - name: first-character
    filter: [{function: regex, regex_pattern: "^(.)."}, {function: take_first}]
  - name: anything
    filter: [{function: regex, regex_pattern: "(.*)", group_select: -1}, {function: take_first}]
metric_list:
  - {metric: exact_match, aggregation: mean, higher_is_better: true}
metadata: {version: 2.0}
""",
    "endings": """
task: endings
dataset_path: json
dataset_kwargs: {data_files: {test: DATA}}
test_split: test
output_type: loglikelihood
doc_to_text: "The {{thing}} is"
doc_to_target: " {{choices[label]}}"
metric_list:
  - {metric: acc, aggregation: mean, higher_is_better: true}
  - {metric: perplexity, aggregation: perplexity, higher_is_better: false}
metadata: {version: 1.0}
""",
    "whole": """
task: whole
dataset_path: json
dataset_kwargs: {data_files: {test: DATA}}
test_split: test
output_type: loglikelihood_rolling
doc_to_text: ""
doc_to_target: "The {{thing}} is {{choices[label]}}."
metric_list:
  - {metric: word_perplexity}
  - {metric: bits_per_byte}
metadata: {version: 1.0}
""",
}

INSPECT_TASK = """
import os
import signal

from inspect_ai import Task, task
from inspect_ai.dataset import MemoryDataset, Sample
from inspect_ai.scorer import Score, accuracy, includes, mean, scorer, stderr
from inspect_ai.solver import generate, solver

WORDS = {words}


@scorer(metrics={{"length": [mean()], "polite": [mean(), stderr()]}})
def shape():
    async def score(state, target):
        text = state.output.completion
        return Score(value={{"length": len(text), "polite": "please" in text}}, answer=text)

    return score


@solver
def trouble(kind):
    async def solve(state, generate):
        if kind == "raise" and state.sample_id == "w2":
            raise ValueError("the second word is too hard")
        if kind == "cancel" and state.sample_id == "w2":
            os.kill(os.getpid(), signal.SIGINT)
        return await generate(state)

    return solve


def scorers():
    return [includes(), shape()]


@task
def words(kind="none"):
    samples = [
        Sample(id=f"w{{number}}", input=f"Say {{word}}.", target=word, metadata={{"letters": len(word)}})
        for number, word in enumerate(WORDS, start=1)
    ]
    return Task(dataset=MemoryDataset(samples, name="words"), solver=trouble(kind), scorer=scorers())
"""

INSPECT_RUN = """
import sys

from inspect_ai import eval
from inspect_ai.model import GenerateConfig, ModelOutput, get_model
from inspect_ai.model._providers.mockllm import MockLLM

sys.path.insert(0, ".")
from words import words


async def counted(self, *arguments, **named):
    return 3


MockLLM.count_text_tokens = counted
MockLLM.count_tokens = counted
ANSWERS = ["the red one", "please: green", "nothing", "blue, please"] * 4


def model():
    return get_model(
        "mockllm/model", custom_outputs=[ModelOutput.from_content("mockllm", text) for text in ANSWERS]
    )


kind, form, extra = sys.argv[1], sys.argv[2], eval_arguments = sys.argv[3:]
"""


def main() -> None:
    shutil.rmtree(LOGS, ignore_errors=True)
    with tempfile.TemporaryDirectory() as folder:
        make_lm_eval(Path(folder))
        make_inspect(Path(folder))
    for path in LOGS.rglob("*.json"):
        text = without_paths(path.read_bytes())
        path.write_bytes(compact(text) if path.parent.name.startswith("inspect") else text)
    for path in LOGS.rglob("*.eval"):
        rewrite(path)


def without_paths(text: bytes) -> bytes:
    short = re.sub(PATHS, rb'\1"(left out)"', text)
    return re.sub(rb"(/[\w.-]+)+/(?=python[\w.]+/)|/tmp/tmp\w+/", b"", short)


def compact(text: bytes) -> bytes:
    """Return Inspect's JSON without its white space."""
    return json.dumps(json.loads(text), separators=(",", ":"), ensure_ascii=False).encode()


def rewrite(path: Path) -> None:
    """Write an `.eval` file anew, compressed as Inspect does it."""
    from inspect_ai._util.zipfile import zipfile_compress_kwargs

    with zipfile.ZipFile(path) as archive:
        members = [(name, without_paths(archive.read(name))) for name in archive.namelist()]
    with zipfile.ZipFile(path, "w", **zipfile_compress_kwargs) as archive:
        for name, data in members:
            archive.writestr(
                zipfile.ZipInfo(name), data, compress_type=zipfile_compress_kwargs["compression"]
            )


def run(command: list[str], folder: Path, *, expected: tuple[int, ...] = (0,), **environment: str) -> None:
    home = {"HOME": str(folder), "HF_HOME": str(folder / "hf"), "XDG_DATA_HOME": str(folder / "xdg")}
    usual = {"PATH": os.environ["PATH"], "TZ": "UTC", "PYTHONHASHSEED": "0", **home, **OFFLINE}
    done = subprocess.run(command, cwd=folder, env={**usual, **environment}, check=False, timeout=600)
    if done.returncode not in expected:
        sys.exit(f"{command} ended with {done.returncode}")


def make_lm_eval(folder: Path) -> None:
    make_model(folder / "model")
    rows: list[dict[str, Any]] = [
        {"thing": thing, "choices": list(COLOURS), "label": index % 3, "number": index}
        for index, thing in enumerate(("sky", "grass", "rose", "sea", "leaf"))
    ]
    data = folder / "data.jsonl"
    data.write_text("".join(json.dumps(row) + "\n" for row in rows))
    tasks = folder / "tasks"
    tasks.mkdir()
    for name, text in TASKS.items():
        (tasks / f"{name}.yaml").write_text(text.replace("DATA", data.name))
    for case, names, more in (
        ("lm-eval", "colours,sums,endings,whole", []),
        ("lm-eval-limited", "colours", ["--limit", "3"]),
        ("lm-eval-unlogged", "colours", None),
    ):
        command = [
            *(sys.executable, "-m", "lm_eval", "--model", "hf", "--model_args", "pretrained=./model"),
            *("--tasks", names, "--include_path", "tasks", "--device", "cpu", "--batch_size", "4"),
            *("--seed", "1234", "--output_path", str(LOGS / case)),
            *([] if more is None else ["--log_samples", *more]),
        ]
        run(command, folder)


def make_model(path: Path) -> None:
    import torch
    from tokenizers import ByteLevelBPETokenizer
    from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast

    tokenizer = ByteLevelBPETokenizer()
    tokenizer.train_from_iterator(["the quick brown fox"], vocab_size=260, special_tokens=["<|endoftext|>"])
    end = dict.fromkeys(("bos_token", "eos_token", "pad_token"), "<|endoftext|>")
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer._tokenizer, model_max_length=128, **end)
    fast.save_pretrained(path)
    torch.manual_seed(11)
    config = GPT2Config(
        vocab_size=len(fast), n_positions=128, n_embd=16, n_layer=1, n_head=2, bos_token_id=0, eos_token_id=0
    )
    GPT2LMHeadModel(config).save_pretrained(path)


def make_inspect(folder: Path) -> None:
    (folder / "words.py").write_text(INSPECT_TASK.format(words=(*COLOURS, "grey")))
    for case, kind, form, arguments in (
        ("inspect-json", "none", "json", "epochs=2"),
        ("inspect-eval", "none", "eval", "epochs=2"),
        ("inspect-errors", "raise", "json", "fail_on_error=False"),
        ("inspect-failed", "raise", "eval", "fail_on_error=True"),
        ("inspect-cancelled", "cancel", "eval", "max_samples=1"),
        ("inspect-limited", "none", "eval", "limit=2"),
    ):
        program = INSPECT_RUN.rpartition("kind,")[0] + (
            f"eval(words(kind={kind!r}), model=model(), log_format={form!r}, log_dir={str(LOGS / case)!r},"
            f" display='none', log_level='critical', {arguments})\n"
        )
        expected = (0, 1, 130, -signal.SIGINT) if kind == "cancel" else (0,)
        run([sys.executable, "-c", program], folder, expected=expected)


if __name__ == "__main__":
    main()
