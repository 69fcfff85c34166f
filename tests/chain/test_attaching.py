"""What came by post: attestations that others made elsewhere, put into a bundle, or refused."""

import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from msgspec.structs import replace

from launcher.errors import InfrastructureError
from launcher.spec.bundle import MAX_ATTESTATIONS
from launcher.spec.statement import Statement
from launcher.store.attested import add_files
from launcher.trust.dsse import parse_payload
from launcher.trust.key_files import load_signer
from launcher.trust.sigstore import open_envelope, seal, seal_payload
from tests.chain.people import base64_signature, contents_of, reproduced, signed_again, trust, verified
from tests.conftest import Evalctl
from tests.fakes.forgery import copy_of
from tests.fakes.world import SmallWorld


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
