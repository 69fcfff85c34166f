"""Co-sign a bundle: another key signs the byte-identical payloads of its attestations, after verifying it."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from launcher.errors import CheckFailedError, EvalctlError, InfrastructureError, MalformedError
from launcher.spec import bundle as names
from launcher.spec.redaction import Redaction
from launcher.spec.reproduction import Reproduction
from launcher.spec.statement import Statement
from launcher.store.attested import Attested, add_files, read_attested, refuse_full
from launcher.trust.attestations import AttestationReport, check_attestations
from launcher.trust.dsse import Envelope, parse_payload, verify_envelope
from launcher.trust.keys import Signer
from launcher.trust.policy import Policy
from launcher.trust.sigstore import open_envelope, seal_payload
from launcher.verify import verify
from launcher.verify.demand import demand_verified

SignedRole = Literal["result", "lock", "reproduction"]
# The rule for results is asked about two attestations.
_OF_ROLE: Mapping[str, tuple[str, ...]] = {
    "result": (names.PROVENANCE_ATTESTATION, names.RESULT_ATTESTATION),
    "lock": (names.LOCK_ATTESTATION,),
}


class CoSignature(Struct, frozen=True):
    """What came of co-signing one bundle: names inside it, and where the new files are.

    `present` had the signature of this key before; `own` are the attestations that the key made itself.
    `refusals` say for which of the roles the policy does not count the key, and why; `redaction` what of the
    bundle is withheld.
    """

    digest: str
    written: tuple[Path, ...]
    present: tuple[str, ...] = ()
    own: tuple[str, ...] = ()
    refusals: tuple[str, ...] = ()
    redaction: Redaction | None = None


class CoSigning(Struct, frozen=True):
    """Which bundle to co-sign for which roles, and who judges it first; `out` takes the files instead.

    `outcomes` are the bundles, by digest, that reproductions ran: each must bear out what is stated of it,
    and then only their statements are co-signed.
    """

    path: Path
    policy: Policy
    roles: tuple[SignedRole, ...] = ("result", "lock")
    out: Path | None = None
    outcomes: Mapping[str, Path] = {}


def cosign(request: CoSigning, signer: Signer, now: datetime) -> CoSignature:
    """Verify the bundle and sign the payloads of its attestations with one more key.

    One accepted signer of each is enough: that the policy asks for more is why somebody co-signs. Raises
    `CheckFailedError` or `TrustError` for a bundle that does not stand, or holds no reproduction where one is
    to be signed; `InfrastructureError` where its folder cannot be written.
    """
    attested, report, redaction = _read_verified(request, now)
    bases = [path for role in request.roles for path in _OF_ROLE.get(role, ())]
    if "reproduction" in request.roles:
        bases += _reproductions(request, attested, report)
    own = tuple(path for path in bases if _envelope(attested, path).keyid == signer.public.fingerprint)
    if len(own) == len(bases):
        raise MalformedError(
            f"the key {signer.public.fingerprint} signed {_what(request)} itself: a second time says no more",
            code="own-bundle",
            hint="have somebody else co-sign it, or name another key with `--key`",
        )
    places = {names.co_signature(path, signer.public.key_hex): path for path in bases if path not in own}
    present = tuple(place for place in places if _is_present(attested, place, places[place], signer))
    missing = {place: path for place, path in places.items() if place not in present}
    sealed = {
        place: seal_payload(_envelope(attested, path).payload, signer) for place, path in missing.items()
    }
    fingerprint = signer.public.fingerprint
    found = (request.policy.objection(role, fingerprint, now) for role in request.roles)
    refusals = tuple(dict.fromkeys(filter(None, found)))
    return CoSignature(attested.digest, _write(request, attested, sealed), present, own, refusals, redaction)


def _what(request: CoSigning) -> str:
    part = "the reproduction in " if request.roles == ("reproduction",) else ""
    return f"{part}`{request.path}`"


def _read_verified(request: CoSigning, now: datetime) -> tuple[Attested, AttestationReport, Redaction | None]:
    """Return the very attestations that were verified, of a bundle that verifies whole, and its redaction."""
    policy = _asking_for_one(request.policy)
    demand = verify(request.path, policy, now)
    if request.outcomes:
        from launcher.verify.outcomes import with_outcomes

        demand = with_outcomes(demand, request.outcomes, policy, now)
    contents = demand_verified(request.path, demand, "to co-sign")
    attested = read_attested(request.path)
    report = check_attestations(attested.digests, attested.files, policy, now)
    # Of a redacted bundle those of the original were verified as well.
    same = attested.digest == demand.digest and all(
        item in demand.reproductions for item in report.reproductions
    )
    if not same or report.verdict != "verified":
        raise CheckFailedError(f"`{request.path}` changed while it was read", code="changed-file")
    return attested, report, contents.result.redaction


def _reproductions(request: CoSigning, attested: Attested, report: AttestationReport) -> Sequence[str]:
    """Return the paths of the statements that the policy accepts from whoever made them."""
    accepted = [
        f"{names.ATTESTATIONS}/{check.name}.sigstore.json" for check in report.checks if check.status == "ok"
    ]
    found = [path for path in accepted if path in attested.files and path not in names.REQUIRED_ATTESTATIONS]
    if request.outcomes:
        found = [path for path in found if _reproduced(attested, path) in request.outcomes]
    if found:
        return found
    raise CheckFailedError(
        f"`{request.path}` holds no reproduction that could be co-signed",
        code="no-reproduction",
        context="none that counts names those bundles"
        if request.outcomes
        else "none that the policy accepts",
        hint=f"`evalctl reproduce {request.path}` makes one, and `evalctl attach` brings in another's",
    )


def _reproduced(attested: Attested, path: str) -> str:
    statement = Statement.from_json(parse_payload(_envelope(attested, path).payload))
    return Reproduction.from_json(statement.predicate).reproduced


def _asking_for_one(policy: Policy) -> Policy:
    return replace(policy, rules={role: replace(rule, threshold=1) for role, rule in policy.rules.items()})


def _envelope(attested: Attested, path: str) -> Envelope:
    return open_envelope(attested.files[path])


def _is_present(attested: Attested, place: str, path: str, signer: Signer) -> bool:
    """Say whether this key's signature is there already; what only bears its name is refused."""
    if place not in attested.files:
        return False
    try:
        envelope = _envelope(attested, place)
        verify_envelope(envelope, signer.public)
    except EvalctlError as error:
        raise _forged(place, error.message) from error
    if envelope.payload != _envelope(attested, path).payload:
        raise _forged(place, "it is about other bytes")
    return True


