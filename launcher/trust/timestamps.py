"""RFC 3161 timestamps: that a signature existed at a time, as an authority that the policy pins has signed.

https://www.rfc-editor.org/rfc/rfc3161. A token is over the SHA-256 of the signature's bytes, as in Sigstore
bundles. It is read and checked by the library of the extra `timestamps`; what that leaves open is here.
"""

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from launcher.errors import CheckFailedError, EvalctlError, MalformedError
from launcher.spec.units import time_text
from launcher.trust.checks import Check
from launcher.trust.keys import PublicKey, Signer

if TYPE_CHECKING:
    from cryptography.x509 import Certificate, Name
    from rfc3161_client.tsp import TimeStampResponse

MAX_TIMESTAMP_BYTES: Final = 16 << 10
_SHA256: Final = "2.16.840.1.101.3.4.2.1"
_MOST_CERTIFICATES: Final = 16
_PEM_END: Final = "-----END CERTIFICATE-----"


class Authority(Struct, frozen=True):
    """`[timestamps.NAME]`: whose word counts for the time; between `valid_from` and `valid_until` alone.

    `certificates` are PEM, one text each: its roots, and what lies between them and its tokens' signer where
    the tokens do not bring that along.
    """

    name: str
    certificates: tuple[str, ...]
    valid_from: datetime | None = None
    valid_until: datetime | None = None


@dataclass(frozen=True, slots=True)
class StampedSigner:
    """Signs as `signer` does; `stamp` then has the signature timestamped, None: that could not be had."""

    signer: Signer
    stamp: Callable[[bytes], bytes | None]

    @property
    def public(self) -> PublicKey:
        """Return the public half of the key that signs."""
        return self.signer.public

    def sign(self, data: bytes) -> bytes:
        """Return the signature over `data`."""
        return self.signer.sign(data)


def read_certificates(text: str) -> tuple[str, ...]:
    """Return the certificates of a PEM text, of which one at least must be a root.

    Raises `MalformedError`.
    """
    parts = [part.strip() + f"\n{_PEM_END}\n" for part in text.split(_PEM_END)[:-1]]
    if not 1 <= len(parts) <= _MOST_CERTIFICATES or text.rsplit(_PEM_END, maxsplit=1)[-1].strip():
        raise _malformed(f"expected 1 to {_MOST_CERTIFICATES} certificates in PEM, one after another")
    try:
        certificates = _load(parts)
    except ValueError as error:
        raise _malformed("this is not a certificate in PEM") from error
    if not any(certificate.issuer == certificate.subject for certificate in certificates):
        raise _malformed("none of the certificates is a root: a root names itself as its issuer")
    return tuple(parts)


def check_timestamp(
    name: str, token: bytes, signature: bytes, authorities: Mapping[str, Authority]
) -> tuple[Check, datetime | None]:
    """Check the token over `signature`; return how it stands, and the time that it proves, if any.

    Whatever bytes it is given, it raises nothing.
    """
    try:
        import rfc3161_client  # noqa: F401 - is the extra installed?
    except ImportError:
        return Check(name, "skipped", "not checked: the extra `timestamps` is not installed"), None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return _check(name, token, signature, authorities)
    except EvalctlError as error:
        return Check(name, "failed", error.in_words), None
    except Exception:  # noqa: BLE001 - whatever the library makes of hostile bytes
        return Check(name, "failed", "the timestamp is malformed"), None


def _check(
    name: str, token: bytes, signature: bytes, authorities: Mapping[str, Authority]
) -> tuple[Check, datetime | None]:
    time = stamped_time(token, signature)
    said = time.strftime("%Y-%m-%dT%H:%M:%SZ")
    if not authorities:
        detail = f"not checked: it says {said}, and the trust policy names no authority"
        return Check(name, "skipped", detail), None
    from rfc3161_client import decode_timestamp_response

    response = decode_timestamp_response(token)
    refusals = []
    for authority in authorities.values():
        pinned = _load(authority.certificates)
        if not _claims(response, pinned):
            continue
        if refusal := _refusal(response, signature, authority, time):
            refusals.append(refusal)
        else:
            return Check(name, "ok", f"{said}, says `{authority.name}`"), time
    if refusals:
        raise CheckFailedError(refusals[0], code="bad-timestamp")
    detail = f"not checked: it says {said}, by an authority that the trust policy does not name"
    return Check(name, "skipped", detail), None


