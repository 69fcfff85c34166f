"""Reproduce: launch a bundle's lock again, compare the two, and sign what was found."""

from collections.abc import Mapping
from pathlib import Path

from msgspec import Struct, field
from msgspec.structs import replace

from launcher import __version__
from launcher.environment.facts import read_environment
from launcher.errors import CheckFailedError, InfrastructureError, MalformedError
from launcher.launch import launch
from launcher.metrics.agreement import Agreement
from launcher.resolve import choices_of, pin_predictions
from launcher.runs.events import now
from launcher.runs.request import Edges, LaunchRequest, Secrets
from launcher.sources.inputs import FetchSettings
from launcher.spec import bundle as names
from launcher.spec.imported import ImportedLock
from launcher.spec.lock import make_lock, pins_from
from launcher.spec.machine_kind import machine_kind
from launcher.spec.predicates import FINISHED_FAILURES, LOCAL_BUILDER, Builder
from launcher.spec.reproduction import (
    Reproduction,
    ReproductionScope,
    ReproductionVerdict,
)
from launcher.spec.statement import reproduction_statement
from launcher.store.attested import refuse_full
from launcher.store.bundles import bundle_digest
from launcher.store.files import create_atomically, write_atomically
from launcher.store.home import Home, make_private
from launcher.trust.sigstore import seal
from launcher.verify import Contents, Verification, beyond_this_version, load_contents
from launcher.verify.demand import demand_verified
from launcher.verify.outcomes import compare, finding

_ASK_FOR_THE_WHOLE = "have the bundle reproduced that it was made of, and redacted after that"
_ASK_AGAIN = "ask the hosts once more with `evalctl launch --rerun`, and compare the two by eye"


class Original(Struct, frozen=True):
    """The bundle to reproduce: where it is, and what was found when it was verified."""

    path: Path
    verification: Verification

    @property
    def contents(self) -> Contents:
        """What it says; raises `CheckFailedError` or `TrustError` unless it verified."""
        return demand_verified(self.path, self.verification, "to reproduce")


class Scope(Struct, frozen=True):
    """What is to be done again: everything, or only the scoring, or only the first `samples` items.

    `models` says where to find what filled a slot; its digest is the lock's.
    """

    score_only: bool = False
    samples: int | None = None
    models: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, str] = Secrets()

    @property
    def name(self) -> ReproductionScope:
        """The scope in the words of the signed statement; of two, the one that claims less."""
        if self.score_only:
            return "score-only"
        return "full" if self.samples is None else "samples"


class Reproduced(Struct, frozen=True):
    """What came of it: the new bundle, how the two compare, the signed statement, and what to type next.

    `beside` says whether the statement is among the original's attestations.
    """

    verdict: ReproductionVerdict
    bundle: Path | None
    agreement: Agreement | None = None
    statement: Path | None = None
    reason: str = ""
    hint: str = ""
    beside: bool = True


def reproduce(
    original: Original, settings: FetchSettings, edges: Edges, scope: Scope = Scope()
) -> Reproduced:
    """Launch the lock of `original` again under the reproducer's key, as far as `scope` says, and compare.

    The statement is put beside the original's attestations where that folder can be written, else into the
    home. Raises `CheckFailedError` or `TrustError` for an original that does not verify.
    """
    contents = original.contents
    if refused := _refusal(contents, scope):
        return refused
    try:
        launched = launch(_request(original, contents, settings, scope), edges)
    except (InfrastructureError, MalformedError) as error:
        return Reproduced("not-runnable", None, reason=error.in_words, hint=error.hint or "")
    edges.reporter.stage("comparing")
    again = load_contents(launched.bundle)
    if again.result.failure is not None and again.result.failure not in FINISHED_FAILURES:
        return Reproduced("not-runnable", launched.bundle, reason="; ".join(again.result.deviations))
    agreement = compare(contents, again, scope.samples)
    data = _statement(original, launched.bundle, agreement, edges, scope)
    statement = _keep(edges.home, original, launched.bundle, data)
    beside = statement.is_relative_to(original.path)
    if agreement is None:
        reason = f"it failed this time: {'; '.join(again.result.deviations)}"
        return Reproduced("diverged", launched.bundle, None, statement, reason, beside=beside)
    return Reproduced(agreement.verdict, launched.bundle, agreement, statement, beside=beside)


