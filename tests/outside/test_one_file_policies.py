"""The stand-alone verifier reads trust policies as `verify` does."""

from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from launcher.cli.signing import read_verifying_policy
from launcher.errors import MalformedError, TrustError
from launcher.store.home import Home
from launcher.store.policies import place_of, read_offered
from launcher.trust.sigstore import seal_payload
from tests.bundles.keys import ALICE, ALICE_P256, BOB
from tests.outside.one_file import own_code, told

TOML = st.sampled_from(
    [
        ("version = 7", "version = 0"),
        ("version = 7", "version = true"),
        ("expires = 2030", "expires = 2020"),
        ("expires = 2030-01-01T00:00:00Z", "expires = 2030-01-01"),
        ("threshold = 1", "threshold = 2"),
        ("threshold = 1", "threshold = 0"),
        ("threshold = 1", 'threshold = 1\nmax-age = "1h"'),
        ("threshold = 1", 'threshold = 1\npredicate = ["x"]'),
        ("threshold = 1", "threshold = 1\nunknown = 1"),
        ('roles = ["lock", "result"]', 'roles = ["lock"]'),
        ('roles = ["lock", "result"]', 'roles = ["lock", "result", "reproduction", "root"]'),
        ('roles = ["lock", "result"]', 'roles = ["lock", "result", "king"]'),
        ('roles = ["lock", "result"]', 'roles = ["lock", "result"]\nbuilders = ["x"]'),
        ('roles = ["lock", "result"]', 'roles = ["lock", "result"]\nvalid-until = 2020-01-01T00:00:00Z'),
        ("expires = 2030-01-01T00:00:00Z", "expires = 9999-12-31T23:59:59-01:00"),
        ('roles = ["lock", "result"]', 'roles = ["lock", "result"]\nvalid-from = 0001-01-01T00:00:00+01:00'),
        ('roles = ["lock", "result"]', 'roles = ["lock", "result"]\nvalid-from = 2090-01-01T00:00:00Z'),
        ('roles = ["lock", "result"]', 'roles = ["lock", "result"]\nrevoked-from = 2090-01-01T00:00:00Z'),
        (
            'roles = ["lock", "result"]',
            'roles = ["lock", "result"]\nrevoked-from = 2090-01-01T00:00:00Z\nreason = "superseded"',
        ),
        (
            'roles = ["lock", "result"]',
            'roles = ["lock", "result"]\nrevoked-from = 2090-01-01T00:00:00Z\nreason = "key-compromise"',
        ),
        ("[rules.result]", "[rules.reproduction]"),
        ("[rules.result]", "[rules.king]"),
        ("[keys.alice]", '[keys."a b"]'),
        ("ssh-ed25519", "ssh-rsa"),
    ]
)


@settings(max_examples=40, deadline=None)
@given(st.lists(TOML, max_size=3))
@example([])
def test_both_read_a_trust_policy_alike(sealed_folder: Path, changes: list[tuple[str, str]]) -> None:
    text = (
        "version = 7\nexpires = 2030-01-01T00:00:00Z\n"
        f'[keys.alice]\npublic = "{ALICE.public.openssh}"\nroles = ["lock", "result"]\n'
        f'[keys.bob]\npublic = "{ALICE_P256.public.openssh}"\nroles = ["lock", "result"]\n'
        '[rules.lock]\nthreshold = 1\nfrom = ["alice", "bob"]\n'
        '[rules.result]\nthreshold = 1\nfrom = ["alice"]\n'
    )
    for old, new in changes:
        text = text.replace(old, new, 1)
    trust = sealed_folder.parent / "trust.toml"
    trust.write_text(text)
    try:
        expected = own_code(sealed_folder, read_verifying_policy(Home(trust.parent / "none"), trust, None))
    except MalformedError:
        expected = 2
    assert told(sealed_folder, "--trust", trust).code == expected, text


