"""Check that the signed statement says what `result.json` says."""

from launcher.errors import CheckFailedError
from launcher.spec.claims import evaluation_result
from launcher.spec.predicates import EvaluationResult
from launcher.verify.contents import Contents


def compare_claims(contents: Contents, signed: EvaluationResult) -> None:
    """Check that the signed statement says what result.json says."""
    expected = evaluation_result(contents.result, signed.verifier, signed.evaluated_at)
    if expected != signed:
        raise CheckFailedError(
            "the signed statement does not say what `result.json` says", code="disagreement"
        )
