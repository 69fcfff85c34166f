"""Check the commitments of a redactable bundle: their form, and that there is one for each part of it.

What they commit to cannot be checked: the salts are with whoever launched it.
"""

import hashlib
from collections.abc import Iterator, Mapping

from launcher.canonical import parse_json
from launcher.errors import CheckFailedError, EvalctlError
from launcher.metrics.committed import Parts, committed_names, launcher_steps
from launcher.metrics.contributions import expected_forms
from launcher.spec import bundle
from launcher.spec.commitments import MAX_LINE_BYTES, Entry, bad, read_commitments, read_header, refuse_large
from launcher.spec.disclosure import require_columns
from launcher.store.directory import Inventory
from launcher.trust.checks import Check, failed
from launcher.verify.contents import Contents

_UNCHECKED = "well-formed and complete; what they commit to is not checked: that needs the salts"


def check_commitments(
    contents: Contents, inventory: Inventory, files: Mapping[str, bytes], digests: Mapping[str, str]
) -> list[Check]:
    """Return the check of a bundle's commitments; of one that is not redactable it is that there are none."""
    try:
        _refuse_foreign(contents, digests)
        if bundle.COMMITMENTS not in digests:
            return []
        lines = checked_lines(inventory, bundle.COMMITMENTS, digests)
        count = _compare(contents, _parts(contents, inventory, files, digests), lines)
    except EvalctlError as error:
        return [failed("commitments", error)]
    return [Check("commitments", "ok", f"{count}, {_UNCHECKED}")]


def _refuse_foreign(contents: Contents, digests: Mapping[str, str]) -> None:
    """Raise `CheckFailedError` for files that only a redacted bundle has, or only one that may be."""
    for name in (bundle.OPENINGS, bundle.ORIGINAL_SUMS):
        if name in digests:
            raise CheckFailedError(f"`{name}` is of a redacted bundle, and this is none", code="extra-file")
    if contents.blueprint.redactable != (bundle.COMMITMENTS in digests):
        said = "has no" if contents.blueprint.redactable else "may not have any"
        raise CheckFailedError(f"the bundle {said} `{bundle.COMMITMENTS}`", code="bad-commitments")


def _parts(
    contents: Contents, inventory: Inventory, files: Mapping[str, bytes], digests: Mapping[str, str]
) -> Parts:
    steps = launcher_steps(checked_lines(inventory, bundle.EVENTS, digests))
    return Parts(parse_json(files[bundle.RESULT], what=bundle.RESULT), digests, steps)


def _compare(contents: Contents, parts: Parts, lines: Iterator[bytes]) -> int:
    header, metrics = read_header(lines), contents.blueprint.metrics
    present = (sample for block in contents.source.blocks() for sample in block)
    forms, count, fields = expected_forms(metrics, present)
    require_columns(header, len(forms))
    if list(header.metrics) != [form.as_json() for form in forms]:
        raise bad("the contributions are not in the form that the metrics need")
    if not fields <= {*header.columns}:
        raise bad(f"there is no commitment to the samples' `{min(fields - {*header.columns})}`")
    refuse_large(count, len(header.columns))
    expected = committed_names(parts)
    samples = cells = 0
    for entry in read_commitments(header, lines):
        cells += len(entry.cells)
        if entry.kind == "sample":
            samples += 1
        elif next(expected, None) != (entry.kind, entry.name):
            raise _incomplete()
    if next(expected, None) is not None:
        raise _incomplete()
    if samples != count:
        raise bad(f"there are commitments to {samples} samples, and {count} samples")
    return cells


def _incomplete() -> CheckFailedError:
    return bad("there is not one commitment for each part of the result, each file and each step")


def checked_lines(inventory: Inventory, name: str, digests: Mapping[str, str]) -> Iterator[bytes]:
    """Yield the lines of a file, each with its line feed, without holding it whole.

    Raises `CheckFailedError` for a line that is too long, and behind the last line where the bytes were not
    those that have the digest.
    """
    state, rest = hashlib.sha256(), b""
    for chunk in inventory.chunks(name):
        state.update(chunk)
        *lines, rest = (rest + chunk).split(b"\n")
        yield from (line + b"\n" for line in lines)
        if len(rest) > MAX_LINE_BYTES:
            raise CheckFailedError(f"a line of `{name}` is too long", code="bad-line")
    if rest:
        yield rest
    if state.hexdigest() != digests[name]:
        raise CheckFailedError(f"`{name}` changed while it was read", code="changed-file")


def paired(committed: Iterator[Entry], openings: Iterator[Entry]) -> Iterator[tuple[Entry, Entry | None]]:
    """Yield each commitment with its opening, None where there is none; refuse openings of nothing."""
    opening = next(openings, None)
    for entry in committed:
        if opening is not None and opening.order == entry.order:
            yield entry, opening
            opening = next(openings, None)
        else:
            yield entry, None
    if opening is not None:
        raise bad(f"something is given out that was never committed to: a {opening.kind}")
