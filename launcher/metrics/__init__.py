"""Versioned metric definitions, intervals and how they are computed from samples."""

from launcher.metrics.agreement import Agreement, Evidence, MetricAgreement, SampleAgreement, compare_runs
from launcher.metrics.confusion import confusion
from launcher.metrics.definitions import Definition, definitions, problems
from launcher.metrics.evaluation import evaluate, sample_counts
from launcher.metrics.judgement import combine_verdicts

__all__ = [
    "Agreement",
    "Definition",
    "Evidence",
    "MetricAgreement",
    "SampleAgreement",
    "combine_verdicts",
    "compare_runs",
    "confusion",
    "definitions",
    "evaluate",
    "problems",
    "sample_counts",
]