def test_both_ask_for_the_signatures_of_a_policy_that_names_its_roots(
    sealed_folder: Path, tmp_path: Path
) -> None:
    trust, home = tmp_path / "trust.toml", Home(tmp_path / "none")
    members = {"alice": ALICE, "bob": ALICE_P256, "carol": BOB}
    keys = "".join(
        f'[keys.{name}]\npublic = "{signer.public.openssh}"\nroles = ["lock", "result", "root"]\n'
        for name, signer in members.items()
    )
    rules = "".join(f'[rules.{role}]\nthreshold = 1\nfrom = ["alice"]\n' for role in ("lock", "result"))
    root = '[rules.root]\nthreshold = 2\nfrom = ["alice", "bob"]\n'
    trust.write_text(f"version = 7\nexpires = 2090-01-01T00:00:00Z\n{keys}{rules}{root}")

    def answers() -> tuple[int, int]:
        try:
            own = own_code(sealed_folder, read_verifying_policy(home, trust, None))
        except (MalformedError, TrustError) as error:
            own = error.exit_status
        return told(sealed_folder, "--trust", trust).code, own

    def put(data: bytes, infix: str = "") -> None:
        (tmp_path / f"trust.toml{infix}.sigstore.json").write_bytes(data)

    payload = read_offered(place_of(home, trust)).payload
    assert answers() == (3, 3)
    put(seal_payload(payload, ALICE))
    assert answers() == (3, 3)
    put(seal_payload(payload, ALICE), f".{ALICE.public.key_hex}")
    put(seal_payload(payload, BOB), f".{BOB.public.key_hex}")
    put(seal_payload(payload + b" ", ALICE_P256), f".{ALICE_P256.public.key_hex}")
    assert answers() == (3, 3)
    put(seal_payload(payload, BOB), f".{ALICE_P256.public.key_hex}")
    assert answers() == (2, 2)
    put(seal_payload(payload, ALICE_P256), f".{ALICE_P256.public.key_hex}")
    assert answers() == (0, 0)
    assert "policy-version" in told(sealed_folder, "--trust", trust).skipped
    trust.write_text(trust.read_text() + "# a remark\n")
    assert answers() == (3, 3)


def test_a_policy_of_more_than_a_mebibyte_is_refused_by_both(sealed_folder: Path, tmp_path: Path) -> None:
    trust = tmp_path / "trust.toml"
    head = "version = 7\nexpires = 2090-01-01T00:00:00Z\n"
    key = f'[keys.alice]\npublic = "{ALICE.public.openssh}"\nroles = ["lock", "result"]\n'
    rules = "".join(f'[rules.{role}]\nthreshold = 1\nfrom = ["alice"]\n' for role in ("lock", "result"))
    filling = "#" * ((1 << 20) - len(head + rules + key) - 1) + "\n"
    trust.write_text(head + rules + key + filling)
    assert told(sealed_folder, "--trust", trust).code == 0
    trust.write_text(trust.read_text() + 'reason = "key-compromise"\nrevoked-from = 2026-01-01T00:00:00Z\n')
    assert told(sealed_folder, "--trust", trust).code == 2
    with pytest.raises(MalformedError):
        read_verifying_policy(Home(tmp_path / "none"), trust, None)


_LONG_KEYS = {
    "bare": "x." * 32 + "x = 1",
    "quoted": '"x" . ' * 50_000 + "x = 1",
    "header": f"[{'x.' * 50_000}x]",
}


@pytest.mark.parametrize("key", _LONG_KEYS.values(), ids=_LONG_KEYS)
def test_a_key_of_very_many_parts_is_refused_by_both_at_once(
    sealed_folder: Path, tmp_path: Path, key: str
) -> None:
    trust = tmp_path / "trust.toml"
    trust.write_text(f"{key}\n")
    assert "more than 32 parts" in told(sealed_folder, "--trust", trust).err
    with pytest.raises(MalformedError):
        read_verifying_policy(Home(tmp_path / "none"), trust, None)
