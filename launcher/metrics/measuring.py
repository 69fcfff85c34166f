"""Measure what a bundle's samples come to, whole where they are few, as a stream where they are many."""

from collections.abc import Iterator, Sequence
from typing import Final

from launcher.metrics.confusion import confusion
from launcher.metrics.evaluation import evaluate, sample_counts
from launcher.metrics.streaming import Blocks, Evaluated, evaluate_blocks
from launcher.spec.blueprint import Metric
from launcher.spec.sample import MAX_BUNDLE_SAMPLES, Sample, refuse_uneven

# Above it NumPy's start is paid for by what it saves.
_SMALL_BYTES: Final = 1 << 20
_FEW_METRICS: Final = 50
_LEAST_LINE: Final = 34
_BLOCK: Final = 4096


def measure(metrics: Sequence[Metric], seeds: Sequence[int], size: int, blocks: Blocks) -> Evaluated:
    """Compute `metrics` of the samples that `blocks` gives, whose bytes in the bundle are `size`.

    Raises `MalformedError` where samples cannot be measured, and where replicates answered different items.
    """
    if size * max(1, len(metrics) // _FEW_METRICS) > _SMALL_BYTES:
        return evaluate_blocks(metrics, blocks, seeds, min(size // _LEAST_LINE, MAX_BUNDLE_SAMPLES))
    samples = [sample for block in blocks() for sample in block]
    results = evaluate(metrics, samples, seeds)
    if samples:
        refuse_uneven([[one for one in samples if one.replicate == number] for number in range(len(seeds))])
    return Evaluated(results, sample_counts(samples), confusion(samples))


def blocks_of(samples: Sequence[Sample]) -> Blocks:
    """Return the function that gives `samples` in blocks."""

    def blocks() -> Iterator[Sequence[Sample]]:
        for start in range(0, len(samples), _BLOCK):
            yield samples[start : start + _BLOCK]

    return blocks
