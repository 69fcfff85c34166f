"""All cases, in the order of docs/forgeries.md."""

from collections.abc import Callable, Iterator

from tests.bundles import (
    attesting,
    controls,
    envelopes,
    files,
    odd_names,
    policies,
    signatures,
    statements,
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
    policies.cases,
)


def cases() -> tuple[Case, ...]:
    """Return every case; names are distinct."""
    found = tuple(case for module in _MODULES for case in module())
    names = [case.name.lower() for case in found]
    assert len(names) == len(set(names)), sorted(name for name in names if names.count(name) > 1)
    return found
