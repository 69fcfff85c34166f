"""The task: a package's synopsis goes in, the name of its archive section should come out, word for word."""

from typing import Any

from inspect_ai import Task, task
from inspect_ai.dataset import Sample, json_dataset
from inspect_ai.scorer import match
from inspect_ai.solver import generate


@task
def debian_sections(test: str) -> Task:
    """Return the task over the lines of `test`, a file of JSON objects."""
    return Task(
        dataset=json_dataset(test, sample, name="debian-sections"),
        solver=generate(),
        scorer=match(location="exact"),
        version="1.0.0",
    )


def sample(row: dict[str, Any]) -> Sample:
    """Return one line as Inspect's sample, in the words that the model learnt."""
    return Sample(id=row["id"], input=f"{row['synopsis']}\nSection:", target=row["section"])
