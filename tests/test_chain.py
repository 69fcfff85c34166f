"""The chain of evidence behind a bundle: reproductions by several keys, co-signatures, what came by post."""

import json
import platform
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from launcher.environment.facts import read_environment
from launcher.errors import InfrastructureError
from launcher.spec.bundle import MAX_ATTESTATIONS
from launcher.spec.machine_kind import machine_kind
from launcher.spec.reproduction import Reproduction
from launcher.spec.statement import Statement, reproduction_statement
from launcher.store.attested import add_files
from launcher.trust.dsse import parse_payload
from launcher.trust.key_files import load_signer, new_key
from launcher.trust.sigstore import open_envelope, seal, seal_payload
from tests.conftest import Evalctl
from tests.fakes.forgery import copy_of
from tests.fakes.real_world import SCRIPT, RealWorld
from tests.fakes.world import SmallWorld, answering

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


@pytest.fixture
def original(world: SmallWorld) -> Path:
    """Return a bundle of the world's own key, copied out to a folder of its own."""
    return copy_of(world.launch().bundle, world.root / "published")


@pytest.fixture
def keys(world: SmallWorld) -> dict[str, Path]:
    """Return private keys of others, by their owners' names."""
    return {name: key_of(world, name) for name in ("bob", "carol", "dave")}


def key_of(world: SmallWorld, name: str) -> Path:
    new_key(world.root / name)
    return world.root / name


def trust(evalctl: Evalctl, *keys: Path) -> None:
    for key in keys:
        assert evalctl("trust", "add", f"{key}.pub").code == 0


def reproduced(evalctl: Evalctl, world: SmallWorld, bundle: Path, key: Path, *more: str) -> Path:
    """Launch the lock of `bundle` again under `key`; return the statement."""
    done = evalctl("reproduce", bundle, "--blueprint-dir", world.folder, "--key", key, "--json", *more)
    return Path(json.loads(done.out)["statement"])


def on_kernel(world: SmallWorld, kernel: str) -> None:
    world.engine.facts = replace(world.engine.facts, kernel=kernel)


def verified(evalctl: Evalctl, bundle: Path, *more: str | Path) -> Any:
    return json.loads(evalctl("verify", bundle, "--json", *more).out)


def signed_again(statement: Path, key: Path, **changes: Any) -> bytes:
    """Return the reproduction in `statement`, changed and signed by `key`."""
    read = Statement.from_json(parse_payload(open_envelope(statement.read_bytes()).payload))
    found = replace(Reproduction.from_json(read.predicate), **changes)
    return seal(reproduction_statement(found), load_signer(key))


def test_three_keys_on_two_kinds_of_machine_are_counted_as_that(
    world: SmallWorld, evalctl: Evalctl, original: Path, keys: dict[str, Path]
) -> None:
    statements = []
    for name, kernel in (("bob", "6.1.0"), ("carol", "6.1.0"), ("dave", "6.12.0")):
        on_kernel(world, kernel)
        mine = copy_of(original, world.root / f"copy-of-{name}")
        statements.append(reproduced(evalctl, world, mine, keys[name]))
    assert verified(evalctl, original)["reproduced"]["keys"] == 0

    trust(evalctl, *keys.values())
    done = evalctl("attach", original, *statements)
    assert (done.code, done.out.count("reproduction, by")) == (0, 3), done.err
    answer = verified(evalctl, original)
    assert (answer["reproduced"]["keys"], answer["reproduced"]["machine_kinds"]) == (3, 2)
    assert {item["name"] for item in answer["reproductions"]} == {"bob", "carol", "dave"}
    assert {item["environment"]["kernel"] for item in answer["reproductions"]} == {"6.1.0", "6.12.0"}
    assert "reproduced by 3 keys on 2 machine kinds" in evalctl("verify", original).out
    assert "reproduced by 3 keys on 2 machine kinds" in evalctl("report", original).out


def test_one_key_many_times_on_one_machine_counts_once(
    world: SmallWorld, evalctl: Evalctl, original: Path, keys: dict[str, Path]
) -> None:
    trust(evalctl, keys["bob"])
    for _ in range(2):
        reproduced(evalctl, world, original, keys["bob"])
    said = verified(evalctl, original)["reproduced"]
    assert (said["keys"], said["machine_kinds"]) == (1, 1)