def _forged(place: str, reason: str) -> CheckFailedError:
    return CheckFailedError(
        f"the bundle holds `{place}`, which is not what it says",
        code="bad-signature",
        context=reason,
        hint="take it out, and ask whoever gave you the bundle about it",
    )


def _write(request: CoSigning, attested: Attested, sealed: Mapping[str, bytes]) -> tuple[Path, ...]:
    if request.out is not None:
        return _write_elsewhere(request.out, request.path, sealed)
    refuse_full(attested.count + len(sealed))
    try:
        add_files(request.path, sealed)
    except InfrastructureError as error:
        raise InfrastructureError(
            f"cannot put the co-signatures into `{request.path}`",
            code=error.code,
            context=error.context,
            hint="write them elsewhere with `--out DIR`, for whoever keeps the bundle to attach",
        ) from error
    return tuple(request.path / place for place in sealed)


def _write_elsewhere(out: Path, bundle: Path, sealed: Mapping[str, bytes]) -> tuple[Path, ...]:
    files = {Path(place).name: data for place, data in sealed.items()}
    there = [name for name in files if (out / name).exists()]
    if out.resolve().is_relative_to(bundle.resolve()) or there:
        raise MalformedError(
            f"`{out / there[0]}` exists already" if there else f"`{out}` is inside the bundle",
            code="usage",
            hint="name another folder with `--out`",
        )
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InfrastructureError(
            f"cannot make the folder `{out}`", code="not-writable", context=error.strerror
        ) from error
    add_files(out, files)
    return tuple(out / name for name in files)
