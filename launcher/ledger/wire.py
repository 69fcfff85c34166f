"""Entries as most of them stand in a ledger, read and written at once by typed decoders.

Only what is plain ASCII without escapes is taken here: for that msgspec's bytes in the order of the keys are
RFC 8785's. Whatever is not taken is for the reader that says what is wrong with it; nothing is taken here
that it refuses.
"""

import re
from functools import lru_cache
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta, Struct

from launcher.ledger.tiles import MAX_SIZE
from launcher.spec import fields
from launcher.spec.grammars import BLUEPRINT_NAME, VERSION
from launcher.spec.predicates import Failure, Mark, Verdict
from launcher.trust.keys import is_fingerprint

ENTRY_TYPE: Final = "https://w3id.org/evalctl-launcher/ledger-entry/v1"

Type = Literal["https://w3id.org/evalctl-launcher/ledger-entry/v1"]
Purpose = Literal["launch", "reproduce"]
Status = Literal["succeeded", "failed", "interrupted"]
INVOCATION: Final = r"[A-Za-z0-9][A-Za-z0-9._:-]{0,127}"

_Text = Annotated[str, Meta(max_length=fields.MAX_TEXT)]
_Texts = Annotated[tuple[_Text, ...], Meta(max_length=fields.MAX_ITEMS)]
_Metrics = Annotated[dict[_Text, _Texts], Meta(max_length=fields.MAX_ITEMS)]
_Positive = Annotated[int, Meta(ge=1, lt=MAX_SIZE)]
_Index = Annotated[int, Meta(ge=0, lt=MAX_SIZE)]

# What differs from entry to entry is matched at once, a line for each: no text of an entry holds a line feed.
_HEX: Final = "[0-9a-f]{64}"
_ATTEMPT = re.compile(f"sha256:{_HEX}\n{INVOCATION}\n{fields.TIME}", re.ASCII)
_OUTCOME = re.compile(f"{_HEX}\n(?:sha256:{_HEX})?\n{fields.TIME}", re.ASCII)
_SUITE = re.compile(f"(?:{BLUEPRINT_NAME})\n(?:{VERSION})", re.ASCII)
_DATA = re.compile(_HEX, re.ASCII)


class WireSuite(Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    """The blueprint of an attempt."""

    name: _Text
    version: _Text


class WireAttempt(
    Struct, frozen=True, forbid_unknown_fields=True, gc=False, omit_defaults=True, kw_only=True
):
    """An attempt; the fields stand in the order of their keys, which is that of the bytes."""

    attempt: _Positive
    blueprint: WireSuite
    data: _Texts
    invocationId: str  # noqa: N815 - the key in the entry
    kind: Literal["attempt"]
    lock: str
    marks: tuple[Mark, ...] = ()
    metrics: _Metrics
    position: _Positive
    purpose: Purpose
    signer: _Text
    time: str
    type: Type


class WirePlace(Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    """How an outcome names its attempt."""

    index: _Index
    sha256: str


class WireOutcome(
    Struct, frozen=True, forbid_unknown_fields=True, gc=False, omit_defaults=True, kw_only=True
):
    """An outcome; the fields stand in the order of their keys."""

    attempt: WirePlace
    bundle: str | None
    failure: Failure | None
    kind: Literal["outcome"]
    marks: tuple[Mark, ...] = ()
    status: Status
    time: str
    type: Type
    verdict: Verdict


Wire = WireAttempt | WireOutcome

_ENCODER: Final = msgspec.json.Encoder(order="deterministic")
_ATTEMPTS: Final = msgspec.json.Decoder(WireAttempt)
_OUTCOMES: Final = msgspec.json.Decoder(WireOutcome)


def read_wire(data: bytes) -> Wire | None:
    """Return the entry that these bytes are the one spelling of; None where another reader must look."""
    if not _is_plain(data):
        return None
    decoder = _OUTCOMES if data.startswith(b'{"attempt":{') else _ATTEMPTS
    try:
        wire: Wire = decoder.decode(data)
    except (msgspec.MsgspecError, RecursionError):
        return None
    return wire if _ENCODER.encode(wire) == data and _is_sound(wire) else None


def wire_bytes(wire: Wire) -> bytes | None:
    """Return the canonical bytes of an entry; None where only the canonical writer knows them."""
    data = _ENCODER.encode(wire)
    return data if _is_plain(data) else None


def _is_plain(data: bytes) -> bool:
    return data.isascii() and b"\\" not in data


def _is_sound(wire: Wire) -> bool:
    """Say whether what a type cannot say of an entry holds, too."""
    if len(set(wire.marks)) != len(wire.marks) or not _is_time(wire.time):
        return False
    if isinstance(wire, WireAttempt):
        suite = wire.blueprint
        matched = _ATTEMPT.fullmatch(f"{wire.lock}\n{wire.invocationId}\n{wire.time}")
        return bool(matched) and _is_usual(suite.name, suite.version, wire.data, wire.signer)
    if (wire.status == "interrupted") != (wire.bundle is None) or wire.bundle == "":
        return False
    matched = _OUTCOME.fullmatch(f"{wire.attempt.sha256}\n{wire.bundle or ''}\n{wire.time}")
    return bool(matched) and not (wire.status == "succeeded" and wire.failure)


def _is_time(text: str) -> bool:
    try:
        return bool(fields.instant(text))
    except ValueError:
        return False


@lru_cache(maxsize=1024)
def _is_usual(name: str, version: str, data: tuple[str, ...], signer: str) -> bool:
    """Say whether what many attempts share is sound."""
    if not _SUITE.fullmatch(f"{name}\n{version}") or not is_fingerprint(signer):
        return False
    return data == tuple(sorted(set(data))) and all(map(_DATA.fullmatch, data))
