#!/usr/bin/env python3
# ruff: noqa: SIM905
"""Verify an evalctl result bundle offline: one file, to be read from top to bottom.

    python3 evalctl_verify.py BUNDLE --key signer.pub       this key alone is trusted
    python3 evalctl_verify.py BUNDLE --trust trust.toml     a policy says who is

It needs Python 3.11 or later and the package `cryptography`, opens no connection, starts no program and
writes no file. It shares no code with evalctl's own verifier, so that two programs have to agree.

Exit status: 0 verified; 1 changed, malformed or contradicting itself; 3 sound, but not signed by those whom
the policy asks for; 2 misuse (no such path, a malformed key or policy).

What is checked, in this order:

 1. the folder holds regular files under the names a bundle may have, and SHA256SUMS lists exactly these;
 2. every attestation is a Sigstore bundle with one DSSE signature, which holds where the key is known, and
    no payload is parsed before its signature holds;
 3. the statements are about these files, of one attempt, builder and lock, and by one signer;
 4. the policy: roles, thresholds, builders, ages, validity, revocation, expiry, its own signatures;
 5. lock, blueprint, result, environment and inventory agree with each other and with what is signed;
 6. every count, table, metric and interval follows from the samples;
 7. a ledger's proof, where there is one: entries, Merkle path, signatures, and that it is of this bundle;
 8. of a redacted bundle, the original's attestations over the files that it had, every value given out
    against what was committed to, and every metric from what each sample contributed.

What is not checked is said as `skipped`, by name. The parts, in the order in which they are read:

  0. What is known of the format: 53 lines
  1. JSON with one spelling (RFC 8785): 86 lines
  2. Which fields, of which kinds: 280 lines
  3. Keys, signatures, attestations: 174 lines
  4. The folder, opened component by component: 117 lines
  5. The trust policy: 307 lines
  6. Time stamps (RFC 3161): 179 lines
  7. Attestations against files and policy: 428 lines
  8. The blueprint's language, and the identity that follows from it: 493 lines
  9. The sandbox, and what a probe must have found of it: 224 lines
 10. What the files say, and whether they agree: 383 lines
 11. Metrics, computed again from the samples: 729 lines
 12. Redacted bundles: 455 lines
 13. The command line: 40 lines
"""

import argparse
import base64
import hashlib
import heapq
import json
import math
import os
import re
import stat
import statistics
import sys
import tomllib
import uuid
from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta
from decimal import Context, Decimal
from fractions import Fraction
from functools import partial
from graphlib import CycleError, TopologicalSorter
from itertools import chain, groupby, pairwise
from operator import itemgetter
from pathlib import Path
from typing import Any, Final

# 0. What is known of the format.

PREFIX: Final = "https://w3id.org/evalctl-launcher/"
PROVENANCE_TYPE: Final = "https://slsa.dev/provenance/v1"
RESULT_TYPE, LOCK_TYPE = f"{PREFIX}evaluation-result/v1", f"{PREFIX}lock/v1"
IMPORTED_TYPE, REPRODUCTION_TYPE = f"{PREFIX}imported/v1", f"{PREFIX}reproduction/v1"
POLICY_TYPE, STATEMENT_TYPE = f"{PREFIX}trust-policy/v1", "https://in-toto.io/Statement/v1"
LAUNCH, IMPORT, REDACT = (f"{PREFIX}{name}/v1" for name in ("launch", "import", "redact"))
PAYLOAD_TYPE: Final = "application/vnd.in-toto+json"

SUMS, SAMPLES = "SHA256SUMS", "samples.jsonl"
PARSED: Final = ("blueprint.toml", "lock.json", "result.json", "environment.json", "sbom.cdx.json")
RECORDS: Final = frozenset((*PARSED, SAMPLES, "events.jsonl", "resources.jsonl", SUMS))
PROVENANCE, RESULT, LOCK = (f"attestations/{name}.sigstore.json" for name in ("provenance", "result", "lock"))
LEDGER_PROOF, COMMITMENTS = "attestations/ledger.tlog-proof", "commitments.jsonl"
OPENINGS, ORIGINAL, KEPT = "openings.jsonl", "ORIGINAL-SHA256SUMS", "attestations/original-"
FOLDERS: Final = ("predictions", "logs", "artifacts")
SEGMENT: Final = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_.+=@,() -]*[A-Za-z0-9_+=@)-])?")
DEVICE: Final = re.compile(r"(?:con|prn|aux|nul|com[0-9]|lpt[0-9])(?:\..*)?", re.IGNORECASE | re.ASCII)
ATTESTATION: Final = re.compile(
    r"(?P<base>attestations/(?:provenance|result|lock|reproduction-[A-Za-z0-9][A-Za-z0-9_-]{0,127}))"
    r"(?:\.(?P<key>[0-9a-f]{64}))?\.sigstore\.json"
)
MAX_FILES, MAX_BYTES, MAX_ATTESTATIONS, MAX_SUBJECTS = 100_000, 1 << 37, 64, 1000
MAX_TIMESTAMP, MAX_POLICY, MAX_SIGNATURES = 16 << 10, 1 << 20, 64
MAX_ATTESTATION, MAX_SUMS, MAX_LISTING, MAX_RECORD = 8 << 20, 64 << 20, 32 << 20, 16 << 20
MAX_SAMPLES, MAX_LINE, MAX_VALUES, MAX_DEPTH, MAX_INTEGER = 4 << 30, 2 << 20, 500_000, 64, 2**53 - 1
MAX_LABELS, MAX_LINES, MAX_WORK = 100_000, 4_000_000, 3_000_000_000
MAX_DRAWS, MAX_ROWS = 10_000_000, 300_000


class RefusedError(Exception):
    """The bundle is not what it must be: exit status 1."""


class MisuseError(Exception):
    """The command line names something that cannot be used: exit status 2."""


class UntrustedError(Exception):
    """The policy itself is not signed as it must be: exit status 3."""


class SkippedError(Exception):
    """This file cannot check something, and says so."""


def demand(holds: object, message: str) -> None:
    """Refuse the bundle with `message` unless `holds`."""
    if not holds:
        raise RefusedError(message)


# 1. JSON with one spelling (RFC 8785).

PLAINLY: Final = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def canonical(value: Any, depth: int = 0) -> str:
    """Return the RFC 8785 text of a JSON value; refuse what it cannot carry, and deep nesting."""
    if isinstance(value, dict | list):
        demand(depth < MAX_DEPTH, f"JSON is nested deeper than {MAX_DEPTH} levels")
    if isinstance(value, dict):
        names = sorted(value, key=lambda name: name.encode("utf-16-be"))
        return "{" + ",".join(f"{canonical(n)}:{canonical(value[n], depth + 1)}" for n in names) + "}"
    if isinstance(value, list):
        return "[" + ",".join(canonical(item, depth + 1) for item in value) + "]"
    if isinstance(value, float):
        return double(value)
    return PLAINLY.encode(value)


def double(value: float) -> str:
    """Write a double as ECMAScript does: https://tc39.es/ecma262/#sec-numeric-types-number-tostring."""
    demand(math.isfinite(value), "JSON holds a number that is not finite")
    if value == 0:
        return "0"
    sign, places, exponent = Decimal(repr(value)).normalize().as_tuple()
    digits, minus = "".join(map(str, places)), "-" * sign
    count, point = len(digits), len(digits) + int(exponent)
    if count <= point <= 21:
        return minus + digits + "0" * (point - count)
    if 0 < point <= 21:
        return f"{minus}{digits[:point]}.{digits[point:]}"
    if -6 < point <= 0:
        return f"{minus}0.{'0' * -point}{digits}"
    return f"{minus}{digits[0]}{'.' * (count > 1)}{digits[1:]}e{point - 1:+d}"


def parse(data: bytes, what: str, end: str = "", values: int = MAX_VALUES) -> Any:
    """Read canonical JSON followed by `end`; any other spelling of its value, a key twice too, is refused."""
    demand(values_in(data) <= values, f"{what} holds too many values")
    try:
        value = json.loads(data.decode(), parse_int=integer)
        same = (canonical(value) + end).encode() == data
    except (ValueError, RecursionError, OverflowError) as error:
        raise RefusedError(f"{what} is not JSON that can be read: {str(error)[:200]!a}") from error
    demand(same, f"{what} is not in canonical form (RFC 8785), or a key stands twice")
    return value


def values_in(data: bytes) -> int:
    """Return how many values a JSON text holds at most."""
    return sum(map(data.count, (b",", b"[", b"{")))


# What the standard library may write otherwise than RFC 8785: exponents, whole doubles, integers beyond 2^53,
# a negative zero, keys that UTF-16 orders otherwise, half a pair of surrogates.
UNUSUAL: Final = re.compile(rb"[0-9][eE]|\.0[^0-9]|[0-9]{16}|-0[^.]|[\xee-\xff]|\\u[dD]")


def parse_line(line: bytes, what: str) -> Any:
    """Read one canonical line: at once where both writers agree, else as `parse` does."""
    if UNUSUAL.search(line) or line.count(b"[") + line.count(b"{") > MAX_DEPTH:
        return parse(line, what, "\n")
    try:
        text = line.decode()
        value = json.loads(text)
        same = PLAINLY.encode(value) + "\n" == text
    except ValueError as error:
        raise RefusedError(f"{what} is not JSON that can be read: {str(error)[:200]!a}") from error
    return value if same else parse(line, what, "\n")


def parse_again(line: bytes) -> Any:
    """Read a line that was accepted before."""
    return json.loads(line, parse_int=integer) if UNUSUAL.search(line) else json.loads(line)


def integer(digits: str) -> int | float:
    """Read an integer exactly, and beyond 2^53 as the double that RFC 8785 writes so."""
    return int(digits) if len(digits) < 18 and abs(int(digits)) <= MAX_INTEGER else float(digits)


def sha256_of(value: Any) -> str:
    """Return the digest of a value's canonical bytes."""
    return "sha256:" + hashlib.sha256(canonical(value).encode()).hexdigest()


# 2. Which fields, of which kinds.


def matching(pattern: str) -> Callable[[Any], bool]:
    """Return a test for texts, the whole of which has one pattern."""
    compiled = re.compile(pattern, re.ASCII)
    return lambda value: is_text(value) and compiled.fullmatch(value) is not None


def is_text(value: Any) -> bool:
    """Accept a text of bounded length."""
    return isinstance(value, str) and len(value) <= 4096


def is_integer(value: Any) -> bool:
    """Accept a whole number."""
    return isinstance(value, int) and not isinstance(value, bool)


def is_count(value: Any) -> bool:
    """Accept a whole number that is not negative."""
    return is_integer(value) and value >= 0


def is_number(value: Any) -> bool:
    """Accept a finite number."""
    return (is_integer(value) or isinstance(value, float)) and math.isfinite(value)


def is_name(value: Any) -> bool:
    """Accept a text of 1 to 1024 bytes."""
    return isinstance(value, str) and 0 < len(value.encode()) <= 1024


def is_moment(value: Any) -> bool:
    """Accept a UTC time that exists."""
    try:
        return _TIME(value) and bool(datetime.fromisoformat(value))
    except ValueError:
        return False


def is_fingerprint(value: Any) -> bool:
    """Accept an OpenSSH SHA-256 fingerprint in its one spelling."""
    return _FINGERPRINT(value) and fingerprint_of(bytes.fromhex(fingerprint_hex(value))) == value


def table_of(name: Callable[[Any], bool], test: Callable[[Any], bool], most: int) -> Callable[[Any], bool]:
    """Return a test for small tables."""

    def fit(value: Any) -> bool:
        small = isinstance(value, dict) and len(value) <= most
        return small and all(map(name, value)) and all(map(test, value.values()))

    return fit


_TIME = matching(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,6})?Z")
_FINGERPRINT = matching(r"SHA256:[A-Za-z0-9+/]{43}")
KINDS: Final[Mapping[str, Callable[[Any], bool]]] = {
    "any": lambda value: True,
    "text": is_text,
    "string": lambda value: isinstance(value, str),
    "flag": lambda value: isinstance(value, bool),
    "integer": is_integer,
    "count": is_count,
    "number": is_number,
    "name": is_name,
    "time": is_moment,
    "table": lambda value: isinstance(value, dict),
    "texts": table_of(lambda name: True, is_text, 4096),
    "hex": matching(r"[0-9a-f]{64}"),
    "digest": matching(r"sha256:[0-9a-f]{64}"),
    "git": matching(r"[0-9a-f]{40}"),
    "decimal": matching(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?"),
    "digits": matching(r"0|[1-9][0-9]{0,15}"),
    "invocation": matching(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,127}"),
    "keyid": is_fingerprint,
    "hexes": table_of(lambda name: True, matching(r"[0-9a-f]{64}"), 4096),
    "scores": table_of(is_name, is_number, 1024),
    "groups": table_of(is_name, lambda value: isinstance(value, str | bool) or is_number(value), 1024),
    "weight": lambda value: is_number(value) and value > 0,
    "error": lambda value: isinstance(value, str) and 0 < len(value.encode()) <= 1 << 16,
    "level": lambda value: isinstance(value, dict),
    "positive": lambda value: is_count(value) and value > 0,
    "filled": lambda value: isinstance(value, str) and value != "",
    "amount": lambda value: is_number(value) and value >= 0,
    "seed": lambda value: is_count(value) and value < 2**32,
    "rank": lambda value: is_count(value) and value < 10**9,
    "ids": lambda value: isinstance(value, list) and len(value) == 3 and all(map(is_integer, value)),
    "limits": lambda value: (
        isinstance(value, list) and len(value) == 2 and all(one is None or is_integer(one) for one in value)
    ),
}
# A line is a table and its fields; no other may be there. `?` after a field: it may be missing; after a kind:
# it may be null. `[kind]` is a list of at most 4096, `<kind>` one of any length, `{kind}` a table, `=a|b` a
# choice of words.
TABLES: Final = {
    name: dict(words.split(":", 1) for words in fields)
    for name, *fields in map(
        str.split,
        """
sigstore mediaType:=application/vnd.dev.sigstore.bundle.v0.3+json verificationMaterial:material
 dsseEnvelope:dsse
material publicKey:hint timestampVerificationData?:stamps
stamps rfc3161Timestamps:[stamp]
stamp signedTimestamp:string
hint hint:keyid
dsse payload:string payloadType:=application/vnd.in-toto+json signatures:[signature]
signature keyid:keyid sig:text
statement _type:=https://in-toto.io/Statement/v1 subject:[subject] predicateType:text predicate:table
subject name:text digest:sha256
sha256 sha256:hex
suite name:text version:text
builder id:text version:texts
dependency name:text digest:digests uri?:text
digests sha256?:hex gitCommit?:git gitTree?:git
provenance buildDefinition:definition runDetails:details
definition buildType:text externalParameters:lock internalParameters:texts resolvedDependencies:[dependency]
details builder:builder metadata:metadata
metadata invocationId:invocation startedOn:time finishedOn:time
lock lock:digest blueprint:suite
imported lock:digest blueprint:suite harness:=lm-eval|inspect origin:=unsigned sources:[dependency]
evaluation invocationId:invocation verifier:builder evaluatedAt:time suite:suite lock:digest
 assuranceLevel:=self_attested status:status failure:failure? verdict:verdict sampleSize:digits claims:[claim]
 deviations:[text] marks?:[mark] origin?:=unsigned redaction?:redacted
claim metric:text definition:text value:decimal? ci:[decimal]? n:digits threshold:decimal?
 comparator:=gte|lte? on:on? primary:flag verdict:verdict passed:flag?
reproduction original:digest reproduced:digest lock:digest verifier:builder evaluatedAt:time verdict:again
 metrics:[compared] samples:agreement environment:texts scope?:=full|score-only|samples
compared name:text original:decimal? reproduced:decimal? verdict:again
agreement n:digits equal:digits
result schema:=evalctl/result/v1 lock:digest attempt:count invocation_id:text blueprint:suite status:status
 failure:failure? verdict:verdict metrics:[metric] tables:table samples:counts replicates:[replicate]
 deviations:[text] discrepancies:[text] marks?:[mark] origin?:=unsigned redaction?:redaction
redaction original:digest withheld:[withheld] samples:count redacted:[text]
redacted original:digest withheld:[withheld] samples:digits redacted:[text]
metric name:text definition:text value:number? ci:[number]? ci_method:text? ci_level:number? n:count
 errors:count per_replicate:[number?] spread:number? direction:direction primary:flag threshold:bound?
 verdict:verdict published:published? published_met:flag? reason:text?
bound on:on min?:number max?:number
published value:number decimals:count source:text
counts n:count errors:count
replicate replicate:count seed:count status:status failure:failure? exit_code:integer? attempt?:count
locked schema:=evalctl/lock/v1|evalctl/imported/v1 identity:table blueprint:string
identity name:any version:any image:image code:pinned inputs:[input] config:any run:any score:any
 metrics:any resources:any sandbox:table redactable:any services?:any limit?:positive patch?:hex
 predictions?:[hex]
image index:digest? manifest:digest config:digest diff_ids:[digest] platform:any
pinned commit:any path:any tree:any content:hex lockfiles:hexes
input kind:any name:any sha256:hex size:count unpack:any role:any split:any variant_of:any tree?:flag
import harness:=lm-eval|inspect task:text name:text version:text metrics:[score] sources:[source]
score name:text score:text direction:direction completed_only:flag
source name:text sha256:hex size:count
environment schema:=evalctl/environment/v1 facts:any
extra attempt:attempt outcome:outcome
attempt type:=https://w3id.org/evalctl-launcher/ledger-entry/v1 kind:=attempt lock:digest blueprint:suite
 data:[hex] metrics:table attempt:positive position:positive invocationId:invocation time:time signer:keyid
 purpose:=launch|reproduce marks?:[mark]
outcome type:=https://w3id.org/evalctl-launcher/ledger-entry/v1 kind:=outcome attempt:entry time:time
 status:=succeeded|failed|interrupted failure:failure? verdict:verdict bundle:digest? marks?:[mark]
entry index:count sha256:hex
fact name:string value:any source:=image|engine|host|probe|declared
report user:ids group:ids groups:<integer> capabilities:{string} no-new-privileges:flag seccomp:integer
 answered:<string> entries:{string} attempts:{string} visible:{integer} mounts:{string} interfaces:<string>
 limits:{limits} scratch:{space} kernel:string kernel-version:string machine:string hostname:string
 domainname:string processors:integer processes:integer
space bytes:integer inodes:integer free-bytes:integer free-inodes:integer
events.jsonl:launcher source:=launcher step:filled at?:time seconds?:amount detail?:table
events.jsonl:container source:=container step:filled replicate:count phase?:string seconds?:amount detail?:any
resources.jsonl:container kind:=container replicate:count phase:filled service?:filled logs:logs
 seconds:amount cpu_user_seconds:amount cpu_system_seconds:amount max_rss_bytes:count output_bytes:count
 source?:=cgroup-v1|cgroup-v2|engine interval?:amount samples?:count memory_peak_bytes?:count pids_peak?:count
 memory_kills?:count memory_refusals?:count pids_refusals?:count cpu_seconds?:amount
 throttled_seconds?:amount read_bytes?:count written_bytes?:count
resources.jsonl:phase kind:=phase phase:filled containers:count
 seconds:amount cpu_user_seconds:amount cpu_system_seconds:amount max_rss_bytes:count output_bytes:count
 read_bytes?:count written_bytes?:count
resources.jsonl:sample kind:=sample replicate:count phase:filled service?:filled at:amount
 cpu_seconds?:amount throttled_seconds?:amount read_bytes?:count written_bytes?:count
 memory_bytes?:count anonymous_bytes?:count file_bytes?:count pids?:count gpus?:<gpu>
logs stdout:stream stderr:stream
stream bytes:count kept:count truncated:flag
gpu uuid:filled utilisation?:amount memory_bytes?:count power_watts?:amount temperature_celsius?:integer
 sm_clock_mhz?:count
sample id:name prediction?:any target?:any scores?:scores groups?:groups weight?:weight input_sha256?:hex
 error?:error epoch?:count task?:name replicate:count seed:seed
""".replace("\n ", " ")
        .strip()
        .split("\n"),
    )
}
AGAIN: Final = ("identical", "equivalent", "inconclusive", "diverged", "not-runnable")  # best first
# What a redaction takes away, in their order: fields of every sample, a folder, or details of events.
FIELDS: Final = {
    "inputs": {"groups", "input_sha256"},
    "predictions": {"error", "prediction", "scores"},
    "targets": {"target"},
}
PLACES: Final = {"artifacts": "artifacts/", "logs": "logs/", "prediction-files": "predictions/"}
WITHHELD: Final = (*FIELDS, *sorted([*PLACES, "event-details"]))
WORDS: Final[Mapping[str, tuple[str, ...]]] = {
    "status": ("succeeded", "failed"),
    "failure": tuple("candidate timeout out-of-memory disk sandbox engine image input interrupted".split()),
    "verdict": ("pass", "fail", "inconclusive", "none"),
    "mark": ("partial", "draft", "score-only", "not-re-runnable"),
    "on": ("value", "ci-lower", "ci-upper"),
    "direction": ("higher", "lower"),
    "again": AGAIN,
    "withheld": WITHHELD,
}


def fits(value: Any, kind: str, what: str) -> Any:
    """Return `value` if it is of the kind; refuse it otherwise."""
    if kind.endswith("?"):
        return None if value is None else fits(value, kind[:-1], what)
    if kind.startswith("["):
        demand(isinstance(value, list) and len(value) <= 4096, f"{what} is not a list of at most 4096")
        return [fits(item, kind[1:-1], what) for item in value]
    if kind[0] in "<{":
        demand(isinstance(value, list if kind[0] == "<" else dict), f"{what} is none of its kind")
        for item in value if kind[0] == "<" else value.values():
            fits(item, kind[1:-1], what)
    elif kind in TABLES:
        demand(isinstance(value, dict), f"{what} is not an object")
        known = {name.rstrip("?"): (name.endswith("?"), inner) for name, inner in TABLES[kind].items()}
        for name, (optional, inner) in known.items():
            demand(optional or name in value, f"{what} has no `{name}`")
            if name in value:
                fits(value[name], inner, f"{what}.{name}")
        unknown = value.keys() - known
        demand(not unknown, f"{what} has the unknown field {min(unknown, default='')[:80]!a}")
    else:
        words = kind[1:].split("|") if kind.startswith("=") else WORDS.get(kind)
        accepted = KINDS[kind](value) if words is None else isinstance(value, str) and value in words
        demand(accepted, f"{what} is not what it must be")
    return value


def read_predicate(value: Any, kind: str, what: str) -> Any:
    """Return a predicate of this kind that does not contradict itself."""
    fits(value, kind, what)
    named = value.get("sources", [])
    if kind == "evaluation":
        check_ending(value, what)
        for claim in value["claims"]:
            demand(claim["ci"] is None or len(claim["ci"]) == 2, f"{what}: `ci` does not have two ends")
            absent = {claim[name] is None for name in ("threshold", "comparator", "on")}
            demand(len(absent) == 1, f"{what}: a threshold without `comparator` and `on`, or these alone")
            demand(claim["passed"] is PASSED.get(claim["verdict"]), f"{what}: `passed` is not the verdict")
    if kind == "provenance":
        times, definition = value["runDetails"]["metadata"], value["buildDefinition"]
        named = definition["resolvedDependencies"]
        demand(definition["buildType"] in (LAUNCH, IMPORT, REDACT), f"{what}: another build type")
        demand(instant(times["startedOn"]) <= instant(times["finishedOn"]), f"{what}: finished, then started")
    demand(all(item["digest"] for item in named), f"{what}: a dependency has no digest")
    return value


PASSED: Final = {"pass": True, "fail": False}


def check_ending(value: Any, what: str) -> None:
    """Refuse a failure that succeeded, a success that failed, and a mark that stands twice."""
    demand((value["status"] == "succeeded") == (value["failure"] is None), f"{what}: status and failure")
    marks = value.get("marks", [])
    demand(len(set(marks)) == len(marks), f"{what}: a mark stands twice")


def instant(said: str) -> datetime:
    """Return the moment of a time that was accepted."""
    return datetime.fromisoformat(said)


def utc(moment: datetime) -> str:
    """Return a moment as everything here says it."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


# 3. Keys, signatures, attestations.


@dataclass(frozen=True)
class Key:
    """A public key: fingerprint, what raises where a signature does not hold, the bytes of an Ed25519 key."""

    fingerprint: str
    check: Callable[[bytes, bytes], None]
    point: bytes | None = None


def load_key(data: bytes, what: str) -> Key:
    """Read an Ed25519 or P-256 public key: an OpenSSH line, or PEM (SubjectPublicKeyInfo)."""
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519

    try:
        name, point = point_of(data.decode().strip())
        if name == ED25519:
            refuse_weak(point)
            edwards = ed25519.Ed25519PublicKey.from_public_bytes(point)
            check: Callable[[bytes, bytes], None] = edwards.verify
        else:
            curve = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point)

            def check(signature: bytes, signed: bytes) -> None:
                curve.verify(signature, signed, ec.ECDSA(hashes.SHA256()))
    except ValueError as error:
        raise MisuseError(f"{what} is no Ed25519 or P-256 public key in its one form") from error
    blob = key_blob(name, point)
    return Key(fingerprint_of(hashlib.sha256(blob).digest()), check, point if name == ED25519 else None)


ED25519, P256 = "ssh-ed25519", "ecdsa-sha2-nistp256"
PEM: Final = re.compile(r"-----BEGIN PUBLIC KEY-----\n([A-Za-z0-9+/=\n]+)\n-----END PUBLIC KEY-----(?!\n)")
PREFIXES: Final = {
    bytes.fromhex("302a300506032b6570032100"): ED25519,
    bytes.fromhex("3059301306072a8648ce3d020106082a8648ce3d030107034200"): P256,
}


def point_of(text: str) -> tuple[str, bytes]:
    """Return algorithm and bytes of a public key: an OpenSSH line, or PEM; raise `ValueError`."""
    if text.startswith("-----BEGIN"):
        found = PEM.fullmatch(text.replace("\r\n", "\n"))
        data = base64.b64decode(found[1].replace("\n", ""), validate=True) if found else b""
        prefix = next((one for one in PREFIXES if data.startswith(one)), b"")
        if not prefix or len(data) - len(prefix) != (32 if PREFIXES[prefix] == ED25519 else 65):
            raise ValueError("PEM")
        return PREFIXES[prefix], data[len(prefix) :]
    name, encoded, *_ = [*text.split(" ", 2), ""]
    point = base64.b64decode(encoded, validate=True)[-32 if name == ED25519 else -65 :]
    one_line = name in (ED25519, P256) and "\n" not in text
    if not one_line or base64.b64encode(key_blob(name, point)).decode() != encoded:
        raise ValueError("OpenSSH")
    return name, point


def refuse_weak(point: bytes) -> None:
    """Raise `ValueError` for a point of small order, under which anybody can sign, or spelled otherwise."""
    y, order = int.from_bytes(point, "little") & ~(1 << 255), 2**255 - 19
    eight = 0x05FC536D880238B13933C6D305ACDFD5F098EFF289F4C345B027B2C28F95E826
    if y >= order or y in (0, 1, order - 1, eight, order - eight):
        raise ValueError("a weak point")


def key_blob(name: str, point: bytes) -> bytes:
    """Return a key as OpenSSH writes it on the wire (RFC 4253, 5656, 8709)."""
    fields = [name.encode(), *([b"nistp256"] if name == P256 else []), point]
    return b"".join(len(one).to_bytes(4, "big") + one for one in fields)


def fingerprint_of(sha256: bytes) -> str:
    """Return a key's digest as `ssh-keygen -lf` prints it."""
    return "SHA256:" + base64.b64encode(sha256).decode().rstrip("=")


def fingerprint_hex(fingerprint: str) -> str:
    """Return the 32 bytes of a fingerprint in hex, as they stand in names of co-signatures."""
    return base64.b64decode(fingerprint[7:] + "=").hex()


def signature_holds(key: Key, signature: bytes, payload: bytes) -> bool:
    """Say whether `key` signed the payload in DSSE's pre-authentication encoding."""
    from cryptography.exceptions import InvalidSignature

    kind = PAYLOAD_TYPE.encode()
    try:
        key.check(signature, b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload))
    except (InvalidSignature, ValueError):
        return False
    return True


