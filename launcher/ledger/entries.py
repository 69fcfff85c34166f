"""What stands in the ledger: an attempt before it begins, and its outcome when it is over.

Each class writes and reads exactly one JSON shape (RFC 8785), see `docs/predicates/ledger-entry.md`.
An entry tells nothing of the person or the machine but the fingerprint of the key that signs.
"""

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final, Literal, Self

from msgspec import Struct, field

from launcher.canonical import canonical_bytes, parse_json
from launcher.digest import sha256_hex
from launcher.errors import CheckFailedError, EvalctlError, InfrastructureError
from launcher.ledger.tiles import MAX_ENTRY_BYTES, MAX_SIZE
from launcher.ledger.wire import (
    ENTRY_TYPE,
    INVOCATION,
    Purpose,
    Status,
    WireAttempt,
    WireOutcome,
    WirePlace,
    WireSuite,
    read_wire,
    wire_bytes,
)
from launcher.spec import fields
from launcher.spec.grammars import BLUEPRINT_NAME, VERSION
from launcher.spec.predicates import Failure, Mark, Suite, Verdict, read_marks
from launcher.trust.keys import is_fingerprint

_INVOCATION = re.compile(INVOCATION, re.ASCII)
_SHA256 = re.compile(r"[0-9a-f]{64}", re.ASCII)
_NAME = re.compile(BLUEPRINT_NAME, re.ASCII)
_VERSION = re.compile(VERSION, re.ASCII)
_MAX_DEPTH: Final = 6


