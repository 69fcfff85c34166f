"""Check that a result owns up to what makes its run less than a whole one, or its sandbox wider."""

from collections.abc import Mapping

from launcher.digest import sha256_hex, sums_text
from launcher.errors import CheckFailedError
from launcher.spec import bundle
from launcher.spec.lock import pins_from
from launcher.spec.widenings import widened
from launcher.trust.checks import Check, checked
from launcher.verify.contents import Contents


def widenings(contents: Contents) -> list[Check]:
    """Count the widenings that the lock pins, each of which the signed result must name; none: no check."""
    names = tuple(contents.lock.identity["sandbox"]["widenings"])
    if not names:
        return []

    def compare() -> None:
        for said in widened(names):
            if said not in contents.result.deviations:
                raise CheckFailedError(
                    "the result does not name a widening of the sandbox", code="disagreement", context=said
                )

    check = checked("sandbox", compare)
    said = f"{len(names)} widening{'' if len(names) == 1 else 's'}: {', '.join(names)}"
    return [check if check.status == "failed" else Check("sandbox", "ok", said)]


def shortcomings(contents: Contents, digests: Mapping[str, str]) -> list[Check]:
    """Check and name what makes the run less than a whole one."""
    if not contents.result.marks and not pins_from(contents.lock.identity).marks:
        return []
    check = checked("marks", lambda: _compare_marks(contents, digests))
    return [check if check.status == "failed" else Check("marks", "ok", ", ".join(contents.result.marks))]


def _compare_marks(contents: Contents, digests: Mapping[str, str]) -> None:
    """Check that the result owns up to what its lock says it is, and that what it ran with is there."""
    pins, marks = pins_from(contents.lock.identity), contents.result.marks
    # A harness may say of itself that it ran a part only.
    if {*marks} - {"partial"} != {*pins.marks} - {"partial"} or not {*pins.marks} <= {*marks}:
        raise CheckFailedError(
            "the result is not marked as its lock demands",
            code="disagreement",
            context=f"expected {', '.join(pins.marks) or 'no mark'}, got {', '.join(marks) or 'none'}",
        )
    if pins.limit is not None and contents.result.samples.n > pins.limit:
        raise CheckFailedError(f"there are more than {pins.limit} items", code="disagreement")
    if pins.patch is not None and digests.get(bundle.DRAFT_PATCH) != pins.patch:
        raise CheckFailedError(f"`{bundle.DRAFT_PATCH}` is not the patch of the lock", code="disagreement")
    if pins.predictions is not None and not _has_predictions(contents, digests, pins.predictions):
        raise CheckFailedError("the predictions are not those that the lock names", code="disagreement")


def _has_predictions(contents: Contents, digests: Mapping[str, str], pinned: tuple[str, ...]) -> bool:
    """Say whether each replicate's predictions are the pinned ones; a failed run may not have got to them."""
    found = _prediction_digests(contents, digests)
    lacks = {sha256_hex(sums_text(()))} if contents.result.status == "failed" else set()
    return all(one == wanted or one in lacks for one, wanted in zip(found, pinned, strict=True))


def _prediction_digests(contents: Contents, digests: Mapping[str, str]) -> tuple[str, ...]:
    """Return the tree digest of each replicate's `predictions/`."""
    places = (f"{bundle.PREDICTIONS}/{replicate}/" for replicate in range(len(contents.blueprint.run.seeds)))
    return tuple(
        sha256_hex(
            sums_text(
                (path.removeprefix(place), sha256)
                for path, sha256 in digests.items()
                if path.startswith(place)
            )
        )
        for place in places
    )
