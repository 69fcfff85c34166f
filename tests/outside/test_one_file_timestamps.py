"""The stand-alone verifier takes and refuses RFC 3161 timestamps as `verify` does."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

import pytest

from launcher.cli.verify import EXIT_CODES
from launcher.exports import evalctl_verify as one
from launcher.trust.policy_file import read_policy
from launcher.trust.timestamps import StampedSigner, check_timestamp
from launcher.verify import verify
from tests.bundles.keys import ALICE
from tests.fakes.forgery import reseal
from tests.signing.authorities import TestAuthority, make_authority

SIGNATURE = b"the bytes of a signature"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> TestAuthority:
    return make_authority(tmp_path_factory.mktemp("authority"))


def own_status(token: bytes, tables: str) -> tuple[str, datetime | None]:
    check, time = check_timestamp("it", token, SIGNATURE, read_policy(policy(tables)).authorities)
    return check.status, time


def one_status(token: bytes, tables: str) -> tuple[str, datetime | None]:
    made = one.Attestation("it", "it", "it", b"", SIGNATURE, token)
    try:
        one.check_timestamp(made, one.read_policy(policy(tables)).authorities)
    except one.RefusedError:
        return "failed", None
    except one.SkippedError:
        return "skipped", None
    return "ok", made.proven


def policy(*tables: str) -> bytes:
    keys = f'[keys.a]\npublic = "{ALICE.public.openssh}"\nroles = ["lock", "result"]\n'
    rules = '[rules.lock]\nthreshold = 1\nfrom = ["a"]\n[rules.result]\nthreshold = 1\nfrom = ["a"]\n'
    return "".join(["version = 1\nexpires = 2095-01-01T00:00:00Z\n", keys, *tables, rules]).encode()


def test_both_judge_a_token_alike(authority: TestAuthority, tmp_path: Path) -> None:
    other = make_authority(tmp_path / "other")
    token, bare = authority.stamp(SIGNATURE), authority.stamp(SIGNATURE, "-sha256")
    signer = (authority.folder / "signer.pem").read_text()
    both = authority.table().replace("-----END CERTIFICATE-----\n", f"-----END CERTIFICATE-----\n{signer}", 1)
    for stamp, tables, expected in (
        (token, authority.table(), "ok"),
        (token, other.table() + authority.table("second"), "ok"),
        (token, other.table(), "failed"),
        (token, "", "skipped"),
        (bare, authority.table(), "failed"),
        (bare, both, "ok"),
        (token, authority.table("own", "valid-until = 2020-01-01T00:00:00Z"), "failed"),
        (token, authority.table("own", "valid-from = 2090-01-01T00:00:00Z"), "failed"),
        (authority.stamp(b"other"), authority.table(), "failed"),
        (authority.stamp(SIGNATURE, "-sha512", "-cert"), authority.table(), "failed"),
        (b"", authority.table(), "failed"),
    ):
        assert one_status(stamp, tables) == own_status(stamp, tables), expected
        assert one_status(stamp, tables)[0] == expected


def test_a_changed_token_proves_no_other_time_to_either(authority: TestAuthority) -> None:
    token, tables, chance = authority.stamp(SIGNATURE), authority.table(), Random(7)
    proven = one_status(token, tables)
    for place in chance.sample(range(len(token)), 150):
        changed = token[:place] + bytes([token[place] ^ (1 << chance.randrange(8))]) + token[place + 1 :]
        found = one_status(changed, tables)
        assert found in (proven, ("failed", None), ("skipped", None)), place
        assert found[0] == own_status(changed, tables)[0], place


@pytest.mark.parametrize(("hours", "expected"), [(1, 0), (-1, 3)])
def test_what_a_superseded_key_signed_before_counts_for_both(
    bundle: Path, authority: TestAuthority, hours: int, expected: int
) -> None:
    reseal(bundle, StampedSigner(ALICE, authority.stamp))
    now = datetime.now(UTC)
    revoked = (now + timedelta(hours=hours)).strftime("%Y-%m-%dT%H:%M:%SZ")
    data = policy(f'revoked-from = {revoked}\nreason = "superseded"\n', authority.table())
    later = now + timedelta(days=30)
    own = EXIT_CODES[verify(bundle, read_policy(data), later).verdict]
    report = one.verify(bundle, one.read_policy(data), later)
    assert ({"verified": 0, "untrusted": 3, "failed": 1}[report.verdict], own) == (expected, expected)
