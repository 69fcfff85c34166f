"""What holds of every forgery: a change signed again is refused; trust only grows with signers."""

import copy
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from launcher.canonical import canonical_bytes
from launcher.errors import MalformedError
from launcher.spec.predicates import RESULT_TYPE
from launcher.trust.policy import Claim, Policy, Rule, TrustedKey, single_key_policy
from launcher.verify import verify
from tests.bundles.case import Case, leave
from tests.bundles.keys import ALICE, BOB, CAROL, MALLORY
from tests.fakes.forgery import reseal

NOW = datetime(2026, 11, 22, tzinfo=UTC)
KEYS = {"alice": ALICE, "bob": BOB, "carol": CAROL}
VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, 1, -1, 2, 0.5, 1e300, "", "x", "pass", "fail", "failed", "launcher"),
    *("a" * 64, "sha256:" + "b" * 64, [], [0], {}, {"x": 1}, {"$float": "0.5"}),
)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("forged") / "it"
    return Case(title="it", group="lies", attack="", forge=leave).build(folder)


def places(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    if path:
        yield path
    for key, item in value.items() if isinstance(value, dict) else ():
        yield from places(item, (*path, key))
    for index, item in enumerate(value) if isinstance(value, list) else ():
        yield from places(item, (*path, index))


def changed(document: Any, path: tuple[str | int, ...], how: str, value: Any) -> Any:
    """Return `document` with the value at `path` replaced, removed, or given company."""
    copied = copy.deepcopy(document)
    parent = copied
    for step in path[:-1]:
        parent = parent[step]
    if how == "replace":
        parent[path[-1]] = value
    elif how == "remove":
        del parent[path[-1]]
    elif isinstance(parent, dict):
        parent["more"] = value
    else:
        parent.append(value)
    return copied


def nobody_can_tell(name: str, path: tuple[str | int, ...], how: str) -> bool:
    """Say whether a change says nothing else, or what the signer's word alone stands for."""
    # No mark is no mark; with which code a command ended that did not fail, only who ran it saw.
    return name == "result.json" and ((path, how) == (("marks",), "remove") or path[-1] == "exit_code")


@pytest.mark.parametrize("name", ["result.json", "lock.json"])
def test_a_change_that_the_trusted_key_signs_again_is_refused(name: str, bundle: Path) -> None:
    data = (bundle / name).read_bytes()
    document, policy = json.loads(data), single_key_policy(ALICE.public)
    every, end = list(places(document)), b"\n" if data.endswith(b"\n") else b""

    @settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.sampled_from(every), st.sampled_from(["replace", "remove", "add"]), st.sampled_from(VALUES))
    def hold(path: tuple[str | int, ...], how: str, value: Any) -> None:
        mutant = changed(document, path, how, value)
        try:
            forged = canonical_bytes(mutant) + end
        except MalformedError:
            assume(False)
        (bundle / name).write_bytes(forged)
        reseal(bundle, ALICE)
        verdict = verify(bundle, policy, NOW).verdict
        same = forged == data or nobody_can_tell(name, path, how)
        assert verdict == "failed" or (same and verdict == "verified"), (path, how, value)

    try:
        hold()
    finally:
        (bundle / name).write_bytes(data)
        reseal(bundle, ALICE)
    assert verify(bundle, policy, NOW).verdict == "verified"


signers = st.frozensets(st.sampled_from([*KEYS.values(), MALLORY]).map(lambda key: key.public.fingerprint))
members = st.frozensets(st.sampled_from([*KEYS]), min_size=1)


def policy_of(names: frozenset[str], threshold: int, revoked: frozenset[str] = frozenset()) -> Policy:
    keys = {name: TrustedKey(name, KEYS[name].public, frozenset(["result"])) for name in KEYS}
    for name in revoked:
        keys[name] = replace(keys[name], revoked_from=NOW, reason="key-compromise")
    rule = Rule(threshold, names)
    return Policy(1, datetime(2099, 1, 1, tzinfo=UTC), keys, {"result": rule})


def allows(policy: Policy, fingerprints: frozenset[str]) -> bool:
    return policy.decide(Claim("result", fingerprints, RESULT_TYPE), NOW).allowed


@given(signers, signers, members, members, st.integers(1, 3))
def test_more_signatures_and_more_members_never_lower_trust(
    some: frozenset[str], more: frozenset[str], names: frozenset[str], others: frozenset[str], threshold: int
) -> None:
    before = allows(policy_of(names, threshold), some)
    assert allows(policy_of(names, threshold), some | more) >= before
    assert allows(policy_of(names | others, threshold), some) >= before
    assert allows(policy_of(names, threshold + 1), some) <= before


@given(signers, members, members, st.integers(1, 3))
def test_a_revoked_key_counts_nowhere(
    some: frozenset[str], names: frozenset[str], revoked: frozenset[str], threshold: int
) -> None:
    gone = {KEYS[name].public.fingerprint for name in revoked}
    judged = allows(policy_of(names, threshold, revoked), some)
    assert judged == allows(policy_of(names, threshold, revoked), some - gone)
    assert judged == allows(policy_of(names, threshold), some - gone)
    assert judged <= allows(policy_of(names, threshold), some)


@given(signers, members, st.integers(1, 3))
def test_a_threshold_counts_distinct_members_and_nobody_else(
    some: frozenset[str], names: frozenset[str], threshold: int
) -> None:
    counted = {name for name in names if KEYS[name].public.fingerprint in some}
    assert allows(policy_of(names, threshold), some) == (len(counted) >= threshold)
