"""Redacted bundles: what `redact` makes of an honest bundle, or of one whose launcher lied beforehand."""

import json
from base64 import b64decode
from collections.abc import Callable, Sequence
from io import BytesIO
from typing import Any

from msgspec.structs import replace

from launcher.canonical import canonical_bytes, parse_json
from launcher.digest import sha256_hex
from launcher.metrics.committed import CommittedSamples, Parts, launcher_steps
from launcher.metrics.reference import references
from launcher.spec import bundle
from launcher.spec.claims import evaluation_result
from launcher.spec.commitments import Entry, Header, SaltKey, commitment_line, header_line
from launcher.spec.disclosure import Choice, disclosed, event_line, is_whole, result_json, sample_left
from launcher.spec.openings import HEADER, opened, opening_line
from launcher.spec.predicates import REDACT_BUILD_TYPE, Provenance
from launcher.spec.reading import read_blueprint
from launcher.spec.redaction import Redaction, in_order, is_withheld_file, redacted_files
from launcher.spec.result import Result
from launcher.spec.statement import Statement, provenance_statement, result_statement
from launcher.trust.sigstore import seal
from tests.bundles.honest import BUILDER, Files, Run, launched, with_sums

KEY = SaltKey(b"\x07" * 32)
RUN = Run(tail="\n[bundle]\nredactable = true\n")
USUAL = frozenset({"artifacts", "event-details", "logs"})
REDACTED_ON = "2026-11-21T09:00:00.000Z"

Entries = Sequence[Entry]
Lie = Callable[[Entries], Entries]


def _told(entries: Entries) -> Entries:
    return entries


def original(run: Run = RUN, lie: Lie = _told) -> Files:
    """Return the bundle with commitments that a launch of `run` makes, which may `lie` in them."""

    def commit(files: Files) -> bytes:
        header, entries = _committed(files)
        return header_line(header) + b"".join(commitment_line(KEY, entry) for entry in lie(entries))

    return launched(run.but(commit=commit))


def redacted(choice: Choice, run: Run = RUN, lie: Lie = _told) -> Files:
    """Return the bundle that `redact` makes of that."""
    before = original(run, lie)
    openings = [opened(KEY, entry) for entry in lie(_committed(before)[1]) if entry.kind != "file"]
    return assembled(choice, [*disclosed(openings, choice)], (run, before))


def assembled(choice: Choice, left: Entries, about: tuple[Run, Files]) -> Files:
    """Return the redacted bundle that gives out the openings `left` of a run's bundle."""
    run, before = about
    values = [Entry(one.kind, one.name, {name: cell[1] for name, cell in one.cells.items()}) for one in left]
    samples = [one for one in values if one.kind == "sample"]
    withheld, count = in_order([*choice.withheld]), sum(map(is_whole, samples))
    redaction = Redaction(
        f"sha256:{sha256_hex(before[bundle.SUMS])}", withheld, count, redacted_files(withheld, count)
    )
    parts = {one.name: one.cells[""] for one in values if one.kind == "result"}
    shown = sorted(filter(None, map(sample_left, samples)), key=lambda sample: sample.place)
    files = {name: data for name, data in before.items() if _stays(name, choice)}
    files |= {
        bundle.RESULT: canonical_bytes(result_json(parts, redaction)) + b"\n",
        bundle.SAMPLES: b"".join(sample.line() for sample in shown),
        bundle.OPENINGS: HEADER + b"".join(map(opening_line, left)),
        bundle.ORIGINAL_SUMS: before[bundle.SUMS],
    }
    if "event-details" in withheld:
        files[bundle.EVENTS] = b"".join(event_line(one.cells[""]) for one in values if one.kind == "event")
    made = _attestations(run, files, before)
    return {**files, **made}


def _committed(files: Files) -> tuple[Header, list[Entry]]:
    blueprint = read_blueprint(files[bundle.BLUEPRINT], file=bundle.BLUEPRINT, definitions=references())
    parts = Parts(
        parse_json(files[bundle.RESULT], what=bundle.RESULT),
        {name: sha256_hex(data) for name, data in files.items() if not name.startswith("attestations/")},
        launcher_steps(files[bundle.EVENTS].splitlines()),
    )
    samples = CommittedSamples(KEY, BytesIO(files[bundle.SAMPLES]), blueprint.metrics)
    return samples.header, [*parts.entries(), *samples.entries()]


def _stays(name: str, choice: Choice) -> bool:
    signed = name.startswith("attestations/") or name == bundle.SUMS
    return not signed and not is_withheld_file(name, [*choice.withheld])


def _attestations(run: Run, files: Files, before: Files) -> Files:
    kept = {name: data for name, data in before.items() if name.startswith("attestations/")}
    payload = json.loads(kept[bundle.PROVENANCE_ATTESTATION])["dsseEnvelope"]["payload"]
    provenance = replace(
        Provenance.from_json(Statement.from_json(json.loads(b64decode(payload))).predicate),
        started_on=REDACTED_ON,
        finished_on=REDACTED_ON,
        internal={},
        build_type=REDACT_BUILD_TYPE,
    )
    result = Result.from_json(parse_json(files[bundle.RESULT], what=bundle.RESULT))
    claims = evaluation_result(result, BUILDER, REDACTED_ON)
    digests = with_sums(files)
    return {
        **{bundle.as_original(name): data for name, data in kept.items()},
        bundle.LOCK_ATTESTATION: kept[bundle.LOCK_ATTESTATION],
        bundle.PROVENANCE_ATTESTATION: seal(provenance_statement(digests, provenance), run.signer),
        bundle.RESULT_ATTESTATION: seal(result_statement(digests, claims), run.signer),
    }


def change_samples(change: Callable[[dict[str, Any]], Any]) -> Lie:
    """Return the lie that changes the cells of each sample before it is committed to."""

    def lie(entries: Entries) -> Entries:
        return [_changed(one, change) if one.kind == "sample" else one for one in entries]

    return lie


def change_part(name: str, value: Any) -> Lie:
    """Return the lie that commits to another value of one part of the result."""

    def lie(entries: Entries) -> Entries:
        return [Entry("result", name, {"": value}) if one.name == name else one for one in entries]

    return lie


def _changed(entry: Entry, change: Callable[[dict[str, Any]], Any]) -> Entry:
    cells = {**entry.cells}
    change(cells)
    return Entry(entry.kind, entry.name, cells)
