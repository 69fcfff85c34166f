"""Secrets by name: demanded before anything runs, and never kept, wherever the evaluation left them."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from msgspec.structs import replace

from launcher.engines.engine import CollectedOutputs, ContainerOutcome
from launcher.engines.masking import Masker
from launcher.errors import MalformedError, RequirementError
from launcher.spec.blueprint import Blueprint
from launcher.spec.predicates import Failure
from launcher.store.removal import remove_tree

LEAST_SECRET = 8
_CHUNK = 1 << 20


def require_secrets(blueprint: Blueprint, given: Mapping[str, str]) -> Mapping[str, str]:
    """Return the value of every secret that the blueprint names.

    Raises `RequirementError` for one that is missing, `MalformedError` for one nobody asked for, or so short
    that masking it would mask what it does not stand in.
    """
    wanted = blueprint.sandbox.secrets
    if unasked := sorted(given.keys() - set(wanted)):
        raise MalformedError(
            f"the blueprint names no secret `{unasked[0]}`",
            code="no-such-secret",
            context=f"its secrets: {', '.join(wanted) or 'none'}",
            hint="leave it out, or name it in `secrets` of [sandbox]",
        )
    for name in wanted:
        if name not in given:
            raise RequirementError(
                f"the secret `{name}` that the evaluation needs was not given",
                code="secret-missing",
                hint=f"give it with `--secret {name}=FILE`, or as `--secret {name}` from that variable",
            )
        if len(given[name]) < LEAST_SECRET or "\0" in given[name]:
            raise MalformedError(
                f"the secret `{name}` is too short to be masked",
                code="bad-secret",
                context=f"expected at least {LEAST_SECRET} characters and no null, got {len(given[name])}",
                hint="see that its file holds it",
            )
    return {name: given[name] for name in wanted}


def withhold(
    outcome: ContainerOutcome, outputs: Path, masker: Masker
) -> tuple[ContainerOutcome, Failure | None, str]:
    """Look for secrets in what a container left, their names included; where one is, keep nothing of it."""
    found = next(_leaks(outcome, outputs, masker), None)
    if found is None:
        return outcome, None, ""
    remove_tree(outputs)
    outputs.mkdir(mode=0o700)
    name, where = found
    reason = f"secret in output: {where} held the secret `{name}`, so nothing that it left is kept"
    return replace(outcome, outputs=CollectedOutputs(complete=True)), "sandbox", reason


def _leaks(outcome: ContainerOutcome, outputs: Path, masker: Masker) -> Iterator[tuple[str, str]]:
    """Yield the secrets that are found, and where."""
    for refused in outcome.outputs.refused:
        if name := masker.found(refused.path.encode()):
            yield name, "the name of a file"
    for file in outcome.outputs.files:
        if name := masker.found(file.path.encode()):
            yield name, "the name of a file"
        with (outputs / file.path).open("rb") as stream:
            if name := masker.found_in(iter(lambda: stream.read(_CHUNK), b"")):
                yield name, f"`{masker.mask(file.path)}`"