def decode_base64(encoded: str) -> bytes:
    """Decode standard base64 in its one spelling."""
    try:
        data = base64.b64decode(encoded, validate=True)
    except ValueError as error:
        raise RefusedError("it is not base64") from error
    demand(base64.b64encode(data).decode() == encoded, "its base64 is not canonical")
    return data


@dataclass
class Attestation:
    """One opened `*.sigstore.json`; `statement` is there once a known key's signature over it holds."""

    path: str
    base: str
    signer: str
    payload: bytes
    signature: bytes
    token: bytes | None = None
    statement: Any = None
    proven: datetime | None = None  # when the signature was there, as an authority says


def open_attestation(path: str, data: bytes, keys: Mapping[str, Key]) -> Attestation:
    """Open an attestation, check its signature where the key is known, and only then read the payload."""
    keyid, signature, payload, token = open_envelope(data)
    name = ATTESTATION.fullmatch(path)
    named = name is not None and name["key"] in (None, fingerprint_hex(keyid))
    demand(named, "its name and its keyid name different keys")
    base = name["base"] + ".sigstore.json" if name else ""
    found = Attestation(path, base, keyid, payload, signature, token)
    if (key := keys.get(keyid)) is not None:
        demand(signature_holds(key, signature, payload), f"the signature of {keyid} does not hold")
        found.statement = read_statement(payload)
    return found


def open_envelope(data: bytes) -> tuple[str, bytes, bytes, bytes | None]:
    """Read a Sigstore bundle: the key that it names, signature, payload and timestamp; all unread."""
    value = fits(parse(data, "it", "\n", 32), "sigstore", "it")
    envelope = value["dsseEnvelope"]
    demand(len(envelope["signatures"]) == 1, "it must hold exactly one signature")
    keyid = envelope["signatures"][0]["keyid"]
    signature, payload = decode_base64(envelope["signatures"][0]["sig"]), decode_base64(envelope["payload"])
    demand(len(signature) <= 72, "its signature is too long for Ed25519 or P-256")
    hint = value["verificationMaterial"]["publicKey"]["hint"]
    demand(keyid == hint, "its hint and its keyid name different keys")
    return keyid, signature, payload, read_timestamp(value["verificationMaterial"])


def read_timestamp(material: Any) -> bytes | None:
    """Return the one timestamp in the verification material, unread, or None."""
    if "timestampVerificationData" not in material:
        return None
    stamps = material["timestampVerificationData"]["rfc3161Timestamps"]
    demand(len(stamps) == 1, "it must hold exactly one timestamp")
    token = decode_base64(stamps[0]["signedTimestamp"])
    demand(0 < len(token) <= MAX_TIMESTAMP, "its timestamp is empty or too long")
    return token


def read_statement(payload: bytes) -> Any:
    """Read a signed payload: an in-toto Statement v1 without floats, its subjects sorted by name."""
    value = parse(payload, "the signed payload", values=100_000)
    demand(is_unambiguous(value), "the signed payload holds a float, or a key that is not ASCII")
    listed = [subject["name"] for subject in fits(value, "statement", "the statement")["subject"]]
    demand(listed and listed == sorted(set(listed)), "the subjects are not sorted, or one stands twice")
    demand(len(listed) <= 1024, "there are more than 1024 subjects")
    return value


def is_unambiguous(value: Any) -> bool:
    """Say whether every JSON writer would order and spell this value alike."""
    if isinstance(value, dict):
        return all(name.isascii() and is_unambiguous(item) for name, item in value.items())
    return all(map(is_unambiguous, value)) if isinstance(value, list) else not isinstance(value, float)


# 4. The folder, opened component by component.


class Folder:
    """The bundle's files as one walk saw them, opened below one descriptor and never through a link."""

    def __init__(self, path: Path) -> None:
        try:
            self.root = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except (OSError, ValueError) as error:
            raise MisuseError(f"there is no bundle at {str(path)[:200]!a}") from error
        self.files: dict[str, tuple[int, ...]] = {}

    def walk(self, folder: int, prefix: str = "") -> None:
        """Look at everything below `folder`, and refuse what a bundle cannot hold."""
        with os.scandir(folder) as entries:
            for number, entry in enumerate(entries):
                name, facts = prefix + entry.name, os.stat(entry.name, dir_fd=folder, follow_symlinks=False)
                demand(number <= MAX_FILES, f"the bundle holds more than {MAX_FILES} files")
                if stat.S_ISDIR(facts.st_mode):
                    demand(is_bundle_folder(name), f"the bundle may not hold the folder {name[:200]!a}")
                    self._walk_into(folder, entry.name, name + "/")
                    continue
                demand(is_bundle_file(name), f"the bundle may not hold {name[:200]!a}")
                self.files[name] = regular(facts, name)
                demand(len(self.files) <= MAX_FILES, f"the bundle holds more than {MAX_FILES} files")

    def _walk_into(self, parent: int, segment: str, prefix: str) -> None:
        inner = os.open(segment, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=parent)
        before = len(self.files)
        try:
            self.walk(inner, prefix)
        finally:
            os.close(inner)
        demand(len(self.files) > before, f"the folder {prefix[:200]!a} is empty")

    @contextmanager
    def open(self, name: str) -> Iterator[int]:
        """Open one file, which must be the one that the walk saw, before and after."""
        opened, flags = [self.root], os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY
        try:
            *folders, last = name.split("/")
            for segment in folders:
                opened.append(os.open(segment, flags | os.O_DIRECTORY, dir_fd=opened[-1]))
            opened.append(os.open(last, flags, dir_fd=opened[-1]))
            demand(regular(os.fstat(opened[-1]), name) == self.files[name], f"`{name}` was swapped")
            yield opened[-1]
            demand(regular(os.fstat(opened[-1]), name) == self.files[name], f"`{name}` changed meanwhile")
        finally:
            for descriptor in opened[:0:-1]:
                os.close(descriptor)

    def chunks(self, name: str) -> Iterator[bytes]:
        """Give the bytes of one file."""
        left = self.files[name][0]
        with self.open(name) as descriptor:
            while left and (chunk := os.read(descriptor, min(1 << 20, left))):
                left -= len(chunk)
                yield chunk
        demand(left == 0, f"`{name}` changed while it was read")

    def read(self, name: str, limit: int) -> bytes:
        """Return the bytes of one file of bounded size."""
        demand(self.files[name][0] <= limit, f"`{name}` has more than {limit} bytes")
        return b"".join(self.chunks(name))

    def sha256(self, name: str) -> str:
        """Return the hex SHA-256 of one file."""
        state = hashlib.sha256()
        for chunk in self.chunks(name):
            state.update(chunk)
        return state.hexdigest()


def regular(facts: os.stat_result, name: str) -> tuple[int, ...]:
    """Return which regular file this is, its size first; refuse all that is none, or has several names."""
    demand(stat.S_ISREG(facts.st_mode), f"{name[:200]!a} is not a regular file")
    demand(facts.st_nlink == 1, f"{name[:200]!a} is a hard link")
    return (facts.st_size, facts.st_dev, facts.st_ino, facts.st_mtime_ns, facts.st_ctime_ns)


def is_portable(path: str) -> bool:
    """Say whether a path names the same file on every platform, inside its root."""
    parts = path.split("/")
    sizes_fit = len(path) <= 512 and len(parts) <= 16 and all(len(part) <= 200 for part in parts)
    return sizes_fit and all(SEGMENT.fullmatch(part) and not DEVICE.fullmatch(part) for part in parts)


def is_bundle_file(path: str) -> bool:
    """Say whether a bundle may hold a file at `path`."""
    if path in RECORDS or path in (COMMITMENTS, LEDGER_PROOF, OPENINGS, ORIGINAL):
        return True
    if ATTESTATION.fullmatch(path) or path == KEPT + "ledger.tlog-proof":
        return True
    if path.startswith(KEPT):
        return ATTESTATION.fullmatch("attestations/" + path[len(KEPT) :]) is not None
    return path.partition("/")[0] in FOLDERS and "/" in path and is_portable(path)


def is_bundle_folder(path: str) -> bool:
    """Say whether a bundle may hold a folder at `path`."""
    return path == "attestations" or (path.partition("/")[0] in FOLDERS and is_portable(path))


def refuse_collisions(paths: Iterable[str]) -> None:
    """Refuse paths that are one on a file system which does not tell A from a."""
    files = [*paths]
    folders = {path[:end] for path in files for end, letter in enumerate(path) if letter == "/"}
    names = [*files, *folders]
    demand(len(set(map(str.lower, names))) == len(names), "two names differ in capitals alone")


def sums_of(digests: Mapping[str, str]) -> bytes:
    """Return the lines that `sha256sum -c` reads, sorted by path."""
    return b"".join(f"{digests[path]}  {path}\n".encode() for path in sorted(digests))


# 5. The trust policy.

ROLES: Final = ("lock", "result", "reproduction", "root")
NAME: Final = "[A-Za-z0-9][A-Za-z0-9_-]{0,63}"
BUILT: Final = ("result", "reproduction")  # these were made by a builder, and say when


@dataclass(frozen=True)
class Claim:
    """What the policy is asked: these known keys signed a payload of this type, made there and then."""

    role: str
    signers: frozenset[str]
    kind: str
    builder: str | None = None
    made_at: datetime | None = None
    proven: Mapping[str, datetime] = field(default_factory=dict)


@dataclass(frozen=True)
class Principal:
    """`[keys.NAME]` of a trust policy."""

    name: str
    key: Key
    roles: frozenset[str]
    builders: frozenset[str] = frozenset()
    valid_from: datetime | None = None
    valid_until: datetime | None = None
    revoked_from: datetime | None = None
    reason: str | None = None
    ledger: str | None = None

    def refusal(self, claim: Claim, now: datetime) -> str | None:
        """Say why this key's word does not count, None where it does; `now` is when it was surely there."""
        if claim.role not in self.roles:
            return f"`{self.name}` does not have the role `{claim.role}`"
        if self.reason == "key-compromise" or (self.revoked_from and now >= self.revoked_from):
            return f"`{self.name}` is revoked: {self.reason}"
        if self.valid_from and now < self.valid_from:
            return f"`{self.name}` is not valid before {utc(self.valid_from)}"
        if self.valid_until and now >= self.valid_until:
            return f"`{self.name}` was valid until {utc(self.valid_until)}"
        if self.builders and claim.role in BUILT and claim.builder not in self.builders:
            return f"`{self.name}` may not sign for the builder {str(claim.builder)[:200]!a}"
        return None


@dataclass(frozen=True)
class Rule:
    """`[rules.ROLE]` of a trust policy; no `kinds` means any type."""

    threshold: int
    members: frozenset[str]
    kinds: frozenset[str] = frozenset()
    max_age: timedelta | None = None

    def refusal(self, claim: Claim, now: datetime) -> str | None:
        """Say why nobody's signature would do, None where enough of them will."""
        if self.kinds and claim.kind not in self.kinds:
            return f"the rule for `{claim.role}` does not allow `{claim.kind}`"
        if self.max_age is None:
            return None
        if claim.made_at is None or claim.made_at > now + timedelta(minutes=5):
            return f"the rule for `{claim.role}` bounds its age, and it states no time that has come"
        return "it is older than the policy allows" if now - claim.made_at > self.max_age else None


Witnesses = Mapping[tuple[str, bytes], bytes]


@dataclass(frozen=True)
class Pin:
    """`[ledgers.NAME]` of a trust policy; keys of witnesses by the name and id that stand in their lines."""

    name: str
    origin: str
    key: Key
    witnesses: Witnesses

    def is_of(self, origin: str) -> bool:
        """Say whether it is this ledger, by the key that an origin of evalctl's names."""
        return self.origin == origin and self.key.point is not None and origin.endswith(self.key.point.hex())


@dataclass(frozen=True)
class Policy:
    """Whose signatures count for what: principals by fingerprint, rules by role, until when."""

    principals: Mapping[str, Principal]
    rules: Mapping[str, Rule]
    expires: datetime
    version: int = 1
    pins: Sequence[Pin] = ()
    authorities: Sequence["Authority"] = ()

    def refusal(self, claim: Claim, now: datetime) -> str | None:
        """Say why the policy does not accept a claim, None where it does."""
        if now >= self.expires:
            return f"the trust policy expired on {utc(self.expires)}"
        rule = self.rules.get(claim.role)
        if rule is None:
            return f"the trust policy has no rule for `{claim.role}`"
        if why := rule.refusal(claim, now):
            return why
        counted, refusals = 0, []
        for signer in sorted(claim.signers):
            why = self.refusal_of(signer, claim, now)
            counted += why is None
            refusals += [why] if why else []
        asked = f"the rule for `{claim.role}` asks for {rule.threshold}, {counted} counted"
        return None if counted >= rule.threshold else "; ".join([asked, *refusals])

    def refusal_of(self, signer: str, claim: Claim, now: datetime) -> str | None:
        """Say why one known key's signature does not count in the rule for a claim, None where it does."""
        one, now = self.principals[signer], min(claim.proven.get(signer, now), now)
        named = one.name in self.rules[claim.role].members
        return one.refusal(claim, now) if named else f"`{one.name}` is not in the rule for `{claim.role}`"


def policy_of_key(data: bytes) -> Policy:
    """Return the policy of one key that may sign all evidence, for ever."""
    key = load_key(data, "the key")
    one, rule = Principal("key", key, frozenset(ROLES[:3])), Rule(1, frozenset(["key"]))
    return Policy({key.fingerprint: one}, dict.fromkeys(ROLES[:3], rule), datetime.max.replace(tzinfo=UTC))


# Texts and comments, and a key of 33 parts once texts are short: what is not TOML is left to the library.
LITERALS: Final = re.compile(
    r"""\"{3}(?:[^"\\]++|\\.|"(?!""))*+"{3,5}|'{3}(?:[^']++|'(?!''))*+'{3,5}"""
    r"""|"(?:[^"\\\n]++|\\.)*+"|'[^'\n]*+'|["'].*|#[^\n]*+""",
    re.DOTALL,
)
DOTTED: Final = re.compile(r"(?<![A-Za-z0-9_-])(?:[A-Za-z0-9_-]++[ \t]*+\.[ \t]*+){32}")


def read_toml(text: str) -> dict[str, Any]:
    """Read TOML after refusing keys of so many parts that `tomllib` would hang."""
    demand(not DOTTED.search(LITERALS.sub("s", text)), "TOML has a key of more than 32 parts")
    return tomllib.loads(text)


def read_policy(data: bytes) -> Policy:
    """Read `trust.toml`; whatever is not understood is misuse, so that no rule is passed over."""
    try:
        demand(len(data) <= MAX_POLICY, f"it has more than {MAX_POLICY} bytes")
        value = read_toml(data.decode())
        known(value, ("version", "expires"), ("keys", "rules", "timestamps", "ledgers"))
        demand(is_count(value["version"]) and 1 <= value["version"] <= MAX_INTEGER, "`version`")
        principals: dict[str, Principal] = {}
        for name, table in value.get("keys", {}).items():
            one = _principal(name, table)
            demand(one.key.fingerprint not in principals, f"keys.{name} is the same key as another")
            principals[one.key.fingerprint] = one
        authorities = [_authority(name, table) for name, table in value.get("timestamps", {}).items()]
        pins = [_pin(name, table) for name, table in value.get("ledgers", {}).items()]
        demanded = {one.ledger for one in principals.values()} - {None}
        demand(demanded <= {pin.name for pin in pins}, "`ledger` names none of the ledgers")
        names = {one.name for one in principals.values()}
        rules = {role: _rule(role, table, names) for role, table in value.get("rules", {}).items()}
        expires = _time(value, "expires") or datetime.min.replace(tzinfo=UTC)
        return Policy(principals, rules, expires, value["version"], pins, authorities)
    except (RefusedError, ArithmeticError, AttributeError, TypeError, ValueError, RecursionError) as error:
        raise MisuseError(f"the trust policy is malformed: {error}") from error


def known(table: Mapping[str, Any], needed: Iterable[str], optional: Iterable[str]) -> None:
    """Demand that a table of the policy has what it needs and nothing that is not understood."""
    for name in needed:
        demand(name in table, f"`{name}` is missing")
    unknown = table.keys() - {*needed, *optional}
    demand(not unknown, f"unknown field {min(unknown, default='')[:80]!a}")


def _authority(name: str, table: Mapping[str, Any]) -> "Authority":
    from cryptography import x509

    known(table, ("certificate",), ("valid-from", "valid-until"))
    demand(re.fullmatch(NAME, name), f"the name {name[:80]!a}")
    end = "-----END CERTIFICATE-----"
    *parts, rest = table["certificate"].split(end)
    demand(1 <= len(parts) <= 16 and not rest.strip(), f"timestamps.{name}: `certificate`")
    loaded = [x509.load_pem_x509_certificate(f"{part.strip()}\n{end}\n".encode()) for part in parts]
    demand(any(one.issuer == one.subject for one in loaded), f"timestamps.{name}: there is no root")
    first, last = _time(table, "valid-from"), _time(table, "valid-until")
    demand(not (first and last) or first < last, f"timestamps.{name}: the period is empty")
    return Authority(name, loaded, first, last)


def _principal(name: str, table: Mapping[str, Any]) -> Principal:
    times = ("valid-from", "valid-until", "revoked-from")
    known(table, ("public", "roles"), (*times, "reason", "builders", "ledger"))
    roles, reason = _names(table, "roles"), table.get("reason")
    demand(re.fullmatch(NAME, name), f"the name {name[:80]!a}")
    demand(roles <= set(ROLES), f"keys.{name}: unknown role")
    demand(reason in (None, "key-compromise", "superseded"), f"keys.{name}: `reason`")
    builders, key = _names(table, "builders"), load_key(table["public"].encode(), f"keys.{name}")
    valid_from, valid_until, revoked_from = (_time(table, field) for field in times)
    ledger = table.get("ledger")
    demand(ledger is None or isinstance(ledger, str), f"keys.{name}: `ledger`")
    one = Principal(name, key, roles, builders, valid_from, valid_until, revoked_from, reason, ledger)
    demand((one.revoked_from is None) == (reason is None), f"keys.{name}: `revoked-from` needs `reason`")
    ordered = not (one.valid_from and one.valid_until) or one.valid_from < one.valid_until
    demand(ordered, f"keys.{name}: `valid-from` is not before `valid-until`")
    return one


def _pin(name: str, table: Mapping[str, Any]) -> Pin:
    known(table, ("origin", "public"), ("witnesses",))
    key = load_key(table["public"].encode(), f"ledgers.{name}")
    demand(re.fullmatch(NAME, name) and isinstance(table["origin"], str), f"ledgers.{name}: `origin`")
    demand(key.point is not None, f"ledgers.{name}: `public` is no Ed25519 key")
    return Pin(name, table["origin"], key, dict(map(_witness, _names(table, "witnesses"))))


def _witness(line: str) -> tuple[tuple[str, bytes], bytes]:
    """Read a verifier key (https://c2sp.org/signed-note) of a witness: `name+id+base64(type, key)`."""
    name, _, rest = line.partition("+")
    said, _, encoded = rest.partition("+")
    material = decode_base64(encoded)
    identity = note_key_id(name, material)
    named = re.fullmatch(r"[^\s+\x00-\x1f\x7f-\x9f]{1,256}", name) and said == identity.hex()
    demand(named and len(material) == 33 and material[0] == 4, "`witnesses` are keys of witnesses")
    refuse_weak(material[1:])
    return (name, identity), material[1:]


def note_key_id(name: str, material: bytes) -> bytes:
    """Return the four bytes that stand before the signatures of a note's key."""
    return hashlib.sha256(name.encode() + b"\n" + material).digest()[:4]


def _rule(role: str, table: Mapping[str, Any], names: set[str]) -> Rule:
    known(table, ("threshold", "from"), ("predicate", "max-age"))
    members, threshold = _names(table, "from"), table["threshold"]
    demand(role in ROLES, f"there is no role {role[:80]!a}")
    demand(members <= names and len(members) <= 64, f"rules.{role}: `from`")
    demand(is_count(threshold) and 1 <= threshold <= len(members), f"rules.{role}: `threshold`")
    age = None
    if "max-age" in table:
        demand(role in BUILT, f"rules.{role}: a `{role}` signature states no time")
        seconds = duration_of(table["max-age"])
        demand(seconds is not None, f"rules.{role}: `max-age`")
        age = timedelta(seconds=seconds)
    return Rule(threshold, members, _names(table, "predicate"), age)


def _names(table: Mapping[str, Any], field: str) -> frozenset[str]:
    listed = table.get(field)
    if listed is None:
        return frozenset()
    well = isinstance(listed, list) and listed and all(isinstance(item, str) for item in listed)
    demand(well and len(set(listed)) == len(listed), f"`{field}` must list at least one text, each once")
    return frozenset(listed)


def _time(table: Mapping[str, Any], field: str) -> datetime | None:
    value = table.get(field)
    is_moment = value is None or (isinstance(value, datetime) and value.tzinfo and value.astimezone(UTC))
    demand(is_moment, f"`{field}` is no time with a zone")
    return value


def refuse_unsigned(path: Path, data: bytes, policy: Policy, now: datetime, seen: bytes | None) -> None:
    """Refuse a policy that its root keys did not sign, or that may not follow the one that counted before.

    Signatures lie beside the policy. What follows a signed one has a higher version, and is signed by both.
    """
    before = None if seen in (None, data) else read_policy(seen or b"")
    if before and policy.version < before.version:
        raise UntrustedError("a newer version of the trust policy was seen before")
    if before and "root" in before.rules and ("root" not in policy.rules or policy.version == before.version):
        raise UntrustedError("the trust policy that counted before was signed; this may not replace it")
    judges = [judge for judge in (before, policy) if judge and "root" in judge.rules]
    about = {"name": "trust.toml", "digest": {"sha256": hashlib.sha256(data).hexdigest()}}
    said = {"_type": STATEMENT_TYPE, "subject": [about], "predicateType": POLICY_TYPE}
    payload = canonical({**said, "predicate": {"version": str(policy.version)}}).encode()
    signed = list(envelopes_beside(path)) if "root" in policy.rules else []
    for judge in judges:
        signers = frozenset(
            keyid
            for keyid, signature, found in signed
            if found == payload
            and keyid in judge.principals
            and signature_holds(judge.principals[keyid].key, signature, payload)
        )
        # An expired policy still says who may replace it.
        lasting = replace(judge, expires=datetime.max.replace(tzinfo=UTC))
        if why := lasting.refusal(Claim("root", signers, POLICY_TYPE), now):
            raise UntrustedError(f"the trust policy is not signed as it must be: {why}")