def _refusal(contents: Contents, scope: Scope) -> Reproduced | None:
    """Say why there is nothing that could be run and compared, if so."""
    if isinstance(contents.lock, ImportedLock):
        return Reproduced("not-runnable", None, reason=f"it was {contents.lock.imported.said}")
    if reason := beyond_this_version(contents):
        return Reproduced("not-runnable", None, reason=reason)
    if contents.result.status == "failed":
        return Reproduced("inconclusive", None, reason="the original has no score to compare with")
    if reason := _withheld(contents, scope):
        return Reproduced("not-runnable", None, reason=reason, hint=_ASK_FOR_THE_WHOLE)
    if contents.blueprint.sandbox.network == "egress" and not _joins_labels(contents, scope):
        reason = "it asked hosts outside, and what they answered is in no lock: it is not re-runnable"
        return Reproduced("not-runnable", None, reason=reason, hint=_ASK_AGAIN)
    if scope.score_only and contents.blueprint.score is None:
        return Reproduced("not-runnable", None, reason="it has no `[score]` to be run alone")
    return None


def _withheld(contents: Contents, scope: Scope) -> str:
    """Say what is withheld of a redacted bundle and would be needed; empty where nothing is."""
    redaction, pins = contents.result.redaction, pins_from(contents.lock.identity)
    if redaction is None:
        return ""
    if (scope.score_only or pins.predictions is not None) and "prediction-files" in redaction.withheld:
        return "its predictions are withheld, so they cannot be scored again"
    if pins.patch is not None and "artifacts" in redaction.withheld:
        return "the patch of the draft is among the artifacts, which are withheld"
    if scope.samples is not None and redaction.takes_samples:
        return "parts of its samples are withheld, so that its first ones have no figures of their own"
    return ""


def _joins_labels(contents: Contents, scope: Scope) -> bool:
    """Say whether nothing is run again but the join of labels, which asks nobody."""
    score = contents.blueprint.score
    return scope.score_only and score is not None and score.labels is not None


def _request(original: Original, contents: Contents, settings: FetchSettings, scope: Scope) -> LaunchRequest:
    """Return the launch of the original's lock, narrowed to `scope`."""
    blueprint, pins = contents.blueprint, pins_from(contents.lock.identity)
    choices = replace(choices_of(contents.lock, blueprint), models=scope.models)
    if pins.patch is not None:
        choices = replace(choices, patch=(original.path / names.DRAFT_PATCH).read_bytes())
    if scope.score_only or pins.predictions is not None:
        folder = original.path / names.PREDICTIONS
        folders = tuple(folder / str(replicate) for replicate in range(len(blueprint.run.seeds)))
        choices = replace(choices, predictions=folders)
        pins = replace(pins, predictions=pin_predictions(folders))
    if scope.samples is not None:
        limit = min(scope.samples, pins.limit or scope.samples)
        choices, pins = replace(choices, limit=limit), replace(pins, limit=limit)
    lock = make_lock(blueprint, pins)
    return LaunchRequest(
        blueprint, settings, lock, rerun=True, choices=choices, secrets=scope.secrets, purpose="reproduce"
    )


def _statement(
    original: Original, bundle: Path, agreement: Agreement | None, edges: Edges, scope: Scope
) -> bytes:
    """Return the sealed statement; without an `agreement` the run failed: nothing could be compared."""
    found = finding(agreement, whole=scope.samples is None)
    reproduction = Reproduction(
        original=original.verification.digest or "",
        reproduced=bundle_digest(bundle),
        lock=original.contents.lock.digest,
        verifier=Builder(LOCAL_BUILDER, {"evalctl-launcher": __version__}),
        evaluated_at=now(),
        verdict=found.verdict,
        metrics=found.metrics,
        samples=found.samples,
        environment=machine_kind(read_environment((bundle / names.ENVIRONMENT).read_bytes())),
        scope=scope.name,
    )
    return seal(reproduction_statement(reproduction), edges.signer)


def _keep(home: Home, original: Original, bundle: Path, data: bytes) -> Path:
    """Write the statement beside the original's own, else under `reproductions/` in the home."""
    beside = original.path / names.reproduction_attestation(bundle_digest(bundle))
    try:
        refuse_full(len(list(beside.parent.iterdir())) + 1)
        create_atomically(beside, data)
    except (InfrastructureError, CheckFailedError):
        digest = original.verification.digest or ""
        kept = make_private(home.root / "reproductions" / digest.removeprefix("sha256:")) / beside.name
        write_atomically(kept, data)
        return kept
    return beside