def test_one_key_on_two_kinds_of_machine_is_one_key(
    world: SmallWorld, evalctl: Evalctl, original: Path, keys: dict[str, Path]
) -> None:
    trust(evalctl, keys["bob"])
    for kernel in ("6.1.0", "6.12.0"):
        on_kernel(world, kernel)
        reproduced(evalctl, world, original, keys["bob"])
    said = verified(evalctl, original)["reproduced"]
    assert (said["keys"], said["machine_kinds"]) == (1, 2)
    assert "reproduced by 1 key on 2 machine kinds" in evalctl("show", original).out


def test_a_key_that_signs_what_another_ran_has_not_run_it_again(
    world: SmallWorld, evalctl: Evalctl, original: Path, keys: dict[str, Path]
) -> None:
    trust(evalctl, keys["bob"], keys["carol"])
    statement = reproduced(evalctl, world, original, keys["bob"])
    copied = statement.with_name("reproduction-mine.sigstore.json")
    copied.write_bytes(signed_again(statement, keys["carol"], environment={"kernel": "another"}))
    answer = verified(evalctl, original)
    assert answer["verdict"] == "verified"
    assert (answer["reproduced"]["keys"], answer["reproduced"]["machine_kinds"]) == (1, 1)


def test_what_came_out_otherwise_is_said_as_loudly(
    world: SmallWorld, evalctl: Evalctl, keys: dict[str, Path]
) -> None:
    world.write(run='command = ["answer"]\ndeterminism = "sample"')
    original = Path(json.loads(evalctl("launch", world.file, "--json").out)["bundle"])
    trust(evalctl, *keys.values())
    reproduced(evalctl, world, original, keys["bob"])
    world.plays(answering(lambda _, sample: {**sample, "prediction": 9}))
    reproduced(evalctl, world, original, keys["carol"])
    world.plays(lambda _: 3)
    reproduced(evalctl, world, original, keys["dave"])
    said = "reproduced by 1 key on 1 machine kind; diverged for 2 keys"
    assert said in evalctl("verify", original).out
    page = evalctl("report", original).out
    assert said in page
    assert "Launched again, it did not come out the same" in page
    assert page == evalctl("report", original).out


def test_the_maker_s_own_reproduction_does_not_count_but_its_divergence_is_said(
    world: SmallWorld, evalctl: Evalctl, original: Path
) -> None:
    reproduced(evalctl, world, original, world.home.default_key)
    assert "identical by the same key: does not count" in evalctl("verify", original).out
    answer = verified(evalctl, original)["reproduced"]
    assert (answer["keys"], answer["same_key"]) == (0, ["identical"])


def test_a_co_signer_s_reproduction_still_counts(
    world: SmallWorld, evalctl: Evalctl, original: Path, keys: dict[str, Path]
) -> None:
    trust(evalctl, keys["bob"])
    assert evalctl("sign", original, "--key", keys["bob"]).code == 0
    reproduced(evalctl, world, original, keys["bob"])
    assert verified(evalctl, original)["reproduced"]["keys"] == 1


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


