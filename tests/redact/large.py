"""Make a large bundle that may be redacted: `scripts.bench_bundles` with commitments.

Prints the bundle, the public key of its signer, and the home that holds the key of its salts.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

from launcher.runs.committing import write_commitments
from launcher.spec import bundle as names
from launcher.store.redaction_keys import read_redaction_key
from scripts.bench_bundles import ANSWERED, recompute, write_samples
from tests.fakes.forgery import reseal, statement_of
from tests.fakes.world import SmallWorld, answering, copy_world, make_template

TAIL = "[bundle]\nredactable = true\n"
_MORE = """[[metric]]
name = "macro{0}"
definition = "{1}"
parameters = {{ average = "macro", resamples = 100 }}

"""


def main() -> None:
    """Make a bundle of so many samples in a folder, measured by so many metrics more than one."""
    count, folder, more = int(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]) if sys.argv[3:] else 0
    make_template(folder / "template")
    world = copy_world(folder / "template", folder / "world")
    world.plays(answering(lambda _, sample: sample))
    bundle = world.launch(sections={"metric": ANSWERED, "tail": "".join(_metrics(more)) + TAIL}).bundle
    write_samples(bundle, "labels", count)
    recompute(bundle, world)
    commit(bundle, world)
    print(bundle)
    print(f"{world.home.default_key}.pub")
    print(world.home.root)


def _metrics(count: int) -> Iterator[str]:
    scores = ("f1@1", "precision@1", "recall@1")
    return (_MORE.format(number, scores[number % 3]) for number in range(count))


def commit(bundle: Path, world: SmallWorld) -> None:
    """Write the commitments anew, with the key of the launch, and sign them."""
    predicate = statement_of(bundle, names.RESULT_ATTESTATION)["predicate"]
    for name in (names.COMMITMENTS, names.SUMS):
        (bundle / name).unlink()
    for path in (bundle / names.ATTESTATIONS).iterdir():
        path.rename(bundle.parent / path.name)
    (bundle / names.ATTESTATIONS).rmdir()
    write_commitments(bundle, world.read().metrics, read_redaction_key(world.home, predicate["invocationId"]))
    (bundle / names.ATTESTATIONS).mkdir()
    for name in names.REQUIRED_ATTESTATIONS:
        (bundle.parent / Path(name).name).rename(bundle / name)
    reseal(bundle, world.signer)


if __name__ == "__main__":
    main()
