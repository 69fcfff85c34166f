"""Read the samples of a bundle into a list."""

from launcher.spec.sample import Sample
from launcher.spec.sample_lines import sample_blocks


def read_bundled(data: bytes) -> list[Sample]:
    """Return every sample of a samples.jsonl, which has exactly one form."""
    found = [sample for block in sample_blocks([data]) for sample in block]
    return [Sample(*(getattr(each, name) for name in Sample.__struct_fields__)) for each in found]