def contents_of(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


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


def base64_signature(envelope: Any) -> str:
    from base64 import b64encode

    return b64encode(envelope.signature).decode()


def test_a_bundle_that_cannot_be_written_is_co_signed_elsewhere_and_attached(
    world: SmallWorld,
    evalctl: Evalctl,
    original: Path,
    keys: dict[str, Path],
    read_only: Callable[[Path], None],
) -> None:
    trust(evalctl, keys["bob"])
    mine = copy_of(original, world.root / "mine")
    read_only(mine)
    done = evalctl("sign", mine, "--key", keys["bob"])
    assert (done.code, "--out DIR" in done.err) == (4, True)
    folder = world.root / "signed"
    assert evalctl("sign", mine, "--key", keys["bob"], "--out", folder).code == 0
    assert evalctl("sign", mine, "--key", keys["bob"], "--out", folder).code == 2

    files = sorted(folder.iterdir())
    own = original / "attestations" / "lock.sigstore.json"
    done = evalctl("attach", original, own, *files)
    assert (done.code, done.out.count("co-signature, by bob")) == (0, 3), done.err
    assert "attestations/lock.sigstore.json: the bundle's own, there already, by me" in done.out
    assert evalctl("attach", original, *files).out.count("there already") == 3
    assert len(verified(evalctl, original)["signers"]) == 2


def test_a_statement_that_a_read_only_bundle_kept_away_is_attached_later(
    world: SmallWorld,
    evalctl: Evalctl,
    original: Path,
    keys: dict[str, Path],
    read_only: Callable[[Path], None],
) -> None:
    trust(evalctl, keys["bob"])
    mine = copy_of(original, world.root / "mine")
    read_only(mine)
    done = evalctl("reproduce", mine, "--blueprint-dir", world.folder, "--key", keys["bob"])
    (kept,) = (world.home.root / "reproductions").rglob("*.sigstore.json")
    assert f"evalctl attach BUNDLE {kept}" in done.err
    assert evalctl("attach", original, kept).code == 0
    assert verified(evalctl, original)["reproduced"]["keys"] == 1


def test_what_an_unknown_key_signed_is_attached_with_a_remark_and_not_counted(
    world: SmallWorld, evalctl: Evalctl, original: Path, keys: dict[str, Path]
) -> None:
    mine = copy_of(original, world.root / "mine")
    statement = reproduced(evalctl, world, mine, keys["bob"])
    done = evalctl("attach", original, statement)
    assert (done.code, "was not checked" in done.err) == (0, True)
    answer = verified(evalctl, original)
    assert (answer["verdict"], answer["reproduced"]["not_counted"]) == ("verified", 1)
    assert "1 statement of reproductions not counted" in evalctl("verify", original).out
    trust(evalctl, keys["bob"])
    assert verified(evalctl, original)["reproduced"]["keys"] == 1


def test_two_statements_about_one_outcome_stand_side_by_side(
    world: SmallWorld, evalctl: Evalctl, original: Path, keys: dict[str, Path]
) -> None:
    trust(evalctl, keys["bob"], keys["carol"])
    statement = reproduced(evalctl, world, original, keys["bob"])
    other = world.root / "other.json"
    other.write_bytes(signed_again(statement, keys["carol"], evaluated_at="2026-11-23T00:00:00Z"))
    co_signed = world.root / "co-signed.json"
    payload = open_envelope(statement.read_bytes()).payload
    co_signed.write_bytes(seal_payload(payload, load_signer(keys["carol"])))
    done = evalctl("attach", original, other, co_signed, statement, "--json")
    kinds = [(item["kind"], item["new"]) for item in json.loads(done.out)["attached"]]
    assert kinds == [("reproduction", True), ("co-signature", True), ("reproduction", False)]
    answer = verified(evalctl, original)
    assert (answer["verdict"], answer["reproduced"]["keys"]) == ("verified", 1)


def wrong_files(
    world: SmallWorld, original: Path, statement: Path, keys: dict[str, Path]
) -> dict[str, bytes]:
    bob, envelope = keys["bob"], open_envelope(statement.read_bytes())
    lock = open_envelope((original / "attestations" / "lock.sigstore.json").read_bytes())
    broken = statement.read_text().replace(
        base64_signature(envelope), base64_signature(open_envelope(seal_payload(b"{}", load_signer(bob))))
    )
    about = Statement.from_json(parse_payload(lock.payload))
    return {
        "malformed": b"{}",
        "two spaces": statement.read_bytes() + b"\n",
        "badly signed": broken.encode(),
        "another bundle": signed_again(statement, bob, original="sha256:" + "ab" * 32),
        "its own outcome": signed_again(statement, bob, reproduced=verification_digest(original)),
        "another lock": signed_again(statement, bob, lock="sha256:" + "cd" * 32),
        "other bytes": seal(
            replace(about, predicate={**about.predicate, "x": "y"}).as_json(), load_signer(bob)
        ),
    }


def verification_digest(bundle: Path) -> str:
    from launcher.store.bundles import bundle_digest

    return bundle_digest(bundle)


def test_what_does_not_belong_to_a_bundle_is_refused_and_nothing_is_written(
    world: SmallWorld, evalctl: Evalctl, original: Path, keys: dict[str, Path]
) -> None:
    trust(evalctl, keys["bob"])
    statement = reproduced(evalctl, world, copy_of(original, world.root / "mine"), keys["bob"])
    before = contents_of(original)
    for case, data in wrong_files(world, original, statement, keys).items():
        bad = world.root / "bad.json"
        bad.write_bytes(data)
        done = evalctl("attach", original, statement, bad)
        assert (done.code, "bad.json` cannot be attached" in done.err) == (1, True), (case, done.err)
        assert contents_of(original) == before, case
    assert evalctl("attach", original, world.root / "absent").code == 2


def test_nothing_is_written_through_a_link_that_took_a_folder_s_place(tmp_path: Path) -> None:
    folder, elsewhere = tmp_path / "bundle", tmp_path / "elsewhere"
    folder.mkdir()
    elsewhere.mkdir()
    (folder / "attestations").symlink_to(elsewhere)
    with pytest.raises(InfrastructureError, match="cannot write"):
        add_files(folder, {"attestations/result.sigstore.json": b"{}"})
    assert list(elsewhere.iterdir()) == []
    add_files(folder / "attestations", {"result.sigstore.json": b"{}"})
    assert [path.name for path in elsewhere.iterdir()] == ["result.sigstore.json"]


def test_a_full_bundle_takes_no_attestation_more(
    world: SmallWorld, evalctl: Evalctl, original: Path, keys: dict[str, Path]
) -> None:
    statement = reproduced(evalctl, world, copy_of(original, world.root / "mine"), keys["bob"])
    for number in range(MAX_ATTESTATIONS - 1 - len(list((original / "attestations").iterdir()))):
        shutil.copy(statement, original / "attestations" / f"reproduction-{number}.sigstore.json")
    before = contents_of(original)
    assert evalctl("sign", original, "--key", keys["carol"]).code == 1
    other = world.root / "other.json"
    other.write_bytes(signed_again(statement, keys["carol"], evaluated_at="2026-11-23T00:00:00Z"))
    assert evalctl("attach", original, other).code == 1
    assert contents_of(original) == before
    assert evalctl("verify", original).code == 0


def test_show_and_list_say_what_this_machine_counts(
    world: SmallWorld, evalctl: Evalctl, keys: dict[str, Path]
) -> None:
    original = world.launch().bundle
    assert "beside" not in evalctl("show", original).out
    reproduced(evalctl, world, original, keys["bob"])
    assert "1 statement of reproductions not counted" in evalctl("show", original).out
    trust(evalctl, keys["bob"])
    said = "reproduced by 1 key on 1 machine kind"
    shown = evalctl("show", original).out
    assert said in shown
    assert "Only the reproductions were checked here" in shown
    assert f"{original.name[:12]}: {said}" in evalctl("list").out
    assert json.loads(evalctl("show", original, "--json").out)["reproduced"]["keys"] == 1
    listed = json.loads(evalctl("list", "--json").out)["attempts"]
    assert [item["reproduced"] and item["reproduced"]["keys"] for item in listed] == [1, None]

    (statement,) = (original / "attestations").glob("reproduction-*")
    statement.write_bytes(b"{}")
    for command in (("show", original), ("list",)):
        done = evalctl(*command)
        assert (done.code, "attestations that do not stand" in done.out) == (0, True)


@pytest.mark.engine
def test_a_real_reproduction_says_what_kind_of_machine_it_ran_on(real: RealWorld) -> None:
    real.write(SCRIPT.removeprefix("sleep 2\n"))
    original = Path(real.launched()["bundle"])
    bob = key_of(real.world, "bob")
    options = ("--blueprint-dir", str(real.world.folder), "--key", str(bob), "--json")
    again = json.loads(real.evalctl("reproduce", str(original), *options).out)
    assert real.evalctl("trust", "add", f"{bob}.pub").code == 0
    answer = json.loads(real.evalctl("verify", str(original), "--json").out)
    assert (answer["reproduced"]["keys"], answer["reproduced"]["machine_kinds"]) == (1, 1)

    facts = read_environment((Path(again["bundle"]) / "environment.json").read_bytes())
    (counted,) = answer["reproductions"]
    kind = counted["environment"]
    assert kind == machine_kind(facts)
    assert (kind["kernel"], kind["machine"]) == (platform.release(), platform.machine())
    assert kind["engine"].startswith("docker ")
    said = json.dumps(kind)
    assert platform.node() not in said
    assert str(real.world.root) not in said


def test_a_redacted_bundle_is_co_signed_and_reproduced_as_any_other(
    world: SmallWorld, evalctl: Evalctl, keys: dict[str, Path]
) -> None:
    world.write(tail="[bundle]\nredactable = true\n")
    original = Path(json.loads(evalctl("launch", world.file, "--json").out)["bundle"])
    trust(evalctl, keys["bob"], keys["carol"])
    reproduced(evalctl, world, original, keys["bob"])
    redacted = world.root / "redacted"
    assert evalctl("redact", original, "--withhold", "predictions", "--out", redacted).code == 0
    assert evalctl("sign", redacted, "--key", keys["carol"]).code == 0
    answer = verified(evalctl, redacted)
    assert (answer["verdict"], answer["reproduced"]["keys"]) == ("verified", 1)
    assert len(answer["signers"]) == 2
    elsewhere = copy_of(redacted, world.root / "elsewhere")
    for path in (redacted / "attestations").glob(f"*.{'?' * 64}.*"):
        path.unlink()
    files = sorted((elsewhere / "attestations").glob(f"*.{'?' * 64}.*"))
    assert (evalctl("attach", redacted, *files).code, len(files)) == (0, 3)
    assert contents_of(redacted) == contents_of(elsewhere)


def test_a_reproduction_s_own_bundle_is_held_against_what_was_stated(
    world: SmallWorld, evalctl: Evalctl, original: Path, keys: dict[str, Path]
) -> None:
    trust(evalctl, keys["bob"], keys["carol"])
    statement = reproduced(evalctl, world, original, keys["bob"])
    (counted,) = verified(evalctl, original)["reproductions"]
    outcome = world.home.bundle(counted["bundle"])
    assert "were not looked at" not in evalctl("verify", original, "--with", outcome).out
    (check,) = outcomes(verified(evalctl, original, "--with", outcome))
    assert (check["status"], "what bob states follows" in check["detail"]) == ("ok", True)
    assert evalctl("verify", original, "--with", original).code == 2

    lies: list[tuple[dict[str, Any], str]] = [
        ({"verdict": "inconclusive"}, "does not follow"),
        ({"samples": ("40", "39"), "verdict": "equivalent", "metrics": ()}, "does not follow"),
        ({"environment": {"kernel": "4.4"}}, "kind is not what the bundle has signed"),
    ]
    honest = statement.read_bytes()
    for changes, reason in lies:
        statement.write_bytes(honest)
        statement.write_bytes(signed_again(statement, keys["bob"], **changes))
        (check,) = outcomes(verified(evalctl, original, "--with", outcome))
        assert (check["status"], reason in check["detail"]) == ("failed", True), changes
        assert evalctl("verify", original, "--with", outcome).code == 1
        assert evalctl("verify", original).code == 0
    statement.write_bytes(honest)
    statement.write_bytes(signed_again(statement, keys["carol"]))
    (check,) = outcomes(verified(evalctl, original, "--with", outcome))
    assert (check["status"], "under the key of `carol`" in check["detail"]) == ("failed", True)


def outcomes(answer: Any) -> list[Any]:
    return [check for check in answer["checks"] if check["name"].startswith("outcome:")]


def test_what_a_reproduction_ran_must_be_a_bundle(
    world: SmallWorld, evalctl: Evalctl, original: Path, keys: dict[str, Path], tmp_path: Path
) -> None:
    assert evalctl("verify", original, "--with", tmp_path).code == 1
    assert evalctl("verify", original, "--with", tmp_path / "absent").code == 2


def test_what_was_stated_of_the_whole_bundle_is_not_held_against_a_redacted_one(
    world: SmallWorld, evalctl: Evalctl, keys: dict[str, Path]
) -> None:
    world.write(tail="[bundle]\nredactable = true\n")
    original = Path(json.loads(evalctl("launch", world.file, "--json").out)["bundle"])
    trust(evalctl, *keys.values())
    reproduced(evalctl, world, original, keys["bob"])
    redacted = world.root / "redacted"
    assert evalctl("redact", original, "--withhold", "predictions", "--out", redacted).code == 0
    reproduced(evalctl, world, redacted, keys["carol"])
    answer = verified(evalctl, redacted)
    assert answer["reproduced"]["keys"] == 2
    ran = {item["name"]: world.home.bundle(item["bundle"]) for item in answer["reproductions"]}
    checks = outcomes(verified(evalctl, redacted, "--with", ran["bob"], "--with", ran["carol"]))
    assert sorted(check["status"] for check in checks) == ["ok", "skipped"]


def test_any_changed_byte_of_what_is_offered_is_refused(
    world: SmallWorld, evalctl: Evalctl, original: Path, keys: dict[str, Path]
) -> None:
    trust(evalctl, keys["bob"])
    folder, chance = world.root / "signed", random.Random(3)
    evalctl("sign", original, "--key", keys["bob"], "--role", "lock", "--out", folder)
    statement = reproduced(evalctl, world, copy_of(original, world.root / "mine"), keys["bob"])
    before = contents_of(original)
    for path in (next(folder.iterdir()), statement):
        data = path.read_bytes()
        for _ in range(25):
            place = chance.randrange(len(data))
            forged = data[:place] + bytes([data[place] ^ chance.randrange(1, 256)]) + data[place + 1 :]
            (world.root / "forged").write_bytes(forged)
            assert evalctl("attach", original, world.root / "forged").code == 1, (path.name, place)
    assert contents_of(original) == before


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