def stamped_time(token: bytes, signature: bytes, nonce: int | None = None) -> datetime:
    """Return the time in a granted token that is about `signature`; who signed it is not looked at.

    Raises `CheckFailedError`, or whatever the library raises, where it is malformed or about something else.
    """
    from rfc3161_client import decode_timestamp_response

    response = decode_timestamp_response(token)
    if response.status != 0:
        raise _failed(f"the authority refused it: {'; '.join(response.status_string) or response.status}")
    info = response.tst_info
    imprint = info.message_imprint
    if imprint.hash_algorithm.dotted_string != _SHA256:
        raise _failed("the timestamp is not over a SHA-256 digest")
    if imprint.message != sha256(signature).digest():
        raise _failed("the timestamp is of another signature")
    if nonce is not None and info.nonce != nonce:
        raise _failed("the timestamp answers another request")
    return info.gen_time.astimezone(UTC)


def _refusal(
    response: "TimeStampResponse", signature: bytes, authority: Authority, time: datetime
) -> str | None:
    """Say why the token is not one by `authority`, or return None."""
    from rfc3161_client import VerificationError, VerifierBuilder

    pinned = _load(authority.certificates)
    signer = _signer(response, pinned)
    # What is named here is trusted: never a certificate that only the token brings.
    builder = VerifierBuilder(
        tsa_certificate=signer if signer in pinned else None,
        roots=[item for item in pinned if item.issuer == item.subject],
        intermediates=[item for item in pinned if item.issuer != item.subject],
    )
    try:
        builder.build().verify_message(response, signature)
    except (VerificationError, ValueError) as error:
        return f"the timestamp is none by `{authority.name}`: {error}"
    if authority.valid_from is not None and time < authority.valid_from:
        return f"`{authority.name}` does not count before {time_text(authority.valid_from)}"
    if authority.valid_until is not None and time >= authority.valid_until:
        return f"`{authority.name}` counted until {time_text(authority.valid_until)}"
    return None


def _claims(response: "TimeStampResponse", pinned: "list[Certificate]") -> bool:
    """Say whether the names in the token lead from its signer to a pinned root."""
    known = {item.subject for item in pinned if item.issuer == item.subject}
    issuers: dict[Name, Name] = {item.subject: item.issuer for item in [*_bag(response), *pinned]}
    name = _signer_id(response)[0]
    for _ in range(2 * _MOST_CERTIFICATES):
        if name in known:
            return True
        name = issuers.get(name, name)
    return False


def _signer(response: "TimeStampResponse", pinned: "list[Certificate]") -> "Certificate":
    """Return the one certificate that the token names as its signer's.

    A token may bring others, for their extensions to be looked at in place of the signer's.
    """
    wanted = _signer_id(response)
    found = {item for item in [*_bag(response), *pinned] if (item.issuer, item.serial_number) == wanted}
    if len(found) != 1:
        raise _failed(f"{len(found) or 'no'} certificates are the signer's of the timestamp")
    return found.pop()


def _signer_id(response: "TimeStampResponse") -> "tuple[Name, int]":
    infos = response.signed_data.signer_infos
    if len(infos) != 1:
        raise _failed(f"the timestamp has {len(infos)} signers")
    info = infos.pop()
    return info.issuer, info.serial_number


def _bag(response: "TimeStampResponse") -> "list[Certificate]":
    from cryptography.x509 import load_der_x509_certificate

    bag = response.signed_data.certificates
    if len(bag) > _MOST_CERTIFICATES:
        raise _failed(f"the timestamp brings {len(bag)} certificates")
    return [load_der_x509_certificate(data) for data in bag]


def _load(certificates: "tuple[str, ...] | list[str]") -> "list[Certificate]":
    from cryptography.x509 import load_pem_x509_certificate

    return [load_pem_x509_certificate(text.encode()) for text in certificates]


def _failed(message: str) -> CheckFailedError:
    return CheckFailedError(message, code="bad-timestamp")


def _malformed(message: str) -> MalformedError:
    return MalformedError(message, code="malformed-policy")
