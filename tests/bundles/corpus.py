"""All cases, in the order of docs/forgeries.md."""

from collections.abc import Callable, Iterator

from tests.bundles import (
    attesting,
    co_signers,
    controls,
    encodings,
    envelopes,
    exhausting,
    files,
    laborious,
    ledgers,
    lies_about_environments,
    lies_about_kinds,
    lies_about_records,
    lies_about_redactions,
    lies_about_runs,
    lies_about_scores,
    malformed_policies,
    odd_names,
    policies,
    redactions,
    replays,
    reproducing,
    signatures,
    stamps,
    statements,
    unused_fields,
    weak_keys,
)
from tests.bundles.case import Case

_MODULES: tuple[Callable[[], Iterator[Case]], ...] = (
    controls.cases,
    files.cases,
    odd_names.cases,
    attesting.cases,
    envelopes.cases,
    statements.cases,
    signatures.cases,
    encodings.cases,
    lies_about_scores.cases,
    lies_about_runs.cases,
    lies_about_environments.cases,
    lies_about_kinds.cases,
    lies_about_records.cases,
    replays.cases,
    reproducing.cases,
    exhausting.cases,
    laborious.cases,
    policies.cases,
    co_signers.cases,
    malformed_policies.cases,
    unused_fields.cases,
    weak_keys.cases,
    stamps.cases,
    ledgers.cases,
    redactions.cases,
    lies_about_redactions.cases,
)


def cases() -> tuple[Case, ...]:
    """Return every case; names are distinct."""
    found = tuple(case for module in _MODULES for case in module())
    names = [case.name.lower() for case in found]
    assert len(names) == len(set(names)), sorted(name for name in names if names.count(name) > 1)
    return found
