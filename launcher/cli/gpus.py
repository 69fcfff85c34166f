"""`--gpus LIST`: which of the GPUs that a scheduler grants a person lets a launch use."""

import os
from typing import Annotated

import typer

from launcher.runs.request import GpuSight
from launcher.spec.gpu_grants import grants_from

Gpus = Annotated[
    str | None,
    typer.Option(
        "--gpus",
        metavar="LIST",
        help="Use only these GPUs: numbers, 0:1 for a slice, UUIDs, none; default: all that are granted.",
    ),
]


def read_gpus(text: str | None) -> GpuSight:
    """Return how GPUs are looked at, within `--gpus` and the scheduler's variables."""
    return GpuSight(grants=grants_from(os.environ, text))
