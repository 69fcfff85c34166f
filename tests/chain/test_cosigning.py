"""Co-signatures: other keys stand behind a bundle's bytes, and a policy asks for several."""

import json
from pathlib import Path

from launcher.trust.key_files import load_signer
from launcher.trust.sigstore import open_envelope, seal_payload
from tests.chain.people import base64_signature, contents_of, trust, verified
from tests.conftest import Evalctl
from tests.fakes.world import SmallWorld

TWO_OF_THREE = """version = 7
expires = 2099-01-01T00:00:00Z
{keys}
[rules.lock]
threshold = 2
from = ["alice", "bob", "carol"]
[rules.result]
threshold = 2
from = ["alice", "bob", "carol"]
"""


def policy_of(world: SmallWorld, keys: dict[str, Path], **more: str) -> Path:
    """Write a policy that asks for two of alice (the home's own key), bob and carol."""
    named = {"alice": world.home.default_key, "bob": keys["bob"], "carol": keys["carol"]}
    tables = [
        f'[keys.{name}]\npublic = "{" ".join(Path(f"{key}.pub").read_text().split()[:2])}"\n'
        f'roles = ["lock", "result"]\n{more.get(name, "")}'
        for name, key in named.items()
    ]
    path = world.root / "two-of-three.toml"
    path.write_text(TWO_OF_THREE.format(keys="\n".join(tables)))
    return path


def test_a_policy_of_two_out_of_three_accepts_after_the_second_signature(
    world: SmallWorld, evalctl: Evalctl, original: Path, keys: dict[str, Path]
) -> None:
    policy = policy_of(world, keys)
    before = evalctl("verify", original, "--trust", policy)
    assert before.code == 3
    assert f"`evalctl sign {original} --trust {policy}`" in before.err
    assert f"`evalctl trust show --trust {policy}`" in before.err
    done = evalctl("sign", original, "--trust", policy, "--key", keys["bob"])
    assert f"next: evalctl verify {original} --trust {policy}" in done.err
    assert (done.code, len(done.out.splitlines())) == (0, 3), done.err
    assert evalctl("verify", original, "--trust", policy).code == 0

    revoked = 'revoked-from = 2026-01-01T00:00:00Z\nreason = "key-compromise"\n'
    assert evalctl("verify", original, "--trust", policy_of(world, keys, bob=revoked)).code == 3
    policy = policy_of(world, keys, bob=revoked)
    assert evalctl("sign", original, "--trust", policy, "--key", keys["carol"]).code == 0
    assert evalctl("verify", original, "--trust", policy).code == 0


def test_nobody_is_asked_to_sign_where_all_the_others_are_revoked_or_expired(
    world: SmallWorld, evalctl: Evalctl, original: Path, keys: dict[str, Path]
) -> None:
    revoked = 'revoked-from = 2026-01-01T00:00:00Z\nreason = "key-compromise"\n'
    ended = "valid-until = 2026-01-01T00:00:00Z\n"
    asked = "adds a signature with"
    one_is_left = evalctl("verify", original, "--trust", policy_of(world, keys, bob=revoked))
    assert (one_is_left.code, asked in one_is_left.err) == (3, True)
    none_is_left = evalctl("verify", original, "--trust", policy_of(world, keys, bob=revoked, carol=ended))
    assert (none_is_left.code, asked in none_is_left.err) == (3, False)
    assert "evalctl trust show" in none_is_left.err
    # Who signed and is void cannot sign again.
    policy = policy_of(world, keys)
    assert evalctl("sign", original, "--trust", policy, "--key", keys["bob"]).code == 0
    void = evalctl("verify", original, "--trust", policy_of(world, keys, bob=ended, carol=revoked))
    assert (void.code, asked in void.err) == (3, False)


def test_signing_the_lock_alone_leaves_the_result_to_others(
    world: SmallWorld, evalctl: Evalctl, original: Path, keys: dict[str, Path]
) -> None:
    done = evalctl("sign", original, "--key", keys["bob"], "--role", "lock", "--json")
    (written,) = json.loads(done.out)["written"]
    assert Path(written).name.startswith("lock.")
    assert verified(evalctl, original)["verdict"] == "verified"


def test_signing_twice_changes_nothing_and_says_so(
    world: SmallWorld, evalctl: Evalctl, original: Path, keys: dict[str, Path]
) -> None:
    assert evalctl("sign", original, "--key", keys["bob"]).code == 0
    before = contents_of(original)
    done = evalctl("sign", original, "--key", keys["bob"])
    assert (done.code, done.out, done.err.count("was there already")) == (0, "", 3)
    assert contents_of(original) == before


def test_the_maker_s_key_a_tampered_bundle_and_a_stranger_s_are_not_co_signed(
    world: SmallWorld, evalctl: Evalctl, original: Path, keys: dict[str, Path]
) -> None:
    before = contents_of(original)
    assert evalctl("sign", original).code == 2
    assert evalctl("sign", original, "--key", keys["bob"], "--signer", f"{keys['carol']}.pub").code == 3
    assert contents_of(original) == before
    (original / "events.jsonl").write_bytes(b"")
    done = evalctl("sign", original, "--key", keys["bob"])
    assert (done.code, "events.jsonl" in done.err) == (1, True)


def test_what_only_bears_a_key_s_name_is_not_taken_for_its_signature(
    world: SmallWorld, evalctl: Evalctl, original: Path, keys: dict[str, Path]
) -> None:
    done = evalctl("sign", original, "--key", keys["bob"], "--role", "lock", "--json")
    (written,) = json.loads(done.out)["written"]
    envelope = open_envelope(Path(written).read_bytes())
    other = open_envelope(seal_payload(envelope.payload + b" ", load_signer(keys["bob"])))
    forged = Path(written).read_text().replace(*map(base64_signature, (envelope, other)))
    Path(written).write_text(forged)
    done = evalctl("sign", original, "--key", keys["bob"])
    assert (done.code, "is not what it says" in done.err) == (1, True)
    assert Path(written).read_text() == forged


def test_a_p256_key_co_signs_once(world: SmallWorld, evalctl: Evalctl, original: Path) -> None:
    key = world.root / "p256"
    assert evalctl("key", "new", key, "--type", "p256").code == 0
    trust(evalctl, key)
    assert evalctl("sign", original, "--key", key, "--out", world.root / "signed").code == 0
    assert evalctl("sign", original, "--key", key).code == 0
    before = contents_of(original)
    assert evalctl("sign", original, "--key", key).out == ""
    # A second signature has other bytes, and says the same.
    assert evalctl("attach", original, *(world.root / "signed").iterdir()).out.count("there already") == 3
    assert contents_of(original) == before
    assert len(verified(evalctl, original)["signers"]) == 2
