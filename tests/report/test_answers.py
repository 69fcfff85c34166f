"""A report holds the samples that it can look at, and counts the others."""

import pytest

from launcher.report import answers
from launcher.report.answers import Answers, read_answers
from launcher.spec.sample import Sample


def found(samples: list[Sample], size: int = 100) -> Answers:
    return read_answers([samples[:2], samples[2:]], size)


def test_few_samples_are_held() -> None:
    samples = [Sample(name, replicate=0) for name in "abc"]
    assert found(samples) == Answers(3, True, samples)
    assert not found([*samples, Sample("a", replicate=1)]).independent


@pytest.mark.parametrize("by", ["count", "bytes"])
def test_many_samples_are_counted(by: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answers, "MOST_SAMPLES" if by == "count" else "MOST_BYTES", 2)
    samples = [Sample(name, replicate=0) for name in "abc"]
    assert found(samples) == Answers(3, True)
    assert found([*samples, Sample("c", replicate=0, epoch=1)]) == Answers(4, False)
    assert found([*samples, Sample("d", replicate=1)]) == Answers(4, False)
    assert found([*samples, Sample("d", replicate=0, task="t")]) == Answers(4, False)
