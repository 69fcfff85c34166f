"""Check that lock, result, replicates and signed provenance speak of one run."""

from launcher.errors import CheckFailedError
from launcher.spec.claims import dependencies
from launcher.spec.lock import pins_from
from launcher.spec.predicates import EvaluationResult, Provenance
from launcher.verify.contents import Contents


def compare_lock(contents: Contents, signed: EvaluationResult, provenance: Provenance) -> None:
    """Check that everything in the bundle speaks of the run that the lock pins."""
    compare_names(contents, signed)
    _compare_inputs(contents, provenance)
    compare_replicates(contents)


def compare_names(contents: Contents, signed: EvaluationResult) -> None:
    """Check that lock, result and signed statement name one run of one blueprint."""
    digest, result = contents.lock.digest, contents.result
    if not digest == result.lock == signed.lock:
        raise CheckFailedError(
            "lock, result and signed statement name different runs",
            code="disagreement",
            context=f"lock.json {digest}, result.json {result.lock}, signed {signed.lock}",
        )
    if (result.blueprint.name, result.blueprint.version) != (
        contents.blueprint.about.name,
        contents.blueprint.about.version,
    ):
        raise CheckFailedError("result and blueprint name different evaluations", code="disagreement")


def _compare_inputs(contents: Contents, provenance: Provenance) -> None:
    """Check that the signed provenance names what the lock pins, all of it and nothing else."""
    expected = tuple(dependencies(contents.blueprint, pins_from(contents.lock.identity)))
    if expected == provenance.dependencies:
        return
    named = {item.name: item for item in provenance.dependencies}
    odd = [item.name for item in expected if named.get(item.name) != item]
    raise CheckFailedError(
        "the signed provenance names other inputs than the lock pins",
        code="disagreement",
        context=f"of those that are pinned, `{odd[0]}` differs" if odd else "it names more than are pinned",
    )


def compare_replicates(contents: Contents) -> None:
    """Check that there is one outcome for each seed, and none that failed behind a score."""
    result, seeds = contents.result, contents.blueprint.run.seeds
    if [(run.replicate, run.seed) for run in result.replicates] != list(enumerate(seeds)):
        raise CheckFailedError("the replicates are not those of the lock's seeds", code="disagreement")
    if any(run.attempt is not None and run.attempt >= result.attempt for run in result.replicates):
        raise CheckFailedError("a replicate is of an attempt that came later", code="disagreement")
    if result.status == "succeeded" and any(run.failure or run.exit_code for run in result.replicates):
        raise CheckFailedError("one of the replicates of a run with a score failed", code="disagreement")
