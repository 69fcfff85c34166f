"""What counts together, held against counting by hand, however attempts of several signers mix."""

from itertools import product

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from launcher.canonical import canonical_bytes, parse_json
from launcher.ledger.count import Counts, group_keys, question_keys, rows
from launcher.ledger.entries import Attempt
from launcher.spec.predicates import Suite
from tests.ledger.logs import ATTEMPT
from tests.trust.sealed_bundle import ed25519_signer

SIGNERS = [ed25519_signer(number).public.fingerprint for number in (1, 2, 3)]
METRICS = [{"accuracy@1": ("accuracy",)}, {"accuracy@1": ("accuracy", "strict")}, {"f1@1": ("accuracy",)}, {}]
ATTEMPTS = [
    replace(ATTEMPT, signer=signer, suite=Suite(name, version), data=data, metrics=metrics)
    for signer, name, version, data, metrics in product(
        SIGNERS, ["acme/a", "acme/b"], ["1.0.0", "2.0.0"], [(), ("11" * 32,), ("11" * 32, "22" * 32)], METRICS
    )
]


def measured(attempt: Attempt) -> set[tuple[str, str]]:
    pairs = {(definition, name) for definition, names in attempt.metrics.items() for name in names}
    return pairs or {("", "")}


def by_hand(attempt: Attempt, among: list[Attempt]) -> tuple[int, int]:
    """How many count together with an attempt, and how many by other keys, for the most tried metric each."""
    asked = [each for each in among if (each.suite.name, each.data) == (attempt.suite.name, attempt.data)]
    mine = [each for each in asked if each.signer == attempt.signer]
    others = [each for each in asked if each.signer != attempt.signer]
    return (
        max(sum(metric in measured(each) for each in mine) for metric in measured(attempt)),
        max(sum(metric in measured(each) for each in others) for metric in measured(attempt)),
    )


@given(st.lists(st.sampled_from(ATTEMPTS), max_size=12))
def test_attempts_count_as_by_hand(attempts: list[Attempt]) -> None:
    placed: list[Attempt] = []
    counts = Counts()
    for attempt in attempts:
        placed.append(replace(attempt, position=1 + counts.total(attempt)))
        counts = counts.added([placed[-1]])
        assert placed[-1].position == by_hand(attempt, placed)[0]
    listed = rows(placed)
    assert [(row.total, row.others) for row in listed] == [by_hand(each, placed) for each in placed]
    assert [(counts.total(each), counts.others(each)) for each in placed] == [
        (row.total, row.others) for row in listed
    ]
    again = Counts.from_json(parse_json(canonical_bytes(counts.as_json())))
    assert again == counts


@given(st.sampled_from(ATTEMPTS))
def test_who_signs_changes_the_group_and_not_the_question(attempt: Attempt) -> None:
    other = replace(attempt, signer=next(each for each in SIGNERS if each != attempt.signer))
    assert not {*group_keys(attempt)} & {*group_keys(other)}
    assert question_keys(attempt) == question_keys(other)
    assert not {*group_keys(attempt)} & {*question_keys(attempt)}
