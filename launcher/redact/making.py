"""Make the redacted bundle: choose what is given out, write it, sign it, and look at it once more."""

from datetime import datetime
from pathlib import Path
from typing import Any

from msgspec import Struct

from launcher.errors import CheckFailedError, MalformedError
from launcher.metrics.contributions import what_stays
from launcher.redact.exposure import Exposure, exposure_of
from launcher.redact.search import refuse_found, telling_texts
from launcher.redact.signing import sign
from launcher.redact.source import Source
from launcher.redact.writing import write_files
from launcher.runs.events import now as text_now
from launcher.spec import bundle
from launcher.spec.disclosure import Choice
from launcher.spec.redaction import Redaction
from launcher.store.attested import put_file
from launcher.store.bundles import bundle_digest, publish
from launcher.store.directory import walk
from launcher.store.home import Home
from launcher.store.redaction_keys import read_redaction_key
from launcher.store.redactions import record_redaction
from launcher.store.staging import staged
from launcher.trust.keys import Signer
from launcher.trust.policy import Policy
from launcher.verify import Verification, verify
from launcher.verify.demand import demand_verified


class Redactor(Struct, frozen=True):
    """Who redacts, in which home, under which policy, and when."""

    home: Home
    signer: Signer
    policy: Policy
    now: datetime


class Redacted(Struct, frozen=True):
    """Where the new bundle is in the store, what it withholds, and what that gives away all the same.

    `left` says in words what stays of each sample. There is no `exposure` of what was withheld before.
    """

    path: Path
    redaction: Redaction
    left: tuple[str, ...]
    exposure: Exposure | None


def redact(path: Path, choice: Choice, redactor: Redactor) -> Redacted:
    """Make a bundle of the one at `path` that withholds `choice`.

    Raises `CheckFailedError` for a bundle that does not verify or may not be redacted, `TrustError` for one
    by strangers, `InfrastructureError` where the home has no key for it, `MalformedError` for unknown ids.
    """
    source = _source(path, redactor)
    _refuse_unknown(choice, source)
    with staged(redactor.home) as staging:
        with walk(path) as inventory:
            redaction = write_files(inventory, staging, source, choice)
            sign(inventory, staging, redactor.signer)
        told = "event-details" not in redaction.withheld
        refuse_found(staging, _secrets(source, choice), choice.ids, events=told)
        _refuse_unverified(verify(staging, redactor.policy, redactor.now))
        record_redaction(redactor.home, bundle_digest(staging), _facts(source, redaction, redactor))
        place = publish(redactor.home, staging)
        if staging.exists():
            _bring_attestations(staging, place)
        left = what_stays(source.contents.blueprint.metrics) if redaction.takes_samples else ()
        return Redacted(place, redaction, left, _exposure(source, choice))


def _bring_attestations(staging: Path, place: Path) -> None:
    """Bring what was attached to the original since into the same redaction that was made before."""
    for new in sorted((staging / bundle.ATTESTATIONS).iterdir()):
        name, data = f"{bundle.ATTESTATIONS}/{new.name}", new.read_bytes()
        old = place / name
        is_new = bundle.is_original_attestation(name) and not (old.is_file() and old.read_bytes() == data)
        if is_new and bundle.from_original(name) not in bundle.REQUIRED_ATTESTATIONS:
            put_file(place, name, data)


def _exposure(source: Source, choice: Choice) -> Exposure | None:
    """Return what is exposed of an original's samples; of withheld ones nobody here knows."""
    if source.redaction is not None and source.redaction.takes_samples:
        return None
    read = source.contents.source.blocks
    return exposure_of(source.contents.blueprint.metrics, choice, read(), read())


def _facts(source: Source, redaction: Redaction, redactor: Redactor) -> dict[str, Any]:
    """Return what `list` says of the new bundle."""
    result = source.contents.result
    return {
        "lock": result.lock,
        "attempt": result.attempt,
        "name": result.blueprint.name,
        "signer": redactor.signer.public.fingerprint,
        "began": text_now(),
        "outcome": result.status,
        "failure": result.failure,
        "verdict": result.verdict,
        "marks": list(result.marks),
        "redaction": redaction.as_json(),
    }


def _secrets(source: Source, choice: Choice) -> frozenset[str]:
    """Return the texts of the samples that are withheld whole and of no other's."""
    if not choice.ids:
        return frozenset()
    gone = (sample for sample in source.samples() if sample.id in choice.ids)
    return telling_texts(gone, (sample for sample in source.samples() if sample.id not in choice.ids))


def _source(path: Path, redactor: Redactor) -> Source:
    contents = demand_verified(path, verify(path, redactor.policy, redactor.now), "to redact")
    if not contents.blueprint.redactable:
        raise CheckFailedError(
            f"`{path}` is not redactable: nothing in it was committed to",
            code="not-redactable",
            hint="set `redactable = true` in `[bundle]` of its blueprint and launch again",
        )
    if contents.result.redaction is not None:
        return Source(path, contents, None)
    return Source(path, contents, read_redaction_key(redactor.home, contents.result.invocation_id))


def _refuse_unknown(choice: Choice, source: Source) -> None:
    unknown = set(choice.ids)
    for sample in source.samples() if unknown else ():
        unknown.discard(sample.id)
    for identifier in sorted(unknown):
        raise MalformedError(
            f"there is no sample `{identifier}` in the bundle",
            code="no-such-sample",
            context="some are withheld already" if source.redaction and source.redaction.samples else None,
            hint="`--samples` takes ids as samples.jsonl has them",
        )


def _refuse_unverified(verification: Verification) -> None:
    """Raise `CheckFailedError` rather than publish what would not verify."""
    broken = [
        check
        for check in verification.checks
        if check.status == "failed" and not check.name.startswith("trust:")
    ]
    if broken:
        raise CheckFailedError(
            "the redacted bundle would not verify, so there is none",
            code="not-verified",
            context="; ".join(f"{check.name}: {check.detail}" for check in broken[:3]),
        )