def envelopes_beside(path: Path) -> Iterator[tuple[str, bytes, bytes]]:
    """Give keyid, signature and payload of each signature beside a policy; a malformed one is misuse."""
    pattern = re.compile(re.escape(path.name) + r"(?:\.([0-9a-f]{64}))?\.sigstore\.json")
    named = [(one, match) for one in path.parent.iterdir() if (match := pattern.fullmatch(one.name))]
    for one, match in named:
        try:
            demand(len(named) <= MAX_SIGNATURES and one.is_file(), "it is no file, or one of too many")
            with one.open("rb") as stream:
                keyid, signature, payload, _ = open_envelope(stream.read(MAX_ATTESTATION))
            demand(match[1] in (None, fingerprint_hex(keyid)), "its name and its keyid name different keys")
        except RefusedError as error:
            raise MisuseError(f"{one.name[:200]!a} is no signature of the policy: {error}") from error
        yield keyid, signature, payload


# 6. Time stamps (RFC 3161).

SIGNED_DATA, TST_INFO = bytes.fromhex("2a864886f70d010702"), bytes.fromhex("2a864886f70d0109100104")
MESSAGE_DIGEST, SHA_256 = bytes.fromhex("2a864886f70d010904"), bytes.fromhex("608648016503040201")
TEXT_TAGS: Final = (0x0C, 0x12, 0x13, 0x14, 0x16, 0x1A, 0x1C, 0x1E)
HASHES: Final = {SHA_256[:-1] + bytes([last]): size for last, size in ((1, 256), (2, 384), (3, 512))}


@dataclass(frozen=True)
class Authority:
    """`[timestamps.NAME]` of a trust policy: certificates (x509), and when its word counts."""

    name: str
    certificates: Sequence[Any]
    valid_from: datetime | None
    valid_until: datetime | None


@dataclass(frozen=True)
class Token:
    """What a time stamp says, and who signed that, how: issuer and serial number as they are in DER."""

    moment: datetime
    bag: Sequence[Any]
    signer: tuple[bytes, int]
    signature: bytes
    signed: bytes
    hash_bits: int


def check_timestamp(one: Attestation, authorities: Sequence[Authority]) -> str:
    """Check the time stamp of a signature; it counts where an authority of the policy made it."""
    try:
        token = read_token(one.token or b"", one.signature)
        refusals = [(by, why_not(token, by)) for by in authorities if leads_to(token, by)]
    except RefusedError:
        raise
    except Exception as error:  # whatever `cryptography` makes of hostile bytes
        raise RefusedError("its timestamp is malformed") from error
    if not refusals:
        raise SkippedError(f"it says {utc(token.moment)}, by no authority that the policy names")
    made = next((by for by, why in refusals if not why), None)
    demand(made, f"its timestamp is none by the authority that it names: {refusals[0][1]}")
    one.proven = token.moment
    return f"{utc(token.moment)}, says `{made.name if made else ''}`"


def der(data: bytes) -> list[tuple[int, bytes, bytes]]:
    """Return tag, content and all bytes of each value in DER (X.690), one behind the other."""
    found = []
    while data:
        tag, size, start = data[0], data[1], 2
        if size & 0x80:
            start += size & 0x7F
            size = int.from_bytes(data[2:start])
            demand(3 <= start <= 5 and size >= 1 << max(7, 8 * (start - 3)), "a length is not DER")
        demand(tag & 0x1F != 0x1F and start + size <= len(data), "a value is not DER")
        found.append((tag, data[start : start + size], data[: start + size]))
        data = data[start + size :]
    return found


def inside(data: bytes, *tags: int) -> list[bytes]:
    """Return the contents of the values in `data`, which must begin with these tags."""
    found = der(data)
    demand([tag for tag, _, _ in found[: len(tags)]] == [*tags], "the timestamp has another form")
    return [content for _, content, _ in found]


def read_token(data: bytes, stamped: bytes) -> Token:
    """Read a granted time stamp over the SHA-256 of `stamped`, by one signer; nothing of it is verified."""
    from cryptography import x509

    demand(len(der(data)) == 1, "something follows the timestamp")
    status, content = inside(inside(data, 0x30)[0], 0x30, 0x30)
    demand(inside(status, 0x02)[0] == b"\0", "the authority refused it")
    kind, explicit = inside(content, 0x06, 0xA0)
    fields = inside(explicit, 0x30)[0]
    _, algorithms, wrapped, *_ = inside(fields, 0x02, 0x31, 0x30)
    rest = {tag: value for tag, value, _ in der(fields)[3:]}
    bag = [x509.load_der_x509_certificate(whole) for _, _, whole in der(rest.get(0xA0, b""))]
    sealed = (inside(value, 0x30, 0x30, 0x03)[2] for _, value, _ in der(rest.get(0xA0, b"")))
    demand(all(bits[:1] == b"\0" for bits in sealed), "a certificate has a signature of odd bits")
    what, held_in = inside(wrapped, 0x06, 0xA0)
    demand(kind == SIGNED_DATA and what == TST_INFO and len(bag) <= 16, "it is no timestamp")
    info = inside(held_in, 0x04)[0]
    _, _, imprint, _, moment, *_ = inside(inside(info, 0x30)[0], 0x02, 0x06, 0x30, 0x02, 0x18)
    hashed, message = inside(imprint, 0x30, 0x04)
    same = inside(hashed, 0x06)[0] == SHA_256 and message == hashlib.sha256(stamped).digest()
    demand(same, "its timestamp is of another signature, or by another digest")
    (by,) = inside(rest[0x31], 0x30)
    _, sid, digest, *_ = inside(by, 0x02, 0x30, 0x30)
    parts = [(tag, value, whole) for tag, value, whole in der(by)[3:]]
    bits = HASHES[inside(digest, 0x06)[0]]
    demand(digest in inside(algorithms, *[0x30] * len(der(algorithms))), "its digest is not announced")
    signed, signature = info, next(value for tag, value, _ in parts if tag == 0x04)
    if parts[0][0] == 0xA0:
        wanted = [inside(value, 0x06, 0x31)[1] for value in inside(parts[0][1], 0x30)
                  if inside(value, 0x06)[0] == MESSAGE_DIGEST]  # fmt: skip
        own = hashlib.new(f"sha{bits}", info).digest()
        demand([inside(value, 0x04) for value in wanted] == [[own]], "it signs another content")
        signed = b"\x31" + parts[0][2][1:]
    tags = [tag for tag, _, _ in parts if tag not in (0xA0, 0xA1)]
    well = tags == [0x30, 0x04] and inside(next(value for tag, value, _ in parts if tag == 0x30), 0x06)
    for part in inside(inside(sid, 0x30)[0], *[0x31] * len(der(inside(sid, 0x30)[0]))):
        for one in inside(part, *[0x30] * len(der(part))):
            well = well and [tag in TEXT_TAGS for tag, _, _ in der(one)[1:]] == [True] and inside(one, 0x06)
    demand(well, "the timestamp has another form")
    serial = int.from_bytes(inside(sid, 0x30, 0x02)[1], signed=True)
    when = datetime.strptime(moment.decode().partition(".")[0].rstrip("Z"), "%Y%m%d%H%M%S")
    return Token(when.replace(tzinfo=UTC), bag, (der(sid)[0][2], serial), signature, signed, bits)


def leads_to(token: Token, by: Authority) -> bool:
    """Say whether the names in a token lead from its signer to a root of the authority."""
    roots = {one.subject.public_bytes() for one in by.certificates if one.issuer == one.subject}
    above = {one.subject.public_bytes(): one.issuer.public_bytes() for one in (*token.bag, *by.certificates)}
    name = token.signer[0]
    for _ in range(32):
        if name in roots:
            return True
        name = above.get(name, name)
    return False


def why_not(token: Token, by: Authority) -> str:
    """Say why a token is none by the authority, or nothing: signature, chain, purpose, validity."""
    from cryptography import x509
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
    from cryptography.x509.oid import ExtendedKeyUsageOID

    every = {*token.bag, *by.certificates}
    found = [one for one in every if (one.issuer.public_bytes(), one.serial_number) == token.signer]
    if len(found) != 1 or (token.bag and found[0] not in token.bag):
        return "its signer's certificate is not there, or twice"
    key = found[0].public_key()
    algorithm = {256: hashes.SHA256(), 384: hashes.SHA384(), 512: hashes.SHA512()}[token.hash_bits]
    try:
        if isinstance(key, rsa.RSAPublicKey):
            key.verify(token.signature, token.signed, padding.PKCS1v15(), algorithm)
        elif isinstance(key, ec.EllipticCurvePublicKey):
            key.verify(token.signature, token.signed, ec.ECDSA(algorithm))
        else:
            return "its signer has a key of another kind"
        purpose = found[0].extensions.get_extension_for_class(x509.ExtendedKeyUsage)
    except (InvalidSignature, x509.ExtensionNotFound):
        return "its signature does not hold, or is not for time stamps"
    if not purpose.critical or [*purpose.value] != [ExtendedKeyUsageOID.TIME_STAMPING]:
        return "its signer's certificate is not for time stamps alone"
    if not is_certified(found[0], token, by, 8):
        return "no chain of valid certificates leads to a root of the authority"
    early = by.valid_from and token.moment < by.valid_from
    late = by.valid_until and token.moment >= by.valid_until
    return "the authority did not count then" if early or late else ""


def is_certified(one: Any, token: Token, by: Authority, most: int) -> bool:
    """Say whether certificates that were valid at the token's time lead to a root of the authority."""
    from cryptography import x509
    from cryptography.exceptions import InvalidSignature

    if not one.not_valid_before_utc <= token.moment <= one.not_valid_after_utc:
        return False
    if one in by.certificates and one.issuer == one.subject:
        return True
    for above in (*by.certificates, *token.bag) if most else ():
        try:
            one.verify_directly_issued_by(above)
            if not above.extensions.get_extension_for_class(x509.BasicConstraints).value.ca:
                continue
        except (ValueError, TypeError, InvalidSignature, x509.ExtensionNotFound):
            continue
        if above != one and is_certified(above, token, by, most - 1):
            return True
    return False


# 7. Attestations against files and policy.


@dataclass
class Report:
    """What was checked, in order: (name, ok | failed | skipped, in words)."""

    checks: list[tuple[str, str, str]] = field(default_factory=list)
    digest: str | None = None

    def run(self, name: str, check: Callable[[], str | None]) -> bool:
        """Add what became of one check; say whether it did not fail."""
        try:
            status, detail = "ok", check() or ""
        except RefusedError as error:
            status, detail = "failed", str(error)
        except SkippedError as error:
            status, detail = "skipped", str(error)
        self.checks.append((name, status, detail))
        return status != "failed"

    def skip(self, name: str, why: str) -> None:
        """Name something that was not checked."""
        self.checks.append((name, "skipped", why))

    @property
    def verdict(self) -> str:
        """Return `failed` where anything but trust failed, else `untrusted` where trust did."""
        wrong = [lacks_trust for lacks_trust, _ in self.wrong]
        return "verified" if not wrong else "untrusted" if all(wrong) else "failed"

    @property
    def sentence(self) -> str:
        """Return the first thing that failed, or that all is well."""
        said = (why for _, why in sorted(self.wrong, key=itemgetter(0)))
        return next(said, "the bundle is what its signers signed, and they are trusted")

    @property
    def wrong(self) -> list[tuple[bool, str]]:
        """Return what failed: whether it is about trust alone, and in words."""
        found = ((name, why) for name, status, why in self.checks if status == "failed")
        return [(name.startswith("trust:"), f"{name}: {why}") for name, why in found]


@dataclass
class Evidence:
    """The bundle's digests and its attestations by path, and who judges them when."""

    digests: Mapping[str, str]
    attestations: Mapping[str, Attestation]
    policy: Policy
    now: datetime

    def refusal(self, role: str, path: str, kind: str, *built: Any) -> str | None:
        """Ask the policy about what is signed at `path`, there or in a co-signature."""
        return self.policy.refusal(self.claim(role, path, kind, *built), self.now)

    def claim(self, role: str, path: str, kind: str, builder: Any = None, made_at: Any = None) -> Claim:
        """Return who signed what is at `path`, there or in a co-signature, and since when surely."""

        signed = self.signed(path)
        times = sorted(((one.proven, one.signer) for one in signed if one.proven), reverse=True)
        proven = {signer: moment for moment, signer in times if moment}
        return Claim(role, frozenset(one.signer for one in signed), kind, builder, made_at, proven)

    def signed(self, path: str) -> list[Attestation]:
        """Return the attestations by known keys of the very payload at `path`, there or in co-signatures."""
        payload = self.attestations[path].payload
        same = (one for one in self.attestations.values() if one.base == path and one.payload == payload)
        return [one for one in same if one.statement]

    def predicate(self, path: str, kind: str, shape: str) -> Any:
        """Return what a known key signed at `path`: of this type, about the right files; else None."""
        statement = next((one.statement for one in self.signed(path)), None)
        if statement is None:
            return None
        demand(statement["predicateType"] == kind, f"`{path}` holds {statement['predicateType'][:200]!a}")
        about = {one["name"]: one["digest"]["sha256"] for one in statement["subject"]}
        every = path in (PROVENANCE, RESULT) and len(self.digests) - 1 <= MAX_SUBJECTS
        one = "lock.json" if path == LOCK else SUMS
        wanted = self.digests if every else {one: self.digests[one]}
        demand(about == wanted, f"`{path}` is about other files than these")
        return read_predicate(statement["predicate"], shape, f"`{path}`")


@dataclass
class Signed:
    """The three statements of a bundle; None where no known key signed one."""

    provenance: Any
    result: Any
    lock: Any
    lock_type: str

    @property
    def is_read(self) -> bool:
        """Say whether a known key signed each of them."""
        return None not in (self.provenance, self.result, self.lock)

    @property
    def redaction(self) -> Any:
        """Return what the signed result says is withheld, None where it says nothing of it."""
        return self.result and self.result.get("redaction")

    def said(self) -> Iterator[dict[str, Any]]:
        """Give what each statement says of what several of them say."""
        if self.provenance:
            definition, details = self.provenance["buildDefinition"], self.provenance["runDetails"]
            run = {"invocation": details["metadata"]["invocationId"], "builder": details["builder"]}
            made = {"import": definition["buildType"] == IMPORT, "redact": definition["buildType"] == REDACT}
            yield {**definition["externalParameters"], **run, **made}
        if one := self.result:
            run = {"invocation": one["invocationId"], "builder": one["verifier"], "import": "origin" in one}
            yield {"lock": one["lock"], "blueprint": one["suite"], **run, "redact": "redaction" in one}
        if one := self.lock:
            is_import = self.lock_type == IMPORTED_TYPE
            yield {"lock": one["lock"], "blueprint": one["blueprint"], "import": is_import}


# What Python raises of content that is not what code expects.
HOSTILE = ArithmeticError, AttributeError, LookupError, OSError, RecursionError, TypeError, ValueError


def verify(path: Path, policy: Policy, now: datetime) -> Report:
    """Check the bundle at `path`; whatever is in it, the answer is a report."""
    report, folder = Report(), Folder(path)
    try:
        folder.walk(folder.root)
        verify_folder(folder, policy, now, report)
    except RefusedError as error:
        report.checks.append(("files", "failed", str(error)))
    except HOSTILE as error:
        said = f"it cannot be read: {type(error).__name__}: {str(error)[:200]!a}"
        report.checks.append(("files", "failed", said))
    finally:
        os.close(folder.root)
    return report


def verify_folder(folder: Folder, policy: Policy, now: datetime, report: Report) -> None:
    """Check files, signatures, statements and trust, and then what the files say."""
    demand(sum(facts[0] for facts in folder.files.values()) <= MAX_BYTES, "the bundle is too large")
    refuse_collisions(folder.files)
    for name in (*sorted(RECORDS), PROVENANCE, RESULT, LOCK):
        demand(name in folder.files, f"the bundle has no `{name}`")
    inside = [name for name in folder.files if name.startswith("attestations/")]
    demand(len(inside) < MAX_ATTESTATIONS, f"there are more than {MAX_ATTESTATIONS} attestations")
    demand(sum(folder.files[name][0] for name in inside) <= MAX_LISTING, "the attestations are too large")
    sealed = {name: folder.read(name, MAX_ATTESTATION) for name in sorted(inside)}
    kept = {"attestations/" + name[len(KEPT) :]: sealed.pop(name) for name in inside if name.startswith(KEPT)}
    digests = {name: folder.sha256(name) for name in sorted(folder.files.keys() - set(inside))}
    report.digest = "sha256:" + digests[SUMS]
    report.run("files", lambda: f"{len(digests)} files")
    report.run("checksums", lambda: check_sums(folder, digests))
    own = check_signed(sealed, Evidence(digests, {}, policy, now), report)
    is_redacted = bool(kept or {OPENINGS, ORIGINAL} & digests.keys() or (own and own[1].redaction))
    past = Evidence({}, {}, policy, now)
    before = check_original(folder, digests, kept, past, report) if is_redacted else own
    if own is None or before is None:
        return
    evidence, signed = before
    proof = (kept if is_redacted else sealed).get(LEDGER_PROOF)
    if is_redacted and LEDGER_PROOF in sealed:
        report.checks.append(
            ("ledger-proof", "failed", "a redacted bundle is in no ledger: its original may")
        )
    maker = evidence.attestations[PROVENANCE].signer
    recorded = Recorded(proof, signed, maker, "sha256:" + evidence.digests[SUMS], policy.pins)
    if proof is not None:
        report.run("original:ledger-proof" if is_redacted else "ledger-proof", recorded.check)
        report.skip("ledger-memory", "whether this ledger showed others another history: none is remembered")
    both = ({one.signer for one in evidence.signed(path)} for path in (PROVENANCE, RESULT))
    demanded = {policy.principals[one].ledger for one in set.intersection(*both)} - {None}
    if demanded or recorded.pin:
        report.run("trust:ledger", lambda: recorded.check_pin(demanded))
    if report.verdict == "failed" or not (signed.is_read and own[1].is_read):
        report.skip("contents", "nothing is parsed before its signature holds")
        return
    redactor = (evidence.digests, own[1]) if is_redacted else None
    contents = check_contents(folder, digests, signed, report, redactor)
    if contents and proof is not None:
        report.run("ledger-entry", lambda: recorded.compare(contents))


def check_signed(
    sealed: Mapping[str, bytes], evidence: Evidence, report: Report, original: str = ""
) -> "tuple[Evidence, Signed] | None":
    """Check attestations, and the statements in them against files and policy; None: stop here."""
    keys = {fingerprint: one.key for fingerprint, one in evidence.policy.principals.items()}
    opened: dict[str, Attestation] = {}

    def open_one(path: str) -> str:
        one = open_attestation(path, sealed[path], keys)
        demand(one.base in sealed, f"`{path}` co-signs what is not there")
        opened[path] = one
        if one.statement is None:
            raise SkippedError(f"{one.signer}, which the trust policy does not know")
        return one.signer

    for path in sorted(sealed.keys() - {LEDGER_PROOF}):
        report.run(f"{original}signature:{path[13:-14]}", partial(open_one, path))
        if path in opened and opened[path].statement and opened[path].token:
            check = partial(check_timestamp, opened[path], evidence.policy.authorities)
            report.run(f"{original}timestamp:{path[13:-14]}", check)
    if report.verdict == "failed":
        return None
    evidence.attestations = opened
    found: list[Signed] = []
    if not report.run(f"{original}agreement", lambda: check_agreement(evidence, found)):
        return None
    for path in sorted({one.base for one in opened.values()} - {PROVENANCE, RESULT, LOCK}):
        report.run(original + path[13:-14], lambda path=path: check_reproduction(path, evidence, found[0]))  # type: ignore[misc]
    check_trust(evidence, found[0], report, original)
    return evidence, found[0]


def check_sums(folder: Folder, digests: Mapping[str, str]) -> None:
    """Check that SHA256SUMS lists exactly these files; it is compared, not parsed."""
    listed = {name: sha256 for name, sha256 in digests.items() if name != SUMS}
    found = folder.read(SUMS, MAX_SUMS)
    if found != sums_of(listed):
        lines = set(found.split(b"\n"))
        odd = (name for name in sorted(listed) if f"{listed[name]}  {name}".encode() not in lines)
        raise RefusedError(f"`{next(odd, SUMS)}` is not as `{SUMS}` says, or it lists what is not there")


def check_agreement(evidence: Evidence, signed: list[Signed]) -> None:
    """Read the three statements into `signed`, and hold them against each other."""
    for one in evidence.attestations.values():
        same = one.payload == evidence.attestations[one.base].payload
        demand(same, f"`{one.path}` signs another payload than `{one.base}`")
    owner = evidence.attestations[PROVENANCE].signer == evidence.attestations[RESULT].signer
    demand(owner, "provenance and result are signed by different keys")
    statement = next((one.statement for one in evidence.signed(LOCK)), None)
    is_import = statement is not None and statement["predicateType"] == IMPORTED_TYPE
    kind, shape = (IMPORTED_TYPE, "imported") if is_import else (LOCK_TYPE, "lock")
    found = Signed(
        evidence.predicate(PROVENANCE, PROVENANCE_TYPE, "provenance"),
        evidence.predicate(RESULT, RESULT_TYPE, "evaluation"),
        evidence.predicate(LOCK, kind, shape),
        kind,
    )
    signed.append(found)
    for name in ("lock", "blueprint", "invocation", "builder", "import", "redact"):
        values = {canonical(about[name]) for about in found.said() if name in about}
        demand(len(values) <= 1, f"the signed statements name different values for the {name}")
    if not found.is_read:
        raise SkippedError("a statement by an unknown key is not read")


def check_trust(evidence: Evidence, signed: Signed, report: Report, original: str = "") -> None:
    """Ask the policy about each of the three statements."""
    builder = signed.provenance["runDetails"]["builder"]["id"] if signed.provenance else None
    made_at = instant(signed.result["evaluatedAt"]) if signed.result else None
    for name, role, path, kind, *built in (
        ("provenance", "result", PROVENANCE, PROVENANCE_TYPE, builder, made_at),
        ("result", "result", RESULT, RESULT_TYPE, builder, made_at),
        ("lock", "lock", LOCK, signed.lock_type),
    ):
        why = evidence.refusal(role, path, kind, *built)
        report.run(f"trust:{original}{name}", lambda why=why: demand(not why, str(why)))  # type: ignore[misc]


def check_reproduction(path: str, evidence: Evidence, signed: Signed) -> str:
    """Check a statement that the run was launched again: a bad one fails, a stranger's is not counted."""
    value, own = evidence.predicate(path, REPRODUCTION_TYPE, "reproduction"), evidence.digests[SUMS]
    signer = evidence.attestations[path].signer
    # Whoever co-signed the statement ran nothing.
    if value is None or evidence.attestations[path].statement is None:
        raise SkippedError(f"signed by the unknown key {signer}: not counted")
    demand(value["original"] == f"sha256:{own}", "the reproduction is of another bundle")
    demand(value["reproduced"] != f"sha256:{own}", "the reproduction names the original as its own outcome")
    external = signed.provenance and signed.provenance["buildDefinition"]["externalParameters"]
    demand(not external or value["lock"] == external["lock"], "the reproduction launched another lock")
    compared, equal = int(value["samples"]["n"]), int(value["samples"]["equal"])
    demand(equal <= compared, "the reproduction counts more equal samples than it compared")
    verdicts = [value["verdict"], *(metric["verdict"] for metric in value["metrics"])]
    demand(max(verdicts, key=AGAIN.index) == verdicts[0], "the reproduction is worse than it is called")
    claims = {claim["metric"]: claim["value"] for claim in signed.result["claims"]} if signed.result else None
    for metric in value["metrics"]:
        same = compared == equal and metric["original"] == metric["reproduced"]
        demand(same or metric["verdict"] != "identical", "the reproduction calls identical what differs")
        own_figure = claims is None or claims.get(metric["name"], ()) == metric["original"]
        demand(own_figure, "the reproduction compares with other figures than the original's")
    built = value["verifier"]["id"], instant(value["evaluatedAt"])
    lone = evidence.claim("reproduction", path, REPRODUCTION_TYPE, *built)
    why = evidence.refusal("reproduction", path, REPRODUCTION_TYPE, *built)
    if why := why or evidence.policy.refusal_of(signer, lone, evidence.now):
        raise SkippedError(f"not counted: {why}")
    return f"{value['verdict']}, by {signer}, scope {value.get('scope', 'full')}"


