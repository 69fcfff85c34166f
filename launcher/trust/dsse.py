"""DSSE: a signature over typed bytes, and a payload that is parsed only once it holds.

https://github.com/secure-systems-lab/dsse/blob/master/protocol.md, narrowed: one signature, the payload an
in-toto statement as RFC 8785 bytes of float-free JSON with ASCII keys. The `keyid` decides nothing: it only
picks which trusted key to try.
"""

from typing import Any, Final

from msgspec import Struct

from launcher.canonical import canonical_bytes, count_values, parse_json
from launcher.errors import CheckFailedError, EvalctlError
from launcher.trust.keys import PublicKey

PAYLOAD_TYPE: Final = "application/vnd.in-toto+json"
# A thousand subjects, and a few thousand claims with all their fields.
_MAX_VALUES: Final = 200_000


class Envelope(Struct, frozen=True):
    """A DSSE envelope with its one signature; nothing in it is true before `verify_envelope`.

    `timestamp` is the RFC 3161 response over the signature that came with it.
    """

    keyid: str
    payload_type: str
    payload: bytes
    signature: bytes
    timestamp: bytes | None = None


def pae(payload_type: str, payload: bytes) -> bytes:
    """Return the pre-authentication encoding: the very bytes that are signed."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


def verify_envelope(envelope: Envelope, key: PublicKey) -> dict[str, Any]:
    """Return the statement in `envelope` if `key` signed it.

    Raises `CheckFailedError` where the key, the type, the signature or the payload's form does not hold.
    """
    if envelope.keyid != key.fingerprint:
        raise _failed("the envelope names another key", "wrong-key", f"expected {key.fingerprint}")
    if envelope.payload_type != PAYLOAD_TYPE:
        raise _failed("the payload is not an in-toto statement", "payload-type", f"expected `{PAYLOAD_TYPE}`")
    if not key.is_signature_of(pae(envelope.payload_type, envelope.payload), envelope.signature):
        raise _failed(f"the signature of {key.fingerprint} does not hold", "bad-signature")
    return parse_payload(envelope.payload)


def statement_bytes(statement: dict[str, Any]) -> bytes:
    """Return the payload for `statement`; raises an `EvalctlError` for what the profile cannot carry."""
    _refuse_ambiguous(statement)
    return canonical_bytes(statement)


def parse_payload(payload: bytes) -> dict[str, Any]:
    """Return what a payload states, strictly; whether anybody signed it is another question."""
    if count_values(payload) > _MAX_VALUES:
        raise _failed(f"the signed payload holds more than {_MAX_VALUES} values", "bad-payload")
    try:
        value = parse_json(payload, what="the signed payload")
        if not isinstance(value, dict):
            raise _failed("the signed payload is not a JSON object", "bad-payload")
        if statement_bytes(value) != payload:
            raise _failed("the signed payload is not in canonical form (RFC 8785)", "bad-payload")
    except CheckFailedError:
        raise
    except EvalctlError as error:
        raise _failed(error.message, "bad-payload") from error
    return value


def _refuse_ambiguous(value: Any) -> None:
    """Refuse what JSON writers disagree on: floats, and the order of keys that are not ASCII."""
    if isinstance(value, float):
        raise _failed("a signed payload holds a float", "bad-payload", "numbers are decimal strings")
    if isinstance(value, dict):
        for key, item in value.items():
            if not key.isascii():
                raise _failed("a signed payload holds a key that is not ASCII", "bad-payload")
            _refuse_ambiguous(item)
    elif isinstance(value, list | tuple):
        for item in value:
            _refuse_ambiguous(item)


def _failed(message: str, code: str, context: str | None = None) -> CheckFailedError:
    return CheckFailedError(message, code=code, context=context)
