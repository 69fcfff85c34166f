"""The samples of a report: those that a page can look at one by one, or how many there are."""

from collections.abc import Iterable, Sequence
from typing import Final

from msgspec import Struct

from launcher.spec.sample import Sample

# A sample takes some hundred bytes, and a small object in it ten times what its text does.
MOST_SAMPLES: Final = 150_000
MOST_BYTES: Final = 16 << 20


class Answers(Struct, frozen=True):
    """How many samples there are, and all of them where those are few.

    They are `independent` where no id stands twice. Of too many `listed` is None, and they are only called
    that where one seed ran and no sample is of a task.
    """

    count: int
    independent: bool
    listed: Sequence[Sample] | None = None


def read_answers(blocks: Iterable[Sequence[Sample]], size: int) -> Answers:
    """Read samples in a bundle's order, of `size` bytes; too many are counted, and not held."""
    listed: list[Sample] | None = [] if size <= MOST_BYTES else None
    count, independent, last = 0, True, None
    for block in blocks:
        count += len(block)
        if listed is not None:
            listed.extend(block)
            if count > MOST_SAMPLES:
                listed = None
        for sample in block if independent else ():
            independent = not sample.replicate and sample.task is None and sample.id != last
            last = sample.id
    if listed is not None:
        independent = len({sample.id for sample in listed}) == count
    return Answers(count, independent, listed)