@dataclass
class Recorded:
    """`ledger.tlog-proof`: that a ledger holds the attempt's outcome (https://c2sp.org/tlog-proof)."""

    data: bytes | None
    signed: Signed
    maker: str
    digest: str
    pins: Sequence[Pin] = ()
    attempt: Any = None
    pin: Pin | None = None
    witnesses: frozenset[tuple[str, bytes]] = frozenset()

    def check(self) -> str:
        """Check entries, Merkle path and signatures of the proof, and hold them against the statements."""
        data = self.data or b""
        demand(len(data) <= 1 << 19, "the proof is too large")
        head, _, note = data.decode().partition("\n\n")
        first, said, place, *hashes = [*head.split("\n"), "", ""][: max(3, head.count("\n") + 1)]
        known_form = first == "c2sp.org/tlog-proof@v1" and said.startswith("extra ") and len(hashes) <= 64
        demand(known_form and re.fullmatch(r"index (0|[1-9][0-9]{0,15})", place), "the proof's form")
        extra = fits(parse(decode_base64(said[6:]), "the proof's entries"), "extra", "the proof's entries")
        self.attempt, outcome, index = extra["attempt"], extra["outcome"], int(place[6:])
        own = sha256_of(self.attempt)[7:] == outcome["attempt"]["sha256"]
        demand(own and outcome["attempt"]["index"] < index, "the proof's outcome is another attempt's")
        body, _, lines = note.rpartition("\n\n")
        origin, size, root = (*body.split("\n"), "", "")[:3]
        well = body == f"{origin}\n{size}\n{root}"
        demand(well and re.fullmatch(r"[1-9][0-9]{0,15}", size), "its checkpoint")
        path = [decode_base64(one) for one in hashes]
        leaf = hashlib.sha256(b"\0" + canonical(outcome).encode()).digest()
        demand(index < int(size) and all(len(one) == 32 for one in path), "the proof's place")
        demand(merkle_root(leaf, index, int(size), path) == decode_base64(root), "it is not in that ledger")
        pin = next((one for one in self.pins if one.is_of(origin)), None)
        seen = check_note(body + "\n", origin, lines, pin.witnesses if pin else {})
        self.pin, self.witnesses = pin, seen
        self._compare(outcome, origin)
        strangers = len(seen - (pin.witnesses.keys() if pin else set()))
        witnesses = f"co-signed by {len(seen)}, {strangers} of them unknown" if seen else "not witnessed"
        return f"attempt {self.attempt['position']} that ledger {origin[-64:][:12]} counts, {witnesses}"

    def check_pin(self, demanded: AbstractSet[str | None]) -> str:
        """Check that the proof is of the one ledger that its signers' keys are bound to, and witnessed."""
        found = {self.pin.name} if self.pin else set()
        demand(demanded <= found, "the policy binds the signer to another ledger than that of the proof")
        lacking = sorted(name for name, _ in self.pin.witnesses.keys() - self.witnesses) if self.pin else []
        demand(not lacking, f"not co-signed by {', '.join(lacking)}")
        return f"pinned as `{', '.join(found)}`"

    def _compare(self, outcome: Any, origin: str) -> None:
        demand(outcome["bundle"] == self.digest, "the ledger recorded another bundle")
        attempt, provenance, result = self.attempt, self.signed.provenance, self.signed.result
        if result:
            same = all(outcome[name] == result[name] for name in ("status", "failure", "verdict"))
            same = same and outcome.get("marks", []) == result.get("marks", [])
            demand(same, "the ledger recorded another outcome")
        if not provenance:
            raise SkippedError("nobody trusted says that it is the right ledger")
        definition = provenance["buildDefinition"]
        named, external = definition["internalParameters"], definition["externalParameters"]
        invocation = provenance["runDetails"]["metadata"]["invocationId"]
        entry = (origin, str(outcome["attempt"]["index"]))
        demand(entry == (named.get("ledger"), named.get("ledgerEntry")), "the signer names another ledger")
        same = (attempt["lock"], attempt["blueprint"]) == (external["lock"], external["blueprint"])
        demand(same and attempt["invocationId"] == invocation, "the ledger recorded another run")
        demand(attempt["signer"] == self.maker, "the ledger recorded another signer")

    def compare(self, contents: "Contents") -> None:
        """Check that the ledger recorded the attempt for what lock and result say it is."""
        identity, attempt = contents.identity, self.attempt
        data = {pin["sha256"] for pin in identity["inputs"] if pin["kind"] == "data"}
        metrics: dict[str, list[str]] = {}
        for one in identity["metrics"]:
            metrics.setdefault(one["definition"], []).append(one["name"])
        same = attempt["data"] == sorted(data) and attempt["metrics"] == metrics
        same = same and attempt["attempt"] == contents.result["attempt"]
        demand(same, "ledger and bundle name different data, metrics or attempts")
        demand(set(attempt.get("marks", [])) == marks_of(identity), "ledger and lock name different marks")


def merkle_root(leaf: bytes, index: int, size: int, path: list[bytes]) -> bytes:
    """Return the root of the tree of `size` entries to which a path leads (RFC 6962 section 2.1.1)."""
    if size == 1:
        demand(not path, "the proof's path is too long")
        return leaf
    demand(path, "the proof's path is too short")
    left, (*lower, sibling) = 1 << ((size - 1).bit_length() - 1), path
    if index < left:
        return hashlib.sha256(b"\1" + merkle_root(leaf, index, left, lower) + sibling).digest()
    return hashlib.sha256(b"\1" + sibling + merkle_root(leaf, index - left, size - left, lower)).digest()


def check_note(body: str, origin: str, lines: str, known: Witnesses) -> frozenset[tuple[str, bytes]]:
    """Check the log's signature of a checkpoint, by the key in its name; return which witnesses signed."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    own, witnesses = 0, set()
    demand(lines.endswith("\n"), "the checkpoint's last line has no line feed")
    listed = lines.removesuffix("\n").split("\n")
    demand(len(listed) <= 64, "the checkpoint has more than 64 signatures")
    for line in listed:
        demand(line.startswith("\N{EM DASH} "), "a line below the checkpoint is no signature")
        name, _, encoded = line[2:].partition(" ")
        blob = decode_base64(encoded)
        kind, point = named_note_key(name, blob[:4], origin, known)
        if point is None:
            continue
        text, signature = body, blob[4:]
        if kind == 4:
            moment, signature = int.from_bytes(blob[4:12], "big"), blob[12:]
            text = f"cosignature/v1\ntime {moment}\n{body}"
            witnesses.add((name, blob[:4]))
        try:
            Ed25519PublicKey.from_public_bytes(point).verify(signature, text.encode())
        except (InvalidSignature, ValueError) as error:
            raise RefusedError("a signature of the ledger's checkpoint does not hold") from error
        own += kind == 1
    demand(own, "the ledger did not sign its checkpoint, or its origin does not name its key")
    return frozenset(witnesses)


def named_note_key(name: str, identity: bytes, origin: str, known: Witnesses) -> tuple[int, bytes | None]:
    """Return kind (1 log, 4 witness) and key of who signed a line, no key where it is nobody of ours."""
    if (name, identity) in known:
        return 4, known[name, identity]
    match = re.fullmatch(r"w3id\.org/evalctl-launcher/(ledger|witness)/([0-9a-f]{64})", name, re.ASCII)
    if match is None:
        return 0, None
    kind, point = 1 if match[1] == "ledger" else 4, bytes.fromhex(match[2])
    refuse_weak(point)
    if kind == 1 and name != origin:
        return 0, None
    return kind, point if identity == note_key_id(name, bytes([kind]) + point) else None


# 8. The blueprint's language, and the identity that follows from it.

PLAIN, WORD = r"[A-Za-z0-9][A-Za-z0-9._-]*", r"(?:0|[1-9][0-9]{0,8})"
HIDDEN: Final = r"\u007f-\u009f\u2028-\u202e\u2066-\u2069\ufeff"
VISIBLE, TYPED = r"[^\u0000-\u0020\u007f-\u00a0\u2028-\u202e]", r"[^\u0000-\u001f\u007f]"
PART: Final = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
DOMAIN: Final = r"(?:localhost|[a-zA-Z0-9-]+(?:\.[a-zA-Z0-9-]+)*)(?::[0-9]{1,5})?"
PLACE: Final = rf"(?:oci:(?:{VISIBLE}| )+|(?:{DOMAIN}/)?{PART}(?:/{PART})*)"
ADDRESS: Final = r"://[^/?#@ ]+(?:[/?#][^ ]*)?\Z"
BOUND: Final = r"(?:>=|<=|==|>|<)[0-9]{1,9}(?:\.[0-9]{1,9}){0,3}"
OURS: Final = (
    *("HOME", "LC_ALL", "PYTHONHASHSEED", "SOURCE_DATE_EPOCH", "TZ", "OMP_NUM_THREADS"),
    *("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS", "VECLIB_MAXIMUM_THREADS"),
    *("RAYON_NUM_THREADS", "CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER", "NVIDIA_VISIBLE_DEVICES"),
    "NVIDIA_DRIVER_CAPABILITIES",
)
# Kinds of text: at most how many characters, and the pattern of the whole.
TEXTS: Final[Mapping[str, tuple[int, str]]] = {
    "line": (1000, rf"[^\u0000-\u001f{HIDDEN}]*"),
    "words": (1000, rf"[^\u0000-\u001f{HIDDEN}]+"),
    "prose": (10_000, rf"[^\u0000-\u0008\u000b-\u001f{HIDDEN}]*"),
    "argument": (10_000, r"[^\u0000]*"),
    "label": (128, PLAIN),
    "full-name": (255, f"{PLAIN}/{PLAIN}"),
    "version": (255, rf"{WORD}\.{WORD}\.{WORD}"),
    "digest": (255, "sha256:[0-9a-f]{64}"),
    "sha256": (2000, "[0-9a-f]{64}"),
    "commit": (255, "[0-9a-f]{40}"),
    "image-ref": (2000, f"{PLACE}@sha256:[0-9a-f]{{64}}"),
    "mirror": (2000, f"(?![^@]*@){PLACE}"),
    "platform": (255, r"[a-z0-9]+/[a-z0-9_]+(?:/[a-z0-9]+)?"),
    "path": (1000, r"(?!\.{0,2}(?:/|\Z))(?:(?!/\.{0,2}(?:/|\Z))[^\\\u0000-\u001f\u007f])*"),
    "folder": (1000, r"(?:(?!\.{0,2}(?:/|\Z))(?:(?!/\.{0,2}(?:/|\Z))[^\\\u0000-\u001f\u007f])*)?"),
    "git": (2000, rf"(?!-)(?:(?!https?:)|(?=https?{ADDRESS}))\S{TYPED}*"),
    "uri": (
        2000,
        r"(?:(?![A-Za-z][A-Za-z0-9+.-]+:)|(?=(?:file|s3|gs|hf|oci|doi):.)|"
        rf"(?=(?:git\+https|https?){ADDRESS}))\S{TYPED}*",
    ),
    "http": (2000, rf"https?://[^/@\s]+(?:/{VISIBLE}*)?"),
    "host": (255, r"(?:\*\.)?[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?(?::[0-9]{1,5})?"),
    "bounds": (255, f"{BOUND}(?:, ?{BOUND})*"),
    "variable": (255, rf"(?!EVALCTL_|(?:{'|'.join(OURS)})\Z)[A-Za-z_][A-Za-z0-9_]*"),
    "definition": (255, r"[a-z][a-z0-9-]*@[1-9][0-9]{0,3}|code:(?!/)[^\u0000-\u001f\\]+"),
    "measured": (255, rf"prediction|scores\.{PLAIN}"),
}
# A line is a table and its keys; no other may be there. After `~` stands what is meant where the key is left
# out, after `?` nothing is. `=a|b` is a choice, `0..9` a whole number, `1-9[kind]` a list, `1-9{name:kind}` a
# table by names; there are 0-1000 of them, `!` means none twice.
LANGUAGE: Final[dict[str, dict[str, tuple[str, str | None]]]] = {
    name: {
        key: (kind.removesuffix("?"), default if tilde else "null" if kind.endswith("?") else None)
        for key, _, rest in (word.partition(":") for word in words)
        for kind, tilde, default in [rest.partition("~")]
    }
    for name, *words in map(
        str.split,
        """
document schema:=evalctl/blueprint/v1 blueprint:about image:image code:code model:[model]~[] data:[data]~[]
 config:free~{} run:run score:score? service:0-100![service]~[] resources:resources~{} sandbox:sandbox~{}
 metric:1-1000![metric] matrix:matrix? bundle:bundle~{}
about name:full-name version:version title:line~"" license:line~"" authors:[words]~[] cite:line~""
 rationale:prose~"" supersedes:digest?
image ref:image-ref mirrors:0-100[mirror]~[] platform:platform~"linux/amd64"
code git:git commit:commit path:folder~"" lockfiles:![path]~[]
model name:label uri:uri sha256:sha256 size:0..9007199254740991? unpack:=none|zst|gz|tar|zip~"none"
 license:line~"" access:=public|gated|private~"public" split:=train|validation|test|other~"other"
 version:line~"" window:window? role:=input|held-out~"input" variant-of:label? derived-from:lineage?
 slot:label?
window from:day? to:day?
lineage data:![label]~[] command:[argument]~[] image:image-ref?
run command:1-1000[argument] seeds:1-1000![0..4294967295]~[0] timeout:duration~"1h"
 determinism:=bitwise|sample|metric~"metric" env:{variable:argument}~{}
 format:=samples|lm-eval|inspect~"samples" resumable:flag~false
score labels:label? command:1-1000[argument]? timeout:duration~"1h" env:{variable:argument}~{}
 resources:resources~{}
service name:label phase:=run|score~"run" image:image-ref command:1-1000[argument] models:![label]~[]
 ready:ready? env:{variable:argument}~{} resources:resources~{}
ready http:http timeout:duration~"10m"
resources cpus:1..4096~1 memory:size~"2GiB" tmp:size~"64MiB" shm:size~"64MiB" output:size~"256MiB"
 pids:1..4194304~1024 gpu:gpu?
gpu count:1..64~1 memory:size? compute-capability:bounds? driver:bounds? models:[words]~[]
sandbox network:=none|egress~"none" allow-hosts:![host]~[] runtime:=runc|runsc~"runc" allow:![widening]~[]
 secrets:![variable]~[]
metric name:label definition:definition of:measured~"prediction" where:0-100{words:scalar}~{}
 parameters:free~{} primary:flag~false direction:=higher|lower~"higher" ci:ci~{} threshold:threshold?
 published:printed? reproduce:tolerance?
ci method:label? level:share~0.95
threshold min:real? max:real? on:=value|ci-lower|ci-upper~"value"
printed value:real decimals:0..15 source:line~""
tolerance abs:real? sample-agreement:real?
matrix axes:1-20{words:1-1000[any]} include:[1-1000{words:any}]~[] exclude:[1-1000{words:any}]~[]
bundle redactable:flag~false
""".replace("\n ", " ")
        .strip()
        .split("\n"),
    )
}
LANGUAGE["data"] = {key: kind for key, kind in LANGUAGE["model"].items() if key != "slot"}
COLLECTION: Final = re.compile(r"(?:(\d+)-(\d+))?(!?)([\[{])(.+)[\]}]")
OPENS: Final = {
    "aio": "the kernel's older asynchronous input and output (io_setup, io_submit, ...)",
    "exec-tmp": "executing files in /tmp, as just-in-time compilers and build steps do",
    "io-uring": "asynchronous input and output through io_uring, a large part of the kernel",
    "locked-memory": "locking memory up to the container's own bound (0 bytes otherwise)",
    "memfd": "files without a name in memory (memfd_create), which can be executed",
    "netlink": "asking the kernel for network interfaces and routes (NETLINK_ROUTE sockets)",
    "numa": "choosing the memory of which processor holds what (mbind, set_mempolicy, ...)",
    "open-files": "16,384 open files for a process (1,024 otherwise)",
    "ptrace": "tracing and reading the evaluation's own processes, as debuggers and profilers do",
    "sysv-ipc": "System V shared memory, semaphores and message queues within the container",
}
IMPLIED: Final = {
    "exec-state": "executing files in /eval/state: no engine forbids that of a folder of the host"
}
UNITS: Final = {f"{prefix}{i}B": (1024 if i else 1000) ** power for i in ("", "i") for power, prefix in
                enumerate(("", "K", "M", "G", "T")) if prefix or not i}  # fmt: skip


def size_of(value: Any) -> Any:
    """Return the bytes of a size such as `2GiB`, None where it is none."""
    found = re.fullmatch(r"([1-9][0-9]{0,15})([KMGT]?i?B)", value) if isinstance(value, str) else None
    size = int(found[1]) * UNITS.get(found[2], 0) if found else value
    return size if is_integer(size) and 1 <= size <= MAX_INTEGER else None


def duration_of(value: Any) -> Any:
    """Return the seconds of a duration such as `1h30m`, None where it is none or beyond 366 days."""
    pattern = r"(?=[1-9])(?:(\d{1,3})d)?(?:(\d{1,4})h)?(?:(\d{1,6})m)?(?:(\d{1,8})s)?"
    found = re.fullmatch(pattern, value, re.ASCII) if isinstance(value, str) else None
    if found is None:
        return None
    days, hours, minutes, seconds = (int(part or 0) for part in found.groups())
    total = ((days * 24 + hours) * 60 + minutes) * 60 + seconds
    return total if total <= 366 * 86_400 else None


def day_of(value: Any) -> Any:
    """Return a day, None where it is none."""
    if isinstance(value, str) and re.fullmatch(r"\d{4}-\d\d-\d\d", value, re.ASCII):
        return date.fromisoformat(value)
    return value if isinstance(value, date) and not isinstance(value, datetime) else None


def is_free(value: Any) -> bool:
    """Say whether a lock can carry a TOML value."""
    if isinstance(value, dict):
        return not any(name.startswith("$") for name in value) and all(map(is_free, value.values()))
    if isinstance(value, list):
        return all(map(is_free, value))
    if isinstance(value, int):
        return abs(value) <= MAX_INTEGER
    return not isinstance(value, float) or math.isfinite(value)


# What a value of these kinds means; None refuses it.
SCALARS: Final[Mapping[str, Callable[[Any], Any]]] = {
    "size": size_of,
    "duration": duration_of,
    "day": day_of,
    "flag": lambda value: value if isinstance(value, bool) else None,
    "real": lambda value: float(value) if is_number(value) and is_free(value) else None,
    "share": lambda value: float(value) if is_number(value) and 0 < value < 1 else None,
    "scalar": lambda value: value if isinstance(value, str | int | float) and is_free(value) else None,
    "any": lambda value: value if is_free(value) else None,
    "free": lambda value: value if isinstance(value, dict) and is_free(value) else None,
    "widening": lambda value: value if isinstance(value, str) and value in OPENS else None,
}
# What must hold inside a table, of its keys as they are written (`raw`) and as they are meant (`it`).
RULES: Final[Mapping[str, Callable[[Any, Any], object]]] = {
    "window": lambda raw, it: raw and (len(raw) < 2 or it["from"] <= it["to"]),
    "threshold": lambda raw, it: (
        {"min", "max"} & raw.keys() and (not {"min", "max"} <= raw.keys() or it["min"] <= it["max"])
    ),
    "tolerance": lambda raw, it: raw and (it["abs"] or 0) >= 0 and 0 <= (it["sample-agreement"] or 0) <= 1,
    "resources": lambda raw, it: (
        "memory" not in raw
        or all(it[part] <= it["memory"] for part in ("tmp", "shm", "output") if part in raw)
    ),
    "score": lambda raw, it: "labels" not in raw if "command" in raw else raw.keys() == {"labels"},
    "sandbox": lambda raw, it: (
        bool(it["allow-hosts"]) == (it["network"] == "egress") and all(map(is_host, it["allow-hosts"]))
    ),
}


def is_host(entry: str) -> bool:
    """Say whether an entry of `allow-hosts` names a host, or with `*.` all below one, and perhaps a port."""
    host, colon, port = entry.removeprefix("*.").lower().partition(":")
    host, label = host.removesuffix("."), r"[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?"
    byte = r"(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
    is_address = re.fullmatch(rf"{byte}(?:\.{byte}){{3}}", host) is not None
    named = len(host) <= 253 and re.fullmatch(rf"{label}(?:\.{label})*", host)
    numeric = re.fullmatch(r"(?:.*\.)?(?:[0-9]+|0x[0-9a-f]*)", host)
    well = named and (is_address if numeric else True) and not (entry.startswith("*.") and is_address)
    return bool(well) and (not colon or 0 < int(port) < 1 << 16)


def read_as(value: Any, kind: str, what: str) -> Any:
    """Return a TOML value as one of the language's kinds, defaults filled in; refuse any other."""
    if many := COLLECTION.fullmatch(kind):
        return read_many(value, many, what)
    if kind in LANGUAGE:
        keys = LANGUAGE[kind]
        demand(isinstance(value, dict) and value.keys() <= keys.keys(), f"{what} is no such table")
        read = {key: read_key(value, key, *keys[key], f"{what}.{key}") for key in keys}
        demand(RULES.get(kind, lambda raw, it: True)(value, read), f"what {what} says does not fit together")
        return read
    if kind in TEXTS:
        most, pattern = TEXTS[kind]
        well = isinstance(value, str) and len(value) <= most and re.fullmatch(pattern, value)
        demand(well, f"{what} is no {kind}")
        return value
    if kind.startswith("="):
        demand(isinstance(value, str) and value in kind[1:].split("|"), f"{what} is none of {kind[1:]}")
        return value
    if ".." in kind:
        least, most = map(int, kind.split(".."))
        demand(is_integer(value) and least <= value <= most, f"{what} is not from {least} to {most}")
        return value
    meant = SCALARS[kind](value)
    demand(meant is not None, f"{what} is no {kind}")
    return meant


def read_key(table: Any, key: str, kind: str, default: str | None, what: str) -> Any:
    """Return what a table says at a key, or means where it does not."""
    if key in table:
        return read_as(table[key], kind, what)
    demand(default is not None, f"{what} is missing")
    usual = json.loads(default or "null")
    return None if usual is None else read_as(usual, kind, what)


def read_many(value: Any, kind: "re.Match[str]", what: str) -> Any:
    """Return the items of a list, or of a table whose names the writer chose."""
    least, most, once, bracket, inner = kind.groups()
    well = isinstance(value, list if bracket == "[" else dict)
    demand(well and int(least or 0) <= len(value) <= int(most or 1000), f"{what} is none, or of another size")
    if bracket == "{":
        name, _, item = inner.partition(":")
        return {read_as(key, name, what): read_as(one, item, f"{what}.{key}") for key, one in value.items()}
    items = [read_as(one, inner, what) for one in value]
    names = [one["name"] if isinstance(one, dict) else one for one in items] if once else []
    demand(len(set(names)) == len(names), f"{what} names something twice")
    return items


def read_blueprint(text: str) -> Any:
    """Read `blueprint.toml` as its language says, every default filled in; refuse whatever else it is."""
    demand(len(text.encode()) <= MAX_POLICY, "`blueprint.toml` is too large")
    try:
        written = read_toml(text)
    except (ValueError, RecursionError) as error:
        raise RefusedError("`blueprint.toml` is not TOML") from error
    count, deepest = measure(written)
    demand(count <= 50_000 and deepest <= 32, "`blueprint.toml` holds too much, or too deep")
    meant = read_as(written, "document", "the blueprint")
    check_inputs(meant)
    check_services(meant)
    check_harness(meant)
    decided = [table for table in meant["metric"] if table["primary"]]
    demand(len(decided) <= 1, "there are two primary metrics")
    (decided or meant["metric"])[0]["primary"] = True
    work, seeds = 0, len(meant["run"]["seeds"])
    for table in meant["metric"]:
        check_definition(table)
        resampled = resamples_of(table)
        work += 160 * seeds + resampled * (500 + seeds + 2 * seeds)
    demand(work <= MAX_WORK, "the metrics take too much work, however few the samples are")
    if meant["matrix"]:
        check_axes(meant["matrix"], written)
    return meant


def measure(value: Any) -> tuple[int, int]:
    """Return how many values there are, and how deep they are nested."""
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    found = list(map(measure, inner))
    return 1 + sum(count for count, _ in found), max((deep + 1 for _, deep in found), default=0)


def check_inputs(meant: Any) -> None:
    """Check that inputs have names of their own, and that what refers to one refers to one that is there."""
    inputs, score = [*meant["model"], *meant["data"]], meant["score"] or {"labels": None, "command": None}
    names = [item["name"] for item in inputs]
    demand(len(set(names)) == len(names), "two inputs have one name")
    held = {item["name"] for item in meant["data"] if item["role"] == "held-out"}
    demand(score["labels"] is None or score["labels"] in held, "the labels are no data, or not held out")
    sources = {item["name"]: (item["derived-from"] or {"data": []})["data"] for item in inputs}
    for item in inputs:
        named = {*sources[item["name"]], *([item["variant-of"]] if item["variant-of"] else [])}
        demand(named <= {*names} - {item["name"]}, "an input refers to none of the others")
    try:
        TopologicalSorter(sources).prepare()
    except CycleError as error:
        raise RefusedError("inputs are derived from each other in a circle") from error
    models = {item["name"] for item in meant["model"]}
    demand(all({*one["models"]} <= models for one in meant["service"]), "a service refers to no model")


def check_services(meant: Any) -> None:
    """Check that services beside one loopback have names and ports that can be told apart."""
    names = [one["name"].lower() for one in meant["service"]]
    taken = {"localhost", "sandbox", "ip6-localhost", "ip6-loopback"}
    demand(len(set(names)) == len(names) and not taken & {*names}, "two services have one host name")
    ports = set()
    for one in meant["service"]:
        beside = one["phase"] == "run" or (meant["score"] or {}).get("command")
        demand(beside, "there is nothing to be beside")
        if one["ready"]:
            pattern = rf"http://{re.escape(one['name'])}(?::([0-9]{{1,5}}))?(?:[/?][^#\x00-\x20\x7f]*)?"
            found = re.fullmatch(pattern, one["ready"]["http"], re.ASCII)
            port = int(found[1] or 80) if found else 0
            way_out = meant["sandbox"]["network"] == "egress" and port == 3128
            well = one["ready"]["http"].isascii() and 0 < port < 1 << 16 and not way_out
            demand(well and (one["phase"], port) not in ports, "a service's `ready` is another's, or no URL")
            ports.add((one["phase"], port))