class Attempt(Struct, frozen=True, gc=False):
    """One attempt, as it is recorded before anything of it runs.

    `attempt` counts the attempts at the lock, `position` those that this ledger counts together with it: by
    the same signer, of the same blueprint, over the same data and for the same metric. `data` are the SHA-256
    in hex of its inputs, sorted; `metrics` maps each definition to the names under which it is computed.
    """

    lock: str
    suite: Suite
    data: tuple[str, ...]
    metrics: Mapping[str, tuple[str, ...]]
    attempt: int
    position: int
    invocation_id: str
    time: str
    signer: str
    purpose: Purpose = "launch"
    marks: tuple[Mark, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Return the entry; `marks` are in it where there are any."""
        marks = {"marks": list(self.marks)} if self.marks else {}
        return {
            **marks,
            "type": ENTRY_TYPE,
            "kind": "attempt",
            "lock": self.lock,
            "blueprint": self.suite.as_json(),
            "data": list(self.data),
            "metrics": {definition: list(names) for definition, names in self.metrics.items()},
            "attempt": self.attempt,
            "position": self.position,
            "invocationId": self.invocation_id,
            "time": self.time,
            "signer": self.signer,
            "purpose": self.purpose,
        }

    @classmethod
    def from_json(cls, value: Any) -> Self:
        """Read the entry."""
        keys = "type kind lock blueprint data metrics attempt position invocationId time signer purpose"
        table = _table(value, "attempt", keys, optional="marks")
        data = tuple(fields.text(item, "data", _SHA256) for item in fields.array(table["data"], "data"))
        suite = Suite.from_json(table["blueprint"])
        if not _NAME.fullmatch(suite.name) or not _VERSION.fullmatch(suite.version):
            raise fields.bad("the blueprint's name and version are none that a blueprint has")
        signer = fields.text(table["signer"], "signer")
        if data != tuple(sorted(set(data))) or not is_fingerprint(signer):
            raise fields.bad("`data` is not sorted, or `signer` is no fingerprint")
        return cls(
            lock=fields.digest(table["lock"], "lock"),
            suite=suite,
            data=data,
            metrics=_metrics(table["metrics"]),
            attempt=_whole(table["attempt"], "attempt", 1),
            position=_whole(table["position"], "position", 1),
            invocation_id=fields.text(table["invocationId"], "invocationId", _INVOCATION),
            time=fields.time(table["time"], "time"),
            signer=signer,
            purpose=fields.one_of(table["purpose"], "purpose", Purpose),
            marks=read_marks(table),
        )

    @property
    def sha256(self) -> str:
        """Return the SHA-256 in hex of the entry's bytes, by which an outcome names it."""
        return sha256_hex(_bytes_of(self))

    @property
    def wire(self) -> WireAttempt:
        """Return the entry as the typed encoder writes it."""
        return WireAttempt(
            attempt=self.attempt,
            blueprint=WireSuite(self.suite.name, self.suite.version),
            data=self.data,
            invocationId=self.invocation_id,
            kind="attempt",
            lock=self.lock,
            marks=self.marks,
            metrics=dict(self.metrics),
            position=self.position,
            purpose=self.purpose,
            signer=self.signer,
            time=self.time,
            type=ENTRY_TYPE,
        )


class Outcome(Struct, frozen=True, gc=False):
    """What became of the attempt at `index`, whose bytes have the digest `of`; recorded once.

    `interrupted`: no bundle says how it ended. The other statuses, failure and verdict are the bundle's.
    """

    index: int
    of: str
    time: str
    status: Status
    failure: Failure | None = None
    verdict: Verdict = "none"
    bundle: str | None = None
    marks: tuple[Mark, ...] = field(default=())

    def as_json(self) -> dict[str, Any]:
        """Return the entry; `marks` are in it where there are any."""
        marks = {"marks": list(self.marks)} if self.marks else {}
        return {
            **marks,
            "type": ENTRY_TYPE,
            "kind": "outcome",
            "attempt": {"index": self.index, "sha256": self.of},
            "time": self.time,
            "status": self.status,
            "failure": self.failure,
            "verdict": self.verdict,
            "bundle": self.bundle,
        }

    @classmethod
    def from_json(cls, value: Any) -> Self:
        """Read the entry."""
        keys = "type kind attempt time status failure verdict bundle"
        table = _table(value, "outcome", keys, optional="marks")
        attempt = fields.table(table["attempt"], "the outcome's attempt", "index sha256")
        outcome = cls(
            index=_whole(attempt["index"], "index", 0),
            of=fields.text(attempt["sha256"], "sha256", _SHA256),
            time=fields.time(table["time"], "time"),
            status=fields.one_of(table["status"], "status", Status),
            failure=fields.one_of(table["failure"], "failure", Literal[Failure, None]),
            verdict=fields.one_of(table["verdict"], "verdict", Verdict),
            bundle=None if table["bundle"] is None else fields.digest(table["bundle"], "bundle"),
            marks=read_marks(table),
        )
        if (outcome.status == "interrupted") != (outcome.bundle is None):
            raise fields.bad("an outcome has a bundle, or was interrupted")
        if outcome.status == "succeeded" and outcome.failure is not None:
            raise fields.bad("an outcome's status and failure contradict each other")
        return outcome

    @property
    def wire(self) -> WireOutcome:
        """Return the entry as the typed encoder writes it."""
        return WireOutcome(
            attempt=WirePlace(self.index, self.of),
            bundle=self.bundle,
            failure=self.failure,
            kind="outcome",
            marks=self.marks,
            status=self.status,
            time=self.time,
            type=ENTRY_TYPE,
            verdict=self.verdict,
        )


Entry = Attempt | Outcome


def entry_bytes(entry: Entry) -> bytes:
    """Return the bytes that stand in the ledger.

    Raises `InfrastructureError` for an entry that nobody could read again, and for one with too many bytes.
    """
    data = _bytes_of(entry)
    if len(data) > MAX_ENTRY_BYTES:
        raise InfrastructureError(
            "the attempt cannot be recorded in the ledger: it names too many inputs and metrics",
            code="ledger-entry-too-large",
            context=f"expected at most {MAX_ENTRY_BYTES} bytes, got {len(data)}",
            hint="split the blueprint into several",
        )
    try:
        read_slowly(data)
    except CheckFailedError as error:
        raise InfrastructureError(
            "the attempt cannot be recorded in the ledger", code="bad-ledger-entry", context=error.message
        ) from error
    return data


def read_entry(data: bytes) -> Entry:
    """Read an entry strictly; raises `CheckFailedError` and nothing else, whatever bytes it is given."""
    wire = read_wire(data)
    if wire is None:
        return read_slowly(data)
    return _attempt(wire) if isinstance(wire, WireAttempt) else _outcome(wire)


def read_slowly(data: bytes) -> Entry:
    """Do what `read_entry` does, field by field, and say what is wrong."""
    try:
        value = parse_json(data, what="the ledger's entry", max_depth=_MAX_DEPTH)
        is_outcome = isinstance(value, dict) and value.get("kind") == "outcome"
        entry = Outcome.from_json(value) if is_outcome else Attempt.from_json(value)
        same = canonical_bytes(entry.as_json()) == data
    except EvalctlError as error:
        raise _bad(error.message) from error
    if not same:
        raise _bad("it is not in canonical form")
    return entry


def _attempt(wire: WireAttempt) -> Attempt:
    return Attempt(
        wire.lock,
        _suite(wire.blueprint.name, wire.blueprint.version),
        wire.data,
        wire.metrics,
        wire.attempt,
        wire.position,
        wire.invocationId,
        wire.time,
        wire.signer,
        wire.purpose,
        wire.marks,
    )


def _outcome(wire: WireOutcome) -> Outcome:
    return Outcome(
        wire.attempt.index,
        wire.attempt.sha256,
        wire.time,
        wire.status,
        wire.failure,
        wire.verdict,
        wire.bundle,
        wire.marks,
    )


@lru_cache(maxsize=256)
def _suite(name: str, version: str) -> Suite:
    return Suite(name, version)


def _bytes_of(entry: Entry) -> bytes:
    return wire_bytes(entry.wire) or canonical_bytes(entry.as_json())


def _table(value: Any, kind: str, keys: str, *, optional: str) -> dict[str, Any]:
    table = fields.table(value, f"the {kind}", keys, optional=optional)
    if table["type"] != ENTRY_TYPE or table["kind"] != kind:
        raise fields.bad("it is no entry of this version")
    return table


def _metrics(value: Any) -> dict[str, tuple[str, ...]]:
    if not isinstance(value, dict) or len(value) > fields.MAX_ITEMS:
        raise fields.bad("`metrics` is not an object")
    return {
        fields.text(definition, "definition"): tuple(
            fields.text(name, "metrics") for name in fields.array(names, "metrics")
        )
        for definition, names in value.items()
    }


def _whole(value: Any, what: str, least: int) -> int:
    if type(value) is not int or not least <= value < MAX_SIZE:
        raise fields.bad(f"`{what}` is not a whole number from {least} on")
    return value


def _bad(message: str) -> CheckFailedError:
    return CheckFailedError(f"an entry of the ledger is malformed: {message}", code="bad-ledger-entry")
