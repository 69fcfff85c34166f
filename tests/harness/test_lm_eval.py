"""Reading what lm-evaluation-harness 0.4.13 left, and what a candidate may leave instead."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from launcher.errors import MalformedError
from launcher.harness.lm_eval import read_lm_eval
from launcher.harness.lm_eval_documents import Documents
from launcher.harness.output import HarnessOutput
from launcher.spec.sample import Sample

LOGS = Path(__file__).parent / "logs"


def of_task(output: HarnessOutput, task: str) -> list[Sample]:
    return [sample for sample in output.samples if sample.task == task]


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    shutil.copytree(LOGS / "lm-eval", tmp_path / "out")
    return tmp_path / "out"


def refused(folder: Path) -> MalformedError:
    with pytest.raises(MalformedError) as caught:
        read_lm_eval(folder)
    assert caught.value.code == "bad-harness-log"
    return caught.value


def change_results(folder: Path, change: Callable[[dict[str, Any]], None]) -> None:
    path = next(folder.rglob("results_*.json"))
    results = json.loads(path.read_text())
    change(results)
    path.write_text(json.dumps(results))


def change_lines(folder: Path, task: str, change: Callable[[list[Any]], None]) -> None:
    path = next(folder.rglob(f"samples_{task}_*.jsonl"))
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    change(lines)
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))


def test_every_task_gives_one_sample_a_document() -> None:
    output = read_lm_eval(LOGS / "lm-eval")
    assert {task: len(of_task(output, task)) for task in ("colours", "sums", "endings", "whole")} == {
        "colours": 5,
        "sums": 5,
        "endings": 5,
        "whole": 5,
    }
    assert all(sample.groups == {"task": sample.task} and sample.epoch is None for sample in output.samples)
    assert (output.partial, output.notes, len(output.files)) == ((), (), 5)


def test_a_multiple_choice_prediction_is_the_likeliest_choice_said_as_the_target_is() -> None:
    for sample in of_task(read_lm_eval(LOGS / "lm-eval"), "colours"):
        assert sample.scores is not None
        likelihoods = [sample.scores[f"loglikelihood.{index}"] for index in range(3)]
        assert sample.prediction == str(likelihoods.index(max(likelihoods)))
        assert (sample.prediction == sample.target) == (sample.scores["acc"] == 1)


def test_several_filters_give_one_sample_with_the_scores_of_each_apart() -> None:
    for sample in of_task(read_lm_eval(LOGS / "lm-eval"), "sums"):
        assert sample.scores is not None
        assert set(sample.scores) == {"exact_match.first-character", "exact_match.anything"}
        assert isinstance(sample.prediction, str)


def test_likelihoods_written_as_text_are_numbers_and_pairs_are_taken_apart() -> None:
    output = read_lm_eval(LOGS / "lm-eval")
    for sample in (*of_task(output, "endings"), *of_task(output, "whole")):
        assert sample.scores is not None and sample.prediction is None
        assert sample.scores["loglikelihood"] < 0
    assert of_task(output, "whole")[0].scores == {
        "loglikelihood": pytest.approx(-83.427, abs=1e-3),
        "word_perplexity.0": pytest.approx(-83.427, abs=1e-3),
        "word_perplexity.1": 4,
        "bits_per_byte.0": pytest.approx(-83.427, abs=1e-3),
        "bits_per_byte.1": 15,
    }


def test_claims_name_the_score_whose_mean_they_are_and_no_other() -> None:
    claims = {(claim.task, claim.metric): claim for claim in read_lm_eval(LOGS / "lm-eval").claims}
    assert claims["colours", "acc,none"].score == "acc"
    assert claims["sums", "exact_match,anything"].score == "exact_match.anything"
    assert claims["endings", "perplexity,none"].score is None
    assert claims["whole", "bits_per_byte,none"].score is None
    assert claims["colours", "acc,none"].stderr == pytest.approx(0.2449, abs=1e-4)
    assert not any("stderr" in metric for _, metric in claims)


def test_the_hash_of_the_input_is_of_the_arguments() -> None:
    first, second = (read_lm_eval(LOGS / case).samples for case in ("lm-eval", "lm-eval-limited"))
    assert [sample.input_sha256 for sample in first[:3]] == [sample.input_sha256 for sample in second]
    assert len({sample.input_sha256 for sample in first}) == len(first)


def test_a_limited_run_is_partial() -> None:
    output = read_lm_eval(LOGS / "lm-eval-limited")
    assert output.partial == ("lm-eval ran with `limit` 3.0: 3 of 5 documents of `colours`",)


def test_a_run_without_samples_is_refused_with_the_option_to_add() -> None:
    error = refused(LOGS / "lm-eval-unlogged")
    assert "no samples of the task `colours`" in error.message
    assert "--log_samples" in (error.hint or "")


def test_an_empty_folder_is_refused_with_the_command_to_run(tmp_path: Path) -> None:
    assert "--output_path /eval/out/artifacts" in (refused(tmp_path).hint or "")


def test_fewer_samples_than_documents_are_partial(copied: Path) -> None:
    change_lines(copied, "colours", lambda lines: lines.pop())
    assert read_lm_eval(copied).partial == ("there are samples of 4 of 5 documents of `colours`",)


def test_a_document_that_stands_twice_is_refused(copied: Path) -> None:
    change_lines(copied, "colours", lambda lines: lines.append(lines[0]))
    assert "line 6" in refused(copied).message and "stands twice" in refused(copied).message


def test_a_document_that_lacks_a_filter_is_refused(copied: Path) -> None:
    change_lines(copied, "sums", lambda lines: lines.pop())
    assert "is not there under the filter `anything`" in refused(copied).message


def test_two_results_of_one_task_are_refused(copied: Path) -> None:
    shutil.copytree(copied, copied / "again")
    assert "two results of the task `colours`" in refused(copied).message


def test_results_of_different_tasks_are_one_run(copied: Path) -> None:
    def keep(*tasks: str) -> Callable[[dict[str, Any]], None]:
        def change(results: dict[str, Any]) -> None:
            results["n-samples"] = {task: results["n-samples"][task] for task in tasks}

        return change

    shutil.copytree(copied, copied / "again")
    change_results(copied / ".__model", keep("colours", "sums"))
    change_results(copied / "again", keep("endings"))
    assert {sample.task for sample in read_lm_eval(copied).samples} == {"colours", "sums", "endings"}


def test_numbers_that_no_score_can_be_are_left_out(copied: Path) -> None:
    def spoil(lines: list[Any]) -> None:
        lines[0]["acc"], lines[1]["acc"], lines[2]["acc"] = float("nan"), 10**30, ["a", "b"]

    change_lines(copied, "colours", spoil)
    samples = read_lm_eval(copied).samples
    assert ["acc" in (sample.scores or {}) for sample in samples[:4]] == [False, False, False, True]


def test_responses_that_may_come_from_a_cache_are_named(copied: Path) -> None:
    change_results(copied, lambda results: results["config"].update(use_cache="/tmp/cache"))
    assert read_lm_eval(copied).notes == ("lm-eval may have taken responses from a cache (`use_cache`)",)


@pytest.mark.parametrize(
    ("target", "choices", "acc", "expected"),
    [
        ("1", [" a", " b", " c"], 1.0, "1"),
        ("0", [" a", " b", " c"], 0.0, "1"),
        ("b", [" a", " b", " c"], 1.0, "b"),
        ("a", [" a", " b", " c"], 0.0, "b"),
        ("2", [" 1", " 2", " 3"], 1.0, "2"),
        ("1", [" 1", " 2", " 3"], 1.0, "1"),
        ("1", [" 1", " 2", " 3"], 0.0, "2"),
    ],
)
def test_a_choice_equals_the_target_where_acc_says_so(
    target: str, choices: list[str], acc: float, expected: str
) -> None:
    documents = Documents("t", "multiple_choice")
    arguments = {f"gen_args_{index}": {"arg_0": "?", "arg_1": text} for index, text in enumerate(choices)}
    line = {"doc_id": 0, "target": target, "arguments": arguments, "metrics": ["acc"], "acc": acc}
    documents.add({**line, "filtered_resps": [["-2", "False"], ["-1.5", "True"], ["-9", "False"]]}, "it")
    (sample,) = documents.samples()
    assert sample.prediction == expected
    assert (sample.prediction == sample.target) == (acc == 1)


def test_the_unconditional_likelihoods_of_mutual_information_are_no_choices() -> None:
    documents = Documents("t", "multiple_choice")
    line = {"doc_id": 0, "target": "0", "metrics": ["acc_mutual_info"], "acc_mutual_info": 1.0}
    documents.add(
        {**line, "filtered_resps": [["-2", "False"], ["-3", "False"], ["-1", "0"], ["-1", "0"]]}, "it"
    )
    assert documents.samples()[0].prediction == "0"


def test_an_endless_line_is_refused(copied: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("launcher.harness.lm_eval.MAX_LINE", 500)
    assert "is longer than 500 bytes" in refused(copied).message


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "logs").symlink_to(LOGS / "lm-eval")
    assert "left no file of results" in refused(tmp_path / "out").message