def check_harness(meant: Any) -> None:
    """Check that a harness scores its own logs, and that Inspect asks for no sandbox of its own."""
    run = meant["run"]
    demand(run["format"] == "samples" or meant["score"] is None, "a harness brings scores")
    words = [word.strip("'\"") for argument in run["command"] for word in argument.split()]
    asked = [one.partition("=")[2].strip("'\"") for one in words if re.match("(?:--)?sandbox=", one)]
    asked += [after for word, after in pairwise(words) if word == "--sandbox"]
    asked += [run["env"][name] for name in ("INSPECT_EVAL_SANDBOX",) if name in run["env"]]
    local = all(one.partition(":")[0] == "local" for one in asked)
    demand(run["format"] != "inspect" or local, "Inspect's sandbox cannot be reached")


# What a definition is of, which intervals it has (the first by default; those of one class), its parameters.
DEFINITIONS: Final[Mapping[str, tuple[str, tuple[str, ...], tuple[str, ...], frozenset[str]]]] = {
    "accuracy@1": ("prediction", ("wilson", "bootstrap"), (), frozenset()),
    "precision@1": ("prediction", ("bootstrap",), ("wilson", "bootstrap"), frozenset(["class", "average"])),
    "recall@1": ("prediction", ("bootstrap",), ("wilson", "bootstrap"), frozenset(["class", "average"])),
    "f1@1": ("prediction", ("bootstrap",), ("wilson", "bootstrap"), frozenset(["class", "average"])),
    "mean@1": ("scores", ("student", "bootstrap"), (), frozenset()),
    "mae@1": ("prediction", ("student", "bootstrap"), (), frozenset()),
    "rmse@1": ("prediction", ("bootstrap",), (), frozenset()),
    "lre@1": ("prediction", ("student", "bootstrap"), (), frozenset(["digits"])),
}


def methods_of(definition: str, parameters: Any) -> tuple[str, ...]:
    """Return the intervals that a metric may have, the default first."""
    _, usual, of_class, _ = DEFINITIONS[definition]
    return of_class if "class" in parameters else usual


def check_definition(table: Any) -> None:
    """Check that a metric is used as its definition says; code of the blueprint's own has none."""
    name, given, method = table["definition"], table["parameters"], table["ci"]["method"]
    if name.startswith("code:"):
        return
    demand(name in DEFINITIONS, f"there is no definition {name[:80]!a}")
    of, _, _, known_parameters = DEFINITIONS[name]
    demand(table["of"].partition(".")[0] == of, f"{name} is not of {table['of'][:80]!a}")
    demand(given.keys() <= {*known_parameters, "resamples"}, f"{name} has other parameters")
    if "class" in known_parameters:
        demand(("class" in given) != ("average" in given), "`class` and `average` exclude each other")
        demand(given.get("average", "macro") in ("macro", "micro", "weighted"), "there is no such average")
        demand(isinstance(given.get("class", ""), str | int | float), "`class` is no label")
    bounds = {"digits": (1, 15), "resamples": (100, 100_000)}
    for each, (least, most) in bounds.items():
        demand(is_integer(given.get(each, least)) and least <= given.get(each, least) <= most, f"`{each}`")
    methods = methods_of(name, given)
    demand(method in (None, *methods), f"the interval of {table['name'][:80]!a} is none of its definition")
    drawn = "resamples" not in given or (method or methods[0]) == "bootstrap"
    demand(drawn, "`resamples` are of the bootstrap")


def resamples_of(table: Any) -> int:
    """Return how often a metric is resampled for its interval."""
    name, given = table["definition"], table["parameters"]
    method = table["ci"]["method"] or (methods_of(name, given)[0] if name in DEFINITIONS else "")
    return int(given.get("resamples", 1000)) if name in DEFINITIONS and method == "bootstrap" else 0


def check_axes(matrix: Any, written: Any) -> None:
    """Check that the axes of a matrix name keys of the language, and take values that these may have."""
    axes = matrix["axes"]
    demand(math.prod(map(len, axes.values())) <= 10_000, "the axes make too many combinations")
    cells = {name for cell in (*matrix["include"], *matrix["exclude"]) for name in cell}
    demand(cells <= axes.keys(), "a combination names no axis")
    for name, choices in axes.items():
        kind, steps = "document", name.split(".")
        for index, step in enumerate(steps):
            if kind == "free":
                there = at(written, name)
                demand(there is not None, f"{name[:80]!a} is not in the blueprint")
                kind = "any"
                break
            fixed = index == 0 and step in ("schema", "blueprint", "matrix", "bundle")
            by_name = COLLECTION.fullmatch(kind)
            if by_name and by_name[4] == "{":
                kind = by_name[5].partition(":")[2]
                continue
            demand(step in LANGUAGE.get(kind, {}) and not fixed, f"{name[:80]!a} is no key that can vary")
            kind = LANGUAGE[kind][step][0]
        for choice in choices:
            read_as(choice, kind, f"the axis {name[:80]!a}")


def frozen(value: Any) -> Any:
    """Return a TOML value as the lock holds it: floats and times as texts."""
    if isinstance(value, float):
        return {"$float": repr(value)}
    if isinstance(value, datetime | date | time):
        return {"$datetime": value.isoformat()}
    if isinstance(value, list):
        return [frozen(item) for item in value]
    return {name: frozen(item) for name, item in value.items()} if isinstance(value, dict) else value


def thawed(value: Any) -> Any:
    """Return the number in `{"$float": ...}`, and all else as it is."""
    return float(value["$float"]) if isinstance(value, dict) and set(value) == {"$float"} else value


def underscored(table: Any) -> Any:
    """Return a table of the blueprint as the lock holds it: keys with underscores, numbers as texts."""
    if not isinstance(table, dict):
        return frozen(table)
    return {name.replace("-", "_"): underscored(one) for name, one in table.items()}


def chosen(table: Any, *names: str) -> dict[str, Any]:
    """Return these keys of a table."""
    return {name: table[name] for name in names}


def identity_of(meant: Any, pinned: Any) -> dict[str, Any]:
    """Return the identity of a blueprint, of which only a resolution knows what is `pinned`."""
    code, run, score, box = meant["code"], meant["run"], meant["score"], meant["sandbox"]
    digests = {one["name"]: one for one in pinned["inputs"]}
    images = {one["name"]: one["image"] for one in pinned.get("services", [])}
    if score and score["labels"] is None:
        sandbox = profile_of(score["resources"], box)
        score = {**chosen(score, "command", "timeout", "env"), "sandbox": sandbox}
        score["resources"] = underscored(meant["score"]["resources"])
    elif score:
        score = chosen(score, "labels")
    inputs = [("model", one) for one in meant["model"]] + [("data", one) for one in meant["data"]]
    services = [service_identity(one, images[one["name"]], box) for one in meant["service"]]
    return {
        **chosen(meant["blueprint"], "name", "version"),
        "image": pinned["image"],
        "code": {
            **chosen(code, "commit", "path"),
            **chosen(pinned["code"], "tree", "content"),
            "lockfiles": chosen(pinned["code"]["lockfiles"], *code["lockfiles"]),
        },
        "inputs": [input_identity(kind, one, digests[one["name"]]) for kind, one in inputs],
        "config": frozen(meant["config"]),
        "run": chosen(run, "command", "env", "seeds", "timeout", "determinism", "format", "resumable"),
        "score": score,
        "metrics": list(map(metric_identity, meant["metric"])),
        "resources": underscored(meant["resources"]),
        "sandbox": profile_of(meant["resources"], box, is_resumable=run["resumable"]),
        "redactable": meant["bundle"]["redactable"],
        **({"services": services} if services else {}),
        **{name: pinned[name] for name in ("limit", "patch", "predictions") if pinned.get(name) is not None},
    }


def input_identity(kind: str, one: Any, pin: Any) -> dict[str, Any]:
    """Return an input as the lock holds it; another's bytes are in it only where it is a slot."""
    own = pin["sha256"] == one["sha256"]
    fits_it = one["size"] in (None, pin["size"]) if own else one.get("slot") is not None
    demand(fits_it, f"the lock pins other bytes of `{one['name']}` than its blueprint")
    said = chosen(one, "name", "unpack", "role", "split")
    tree = {"tree": True} if pin.get("tree") else {}
    return {"kind": kind, **said, **chosen(pin, "sha256", "size"), "variant_of": one["variant-of"], **tree}


def metric_identity(one: Any) -> dict[str, Any]:
    """Return a metric as the lock holds it; where its published figure was printed decides nothing."""
    printed = one["published"] and chosen(one["published"], "value", "decimals")
    rest = chosen(one, "name", "definition", "of", "primary", "direction")
    free = {name: frozen(one[name]) for name in ("where", "parameters")}
    tables = {name: underscored(one[name]) for name in ("ci", "threshold", "reproduce")}
    return {**rest, **free, **tables, "published": frozen(printed)}


def service_identity(one: Any, image: Any, box: Any) -> dict[str, Any]:
    """Return a service as the lock holds it; the evaluation's secrets are not given to it."""
    rest = chosen(one, "name", "phase", "command", "models", "ready", "env")
    sandbox = profile_of(one["resources"], {**box, "secrets": []})
    return {**rest, "image": image, "resources": underscored(one["resources"]), "sandbox": sandbox}


# 9. The sandbox, and what a probe must have found of it.

MASKED: Final = """
/proc/acpi /proc/asound /proc/cmdline /proc/config.gz /proc/diskstats /proc/interrupts /proc/kallsyms
/proc/kcore /proc/keys /proc/latency_stats /proc/modules /proc/partitions /proc/pressure /proc/sched_debug
/proc/scsi /proc/timer_list /proc/timer_stats /sys/block /sys/class /sys/devices/virtual/dmi
/sys/devices/virtual/powercap /sys/firmware /sys/fs/cgroup
""".split()
READ_ONLY: Final = "/proc/bus /proc/fs /proc/irq /proc/sys /proc/sysrq-trigger".split()
CALLS: Final = """
access chdir chmod chown close close_range copy_file_range creat dup dup2 dup3 faccessat faccessat2 fadvise64
fallocate fchdir fchmod fchmodat fchown fchownat fcntl fdatasync fgetxattr flistxattr flock fremovexattr
fsetxattr fstat fstatfs fsync ftruncate futimesat getcwd getdents getdents64 getxattr inotify_add_watch
inotify_init inotify_init1 inotify_rm_watch lchown lgetxattr link linkat listxattr llistxattr lremovexattr
lseek lsetxattr lstat mkdir mkdirat newfstatat open openat openat2 pread64 preadv preadv2 pwrite64 pwritev
pwritev2 read readahead readlink readlinkat readv removexattr rename renameat renameat2 rmdir sendfile
setxattr splice stat statfs statx symlink symlinkat sync sync_file_range syncfs tee truncate umask unlink
unlinkat utime utimensat utimes write writev brk madvise membarrier mincore mlock mlock2 mlockall mmap
mprotect mremap msync munlock munlockall munmap pkey_alloc pkey_free pkey_mprotect arch_prctl capget execve
execveat exit exit_group fork futex futex_waitv get_robust_list getcpu getegid geteuid getgid getgroups
getpgid getpgrp getpid getppid getpriority getresgid getresuid getrlimit getrusage getsid gettid getuid kill
pause pidfd_open pidfd_send_signal prctl restart_syscall rseq rt_sigaction rt_sigpending rt_sigprocmask
rt_sigqueueinfo rt_sigreturn rt_sigsuspend rt_sigtimedwait rt_tgsigqueueinfo sched_get_priority_max
sched_get_priority_min sched_getaffinity sched_getattr sched_getparam sched_getscheduler
sched_rr_get_interval sched_setaffinity sched_yield seccomp set_robust_list set_tid_address setpgid setrlimit
setsid sigaltstack tgkill tkill vfork wait4 waitid alarm clock_getres clock_gettime clock_nanosleep getitimer
gettimeofday nanosleep setitimer time timer_create timer_delete timer_getoverrun timer_gettime timer_settime
timerfd_create timerfd_gettime timerfd_settime times epoll_create epoll_create1 epoll_ctl epoll_pwait
epoll_pwait2 epoll_wait eventfd eventfd2 pipe pipe2 poll ppoll pselect6 select signalfd signalfd4 accept
accept4 bind connect getpeername getsockname getsockopt listen recvfrom recvmmsg recvmsg sendmmsg sendmsg
sendto setsockopt shutdown socketpair getrandom sysinfo uname
"""
MORE_CALLS: Final[Mapping[str, str]] = {
    "gpu": "get_mempolicy mbind memfd_create set_mempolicy",
    "aio": "io_setup io_submit io_getevents io_pgetevents io_cancel io_destroy",
    "io-uring": "io_uring_setup io_uring_enter io_uring_register",
    "memfd": "memfd_create",
    "numa": "get_mempolicy mbind migrate_pages move_pages set_mempolicy set_mempolicy_home_node",
    "ptrace": "kcmp ptrace process_vm_readv process_vm_writev",
    "sysv-ipc": "msgctl msgget msgrcv msgsnd semctl semget semop semtimedop shmat shmctl shmdt shmget",
}
USER: Final = 65532


def calls_of(variant: str, widenings: Iterable[str]) -> frozenset[str]:
    """Return the system calls that pass the filter whatever their arguments."""
    return frozenset(" ".join([CALLS, *(MORE_CALLS.get(one, "") for one in (variant, *widenings))]).split())


def filter_of(variant: str, widenings: Sequence[str]) -> dict[str, Any]:
    """Return the filter of system calls as engines read it; arguments are compared under a mask."""

    def allow(names: Iterable[str], *arguments: tuple[int, ...]) -> dict[str, Any]:
        args = [
            {"index": index, "value": mask, **({"valueTwo": two[0], "op": "SCMP_CMP_MASKED_EQ"} if two else
             {"op": "SCMP_CMP_EQ"})} for index, mask, *two in arguments
        ]  # fmt: skip
        return {"names": list(names), "action": "SCMP_ACT_ALLOW", "args": args}

    every = 0xFFFFFFFF
    requests = [(every, one) for one in (0x5401, 0x540F, 0x5413, 0x541B, 0x5421, 0x5450, 0x5451)]
    gpus = ((0xFF00, 0x4600), (0xFFFFFF00, 0), (every, 0x30000001), (every, 0x30000002))
    requests += gpus if variant == "gpu" else ()
    sockets = [(1, kind, 0) for kind in (1, 2)]
    kinds = ((1, 6), (2, 17))
    sockets += [(family, kind, one) for kind, last in kinds for family in (2, 10) for one in (0, last)]
    oneself = {"prlimit64": 1, "sched_setattr": 1, "sched_setparam": 1, "sched_setscheduler": 1}
    oneself["setpriority"] = 2
    netlink = [((0, 16), (1, 0xF, kind), (2, 0)) for kind in (2, 3)] if "netlink" in widenings else []
    return {
        "defaultAction": "SCMP_ACT_ERRNO",
        "architectures": ["SCMP_ARCH_X86_64"],
        "syscalls": [
            allow(sorted(calls_of(variant, widenings))),
            allow(["clone"], (0, 0x7E020000, 0)),
            {"names": ["clone3"], "action": "SCMP_ACT_ERRNO", "errnoRet": 38},
            *(allow(["ioctl"], (1, mask, request)) for mask, request in requests),
            *(allow(["socket"], (0, one), (1, 0xF, kind), (2, every, last)) for one, kind, last in sockets),
            *(allow([name], *((at, every, 0) for at in range(count))) for name, count in oneself.items()),
            *(allow(["socket"], *arguments) for arguments in netlink),
        ],
    }


