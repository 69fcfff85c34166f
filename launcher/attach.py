"""Attach what others signed about a bundle: co-signatures of it, statements of reproductions."""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from launcher.digest import sha256_hex
from launcher.errors import CheckFailedError, EvalctlError
from launcher.spec import bundle as names
from launcher.spec.predicates import REPRODUCTION_TYPE
from launcher.spec.reproduction import Reproduction
from launcher.spec.statement import Statement
from launcher.store.attested import Attested, add_files, read_attested, refuse_full
from launcher.trust.attestations import check_attestations
from launcher.trust.dsse import Envelope, parse_payload, verify_envelope
from launcher.trust.evidence import base_of
from launcher.trust.keys import fingerprint_hex
from launcher.trust.policy import Policy
from launcher.trust.sigstore import open_envelope
from launcher.verify import verify
from launcher.verify.demand import demand_whole


class Offered(Struct, frozen=True):
    """A file that somebody wants attached: what it is called where it is, and its bytes."""

    file: str
    data: bytes


class Attachment(Struct, frozen=True):
    """One file that belongs to the bundle: its name there, and who signed it.

    `by` is what the policy calls the key, None where it does not know it; `is_new` is False where the same
    was there before.
    """

    file: str
    name: str
    kind: Literal["co-signature", "reproduction"]
    signer: str
    by: str | None
    is_new: bool


class _Bundle(Struct, frozen=True):
    """The bundle's attestations, with those that were placed so far, and who judges them when."""

    attested: Attested
    policy: Policy
    now: datetime

    def with_file(self, name: str, data: bytes) -> "_Bundle":
        files = {**self.attested.files, name: data}
        return replace(self, attested=replace(self.attested, files=files))


def attach(path: Path, offered: Sequence[Offered], policy: Policy, now: datetime) -> tuple[Attachment, ...]:
    """Put each of `offered` into the bundle under the name that follows from what it is; all of them or none.

    Signatures of keys that the policy knows must hold. Raises `CheckFailedError` for a file that is
    malformed, badly signed or about something else, and for a bundle that does not verify;
    `InfrastructureError` where the bundle's folder cannot be written.
    """
    digest = demand_whole(path, verify(path, policy, now), "to attach anything to")
    before = read_attested(path)
    if before.digest != digest:
        raise CheckFailedError(f"`{path}` changed while it was read", code="changed-file")
    bundle, found = _Bundle(before, policy, now), []
    for offer in offered:
        try:
            attachment = _place(offer, bundle)
            if attachment.is_new:
                bundle = _grown(bundle, attachment.name, offer.data)
        except EvalctlError as error:
            raise _refused(offer, error) from error
        found.append(attachment)
    new = {name: data for name, data in bundle.attested.files.items() if name not in before.files}
    add_files(path, new)
    return tuple(found)


def _grown(bundle: _Bundle, name: str, data: bytes) -> _Bundle:
    """Return the bundle with one attestation more; raises `CheckFailedError` where it would break."""
    refuse_full(bundle.attested.count + 1)
    grown = bundle.with_file(name, data)
    attested = grown.attested
    report = check_attestations(attested.digests, attested.files, grown.policy, grown.now)
    if report.verdict == "failed":
        wrong = next(check for check in report.checks if check.status == "failed")
        raise CheckFailedError(wrong.detail, code="bad-attestation")
    return grown


def _place(offer: Offered, bundle: _Bundle) -> Attachment:
    """Find out what a file is, and so what it is called in the bundle."""
    envelope = open_envelope(offer.data)
    key = bundle.policy.key_for(envelope.keyid)
    if key is not None:
        verify_envelope(envelope, key.public)
    there = {
        name: open_envelope(data)
        for name, data in bundle.attested.files.items()
        if name not in (names.SUMS, names.LEDGER_PROOF)
    }
    same = [name for name, other in there.items() if other.payload == envelope.payload]
    present = next((name for name in same if there[name].keyid == envelope.keyid), None)
    if present is not None and key is None and bundle.attested.files[present] != offer.data:
        raise CheckFailedError(
            f"`{present}` is another signature of the same key, and only one can be kept",
            code="bad-attestation",
            hint="add that key with `evalctl trust add NAME.pub`: then it shows which of them holds",
        )
    if present is not None:
        name = present
    elif same:
        name = names.co_signature(base_of(same[0]), fingerprint_hex(envelope.keyid))
    else:
        name = _name_of_reproduction(offer, envelope, bundle.attested)
    return Attachment(
        file=offer.file,
        name=name,
        kind="co-signature"
        if names.split_co_signature(name) or not _is_reproduction(name)
        else "reproduction",
        signer=envelope.keyid,
        by=key.name if key else None,
        is_new=present is None,
    )


def _is_reproduction(name: str) -> bool:
    return base_of(name) not in names.REQUIRED_ATTESTATIONS


def _name_of_reproduction(offer: Offered, envelope: Envelope, attested: Attested) -> str:
    """Return the name of a statement that nobody made before; raises for what is no reproduction.

    Where the key is not known nobody vouches for what is read here, and only the name is taken from it.
    """
    statement = Statement.from_json(parse_payload(envelope.payload))
    if statement.predicate_type != REPRODUCTION_TYPE:
        raise CheckFailedError(
            "it signs other bytes than the attestations of this bundle",
            code="other-bundle",
            context=f"it holds `{statement.predicate_type}`",
        )
    if statement.subjects != ((names.SUMS, attested.digests[names.SUMS]),):
        raise CheckFailedError("it is about another bundle", code="other-bundle")
    reproduced = Reproduction.from_json(statement.predicate).reproduced
    name = names.reproduction_attestation(reproduced)
    if name not in attested.files:
        return name
    # Somebody else, or the same key at another time, said something of the same outcome.
    return names.reproduction_attestation(f"{reproduced}-{sha256_hex(offer.data)[:16]}")


def _refused(offer: Offered, error: EvalctlError) -> CheckFailedError:
    return CheckFailedError(
        f"`{offer.file}` cannot be attached: {error.message}",
        code=error.code,
        context=error.context,
        hint=error.hint or "ask whoever made it for the file as evalctl wrote it",
    )
