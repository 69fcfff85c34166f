"""Make large bundles that verify, for `make bench`: many samples, many files, large files.

Each is a small one that a fake engine launched; what is added is measured and signed as a launch does.
"""

import os
import random
import sys
from collections.abc import Iterator
from pathlib import Path

from msgspec.structs import replace

from launcher.canonical import canonical_bytes, parse_json
from launcher.metrics.judgement import combine_verdicts
from launcher.metrics.measuring import measure
from launcher.spec import bundle as names
from launcher.spec.claims import evaluation_result
from launcher.spec.predicates import EvaluationResult
from launcher.spec.result import Result
from launcher.spec.sample_lines import sample_blocks
from tests.fakes.forgery import reseal, statement_of
from tests.fakes.world import SmallWorld, answering, copy_world, make_template

SCORED = 'name = "loss"\ndefinition = "mean@1"\nof = "scores.loss"\n'
ANSWERED = 'name = "accuracy"\ndefinition = "accuracy@1"\n'


def main() -> None:
    """Make the bundle that the arguments name in a folder; print its path and that of the signer's key."""
    kind, count, size, folder = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4])
    make_template(folder / "template")
    world = copy_world(folder / "template", folder / "world")
    world.plays(answering(lambda _, sample: {**sample, "scores": {"loss": 0.5}}))
    made = world.launch(sections={"metric": SCORED if kind == "scores" else ANSWERED})
    if kind == "files":
        write_files(made.bundle, count, size)
        reseal(made.bundle, world.signer)
    else:
        write_samples(made.bundle, kind, count)
        recompute(made.bundle, world)
    print(made.bundle)
    print(f"{world.home.default_key}.pub")


def write_files(bundle: Path, count: int, size: int) -> None:
    """Add `count` files of `size` bytes, two hundred a folder; what is larger than a megabyte is a hole."""
    block = random.Random(0).randbytes(min(size, 1 << 20))  # noqa: S311 - not a secret
    for number in range(count):
        folder = bundle / "artifacts" / "0" / f"{number // 200:04}"
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{number:06}.bin"
        path.write_bytes(number.to_bytes(4) + block[4:])
        os.truncate(path, size)


def write_samples(bundle: Path, kind: str, count: int) -> None:
    """Replace the samples by `count` others."""
    with (bundle / names.SAMPLES).open("wb") as stream:
        stream.writelines(MAKERS[kind](count))


def answered(count: int) -> Iterator[bytes]:
    """Yield answered items, nine of ten right."""
    draw = random.Random(0)  # noqa: S311 - not a secret
    for number in range(count):
        target = draw.choice(("entailment", "neutral", "contradiction"))
        prediction = target if draw.random() < 0.9 else "neutral"
        answer = f'"prediction":"{prediction}","replicate":0,"seed":0,"target":"{target}"'
        yield f'{{"id":"item-{number:07}",{answer}}}\n'.encode()


def scored(count: int) -> Iterator[bytes]:
    """Yield items with a score each."""
    draw = random.Random(0)  # noqa: S311 - not a secret
    for number in range(count):
        score = 0.01 + draw.randrange(1, 10**9) / 10**9
        yield f'{{"id":"item-{number:07}","replicate":0,"scores":{{"loss":{score!r}}},"seed":0}}\n'.encode()


def unique(count: int) -> Iterator[bytes]:
    """Yield answers of which no two are the same."""
    for number in range(count):
        answer = f'"prediction":"answer {number}","replicate":0,"seed":0,"target":"word {number}"'
        yield f'{{"id":"item-{number:07}",{answer}}}\n'.encode()


MAKERS = {"labels": answered, "scores": scored, "unique": unique}


def recompute(bundle: Path, world: SmallWorld) -> None:
    """Make the result fit the samples, and sign it again."""
    path = bundle / names.RESULT
    result = Result.from_json(parse_json(path.read_bytes()))
    metrics = world.read().metrics
    samples = bundle / names.SAMPLES

    def blocks() -> Iterator[list[object]]:
        with samples.open("rb") as stream:
            yield from sample_blocks(iter(lambda: stream.read(1 << 20), b""))  # type: ignore[misc]

    found = measure(metrics, [0], samples.stat().st_size, blocks)  # type: ignore[arg-type]
    result = replace(
        result,
        metrics=found.metrics,
        verdict=combine_verdicts(found.metrics),
        samples=found.counts,
        tables={"confusion": found.confusion} if found.confusion else {},
    )
    path.write_bytes(canonical_bytes(result.as_json()) + b"\n")
    signed = EvaluationResult.from_json(statement_of(bundle, names.RESULT_ATTESTATION)["predicate"])
    said = evaluation_result(result, signed.verifier, signed.evaluated_at).as_json()
    reseal(bundle, world.signer, result=lambda predicate: predicate.update(said))


if __name__ == "__main__":
    main()
