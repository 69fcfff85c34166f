"""Attach what others signed about a bundle: co-signatures of it, statements of reproductions."""

from collections.abc import Mapping, Sequence
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

Kind = Literal["co-signature", "reproduction", "own"]


class Offered(Struct, frozen=True):
    """A file that somebody wants attached: what it is called where it is, and its bytes."""

    file: str
    data: bytes


class Attachment(Struct, frozen=True):
    """One file that belongs to the bundle: its name there, and who signed it.

    `kind` is `own` for one that its maker signed. `by` is what the policy calls the key, None where it does
    not know it; `is_new` is False where the same was there before.
    """

    file: str
    name: str
    kind: Kind
    signer: str
    by: str | None
    is_new: bool


class _Bundle(Struct, frozen=True):
    """The bundle's attestations, with those that were placed so far, and who judges them when.

    `signed` has the SHA-256 of the payload and the key of each, by path.
    """

    attested: Attested
    signed: Mapping[str, tuple[str, str]]
    policy: Policy
    now: datetime

    def with_file(self, name: str, data: bytes) -> "_Bundle":
        files = {**self.attested.files, name: data}
        signed = {**self.signed, name: _signed(open_envelope(data))}
        return replace(self, attested=replace(self.attested, files=files), signed=signed)


def attach(path: Path, offered: Sequence[Offered], policy: Policy, now: datetime) -> tuple[Attachment, ...]:
    """Put each of `offered` into the bundle under the name that follows from what it is; all of them or none.

    Signatures of keys that the policy knows must hold. Raises `CheckFailedError` for a file that is
    malformed, badly signed or about something else, and for a bundle that does not verify;
    `InfrastructureError` where the bundle's folder cannot be written.
    """
    digest = demand_whole(path, verify(path, policy, now), "to attach anything to")
    before = _read(path, policy, now)
    if before.attested.digest != digest:
        raise CheckFailedError(f"`{path}` changed while it was read", code="changed-file")
    bundle, found = before, []
    for offer in offered:
        try:
            attachment = _place(offer, bundle)
        except EvalctlError as error:
            raise _refused(offer, error) from error
        if attachment.is_new:
            bundle = bundle.with_file(attachment.name, offer.data)
        found.append((offer, attachment))
    refuse_full(bundle.attested.count)
    if _fault(bundle) is not None:
        raise _culprit(before, [(offer, one.name) for offer, one in found if one.is_new])
    files = bundle.attested.files
    add_files(path, {name: files[name] for name in files if name not in before.attested.files})
    return tuple(attachment for _, attachment in found)


def _read(path: Path, policy: Policy, now: datetime) -> _Bundle:
    attested = read_attested(path)
    signed = {
        name: _signed(open_envelope(data))
        for name, data in attested.files.items()
        if name not in (names.SUMS, names.LEDGER_PROOF)
    }
    return _Bundle(attested, signed, policy, now)


def _signed(envelope: Envelope) -> tuple[str, str]:
    return sha256_hex(envelope.payload), envelope.keyid


def _fault(bundle: _Bundle) -> CheckFailedError | None:
    """Return what `verify` would find wrong with the attestations, None where nothing is."""
    attested = bundle.attested
    report = check_attestations(attested.digests, attested.files, bundle.policy, bundle.now)
    if report.verdict != "failed":
        return None
    wrong = next(check for check in report.checks if check.status == "failed")
    return CheckFailedError(wrong.detail, code="bad-attestation")


def _culprit(before: _Bundle, added: Sequence[tuple[Offered, str]]) -> CheckFailedError:
    """Return the error that names the first file with which the bundle would not verify."""
    bundle = before
    for offer, name in added:
        bundle = bundle.with_file(name, offer.data)
        if (fault := _fault(bundle)) is not None:
            return _refused(offer, fault)
    return CheckFailedError("the files cannot stand together", code="bad-attestation")


def _place(offer: Offered, bundle: _Bundle) -> Attachment:
    """Find out what a file is, and so what it is called in the bundle."""
    envelope = open_envelope(offer.data)
    key = bundle.policy.key_for(envelope.keyid)
    if key is not None:
        verify_envelope(envelope, key.public)
    payload, _ = own = _signed(envelope)
    same = [name for name, (other, _) in bundle.signed.items() if other == payload]
    present = next((name for name in same if bundle.signed[name] == own), None)
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
    by = key.name if key else None
    return Attachment(offer.file, name, _kind(name), envelope.keyid, by, is_new=present is None)


def _kind(name: str) -> Kind:
    if names.split_co_signature(name):
        return "co-signature"
    return "own" if name in names.REQUIRED_ATTESTATIONS else "reproduction"


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