def profile_of(resources: Any, box: Any, *, is_resumable: bool = False) -> dict[str, Any]:
    """Return the sandbox that `[resources]` and `[sandbox]` ask for, and its digest."""
    widenings, variant = sorted(box["allow"]), "gpu" if resources["gpu"] else "cpu"
    memory, output = resources["memory"], resources["output"]
    sizes = chosen(resources, "cpus", "memory", "pids", "shm")
    seen = {name: sorted(box[name]) for name in ("allow-hosts", "secrets") if box[name]}
    inodes = max(4096, output // 16384)
    state = {"path": "/eval/state", "bytes": output, "inodes": inodes, "bound": "watched"}
    execution = "exec" if "exec-tmp" in widenings else "noexec"
    owner = [f"uid={USER}", f"gid={USER}"]
    places = (
        ("/eval/out", output, 2001, "noexec", "mode=0700"),
        ("/tmp", resources["tmp"], max(4096, resources["tmp"] // 16384), execution, "mode=1777"),  # noqa: S108
    )
    values = {
        "version": "v1",
        "user": f"{USER}:{USER}",
        "capabilities": [],
        "no-new-privileges": True,
        "read-only-root": True,
        **chosen(box, "network", "runtime"),
        **seen,
        **sizes,
        "memory-and-swap": memory,
        "scratch": [
            {"path": path, "bytes": size, "inodes": most, "options": ["nosuid", "nodev", *options, *owner]}
            for path, size, most, *options in places
        ],
        **({"state": state} if is_resumable else {}),
        "output-entries": 2000,
        "output-depth": 6,
        "ulimits": {
            "core": 0,
            "fsize": max(output, resources["tmp"], resources["shm"]) + (1 << 20),
            "memlock": memory if variant == "gpu" or "locked-memory" in widenings else 0,
            "msgqueue": 0,
            "nofile": 16384 if "open-files" in widenings else 1024,
        },
        "masked-paths": MASKED,
        "read-only-paths": READ_ONLY,
        "ipc": "private",
        "cgroup-namespace": "private",
        "oom-score-adjustment": 500,
        "hostname": "sandbox",
        "domainname": "",
        "system-calls": variant,
        "seccomp": sha256_of(filter_of(variant, widenings)),
        "widenings": sorted([*widenings, *(IMPLIED if is_resumable else ())]),
    }
    return {**values, "profile": sha256_of(values)}


UNREACHABLE: Final = "ENETUNREACH EHOSTUNREACH EADDRNOTAVAIL EAFNOSUPPORT EPERM EACCES ENOSYS".split()
ADDRESSES: Final = "connect:public connect:public-6 connect:metadata connect:dns".split()
# What nobody may have succeeded in; of some things only where the host's own kernel answers (runc).
REFUSED: Final = """
socket:raw socket:packet socket:vsock socket:alg mount umount setuid setgid hostname execute:/eval/out
write:/ write:/etc write:/usr write:/eval write:/eval/code write:/eval/inputs write:/eval/config.json
write:/sys
""".split()
RUNC_REFUSES: Final = "socket:netlink-audit mknod unshare:user unshare:mount unshare:network chroot".split()
WRITABLE: Final = "/proc /dev /dev/pts /dev/shm /dev/mqueue /tmp /eval/out".split()
ENGINES: Final = ("/run/docker.sock", "/var/run/docker.sock")


def held(report: Any, profile: Any, *, by_runc: bool) -> Iterator[object]:
    """Give whether each thing holds that a probe's report must say of a sandbox."""
    tried, opens, scratch = report["attempts"], profile["widenings"], report["scratch"]
    yield {*report["user"], *report["group"], *report["groups"]} == {USER}
    sets = ("inheritable", "permitted", "effective", "bounding", "ambient")
    yield not any(int(report["capabilities"][name], 16) for name in sets)
    yield report["no-new-privileges"] and "answered" not in (report["entries"][n] for n in ("32-bit", "x32"))
    yield {*report["interfaces"]} <= {"lo"} and report["processes"] <= 2
    reached = {*ADDRESSES, *(name for name in tried if name.startswith("connect:"))}
    yield all(tried[name] in UNREACHABLE for name in reached)
    refused = {*REFUSED, *(name for name in tried if name.startswith("write:"))}
    refused |= set() if "exec-tmp" in opens else {"execute:/tmp"}
    yield all(tried[name] != "ok" for name in refused)
    own = {*WRITABLE, *MASKED, *([profile["state"]["path"]] if "state" in profile else [])}
    gpus = ("/dev/nvidia", "/proc/driver/nvidia", "/run/nvidia-persistenced/")
    for target, described in report["mounts"].items():
        may_write = target in own or (profile["system-calls"] == "gpu" and target.startswith(gpus))
        yield may_write or "ro" in described.rpartition(" ")[2].split(",")
    yield "/" in report["mounts"]
    yield not any(report["visible"][path] or path in report["mounts"] for path in ENGINES)
    for name, most in profile["ulimits"].items():
        yield all(bound is not None and bound <= most for bound in report["limits"][name])
    sizes = {one["path"]: one["bytes"] for one in profile["scratch"]} | {"/dev/shm": profile["shm"]}  # noqa: S108
    yield all(0 < scratch[path]["bytes"] < size + 4096 for path, size in sizes.items())
    yield profile["network"] != "none" or report["hostname"] == "sandbox"
    if by_runc:
        yield report["seccomp"] == 2 and {*report["answered"]} <= calls_of(profile["system-calls"], opens)
        more = {*RUNC_REFUSES} | (set() if "netlink" in opens else {"socket:netlink"})
        yield all(tried[name] != "ok" for name in more)
        yield not any(report["visible"][path] for path in (*MASKED, "/proc/1/environ"))
        yield all(0 < scratch[one["path"]]["inodes"] <= one["inodes"] for one in profile["scratch"])


def check_probes(contents: "Contents") -> None:
    """Check that each container was probed and no weaker than its profile, or that the run failed of it."""
    table, meant, result = contents.facts(), contents.blueprint, contents.result
    runtime = at(table.get("sandbox.profile", (None, ""))[0], "runtime")
    demand(runtime in ("runc", "runsc"), "it does not say under which runtime the probe looked")
    profiles: dict[str, Any] = {}
    if "score-only" not in result.get("marks", []):
        profiles["run"] = contents.identity["sandbox"]
    if at(meant, "score.command"):
        profiles["score"] = contents.identity["score"]["sandbox"]
    for one in contents.identity.get("services", []):
        if one["phase"] in profiles:
            profiles[f"service.{one['name']}"] = one["sandbox"]
    told = {f"probe.{phase}" for phase in profiles}
    extra = {name for name, (_, source) in table.items() if source == "probe"} - told
    demand(not extra, "it tells of a probe that never was")
    holds = True
    for phase, profile in profiles.items():
        value, source = table.get(f"probe.{phase}", ([], "probe"))
        reports: dict[int, Any] = {}
        for item in value if source == "probe" else []:
            report = fits(item["report"], "report", "a probe's report")
            for number in item["replicates"]:
                demand(is_integer(number) and number not in reports, "a replicate has two reports")
                reports[number] = report
        every = reports.keys() == {one["replicate"] for one in result["replicates"]}
        demand(every or result["status"] == "failed", f"not every container of `{phase}` was probed")
        try:
            each = (held(one, profile, by_runc=runtime == "runc") for one in reports.values())
            holds = holds and all(chain.from_iterable(each))
        except (KeyError, ValueError):  # what a probe does not say, it did not find
            holds = False
    demand(holds or result["failure"] == "sandbox", "the sandbox was weaker than its profile")


def at(table: Any, path: str, default: Any = None) -> Any:
    """Return what stands at a key path."""
    for name in path.split("."):
        table = table.get(name) if isinstance(table, dict) else None
    return default if table is None else table


# 10. What the files say, and whether they agree.


WIDE, WIDEST = re.compile(rb"[\x80-\xff]|\\u"), re.compile(rb"[\xf0-\xff]|\\u[dD]")


@dataclass
class Contents:
    """The files that are parsed, once their digests are signed."""

    folder: Folder
    digests: Mapping[str, str]
    signed: Signed
    lock: Any = None
    result: Any = None
    blueprint: Any = None
    listed: Mapping[str, str] = field(default_factory=dict)  # the files before anything was withheld

    @property
    def identity(self) -> Any:
        """Return what the lock pins."""
        return self.lock["identity"]

    @property
    def is_import(self) -> bool:
        """Say whether it was made of another harness's logs."""
        return bool(self.lock["schema"] == "evalctl/imported/v1")

    @property
    def seeds(self) -> list[int]:
        """Return the seed of each replicate."""
        return [0] if self.is_import else list(self.identity["run"]["seeds"])

    def bytes(self, name: str, limit: int) -> bytes:
        """Return the very bytes of a file that are signed."""
        data = self.folder.read(name, limit)
        demand(hashlib.sha256(data).hexdigest() == self.digests[name], f"`{name}` changed while it was read")
        return data

    def facts(self) -> dict[str, tuple[Any, str]]:
        """Return the environment's facts, each with who says so, by name."""
        table = parse(self.bytes("environment.json", MAX_LISTING), "environment.json", "\n")
        facts = fits(fits(table, "environment", "environment.json")["facts"], "<fact>", "a fact")
        names = [fact["name"] for fact in facts]
        demand(names == sorted(set(names)), "the facts are not sorted, or one stands twice")
        return {fact["name"]: (fact["value"], fact["source"]) for fact in facts}

    def read(self) -> None:
        """Read lock, blueprint and result; what is parsed is bounded together, as it will be in memory."""
        held = [self.bytes(name, MAX_LISTING) for name in PARSED]
        wide = sum(len(data) * (4 if WIDEST.search(data) else 2 if WIDE.search(data) else 1) for data in held)
        demand(sum(map(values_in, held)) <= MAX_VALUES and wide <= MAX_LISTING, "there is too much to parse")
        self.lock = fits(parse(self.bytes("lock.json", 4 << 20), "lock.json"), "locked", "lock.json")
        fits(self.identity, "import" if self.is_import else "identity", "the identity")
        source = self.bytes("blueprint.toml", MAX_RECORD)
        demand(self.lock["blueprint"].encode() == source, "`blueprint.toml` is not the text in `lock.json`")
        if not self.is_import:
            self.blueprint = read_blueprint(self.lock["blueprint"])
        self.result = fits(
            parse(self.bytes("result.json", MAX_LISTING), "result.json", "\n"), "result", "result.json"
        )
        for one in (self.result, *self.result["replicates"]):
            check_ending(one, "`result.json`")
        for one in self.result["metrics"]:
            absent = {one[name] is None for name in ("ci", "ci_method", "ci_level")}
            demand(len(absent) == 1 and len(one["ci"] or "ab") == 2, "`result.json`: an interval")
        demand(("origin" in self.result) == self.is_import, "result and lock differ in the origin")


def check_contents(
    folder: Folder, digests: Mapping[str, str], signed: Signed, report: Report, redactor: Any = None
) -> "Contents | None":
    """Check everything that the signed files say; return it where it can be read.

    Of a redacted bundle `signed` is the original's; `redactor` has the files that the original had, and what
    was signed of those that are left.
    """
    contents = Contents(folder, digests, signed, listed=redactor[0] if redactor else digests)
    if not report.run("contents", contents.read):
        return None
    report.run("records", lambda: check_records(contents))
    checks: dict[str, Callable[[Contents], str | None]] = {"lock": check_lock, "blueprint": check_blueprint}
    checks |= {"environment": check_environment, "probe": check_probes, "sbom": check_inventory}
    checks["marks"] = check_marks
    if not redactor:
        checks["commitments"] = check_commitments
    for name, check in ({"lock": check_import} if contents.is_import else checks).items():
        report.run(name, lambda check=check: check(contents))  # type: ignore[misc]
    skipped: list[str] = []
    if redactor:
        check_redacted(contents, redactor[1], skipped, report)
    else:
        report.run("metrics", lambda: check_metrics(contents, skipped))
    report.run("claims", lambda: check_claims(contents, redactor and redactor[1]))
    if contents.is_import:
        report.skip("origin", "imported from logs that nobody signed: nothing was launched")
    for why in dict.fromkeys(skipped):
        report.skip("intervals", why)
    return contents


def check_names(contents: Contents) -> None:
    """Check that lock, result and statement are of one run, with one outcome for each of its seeds."""
    identity, result = contents.identity, contents.result
    run = sha256_of(identity)
    same = run == result["lock"] == contents.signed.result["lock"]
    demand(same, "lock, result and signed statement name different runs")
    named = {"name": identity["name"], "version": identity["version"]}
    demand(result["blueprint"] == named, "result and lock name different evaluations")
    replicates, attempt = result["replicates"], result["attempt"]
    seeds = [(one["replicate"], one["seed"]) for one in replicates]
    demand(seeds == list(enumerate(contents.seeds)), "the replicates are not those of the lock's seeds")
    earlier = all(one.get("attempt", -1) < attempt for one in replicates)
    demand(earlier, "a replicate is of an attempt that came later")
    well = all(one["failure"] is None and not one["exit_code"] for one in replicates)
    demand(well or result["status"] == "failed", "a replicate of a run with a score failed")


def check_lock(contents: Contents) -> str:
    """Check that result and provenance are of the run that the lock pins, and name all that it is made of."""
    check_names(contents)
    signed = contents.signed.provenance["buildDefinition"]["resolvedDependencies"]
    inputs = {one["name"]: one for kind in ("model", "data") for one in contents.blueprint[kind]}
    wanted = list(dependencies(contents.identity, inputs))
    demand(signed == wanted, "the signed provenance names other inputs than the lock pins")
    return f"{contents.result['lock']}, made of {len(wanted)} things by digest"


def dependencies(identity: Any, inputs: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Give what the provenance must name; addresses only of public inputs."""
    image, code = identity["image"], identity["code"]
    yield {"name": "image", "digest": {"sha256": image["manifest"][7:]}}
    yield {"name": "image-config", "digest": {"sha256": image["config"][7:]}}
    yield {"name": "code", "digest": {"gitCommit": code["commit"], "gitTree": code["tree"]}}
    for pin in identity["inputs"]:
        item = inputs[pin["name"]]
        public = item["access"] == "public" and item["sha256"] == pin["sha256"]
        uri = {"uri": item["uri"]} if public and item["uri"].startswith(("http://", "https://")) else {}
        yield {"name": f"{pin['kind']}/{pin['name']}", "digest": {"sha256": pin["sha256"]}, **uri}
    for one in identity.get("services", []):
        yield {"name": f"service/{one['name']}/image", "digest": {"sha256": one["image"]["manifest"][7:]}}
    if "patch" in identity:
        yield {"name": "patch", "digest": {"sha256": identity["patch"]}}


def check_import(contents: Contents) -> None:
    """Check an import: its statements name the logs that the lock names, and claim no launch."""
    check_names(contents)
    identity, statement = contents.identity, contents.signed.lock
    definition = contents.signed.provenance["buildDefinition"]
    sources = ((f"source/{one['name']}", one["sha256"]) for one in identity["sources"])
    logs = [{"name": name, "digest": {"sha256": sha256}} for name, sha256 in sources]
    named = definition["resolvedDependencies"] == statement.get("sources") == logs
    named = named and statement["harness"] == identity["harness"]
    demand(named, "the statements name other logs than the lock")
    demand(contents.lock["blueprint"] == imported_text(identity), "`blueprint.toml` is not the import's")
    marks, status = set(contents.result.get("marks", [])), contents.result["status"]
    demand(status == "succeeded" and marks <= {"partial"}, "an import has no failure or mark")
    facts, inventory = contents.facts(), contents.bytes("sbom.cdx.json", MAX_LISTING)
    own = all(name.startswith(("launcher.", "harness.")) for name in facts)
    empty = {"bomFormat": "CycloneDX", "specVersion": "1.6", "version": 1}
    empty["compositions"] = [{"aggregate": "unknown"}]
    is_empty = inventory == (canonical(empty) + "\n").encode()
    unused = is_empty and not contents.folder.files["resources.jsonl"][0]
    nothing = own and unused and set(contents.digests) == RECORDS
    demand(nothing, "nothing was launched, so there is no image, no use of resources and no further file")


def imported_text(identity: Any) -> str:
    """Return the `blueprint.toml` of an import, for people."""

    def line(name: str, value: str) -> str:
        return f"{name} = {json.dumps(value, ensure_ascii=False)}\n".replace("\x7f", "\\u007f")

    made = f"# Imported from logs of {identity['harness']}, unsigned origin: evalctl launched nothing.\n"
    made += line("schema", "evalctl/imported/v1") + "\n[blueprint]\n"
    made += line("name", identity["name"]) + line("version", identity["version"])
    for one in identity["sources"]:
        made += "\n[[source]]\n" + line("name", one["name"]) + line("sha256", one["sha256"])
    for one in identity["metrics"]:
        made += "\n[[metric]]\n" + line("name", one["name"]) + line("definition", "mean@1")
        made += line("of", f"scores.{one['score']}") + line("direction", one["direction"])
        made += "where = { completed = true }\n" if one["completed_only"] else ""
    return made


def check_blueprint(contents: Contents) -> None:
    """Check that the identity is what its blueprint and its own pins give."""
    blueprint, identity = contents.blueprint, contents.identity
    derived = identity_of(blueprint, identity)
    differing = {name for name in {*derived, *identity} if derived.get(name) != identity.get(name)}
    same = canonical(derived) == canonical(identity)
    demand(same, f"the lock's identity is not its blueprint's: {', '.join(sorted(differing))} differ")
    asked = [blueprint["image"]["ref"], *(one["image"] for one in blueprint["service"])]
    images = [identity["image"], *(one["image"] for one in identity.get("services", []))]
    for ref, image in zip(asked, images, strict=True):
        named = fits(image, "image", "an image")["index"] or image["manifest"]
        same = named == ref.rpartition("@")[2] and image["platform"] == blueprint["image"]["platform"]
        demand(same, "the lock pins another image than its blueprint names")
    committed = identity["redactable"] == (COMMITMENTS in contents.digests)
    demand(committed, f"there is `{COMMITMENTS}` exactly where the blueprint asks for it")
    pinned = identity.get("predictions")
    scored = pinned is None or (blueprint["score"] and len(pinned) == len(contents.seeds))
    demand(scored, "the lock pins predictions that its blueprint does not score")


def check_environment(contents: Contents) -> None:
    """Check that the environment is of the images, sandbox and attempts of lock and result."""
    identity, result = contents.identity, contents.result
    facts = {name: value for name, (value, _) in contents.facts().items()}
    images = {"": identity["image"]}
    images |= {f"service.{one['name']}.": one["image"] for one in identity.get("services", [])}
    for prefix, image in images.items():
        for key in ("manifest", "config", "diff_ids", "platform"):
            name = f"{prefix}image.{key.replace('_', '-')}"
            demand(facts.get(name) == image[key], f"the environment is of another image: `{name}` differs")
    pinned, profile = identity["sandbox"], facts.get("sandbox.profile")
    runtime = at(profile, "runtime")
    applied = {**{name: value for name, value in pinned.items() if name != "profile"}, "runtime": runtime}
    same = isinstance(runtime, str) and profile == {**applied, "profile": sha256_of(applied)}
    demand(same, "the environment's sandbox is not the lock's")
    signed = at(contents.signed.provenance, "buildDefinition.internalParameters.runtime")
    asked = runtime == signed and runtime in (pinned["runtime"], "runsc")
    demand(asked, "it ran under another runtime than was asked for and signed")
    opened_up = pinned["widenings"]
    for number, name in enumerate(opened_up, 1):
        said = f"sandbox widened ({number} of {len(opened_up)}): {name}: {(OPENS | IMPLIED)[name]}"
        demand(said in result["deviations"], "the result does not name a widening of the sandbox")
    check_attempts(facts.get("launch.attempts"), result)


def check_attempts(listed: Any, result: Any) -> None:
    """Check that the attempts listed are those that the result says ran its replicates."""
    demand(listed, "the environment does not say which attempts there were")
    said = {each["replicate"]: one["attempt"] for one in listed for each in one["replicates"]}
    own = [one["invocation_id"] for one in listed if one["attempt"] == result["attempt"]]
    latest = max(one["attempt"] for one in listed)
    fit = latest == result["attempt"] and own == [result["invocation_id"]]
    demand(fit, "the attempts are not those up to this one")
    ran = {one["replicate"]: one.get("attempt") or result["attempt"] for one in result["replicates"]}
    kept = {one["replicate"] for one in result["replicates"] if "attempt" in one}
    agree = kept <= said.keys() and all(ran.get(name) == attempt for name, attempt in said.items())
    demand(agree, "a replicate is said to be of two attempts")


def check_inventory(contents: Contents) -> None:
    """Check that the bill of materials is CycloneDX of the lock's image, and lists what it refers to."""
    image = contents.identity["image"]
    found = parse(contents.bytes("sbom.cdx.json", MAX_LISTING), "sbom.cdx.json", "\n")
    own = f"pkg:oci/image@{image['manifest'].replace(':', '%3A')}"
    space = uuid.uuid5(uuid.NAMESPACE_URL, f"{PREFIX}sbom")
    layers = [("oci:diff_id", layer) for layer in image["diff_ids"]]
    said = [("oci:config", image["config"]), ("oci:platform", image["platform"]), *layers]
    properties = [{"name": name, "value": value} for name, value in said]
    component = found["metadata"]["component"]
    stated = [one for one in component["properties"] if one["name"] != "evalctl:unread"]
    head = {
        **{"type": "container", "bom-ref": own, "name": "image", "version": image["manifest"]},
        **{"hashes": [{"alg": "SHA-256", "content": image["manifest"][7:]}], "properties": properties},
    }
    demand({**component, "properties": stated} == head, "`sbom.cdx.json` is of another image")
    serial = f"urn:uuid:{uuid.uuid5(space, '1 ' + image['manifest'])}"
    kind = [found.get(name) for name in ("bomFormat", "specVersion", "version", "serialNumber")]
    demand(kind == ["CycloneDX", "1.6", 1, serial], "`sbom.cdx.json` is not CycloneDX 1.6 of the image")
    names = [own]
    for one in found.get("components", []):
        texts = (one["bom-ref"], one["type"], one["name"], one.get("version", ""))
        demand(all(isinstance(text, str) for text in texts), "a component has no reference")
        names.append(one["bom-ref"])
        if one["bom-ref"] not in LISTS:
            brought = [item["value"] for item in one["properties"] if item["name"] == "evalctl:layer"]
            well = len(brought) == 1 and brought[0] in image["diff_ids"] and one["purl"].startswith("pkg:")
            demand(well, "a component is of no layer of the image, or has no package URL")
    edges = found.get("dependencies", [])
    members = [each for edge in edges for each in edge.get("dependsOn", [])]
    named = [edge["ref"] for edge in edges] + members
    for one in found["compositions"]:
        demand(one["aggregate"] in ("complete", "incomplete", "unknown"), "a composition is of no known kind")
        named += [*one.get("assemblies", []), *one.get("dependencies", [])]
    once = len({*names}) == len(names) and len({*members}) == len(members) == len(names) - 1
    demand(once and {*named} <= {*names}, "a component stands in no list or in two, or is not listed")


LISTS: Final = frozenset(f"packages:{name}" for name in ("deb", "rpm", "apk", "conda", "pypi", "npm"))


def check_records(contents: Contents) -> str:
    """Check that each event, and each reading of what was used, is well-formed."""
    count = 0
    for name, key in (("events.jsonl", "source"), ("resources.jsonl", "kind")):
        for number, line in enumerate(raw_lines(contents, name)):
            demand(number < 6_000_000 and len(line) <= MAX_LINE, f"`{name}` is too long, or a line of it")
            value, count = parse_line(line, f"a line of `{name}`"), count + 1
            form = f"{name}:{value.get(key) if isinstance(value, dict) else None}"
            demand(form in TABLES, f"a line of `{name}` is of no known {key}")
            fits(value, form, f"a line of `{name}`")
    return f"{count} lines"


def marks_of(identity: Any) -> set[str]:
    """Return how a run of the lock falls short of a whole one."""
    causes = {"partial": "limit", "draft": "patch", "score-only": "predictions"}
    egress = {"not-re-runnable"} if at(identity, "sandbox.network") == "egress" else set[str]()
    return {mark for mark, cause in causes.items() if cause in identity} | egress


def check_marks(contents: Contents) -> str:
    """Check that the result owns up to what makes its lock less than a whole run's."""
    identity, result, digests = contents.identity, contents.result, contents.listed
    wanted = marks_of(identity)
    found = set(result.get("marks", []))
    demand(wanted <= found <= wanted | {"partial"}, "the result is not marked as its lock demands")
    demand(result["samples"]["n"] <= identity.get("limit", math.inf), "there are more items than the limit")
    patch = digests.get("artifacts/draft.patch")
    demand(identity.get("patch") in (None, patch), "the patch is not the lock's")
    for replicate, pinned in enumerate(identity.get("predictions", [])):
        place = f"predictions/{replicate}/"
        inside = {path[len(place) :]: sha for path, sha in digests.items() if path.startswith(place)}
        tree = hashlib.sha256(sums_of(inside)).hexdigest()
        lacks = result["status"] == "failed" and not inside
        demand(tree == pinned or lacks, "the predictions are not those that the lock names")
    return ", ".join(sorted(found)) or "a whole run"


def check_claims(contents: Contents, redactor: Signed | None) -> None:
    """Check that the signed statements say what `result.json` says, number by number."""
    compare_claims(contents.signed.result, contents.result, None)
    redaction = contents.result.get("redaction")
    demand(bool(redactor) == bool(redaction), "result and signed statement differ in the redaction")
    if redactor:
        compare_claims(redactor.result, contents.result, {**redaction, "samples": str(redaction["samples"])})
        one, other = (signed.provenance["buildDefinition"] for signed in (contents.signed, redactor))
        same = all(one[name] == other[name] for name in ("externalParameters", "resolvedDependencies"))
        demand(same, "the redactor signed the provenance of another run")


def compare_claims(signed: Any, result: Any, redaction: Any) -> None:
    """Hold one signed statement against `result.json`."""
    alike = "lock", "status", "failure", "verdict", "deviations", "origin"
    said = {
        **{name: result.get(name) for name in alike},
        "invocationId": result["invocation_id"],
        "suite": result["blueprint"],
        "sampleSize": str(result["samples"]["n"]),
        "claims": [claim_of(metric) for metric in result["metrics"]],
        "marks": result.get("marks") or None,
        "redaction": redaction,
    }
    for name, value in said.items():
        same = canonical(signed.get(name)) == canonical(value)
        demand(same, f"the signed statement does not say what `result.json` says: {name}")


def claim_of(metric: Any) -> dict[str, Any]:
    """Return one metric as it must be signed; of two bounds, the one that the direction makes harder."""
    threshold, bound, comparator = metric["threshold"] or {}, None, None
    if "min" in threshold and ("max" not in threshold or metric["direction"] == "higher"):
        bound, comparator = threshold["min"], "gte"
    elif "max" in threshold:
        bound, comparator = threshold["max"], "lte"
    return {
        **{name: metric[name] for name in ("definition", "primary", "verdict")},
        "metric": metric["name"],
        "value": decimal_text(metric["value"]),
        "ci": metric["ci"] and [decimal_text(end) for end in metric["ci"]],
        "n": str(metric["n"]),
        "threshold": decimal_text(bound),
        "comparator": comparator,
        "on": threshold["on"] if comparator else None,
        "passed": PASSED.get(metric["verdict"]),
    }


def rounded(value: float) -> float:
    """Round half-even to 12 significant digits, as what is signed."""
    return float(format(float(value), ".12g")) + 0.0


def decimal_text(value: float | None) -> str | None:
    """Return a number as signed statements hold it."""
    return None if value is None else double(rounded(value))


# 11. Metrics, computed again from the samples.


class Samples:
    """`samples.jsonl`, read line by line and never held; each replicate is one block of it."""

    def __init__(self, descriptor: int, size: int) -> None:
        self.descriptor, self.size = descriptor, size
        self.blocks: list[int] = []
        self.sha256 = hashlib.sha256()

    def all(self) -> Iterator[Any]:
        """Give every sample in order, checked; remember where replicates begin, and the digest of it all."""
        last, start, first = (-1, "", "", -1), 0, 0
        self.blocks, self.sha256 = [], hashlib.sha256()
        for number, line in enumerate(self._lines(0, self.size)):
            self.sha256.update(line)
            sample = self._sample(line)
            place = (sample["replicate"], sample.get("task", ""), sample["id"], sample.get("epoch", -1))
            demand(place > last, f"the sample {sample['id'][:80]!a} is out of order or stands twice")
            if place[0] != last[0]:
                self.blocks.append(start)
                first = number
            few = number < MAX_LINES and number - first < MAX_LINES // 2
            demand(few, f"there are more than {MAX_LINES} samples, or {MAX_LINES // 2} of a replicate")
            last, start = place, start + len(line)
            yield sample

    def items(self) -> Iterator[list[Any]]:
        """Give the samples of each item (task and id) together, by merging the replicates' blocks."""
        edges = pairwise([*self.blocks, self.size])
        blocks = [map(parse_again, self._lines(*block)) for block in edges]
        merged = heapq.merge(*blocks, key=item_of) if len(blocks) > 1 else chain(*blocks)
        for (_, name), found in groupby(merged, key=item_of):
            rows = list(found)
            if len(blocks) > 1:
                epochs: dict[int, list[int]] = {}
                for row in rows:
                    epochs.setdefault(row["replicate"], []).append(row.get("epoch", -1))
                same = len(epochs) == len(blocks) and len(set(map(tuple, epochs.values()))) == 1
                demand(same, f"not every replicate answers the item {name[:80]!a} alike")
            yield rows

    def _lines(self, place: int, end: int) -> Iterator[bytes]:
        pending = b""
        while place < end:
            chunk = os.pread(self.descriptor, min(1 << 16, end - place), place)
            demand(chunk, f"`{SAMPLES}` changed while it was read")
            place += len(chunk)
            *lines, pending = (pending + chunk).split(b"\n")
            demand(len(pending) <= MAX_LINE, f"a line of `{SAMPLES}` is longer than {MAX_LINE} bytes")
            yield from (line + b"\n" for line in lines)
        demand(not pending, f"the last line of `{SAMPLES}` has no line feed")

    @staticmethod
    def _sample(line: bytes) -> Any:
        demand(len(line) <= MAX_LINE, f"a line of `{SAMPLES}` is longer than {MAX_LINE} bytes")
        sample = parse_line(line, f"a line of `{SAMPLES}`")
        demand(isinstance(sample, dict) and sample.keys() >= REQUIRED, "a sample lacks what each one has")
        for name, value in sample.items():
            fine = name in OF_SAMPLES and value is not None and OF_SAMPLES[name](value)
            demand(fine, f"the field {name[:80]!a} of a sample is not what it must be")
        return sample


REQUIRED: Final = frozenset(("id", "replicate", "seed"))
OF_SAMPLES: Final = {name.rstrip("?"): KINDS[kind.rstrip("?")] for name, kind in TABLES["sample"].items()}


def item_of(sample: Any) -> tuple[str, str]:
    """Return which item a sample is of."""
    return sample.get("task", ""), sample["id"]


def label(value: Any) -> str:
    """Return a text that two JSON values share exactly when they are the same label; never empty."""
    if isinstance(value, str):
        return '"' + value
    return str(value) if type(value) is int else canonical(value)


def ratio(above: Any, below: Any) -> float:
    """Return the correctly rounded quotient of two exact numbers; 0/0 counts as 0."""
    if isinstance(below, float):
        return float(above / below) if below else 0.0
    return float(Fraction(above) / Fraction(below)) if below else 0.0


class Sum:
    """An exact sum of doubles, each times a weight: whole numbers by denominator."""

    def __init__(self) -> None:
        self.parts: Counter[int] = Counter()

    def add(self, value: Any, weight: Any, times: int = 1) -> None:
        """Add `times` times `value` times `weight`."""
        above, below = value.as_integer_ratio()
        if weight != 1:
            more, finer = weight.as_integer_ratio()
            above, below = above * more, below * finer
        self.parts[below] += above * times

    @property
    def total(self) -> Fraction:
        """Return the sum."""
        finest = max(self.parts, default=1)
        return Fraction(sum(above * (finest // below) for below, above in self.parts.items()), finest)


LABELLED: Final = ("accuracy@1", "precision@1", "recall@1", "f1@1")
MEASURED: Final = ("mean@1", "mae@1", "rmse@1", "lre@1")


class Meter:
    """The work that all metrics of a bundle may ask for, and how much of it is done again here."""

    def __init__(self) -> None:
        self.steps, self.rows, self.draws = 0, MAX_ROWS, MAX_DRAWS
        self.shared: set[Any] = set()

    def spend(self, steps: int) -> None:
        """Count steps, each of some twenty nanoseconds; refuse what is too much for anybody."""
        self.steps += steps
        demand(self.steps <= MAX_WORK, "the metrics take too much work over these samples")


class Metric:
    """One metric of the lock: fed sample by sample, then item by item, and then asked for its result."""

    def __init__(self, spec: Mapping[str, Any], replicates: int, *, primary: bool) -> None:
        self.spec, self.primary, self.kind = spec, primary, spec["definition"]
        parameters = {name: thawed(value) for name, value in spec["parameters"].items()}
        self.where = {name: label(thawed(value)) for name, value in spec["where"].items()}
        self.label = label(parameters["class"]) if "class" in parameters else None
        self.average, self.digits = parameters.get("average"), parameters.get("digits", 15)
        self.is_share = self.kind == "accuracy@1" or self.label is not None
        self.method: str = spec["ci"]["method"] or methods_of(self.kind, parameters)[0]
        self.level = thawed(spec["ci"]["level"])
        self.replicates, self.finest, self.heaviest, self.excess = replicates, 1, Fraction(0), 0
        self.meter = Meter()
        self.resamples: int = parameters.get("resamples", 1000)
        self.clear()

    def clear(self) -> None:
        """Forget every sample, but not how far their weights are apart."""
        self.seen = Counter[tuple[Any, ...]]()  # (replicate, outcome, weight), to be added
        self.sums: list[dict[str, list[Sum]]] = [{} for _ in range(self.replicates)]  # as `amounts` says
        self.errors = self.items = self.trials = 0
        self.trial_sum: Any = 0
        self.trial_squares: Any = 0
        self.value: float | None = None
        self.whole: Any = 0
        self.outcomes: set[Any] = set()
        self.squares = array("d")
        self.groups: Counter[Any] = Counter()  # of alike items, to be resampled
        self.uncounted = 0  # rows of items that are too many to hold

    def matches(self, sample: Any) -> bool:
        """Say whether the sample's groups are those that the metric is about."""
        if not self.where:
            return True
        groups = sample.get("groups", {})
        return all(name in groups and label(groups[name]) == key for name, key in self.where.items())

    def outcome(self, sample: Any) -> Any:
        """Return what the metric sees of a sample: target and prediction as labels, or a number."""
        if self.kind == "mean@1":
            score = sample.get("scores", {}).get(self.spec["of"].removeprefix("scores."))
            demand(score is not None, "a sample lacks the score that is measured")
            return score
        failed, target = self._is_failed(sample), sample.get("target")
        if self.kind in LABELLED:
            demand(target is not None, "a sample has no `target`")
            return label(target), "" if failed else label(sample["prediction"])
        demand(is_number(target) and (failed or is_number(sample["prediction"])), "a sample has no number")
        if self.kind == "lre@1":
            return 0.0 if failed else correct_digits(float(sample["prediction"]), float(target), self.digits)
        demand(not failed, "a failed sample has no number to measure")
        off = abs(float(sample["prediction"]) - float(target))
        off = off * off if self.kind == "rmse@1" else off
        demand(math.isfinite(off), "a sample is too far from its target")
        return off

    def _is_failed(self, sample: Any) -> bool:
        return "error" in sample or ("prediction" not in sample and self.kind != "mean@1")

    def add(self, sample: Any, weight: Any) -> None:
        """Count one sample in its replicate."""
        outcome, replicate = self.outcome(sample), sample["replicate"]
        self.errors += self._is_failed(sample)
        if weight != 1 or self.excess:
            self.finest = max(self.finest, weight.as_integer_ratio()[1])
            self.heaviest = max(self.heaviest, weight)
            weight = self.weighed(weight)
        if self.kind in MEASURED:
            self.outcomes |= {outcome} if len(self.outcomes) < 2 else set()
            self._count(replicate, outcome, weight)
        else:
            self.seen[replicate, outcome, weight] += 1
            if len(self.seen) > 10_000:
                self._settle_seen()

    def weighed(self, weight: Any) -> Any:
        """Return a weight as it counts: next to one that is 2^900 times larger it is rounded."""
        if not self.excess:
            return weight
        above, below = weight.as_integer_ratio()
        return max(above * (self.finest // below) >> self.excess, 1)

    def is_too_wide(self) -> bool:
        """Say whether weights are to be rounded, and all samples counted once more; then forget them."""
        if not self.excess and self.heaviest:
            above, below = max(self.heaviest, Fraction(1)).as_integer_ratio()
            self.excess = max((above * (self.finest // below)).bit_length() - 900, 0)
            if self.excess:
                self.clear()
                return True
        return False

    def amounts(self, outcome: Any) -> Iterator[tuple[str, int, Any]]:
        """Give what an outcome adds, times its weight: how much to which sum, of which label in an average.

        Sums 0 and 1 are numerator and denominator; or 0 to 2 what was right, predicted and there to be found.
        """
        if self.kind in MEASURED:
            yield from (("", 0, outcome), ("", 1, 1))
            return
        target, prediction = outcome
        if self.kind == "accuracy@1":
            yield from (("", 0, int(target == prediction)), ("", 1, 1))
        elif self.label is not None:
            predicted, actual = int(prediction == self.label), int(target == self.label)
            yield from (("", 0, predicted and actual), ("", 1, predicted), ("", 2, actual))
        else:
            yield from ((target, 0, int(target == prediction)), (target, 2, 1))
            yield from [(prediction, 1, 1)] if prediction else []

    def _count(self, replicate: int, outcome: Any, weight: Any, times: int = 1) -> None:
        table = self.sums[replicate]
        for key, column, amount in self.amounts(outcome):
            if key not in table:
                table[key] = [Sum(), Sum(), Sum()]
                demand(len(table) <= MAX_LABELS, f"there are more than {MAX_LABELS} labels")
            table[key][column].add(amount, weight, times)

    def _settle_seen(self) -> None:
        for (replicate, outcome, weight), times in self.seen.items():
            self._count(replicate, outcome, weight, times)
        self.seen.clear()

    def values(self) -> list[float | None]:
        """Return the metric of each replicate, None where no sample of it matches."""
        self._settle_seen()
        sums = ([[one.total for one in table[key]] for key in sorted(table)] for table in self.sums)
        return [self.statistic(columns) if columns else None for columns in sums]

    def statistic(self, columns: Sequence[Sequence[Any]]) -> float:
        """Return the metric of these sums, exact ones or doubles: of each label, or one row of all."""
        if self.kind in MEASURED or self.kind == "accuracy@1":
            mean = ratio(*columns[0][:2])
            return math.sqrt(mean) if self.kind == "rmse@1" else mean
        if self.average == "micro":
            columns = [[*map(sum, zip(*columns, strict=True))]]
        scores = [self.score(*column) for column in columns]
        by_actual = self.average == "weighted"
        shares = [float(actual if by_actual else predicted + actual > 0) for _, predicted, actual in columns]
        above = sum(share * score for share, score in zip(shares, scores, strict=True))
        return above / sum(shares) if any(shares) else 0.0

    def score(self, right: Any, predicted: Any, actual: Any) -> float:
        """Return precision, recall or F1 of these sums."""
        if self.kind == "f1@1":
            return ratio(2 * right, predicted + actual)
        return ratio(right, predicted if self.kind == "precision@1" else actual)

    def settle(self) -> None:
        """Take the mean over replicates as the value, once every sample was counted."""
        self.per_replicate = self.values()
        found = [one for one in self.per_replicate if one is not None]
        self.value = math.fsum(found) / len(found) if found and len(found) == len(self.sums) else None
        self.whole = sum(table[""][1].total for table in self.sums if "" in table)
        self.count = int(self.whole) if self.whole == int(self.whole) else 0

    def add_item(self, rows: list[tuple[int, Any, Any]]) -> None:
        """Count one item, replicate, outcome and weight of each sample of it, as one observation."""
        self.items += 1
        if self.is_share:
            trial = sum(weight for _, outcome, weight in rows if self._is_trial(*outcome))
            self.trials += bool(trial)
            self.trial_sum, self.trial_squares = self.trial_sum + trial, self.trial_squares + trial * trial
        elif self.method == "student" and self.value is not None:
            if self.count and len(rows) == 1 and rows[0][2] == 1:  # the same, at once
                residual = rows[0][1] / self.count - self.value * (1 / self.count)
            else:
                total = sum(Fraction(outcome) * weight for _, outcome, weight in rows)
                share = ratio(sum(weight for _, _, weight in rows), self.whole)
                residual = ratio(total, self.whole) - self.value * share
            self.squares.append(residual * residual)
        if self.method == "bootstrap":
            group = tuple(sorted(rows))
            if group not in self.groups:
                self.meter.rows -= len(group)
            if group in self.groups or self.meter.rows >= 0:
                self.groups[group] += 1
            else:
                self.uncounted += len(group)

    def _is_trial(self, target: str, prediction: str) -> bool:
        predicted, actual = prediction == self.label, target == self.label
        means = {"precision@1": predicted, "recall@1": actual, "f1@1": predicted or actual}
        return self.label is None or means[self.kind]

    def interval(self) -> tuple[list[float] | None, str | None]:
        """Return the interval, or why there is none; raise `SkippedError` for a bootstrap."""
        if self.items == 0:
            return None, "no sample matches"
        if self.value is None:
            return None, "a replicate has no sample that matches"
        if self.n == 0:
            return None, "0/0 counts as 0: no sample is a trial"
        if self.method == "wilson":
            return self._wilson(self.value), None
        if self.n == 1:
            return None, "one item gives no interval"
        if self.method == "bootstrap":
            return self._percentiles()
        if len(self.outcomes) == 1:
            return None, "every item has the same value"
        variance = math.fsum(self.squares) * self.n / (self.n - 1)
        half = student_quantile(self.level, self.n - 1) * math.sqrt(variance)
        return [self.value - half, self.value + half], None

    @property
    def n(self) -> int:
        """Return how many items the metric is over."""
        return self.trials if self.label is not None else self.items

    def _wilson(self, value: float) -> list[float]:
        """Wilson's score interval over the effective number of items; F1's by way of TP / (TP + FP + FN)."""
        is_f1 = self.kind == "f1@1"
        share = value / (2.0 - value) if is_f1 else value
        n, z = ratio(self.trial_sum * self.trial_sum, self.trial_squares), normal_quantile(self.level)
        spread = z * z / n
        centre = (share + spread / 2.0) / (1.0 + spread)
        half = z * math.sqrt(share * (1.0 - share) / n + spread / (4.0 * n)) / (1.0 + spread)
        ends = min(max(centre - half, 0.0), share), max(min(centre + half, 1.0), share)
        lower, upper = (2.0 * end / (1.0 + end) if is_f1 else end for end in ends)
        return [min(lower, value), max(upper, value)]

    def _percentiles(self) -> tuple[list[float] | None, str | None]:
        """Return the interval between percentiles of the statistic over items drawn with replacement."""
        columns, meter = Columns(self, sorted(self.groups.items())), self.meter
        if len(self.groups) * self.replicates * columns.width > 1 << 26:
            return None, "there are too many labels to resample"
        kind = "labels" if self.kind in LABELLED else (self.kind, self.spec["of"], self.digits)
        alike = (kind, tuple(self.where.items()), self.resamples)
        meter.spend(0 if alike in meter.shared else self.resamples * self.items)
        meter.shared.add(alike)
        rows = sum(map(len, self.groups))
        meter.spend(self.resamples * (500 + rows + self.replicates * columns.width))
        meter.draws -= self.resamples * self.items
        if self.uncounted or meter.draws < 0:
            raise SkippedError(f"bootstrap intervals that take more than {MAX_DRAWS} draws")
        found = sorted(columns.resampled(self.items, self.resamples))
        rank = int((len(found) + 1) * (1 - Decimal(repr(self.level))) / 2)
        if rank < 1 or found[0] == found[-1]:
            return None, f"{len(found)} resamples tell nothing at level {self.level}: too few or all equal"
        return [found[rank - 1], found[-rank]], None

    def expected(self, claimed: Any, published: Any, skipped: list[str]) -> dict[str, Any]:
        """Return the metric as `result.json` must have it; ends that are skipped are taken from `claimed`."""
        values, value = self.per_replicate, self.value
        try:
            ends, reason = self.interval()
        except SkippedError as why:
            skipped.append(str(why))
            ends, reason = claimed["ci"], claimed["reason"]
        else:
            if ends and not all(map(math.isfinite, ends)):
                ends, reason = None, "its ends are beyond what a double holds"
        bounds = (self.spec["threshold"] or {}).items()
        threshold = {name: thawed(bound) for name, bound in bounds if bound is not None} or None
        return {
            **chosen(self.spec, "name", "definition", "direction"),
            "value": value,
            "ci": ends,
            "ci_method": self.method if ends else None,
            "ci_level": self.level if ends else None,
            "n": self.n,
            "errors": self.errors,
            "per_replicate": values,
            "spread": spread_of(values),
            "primary": self.primary,
            "threshold": threshold,
            "verdict": judged(threshold, value, ends),
            "published": published,
            "published_met": None if published is None or value is None else is_met(published, value),
            "reason": reason,
        }


class Columns:
    """What each group of alike items adds to the columns of a statistic, in whole numbers that stay exact.

    What an item adds is cut to at most 2^53 / n, half up, at a power of two.
    """

    def __init__(self, metric: Metric, groups: list[tuple[Any, int]]) -> None:
        self.metric, self.groups, self.counts = metric, groups, [count for _, count in groups]
        outcomes = {outcome for rows, _ in groups for _, outcome, _ in rows}
        weights = [weight for rows, _ in groups for _, _, weight in rows]
        self.unit = max((weight.as_integer_ratio()[1] for weight in weights), default=1)
        self.scale = 1
        if metric.kind in MEASURED:
            self.scale = max((outcome.as_integer_ratio()[1] for outcome in outcomes), default=1)
        is_averaged = metric.kind in LABELLED[1:] and metric.label is None
        names = sorted({name for outcome in outcomes for name in outcome} - {""}) if is_averaged else [""]
        self.each = 2 if metric.kind in ("accuracy@1", *MEASURED) else 3
        self.places = {name: self.each * index for index, name in enumerate(names)}
        self.width = self.each * len(names)
        self.cells = [self._cells(rows) for rows, _ in groups]
        self._cut(sum(self.counts))

    def _cells(self, rows: Any) -> dict[int, int]:
        found: Counter[int] = Counter()
        for replicate, outcome, weight in rows:
            above, below = weight.as_integer_ratio()
            for key, column, amount in self.metric.amounts(outcome):
                more, finer = amount.as_integer_ratio()
                place = replicate * self.width + self.places[key] + column
                found[place] += more * (self.scale // finer) * above * (self.unit // below)
        return found

    def _cut(self, n: int) -> None:
        largest = [0] * self.width
        for cells in self.cells:
            for place, amount in cells.items():
                largest[place % self.width] = max(largest[place % self.width], abs(amount))
        shifts = [(most // ((1 << 53) // n)).bit_length() for most in largest]
        if self.metric.kind not in MEASURED:
            shifts = [max(shifts)] * self.width
        self.scales = [2.0 ** (shift - max(shifts)) for shift in shifts]
        for group, cells in enumerate(self.cells):
            cut = {at: (one + (1 << shifts[at % self.width] >> 1)) >> shifts[at % self.width]
                   for at, one in cells.items()}  # fmt: skip
            self.cells[group] = {at: one for at, one in cut.items() if one}

    def resampled(self, n: int, resamples: int) -> Iterator[float]:
        """Give the statistic of each resample: its mean over replicates."""
        group_of = [group for group, count in enumerate(self.counts) for _ in range(count)]
        draw, width, replicates = drawn(n), self.width, self.metric.replicates
        for _ in range(resamples):
            sums = [0] * (width * replicates)
            for group, count in Counter(group_of[next(draw)] for _ in range(n)).items():
                for place, amount in self.cells[group].items():
                    sums[place] += amount * count
            doubles = [amount * self.scales[place % width] for place, amount in enumerate(sums)]
            each = [doubles[start : start + self.each] for start in range(0, len(doubles), self.each)]
            labels = len(self.places)
            total = 0.0
            for start in range(0, len(each), labels):
                total += self.metric.statistic(each[start : start + labels])
            yield total / replicates


def drawn(n: int) -> Iterator[int]:
    """Give numbers below `n`: PCG64 (XSL-RR, 128 bits), https://www.pcg-random.org/paper.html."""
    seed = hashlib.sha256(b"evalctl/bootstrap/v1").digest()
    state, step = int.from_bytes(seed[:16]), int.from_bytes(seed[16:]) | 1
    wide, narrow = (1 << 128) - 1, (1 << 64) - 1
    while True:
        state = (state * 0x2360ED051FC65DA44385DF649FCCF645 + step) & wide
        mixed, turn = (state >> 64) ^ (state & narrow), state >> 122
        word = (mixed >> turn | mixed << (64 - turn)) & narrow
        yield (word >> 32) * n >> 32


def spread_of(values: list[float | None]) -> float | None:
    """Return the sample standard deviation of the replicates' values, where it is a double."""
    found = [value for value in values if value is not None]
    if len(found) < 2 or len(found) < len(values):
        return None
    mean = math.fsum(found) / len(found)
    spread = math.sqrt(math.fsum((value - mean) * (value - mean) for value in found) / (len(found) - 1))
    return spread if math.isfinite(spread) else None


def judged(threshold: Any, value: float | None, ends: Any) -> str:
    """Return whether a threshold is kept, at the 12 digits that are signed."""
    if value is None or threshold is None:
        return "inconclusive" if value is None else "none"
    held = {"value": value, "ci-lower": ends and ends[0], "ci-upper": ends and ends[1]}[threshold["on"]]
    if held is None:
        return "inconclusive"
    below = "min" in threshold and rounded(held) < rounded(threshold["min"])
    return "fail" if below or ("max" in threshold and rounded(held) > rounded(threshold["max"])) else "pass"


def is_met(published: Mapping[str, Any], value: float) -> bool:
    """Say whether a value agrees with a printed figure, to half a unit of its last place."""
    ours, theirs = (Decimal(repr(rounded(one))) for one in (value, published["value"]))
    return abs(ours - theirs) <= Decimal(5).scaleb(-published["decimals"] - 1)


def correct_digits(found: float, certified: float, most: int) -> float:
    """Return -log10 of the relative error in correctly rounded decimals, between 0 and `most`."""
    context, truth = Context(prec=28), Decimal(certified)
    error = context.subtract(Decimal(found), truth).copy_abs()
    if not error:
        return float(most)
    relative = context.divide(error, truth.copy_abs()) if truth else error
    return min(max(-float(context.log10(relative)), 0.0), float(most))


def normal_quantile(level: float) -> float:
    """Return z with `level` of a standard normal between -z and z, to 12 digits."""
    return rounded(-statistics.NormalDist().inv_cdf((1.0 - level) / 2.0))


def student_quantile(level: float, degrees: int) -> float:
    """Return t with `level` of Student's distribution between -t and t (Abramowitz and Stegun 26.7.3-5)."""
    if degrees > 1000:
        z, v = normal_quantile(level), float(degrees)
        s = z * z
        series = (s + 1) / 4 / v + (5 * s**2 + 16 * s + 3) / 96 / v**2
        series += (3 * s**3 + 19 * s**2 + 17 * s - 15) / 384 / v**3
        series += (79 * s**4 + 776 * s**3 + 1482 * s**2 - 1920 * s - 945) / 92160 / v**4
        return rounded(z * (1.0 + series))
    low, high = 0.0, 1.0
    while student_share(high, degrees) < level:
        low, high = high, 2.0 * high
    while low < (middle := (low + high) / 2.0) < high:
        low, high = (middle, high) if student_share(middle, degrees) < level else (low, middle)
    return rounded(high)


def quantile_leeway(level: float) -> float:
    """Return how far two programs' quantiles may be apart: 12 digits, and fewer where the tail is thin."""
    return 1e-11 + 4e-15 / (1.0 - level)


def student_share(t: float, degrees: int) -> float:
    """Return the probability between -t and t, by the finite series in the angle with tangent t / sqrt(v)."""
    angle, odd = math.atan2(t, math.sqrt(degrees)), degrees % 2
    cosine, sine = math.cos(angle), math.sin(angle)
    term = total = (cosine if degrees > 1 else 0.0) if odd else 1.0
    for step in range(2 + odd, degrees - 1, 2):
        term *= cosine * cosine * (step - 1) / step
        total += term
    return 2.0 / math.pi * (angle + sine * total) if odd else sine * total


class Confusion:
    """Which label was predicted for which target; no table where values are not few categories."""

    def __init__(self) -> None:
        self.pairs: Counter[Any] = Counter()
        self.is_possible = True

    def add(self, sample: Any) -> None:
        """Count one sample."""
        if self.is_possible:
            target = sample.get("target")
            prediction = None if "error" in sample else sample.get("prediction")
            is_answer = prediction is None or self._is_category(prediction)
            self.is_possible = is_answer and self._is_category(target)
            if self.is_possible:
                self.pairs[type(target), target, type(prediction), prediction] += 1
                self.is_possible = len(self.pairs) <= 10_000

    @staticmethod
    def _is_category(value: Any) -> bool:
        return isinstance(value, str | int) or (isinstance(value, float) and value.is_integer())

    @staticmethod
    def _order(value: Any) -> tuple[int, float, str]:
        return (1, 0.0, value) if isinstance(value, str) else (2 * isinstance(value, bool), float(value), "")

    def tables(self) -> dict[str, Any]:
        """Return `tables` as `result.json` must have it."""
        shown, counts = {}, Counter[tuple[str, str]]()
        for (_, target, _, prediction), count in self.pairs.items():
            keys = label(target), "" if prediction is None else label(prediction)
            shown.update({keys[0]: target} | ({keys[1]: prediction} if keys[1] else {}))
            counts[keys] += count
        if not self.is_possible or not counts or len(shown) > 50:
            return {}
        keys_in_order = sorted(shown, key=lambda key: self._order(shown[key]))
        table = {
            "labels": [shown[key] for key in keys_in_order],
            "counts": [[counts[target, one] for one in keys_in_order] for target in keys_in_order],
            "failed": [counts[target, ""] for target in keys_in_order],
        }
        return {"confusion": table}


def check_metrics(contents: Contents, skipped: list[str]) -> str:
    """Compute counts, tables and metrics again from the samples; add to `skipped` what is not done again."""
    result, size = contents.result, contents.folder.files[SAMPLES][0]
    demand(size <= MAX_SAMPLES, f"`{SAMPLES}` is too large")
    empty = not size and not result["metrics"] and result["verdict"] == "none"
    demand(empty or result["status"] == "succeeded", "a failed run has samples or a score")
    metrics = list(metrics_of(contents)) if result["status"] == "succeeded" else []
    with contents.folder.open(SAMPLES) as descriptor:
        samples = Samples(descriptor, size)
        confusion, failed = count_samples(samples, metrics, contents.seeds)
        demand(samples.sha256.hexdigest() == contents.digests[SAMPLES], f"`{SAMPLES}` changed")
        items = count_items(samples, metrics)
    same = result["samples"] == {"n": items, "errors": failed}
    demand(same, "the counts of samples do not follow from the samples")
    same = canonical(result["tables"]) == canonical(confusion.tables())
    demand(same, "the tables do not follow from the samples")
    if result["status"] == "succeeded":
        compare_metrics(contents, metrics, skipped)
    return f"{items} items, {len(result['metrics'])} metrics"


def metrics_of(contents: Contents) -> Iterator[Metric]:
    """Give the metrics of the lock, those of an import as means of scores."""
    specs = contents.identity["metrics"]
    if contents.is_import:
        usual = {"definition": "mean@1", "parameters": {}, "primary": False, "threshold": None}
        usual["ci"] = {"method": None, "level": 0.95}
        where = {True: {"completed": True}, False: dict[str, Any]()}
        specs = [
            {**usual, **one, "of": f"scores.{one['score']}", "where": where[one["completed_only"]]}
            for one in specs
        ]
    primary = next((index for index, one in enumerate(specs) if one["primary"]), 0)
    meter = Meter()
    for index, one in enumerate(specs):
        metric = Metric(one, len(contents.seeds), primary=index == primary)
        metric.meter = meter
        yield metric


def count_samples(samples: Samples, metrics: list[Metric], seeds: list[int]) -> tuple[Confusion, int]:
    """Feed every sample to the metrics; return the table of confusions and how many samples failed."""
    confusion, failed = Confusion(), 0
    matched = 10 * sum(map(len, {frozenset(metric.where.items()) for metric in metrics}))

    def counted() -> Iterator[Any]:
        nonlocal failed
        for sample in samples.all():
            if matched:
                metrics[0].meter.spend(matched)
            replicate = sample["replicate"]
            own = replicate < len(seeds) and sample["seed"] == seeds[replicate]
            demand(own, "a sample is of another seed than its replicate's")
            confusion.add(sample)
            failed += "error" in sample or ("prediction" not in sample and not sample.get("scores"))
            yield sample
        demand(len(samples.blocks) in (0, len(seeds)), "a replicate has no samples, and another has")

    settle(metrics, counted, samples.all)
    return confusion, failed


def settle(metrics: list[Metric], first: Callable[[], Iterator[Any]], again: Any = None) -> None:
    """Feed every sample to the metrics, once more to those whose weights are far apart; take their values."""
    for sample in first():
        feed(metrics, sample)
    if wide := [metric for metric in metrics if metric.is_too_wide()]:
        for sample in (again or first)():
            feed(wide, sample, 0)
    for metric in metrics:
        metric.settle()


def feed(metrics: list[Metric], sample: Any, steps: int = 80) -> None:
    """Count a sample in the metrics that are over it."""
    weight = sample.get("weight", 1)
    for metric in metrics:
        if metric.matches(sample):
            metric.meter.spend(steps)
            metric.add(sample, weight)


def count_items(samples: Samples, metrics: list[Metric]) -> int:
    """Feed every item to the metrics; return how many there are."""
    items = 0
    for rows in samples.items():
        items += 1
        feed_item(metrics, rows)
    return items


def feed_item(metrics: list[Metric], rows: list[Any]) -> None:
    """Count an item in the metrics that are over any sample of it."""
    for metric in metrics:
        seen = []
        for row in rows:
            if metric.matches(row):
                weight = Fraction(row["weight"]) if "weight" in row else 1
                seen.append((row["replicate"], metric.outcome(row), metric.weighed(weight)))
        if seen:
            metric.add_item(seen)


def compare_metrics(contents: Contents, metrics: list[Metric], skipped: list[str]) -> None:
    """Hold every metric of the result, and its verdict, against what the samples give."""
    result = contents.result
    demand(len(metrics) == len(result["metrics"]), "the result has other metrics than the lock")
    declared = [{}] * len(metrics) if contents.is_import else contents.blueprint["metric"]
    for metric, claimed, table in zip(metrics, result["metrics"], declared, strict=True):
        published = table.get("published")
        wanted = metric.expected(claimed, published, skipped)
        student = wanted["ci"] and metric.method == "student"
        leeway = quantile_leeway(metric.level) * (wanted["ci"][1] - wanted["ci"][0]) if student else 0.0
        for name, value in wanted.items():
            same = is_same(value, claimed[name], leeway if name == "ci" else 0.0)
            demand(same, f"the metric {wanted['name'][:80]!a} does not follow from the samples: {name}")
    primary = {one["verdict"] for one in result["metrics"] if one["primary"]} - {"none"}
    others = {one["verdict"] for one in result["metrics"] if not one["primary"] and one["threshold"]}
    worst = (one for one in ("fail", "inconclusive", "pass") if one in (primary or others))
    demand(next(worst, "none") == result["verdict"], "the verdict does not follow from the metrics")


def is_same(ours: Any, theirs: Any, leeway: float = 0.0) -> bool:
    """Say whether two values are equal, numbers at 12 significant digits."""
    if is_number(ours) and is_number(theirs):
        return rounded(ours) == rounded(theirs) or abs(ours - theirs) <= leeway
    if isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs):
        return all(is_same(*both, leeway) for both in zip(ours, theirs, strict=True))
    if isinstance(ours, dict) and isinstance(theirs, dict):
        return ours.keys() == theirs.keys() and all(is_same(ours[name], theirs[name]) for name in ours)
    return type(ours) is type(theirs) and bool(ours == theirs)


# 12. Redacted bundles.

FIXED: Final = frozenset(("failed", "item", "replicate", "seed", "weight"))
MAX_CELLS: Final = 16_000_000
PARTS: Final = ("result", "file", "event", "sample")


def check_original(
    folder: Folder, digests: Mapping[str, str], kept: Mapping[str, bytes], evidence: Evidence, report: Report
) -> "tuple[Evidence, Signed] | None":
    """Check the listing and the attestations of the bundle that this one was made of."""

    def read() -> None:
        for name in (ORIGINAL, OPENINGS, COMMITMENTS):
            demand(name in digests, f"the bundle has no `{name}`")
        for name in (PROVENANCE, RESULT, LOCK):
            demand(name in kept, f"the bundle has no `{KEPT}{name[13:]}`")
        data = folder.read(ORIGINAL, MAX_SUMS)
        lines = (line.partition("  ") for line in data.decode("ascii").splitlines())
        listed = {path: sha256 for sha256, _, path in lines}
        well = all(is_bundle_file(path) and KINDS["hex"](sha256) for path, sha256 in listed.items())
        none = {SUMS, ORIGINAL, OPENINGS}.isdisjoint(listed) and len(listed) <= MAX_FILES
        demand(well and none and sums_of(listed) == data, f"`{ORIGINAL}` lists what no bundle holds")
        refuse_collisions(listed)
        demand(hashlib.sha256(data).hexdigest() == digests[ORIGINAL], f"`{ORIGINAL}` changed")
        evidence.digests = {**listed, SUMS: digests[ORIGINAL]}

    well = report.run("original:checksums", read)
    return check_signed(kept, evidence, report, "original:") if well else None


def check_redacted(contents: Contents, redactor: Signed, skipped: list[str], report: Report) -> None:
    """Check that what is left is the original's, or was committed to; then the numbers."""
    redaction = contents.result.get("redaction") or {"withheld": [], "samples": -1, "redacted": []}
    given = GivenOut(contents, redaction)
    whole = not given.takes_samples
    if report.run("redaction", given.check_files) and report.run("withheld", given.read):
        if whole:
            report.run("metrics", lambda: check_metrics(contents, skipped))
        report.run("contributions", lambda: given.check_numbers(skipped))
    gone = ", ".join(redaction["withheld"])
    report.skip("redacted", f"withheld: {gone}; samples whole: {redaction['samples']}")
    if not whole:
        report.skip("tables", "tables and claims of the container, without the samples they are of")


def lines_of(contents: Contents, name: str) -> Iterator[Any]:
    """Give the JSON of each line of a file, the digest of which is signed."""
    for line in raw_lines(contents, name):
        demand(line.endswith(b"\n"), f"the last line of `{name}` has no line feed")
        demand(values_in(line) <= MAX_VALUES, f"a line of `{name}` holds too many values")
        yield parse_line(line, f"a line of `{name}`")


def raw_lines(contents: Contents, name: str) -> Iterator[bytes]:
    """Give each line of a file, the digest of which is signed, with its line feed."""
    state, rest = hashlib.sha256(), b""
    for chunk in contents.folder.chunks(name):
        state.update(chunk)
        *lines, rest = (rest + chunk).split(b"\n")
        yield from (line + b"\n" for line in lines)
        demand(len(rest) <= 4 << 20, f"a line of `{name}` is too long")
    yield from [rest] if rest else []
    demand(state.hexdigest() == contents.digests[name], f"`{name}` changed while it was read")


def cells_of(forms: list[Any]) -> list[str]:
    """Return the columns that hold what a sample contributes to each metric."""
    return [f"metric.{index}" for index in range(len(forms))]


def read_header(header: Any) -> tuple[list[str], list[Any]]:
    """Return the columns of each sample and the form of each metric's contributions."""
    keys, schema = {"schema", "columns", "metrics"}, "evalctl/commitments/v1"
    well = isinstance(header, dict) and header.keys() == keys and header["schema"] == schema
    demand(well, "the commitments have no header")
    names, forms = header["columns"], header["metrics"]
    fits(names, "<string>", "columns")
    short = max(len(names), len(fits(forms, "<table>", "metrics"))) <= 2048
    own = {*cells_of(forms)} == {name for name in names if name.startswith("metric.")}
    own = own and FIXED | {"id"} <= {*names}
    demand(short and names == sorted(set(names)) and own, "the columns are not those that must be")
    return names, forms


def form_of(metric: Metric) -> str:
    """Return how the contributions to a metric are written."""
    if metric.kind in MEASURED:
        return "number"
    if metric.method != "wilson":
        return "ranks"
    return "right" if metric.kind == "accuracy@1" else "class"


def check_commitments(contents: Contents) -> str:
    """Check that there is one commitment to each part of a bundle that may be redacted.

    What they commit to cannot be checked: the salts are with whoever launched it.
    """
    if COMMITMENTS not in contents.digests:
        return "none, and none asked for"
    size = contents.folder.files[SAMPLES][0]
    ways = [Metric(spec, 1, primary=False) for spec in contents.identity["metrics"]]
    labels: list[set[str]] = [set() for _ in ways]
    count, fields = 0, set[str]()
    with contents.folder.open(SAMPLES) as descriptor:
        for sample in Samples(descriptor, size).all():
            count, fields = count + 1, fields | sample.keys()
            for way, found in zip(ways, labels, strict=True):
                if way.label is not None and way.matches(sample):
                    found.update(way.outcome(sample))
    wanted: list[Any] = [{"form": form_of(way)} for way in ways] if count else []
    for form, way, found in zip(wanted, ways, labels, strict=False):
        if form["form"] == "ranks" and way.label is not None:
            ranks = sorted(found - {""})
            form["rank"] = ranks.index(way.label) + 1 if way.label in ranks else 0
    lines = lines_of(contents, COMMITMENTS)
    names, forms = read_header(next(lines, None))
    demand(canonical(forms) == canonical(wanted), "the contributions are in another form than is needed")
    demand(fields <= {*names}, "there is a field of the samples that is not committed to")
    parts, samples = [], 0
    for kind, name, cells in parts_of(lines, "commitment"):
        demand(all(map(KINDS["hex"], cells.values())), "a commitment is no SHA-256")
        demand(kind != "sample" or cells.keys() == {*names}, "a sample has other columns")
        samples += kind == "sample"
        parts += [(kind, name)] if kind != "sample" else []
    demand(parts == list(committed_parts(contents)), "there is not one commitment for each part")
    demand(samples == count and count * len(names) <= MAX_CELLS, "samples, or too many")
    return f"to {len(parts)} parts and {samples} samples; what they commit to needs the salts"


def committed_parts(contents: Contents) -> Iterator[tuple[str, str]]:
    """Give kind and name of each part of the bundle that is committed to, but of the samples."""
    yield from (("result", name) for name in sorted({*contents.result, "discrepancies-count"}))
    yield from (("file", path) for path in sorted(contents.digests.keys() - {COMMITMENTS, SUMS}))
    for number, line in enumerate(raw_lines(contents, "events.jsonl")):
        if b'"source":"launcher"' in line and parse_line(line, "an event").get("source") == "launcher":
            yield "event", f"{number:09}"


def parts_of(lines: Iterator[Any], key: str) -> Iterator[tuple[str, str, Any]]:
    """Give kind, name and cells of each line, in their one order."""
    last = (-1, b"")
    for line in lines:
        kind = next((kind for kind in PARTS if isinstance(line, dict) and kind in line), "")
        demand(kind and line.keys() == {kind, key} and isinstance(line[kind], str), f"a line is no {key}")
        cells = line[key] if kind == "sample" else {"": line[key]}
        order = (PARTS.index(kind), line[kind].encode())
        well = order > last and isinstance(cells, dict)
        demand(well, f"a line of {key}s is out of order, stands twice or is none")
        last = order
        yield kind, line[kind], cells


def opened(slot: list[str], commitment: Any, opening: Any) -> Any:
    """Return the value in an opening, which must be the one that was committed to."""
    well = isinstance(opening, list) and len(opening) == 2 and isinstance(opening[0], str)
    demand(well and re.fullmatch("[0-9a-f]{32}", opening[0]), "an opening is not a salt and a value")
    framed = (canonical(one).encode() for one in (slot, opening[1]))
    data = b"evalctl/commitment/v1\0" + bytes.fromhex(opening[0])
    data += b"".join(len(one).to_bytes(8, "big") + one for one in framed)
    same = hashlib.sha256(data).hexdigest() == commitment
    demand(same, f"what is given out of {slot!a} was not committed to")
    return opening[1]


class Digests:
    """Very many SHA-256 digests, or their first bytes, in little memory; their order is that of bytes."""

    def __init__(self, size: int) -> None:
        self.size, self.held = size, bytearray()

    def add(self, data: bytes) -> None:
        """Add the digest of some bytes."""
        self.held += hashlib.sha256(data).digest()[: self.size]

    def __len__(self) -> int:
        return len(self.held) // self.size

    def __getitem__(self, number: int) -> bytes:
        return bytes(self.held[number * self.size : (number + 1) * self.size])

    def in_order(self, numbers: Sequence[int] | None = None, depth: int = 0) -> Iterator[int]:
        """Give the number of each digest in their order, never sorting many at once."""
        numbers = range(len(self)) if numbers is None else numbers
        if len(numbers) < 1 << 16 or depth == self.size:
            yield from numbers if depth == self.size else sorted(numbers, key=self.__getitem__)
            return
        parts = [array("I") for _ in range(256)]
        for number in numbers:
            parts[self.held[number * self.size + depth]].append(number)
        for part in parts:
            yield from self.in_order(part, depth + 1)

    def is_same(self, other: "Digests") -> bool:
        """Say whether both hold the same digests, each as often."""
        pairs = zip(self.in_order(), other.in_order(), strict=False)
        return len(self) == len(other) and all(self[one] == other[two] for one, two in pairs)

    def decide(self, other: "Digests") -> bool:
        """Say whether those that are equal here are equal in `other`."""
        pairs = pairwise(self.in_order())
        return all(self[one] != self[two] or other[one] == other[two] for one, two in pairs)


class Contributed(Metric):
    """A metric that is fed what each sample contributed, `[failed, ...]`, and keeps it in a few bytes."""

    def __init__(self, spec: Any, replicates: int, form: Any, *, primary: bool) -> None:
        super().__init__(spec, replicates, primary=primary)
        self.form = form_of(self)
        ranked = {"rank"} if self.form == "ranks" and self.label is not None else set[str]()
        well = form.get("form") == self.form and form.keys() == {"form", *ranked}
        well = well and is_count(form.get("rank", 0))
        demand(well, "the contributions are not in the form of their metric")
        self.own = Metric(spec, replicates, primary=primary)
        if self.label is not None:
            self.label = "1" if self.form == "class" else self._token(form["rank"]) or "none"
        self.ranks: dict[str, int] = {}
        self.rank = form.get("rank")
        self.given = bytearray()  # of each sample: 0 nothing, 1 an answer, 2 that it failed
        self.codes: array[Any] = array({"number": "d", "ranks": "Q"}.get(self.form, "B"))

    def take(self, cell: Any) -> None:
        """Keep what a sample contributed, as each does that the metric is over."""
        if cell is None:
            demand(self.where, "a sample contributed nothing")
            self.given.append(0)
            self.codes.append(0)
            return
        width, kind = 2 + (self.form in ("class", "ranks")), {"number": "number", "ranks": "rank"}
        demand(isinstance(cell, list) and len(cell) == width, "a contribution is none")
        failed, *values = cell
        well = isinstance(failed, bool) and all(map(KINDS[kind.get(self.form, "flag")], values))
        demand(well, "a contribution is none")
        self.given.append(1 + failed)
        if self.form == "number":
            self.codes.append(float(values[0]))
            return
        demand(not (failed and values[-1]), "a failed sample contributed an answer")
        demand(values[0] or self.form != "ranks", "a target has no rank")
        first, last = (True, *values)[-2:]
        self.codes.append(first << (32 if self.form == "ranks" else 1) | last)

    def matches(self, sample: Any) -> bool:
        """Say whether the sample contributed."""
        return bool(self.given[sample["place"]])

    def outcome(self, sample: Any) -> Any:
        """Return what it contributed: a number, or labels that are equal, and in order, as the real ones."""
        code: Any = self.codes[sample["place"]]
        if self.form == "number":
            return code
        if self.form == "ranks":
            return self._token(code >> 32), self._token(code & 0xFFFFFFFF)
        return "1" if code & 2 else "2", "1" if code & 1 else "3"

    def _is_failed(self, sample: Any) -> bool:
        return bool(self.given[sample["place"]] == 2)

    @staticmethod
    def _token(rank: int) -> str:
        return f"{rank:09}" if rank else ""

    def check(self, sample: Any, cell: Any, gone: set[str]) -> None:
        """Hold a contribution against the fields of its sample, as far as they are given out."""
        said = "a sample contributed something else than its fields say"
        demand("groups" in gone or self.own.matches(sample) == (cell is not None), said)
        if cell is None:
            return
        failed, *values = cell
        shown = (self.kind == "mean@1" or "target" not in gone, not FIELDS["predictions"] & gone)
        if all(shown):
            found = self.own.outcome(sample)
            if self.form == "number":
                well = found == values[0]
            else:
                same = found[0] == found[1]
                told = {"right": values[0], "ranks": values[0] == values[-1], "class": same}[self.form]
                well = told is same
            demand(well and self.own._is_failed(sample) == failed, said)
        if self.form in ("class", "ranks"):
            demand("target" in sample or not shown[0], said)
            answer = "" if self.own._is_failed(sample) else label(sample.get("prediction"))
            for name, part, given in zip((label(sample.get("target")), answer), values, shown, strict=True):
                if given and self.form == "class":
                    demand(part is (name == self.own.label), said)
                elif given:
                    same = self.ranks.setdefault(name, part) == part and (name == "") is (part == 0)
                    demand(same and len(self.ranks) <= MAX_LABELS + 1, said)

    def close(self) -> None:
        """Check that ranks are in the order of labels, the class that is measured among them."""
        in_order = [self.ranks[name] for name in sorted(self.ranks)]
        own = self.ranks.get(self.own.label or "", self.rank) == self.rank or self.own.label is None
        demand(own and all(one < other for one, other in pairwise(in_order)), "ranks are in another order")


class GivenOut:
    """Everything that a redacted bundle gives out, each value held against its commitment.

    Of a sample a few bytes are kept: its replicate and weight, digests of its item, name and line.
    """

    def __init__(self, contents: Contents, redaction: Any) -> None:
        self.contents, self.redaction = contents, redaction
        self.withheld = redaction["withheld"]
        self.takes_samples = bool(redaction["samples"] or FIELDS.keys() & set(self.withheld))
        self.replicates, self.weights, self.failed = array("I"), array("d"), 0  # no weight is 0
        self.items, self.lines = Digests(16), Digests(32)
        self.shown, self.names = Digests(16), Digests(16)  # item, and task and id, where these are given out
        self.metrics: list[Contributed] = []

    def check_files(self) -> None:
        """Check that each file is original, redacted or withheld, as is said."""
        digests, listed, said = self.contents.digests, self.contents.listed, self.redaction
        ours = self.withheld == [word for word in WITHHELD if word in self.withheld]
        demand(ours and said["original"] == f"sha256:{listed[SUMS]}", "the redaction is of another original")
        made = {"result.json"} | ({SAMPLES} if self.takes_samples else set[str]())
        made |= {"events.jsonl"} if "event-details" in self.withheld else set()
        demand(said["redacted"] == sorted(made), "the redacted files are not those that must be")
        demand(digests.keys() - listed.keys() == {OPENINGS, ORIGINAL}, "a file was not in the original")
        places = tuple(place for word in self.withheld if (place := PLACES.get(word)))
        for path in listed.keys() - made - {SUMS}:
            wanted = None if path.startswith(places) else listed[path]
            demand(digests.get(path) == wanted, f"`{path}` is not what is said of it")

    def read(self) -> None:
        """Read openings beside commitments; then hold files that are made of them against them."""
        contents, withheld = self.contents, self.withheld
        demand(not contents.is_import and contents.identity["redactable"], "no launch allowed to redact it")
        committed, given = lines_of(contents, COMMITMENTS), lines_of(contents, OPENINGS)
        self._read_forms(*read_header(next(committed, None)))
        demand(next(given, None) == {"schema": "evalctl/openings/v1"}, "the openings have no header")
        events, parts, openings = hashlib.sha256(), {}, parts_of(given, "opening")
        size = 0
        opening = next(openings, None)
        for kind, name, cells in parts_of(committed, "commitment"):
            demand(kind != "sample" or cells.keys() == self.columns, "a sample has other columns")
            if opening is None or opening[:2] != (kind, name):
                demand(kind != "sample", "a sample is missing from what is given out")
                demand(kind != "event" or "event-details" not in withheld, "a step is missing")
                continue
            asked = kind != "file" and (kind != "event" or "event-details" in withheld)
            demand(asked, "too much is given out")
            values = {at: opened([kind, name, at], cells.get(at), one) for at, one in opening[2].items()}
            opening = next(openings, None)
            if kind == "result":
                parts[name] = values[""]
                size += len(canonical(values[""]).encode())
                demand(size <= MAX_RECORD, "more is given out of the result than one holds")
            elif kind == "event":
                events.update(canonical(values[""]).encode() + b"\n")
            else:
                self._add(values)
        demand(opening is None, "something is given out that was never committed to")
        self._compare(parts, events.hexdigest())

    def _read_forms(self, names: list[str], forms: list[Any]) -> None:
        self.cells = cells_of(forms)
        self.columns, self.stays = frozenset(names), FIXED | {*self.cells}
        self.places = {canonical([*place]) for place in enumerate(self.contents.seeds)}
        self.gone = {one for word in self.withheld for one in FIELDS.get(word, ()) if one in self.columns}
        if self.contents.result["status"] == "succeeded":
            plain = list(metrics_of(self.contents))
            demand(len(plain) == len(forms), "there are contributions to other metrics")
            replicates = len(self.contents.seeds)
            for one, form in zip(plain, forms, strict=True):
                self.metrics.append(Contributed(one.spec, replicates, form, primary=one.primary))
                self.metrics[-1].meter = one.meter

    def _add(self, cells: dict[str, Any]) -> None:
        few = (len(self.items) + 1) * len(self.columns) <= MAX_CELLS
        demand(few, f"there are more than {MAX_CELLS} commitments to samples")
        expected = self.columns - self.gone if "id" in cells else self.stays
        demand(cells.keys() == expected, "a sample gives out more or less than is said")
        replicate, weight, failed = cells["replicate"], cells["weight"], cells["failed"]
        own = canonical([replicate, cells["seed"]]) in self.places
        own = own and (weight is None or KINDS["weight"](weight))
        well = isinstance(failed, bool) and isinstance(cells["item"], str)
        demand(well and own, "a sample is of no replicate of the lock")
        self.replicates.append(replicate)
        self.weights.append(weight or 0)
        self.items.add(cells["item"].encode())
        self.failed += failed
        for metric, name in zip(self.metrics, self.cells, strict=False):
            metric.take(cells[name])
        if "id" in cells:
            ours = self.stays - {"replicate", "seed", "weight"}
            sample = {name: one for name, one in cells.items() if one is not None and name not in ours}
            self._check_visible(fits(sample, "sample", "a sample"), cells)

    def _check_visible(self, sample: Any, cells: Any) -> None:
        self.lines.add(canonical(sample).encode())
        self.shown.add(cells["item"].encode())
        self.names.add(canonical([*item_of(sample)]).encode())
        for metric, name in zip(self.metrics, self.cells, strict=False):
            metric.check(sample, cells[name], self.gone)
        answered = "error" not in sample and ("prediction" in sample or sample.get("scores"))
        failed = cells["failed"] is not bool(answered) or bool(FIELDS["predictions"] & self.gone)
        demand(failed, "a sample contributed something else than its fields say")

    def _compare(self, parts: dict[str, Any], events: str) -> None:
        """Hold result, events and samples against what the values given out make."""
        said, result = self.redaction, self.contents.result
        demand(len(self.items) - len(self.lines) == said["samples"], "more or fewer samples are withheld")
        same = "event-details" not in self.withheld or events == self.contents.digests["events.jsonl"]
        demand(same, "`events.jsonl` is not what the values given out make")
        count = parts.pop("discrepancies-count", None)
        if self.takes_samples:
            none = {"tables", "discrepancies"}.isdisjoint(parts)
            demand(none and is_count(count) and count <= 4096, "result")
            words = "a claim of the container was not confirmed; its words are withheld"
            parts |= {"tables": {}, "discrepancies": [words] * count}
        same = canonical({**parts, "redaction": said}) == canonical(result)
        demand(same, "`result.json` is not what the values given out make")
        found = Digests(32)
        with self.contents.folder.open(SAMPLES) as descriptor:
            read = Samples(descriptor, self.contents.folder.files[SAMPLES][0])
            for sample in read.all():
                found.add(canonical(sample).encode())
            demand(read.sha256.hexdigest() == self.contents.digests[SAMPLES], f"`{SAMPLES}` changed")
        demand(found.is_same(self.lines), f"`{SAMPLES}` is not what the values given out make")
        one_to_one = self.shown.decide(self.names) and self.names.decide(self.shown)
        demand(one_to_one, "an item is of two names, or a name of two items")

    def _row(self, place: int) -> dict[str, Any]:
        """Return what each sample has, for metrics to be fed with."""
        weight = {"weight": self.weights[place]} if self.weights[place] else {}
        return {"place": place, "replicate": self.replicates[place], **weight}

    def check_numbers(self, skipped: list[str]) -> str:
        """Compute every metric and count again from what each sample contributed."""
        result, metrics = self.contents.result, [*self.metrics]
        if result["status"] == "failed":
            none = not result["metrics"] and result["verdict"] == "none" and result["samples"]["n"] == 0
            demand(none and not self.items, "a failed run has samples or a score")
            return "nothing: the run failed"
        demand(self.items, "a run with a score has no samples")
        settle(list(metrics), lambda: map(self._row, range(len(self.items))))
        for metric in metrics:
            metric.close()
        items = 0
        for _, places in groupby(self.items.in_order(), key=self.items.__getitem__):
            rows, items = list(map(self._row, places)), items + 1
            answered = Counter(row["replicate"] for row in rows)
            same = len(set(answered.values())) == 1 and len(answered) == len(self.contents.seeds)
            demand(same, "replicates answered other items")
            feed_item(list(metrics), rows)
        same = result["samples"] == {"n": items, "errors": self.failed}
        demand(same, "the counts do not follow from the samples")
        compare_metrics(self.contents, list(metrics), skipped)
        return f"{len(self.items)} samples contributed to {len(metrics)} metrics"


# 13. The command line.


def main(arguments: list[str]) -> int:
    """Verify the bundle that the command line names; print what was checked, and return the exit status."""
    parser = argparse.ArgumentParser(description="Verify an evalctl result bundle offline.")
    parser.add_argument("bundle", type=Path)
    decider = parser.add_mutually_exclusive_group(required=True)
    decider.add_argument("--key", type=Path, help="the public key that alone is trusted")
    decider.add_argument("--trust", type=Path, help="a trust policy, trust.toml")
    parser.add_argument("--seen", type=Path, help="the policy that counted before: none older will do")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args(arguments)
    try:
        now = datetime.now(UTC)
        with (options.key or options.trust).open("rb") as stream:
            data = stream.read(MAX_POLICY + 1)
        policy = policy_of_key(data) if options.key else read_policy(data)
        if options.trust:
            refuse_unsigned(options.trust, data, policy, now, options.seen and options.seen.read_bytes())
        report = verify(options.bundle, policy, now)
        if options.trust and not options.seen:
            report.skip("policy-version", "whether a newer version was seen: give the last one with --seen")
    except (MisuseError, UntrustedError, OSError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 3 if isinstance(error, UntrustedError) else 2
    if options.json:
        checks = [dict(zip(("name", "status", "detail"), line, strict=True)) for line in report.checks]
        said = {"verdict": report.verdict, "digest": report.digest, "sentence": report.sentence}
        print(json.dumps({**said, "checks": checks}))
    else:
        for name, status, detail in report.checks:
            print(f"{status:8}{name}{': ' * bool(detail)}{detail}")
        print(f"{report.verdict}: {report.sentence}")
    return {"verified": 0, "failed": 1, "untrusted": 3}[report.verdict]


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
