"""Verifiers that know nothing of evalctl accept what it signs, and refuse what was changed since."""

import json
import shutil
import subprocess
from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from launcher.digest import sha256_hex
from launcher.spec import bundle as names
from launcher.spec.predicates import LOCK_TYPE, PROVENANCE_TYPE, REPRODUCTION_TYPE, RESULT_TYPE
from launcher.spec.statement import reproduction_statement
from launcher.trust.key_files import FileSigner
from launcher.trust.keys import PublicKey
from launcher.trust.sigstore import open_envelope, seal, seal_payload
from tests.fakes.real_world import SCRIPT, RealWorld
from tests.fakes.world import copy_world
from tests.outside.judges import JUDGES, Case, need
from tests.trust.sealed_bundle import ALICE, BOB, CONTENTS, Seal, p256_signer, reproduction_of, sealed

CAROL = p256_signer(7)
TYPES = {
    names.PROVENANCE_ATTESTATION: PROVENANCE_TYPE,
    names.RESULT_ATTESTATION: RESULT_TYPE,
    names.LOCK_ATTESTATION: LOCK_TYPE,
}
Edit = Callable[[dict[str, Any]], None]


def write(folder: Path, files: Mapping[str, bytes]) -> Path:
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return folder


def signed_by(signer: FileSigner, contents: Mapping[str, bytes] = CONTENTS) -> dict[str, bytes]:
    return sealed(Seal(provenance_signer=signer, result_signer=signer, lock_signer=signer), contents)


def many_files() -> dict[str, bytes]:
    return {**CONTENTS, **{f"artifacts/{number}": str(number).encode() for number in range(1001)}}


def co_signed() -> dict[str, bytes]:
    """Return a bundle by ALICE whose result BOB and CAROL signed as well, and that BOB reproduced."""
    files = signed_by(ALICE)
    payload = open_envelope(files[names.RESULT_ATTESTATION]).payload
    for signer in (BOB, CAROL):
        path = names.co_signature(names.RESULT_ATTESTATION, signer.public.key_hex)
        files[path] = seal_payload(payload, signer)
    reproduction = reproduction_of(files)
    path = names.reproduction_attestation(reproduction.reproduced)
    files[path] = seal(reproduction_statement(reproduction), BOB)
    return files


BUNDLES: dict[str, tuple[Callable[[], dict[str, bytes]], PublicKey]] = {
    "ed25519": (lambda: signed_by(ALICE), ALICE.public),
    "p256": (lambda: signed_by(CAROL), CAROL.public),
    "many-files": (lambda: signed_by(CAROL, many_files()), CAROL.public),
    "co-signed": (co_signed, ALICE.public),
}


@pytest.fixture(scope="module")
def bundles(
    tmp_path_factory: pytest.TempPathFactory, world_template: Path
) -> dict[str, tuple[Path, PublicKey]]:
    """Return sealed bundles of every shape, and one that a launch made."""
    root = tmp_path_factory.mktemp("outside")
    made = {name: (write(root / name, make()), key) for name, (make, key) in BUNDLES.items()}
    world = copy_world(world_template, root / "world")
    made["launched"] = (world.launch().bundle, world.signer.public)
    return made


def cases_of(folder: Path, key: PublicKey) -> list[Case]:
    """Return a case for each attestation of a bundle, under the key that signed it."""
    known = {one.public.key_hex: one.public for one in (ALICE, BOB, CAROL)}
    cases = []
    for path in sorted((folder / "attestations").glob("*.sigstore.json")):
        inside = path.relative_to(folder).as_posix()
        signed = names.split_co_signature(inside)
        base, signer = (signed[0], known[signed[1]]) if signed else (inside, key)
        reproduced = base.startswith("attestations/reproduction-")
        kind = REPRODUCTION_TYPE if reproduced else TYPES[base]
        cases.append(Case(str(path), (BOB.public if reproduced else signer).pem, kind, str(folder)))
    return cases


def edited(case: Case, place: Path, edit: Edit) -> Case:
    """Return the case with a changed copy of its attestation."""
    value = json.loads(Path(case.attestation).read_bytes())
    edit(value)
    place.write_text(json.dumps(value))
    return Case(str(place), case.key, case.predicateType, case.folder)


def flip(text: str, at: int) -> str:
    data = bytearray(b64decode(text))
    data[at] ^= 1
    return b64encode(data).decode()


def change_payload(value: dict[str, Any]) -> None:
    payload = b64decode(value["dsseEnvelope"]["payload"]).replace(b'"1.0.0"', b'"1.0.1"')
    value["dsseEnvelope"]["payload"] = b64encode(payload).decode()


def flip_payload(value: dict[str, Any]) -> None:
    value["dsseEnvelope"]["payload"] = flip(value["dsseEnvelope"]["payload"], 99)


def change_signature(value: dict[str, Any]) -> None:
    (signature,) = value["dsseEnvelope"]["signatures"]
    signature["sig"] = flip(signature["sig"], -1)


def change_type(value: dict[str, Any]) -> None:
    value["dsseEnvelope"]["payloadType"] = "text/plain"


def changed(case: Case, place: Path) -> dict[str, Case]:
    """Return everything that may be wrong with one attestation."""
    folder = Path(case.folder)
    other = BOB if case.key != BOB.public.pem else ALICE
    edit = flip_payload if case.predicateType == REPRODUCTION_TYPE else change_payload
    swapped = names.LOCK_ATTESTATION if case.predicateType != LOCK_TYPE else names.RESULT_ATTESTATION
    return {
        "a changed payload": edited(case, place / "payload", edit),
        "a changed signature": edited(case, place / "signature", change_signature),
        "another payload type": edited(case, place / "type", change_type),
        "a wrong key": Case(case.attestation, other.public.pem, case.predicateType, case.folder),
        "another attestation": Case(str(folder / swapped), case.key, case.predicateType, case.folder),
    }


@pytest.mark.parametrize("judge", JUDGES)
def test_outside_verifiers_accept_every_attestation_and_refuse_it_changed(
    judge: str, bundles: dict[str, tuple[Path, PublicKey]], tmp_path: Path
) -> None:
    good, bad = {}, {}
    for name, (folder, key) in bundles.items():
        broken = shutil.copytree(folder, tmp_path / name)
        (broken / "lock.json").write_bytes(b"another lock")
        (broken / names.SUMS).write_bytes(b"another list")
        for case in cases_of(folder, key):
            what = f"{name}: {Path(case.attestation).name}"
            good[what] = case
            place = tmp_path / f"{sha256_hex(what.encode())}"
            place.mkdir()
            forged = changed(case, place)
            forged["a changed file"] = Case(case.attestation, case.key, case.predicateType, str(broken))
            bad |= {f"{what} with {how}": one for how, one in forged.items()}
    answers = JUDGES[judge]([*good.values(), *bad.values()], tmp_path)
    accepted = dict(zip([*good, *bad], answers, strict=True))
    assert {what: why for what in good if (why := accepted[what]) is not None} == {}
    assert {what for what in bad if accepted[what] is None} == set()
    assert len(good) == 5 * 3 + 3


def test_sha256sum_checks_the_files_of_a_bundle(
    bundles: dict[str, tuple[Path, PublicKey]], tmp_path: Path
) -> None:
    for name in ("many-files", "launched"):
        folder = shutil.copytree(bundles[name][0], tmp_path / name)
        check = ["sha256sum", "--check", "--strict", "--quiet", names.SUMS]
        assert subprocess.run(check, cwd=folder, timeout=60, check=False).returncode == 0
        (folder / "samples.jsonl").write_bytes(b"{}\n")
        done = subprocess.run(check, cwd=folder, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 1
        assert "samples.jsonl: FAILED" in done.stdout


@pytest.mark.parametrize("signer", [ALICE, CAROL], ids=["ed25519", "p256"])
def test_ssh_keygen_prints_the_keyid(signer: FileSigner, tmp_path: Path) -> None:
    need("ssh-keygen")
    (tmp_path / "key.pub").write_text(signer.public.openssh + "\n")
    done = subprocess.run(
        ["ssh-keygen", "-lf", tmp_path / "key.pub"], capture_output=True, text=True, timeout=20, check=True
    )
    value = json.loads(signed_by(signer)[names.RESULT_ATTESTATION])
    assert value["dsseEnvelope"]["signatures"][0]["keyid"] == done.stdout.split()[1]
    assert value["verificationMaterial"]["publicKey"]["hint"] == done.stdout.split()[1]


@pytest.mark.engine
def test_outside_verifiers_accept_a_bundle_of_a_real_engine(real: RealWorld, tmp_path: Path) -> None:
    real.write(SCRIPT)
    bundle = Path(real.launched()["bundle"])
    cases = cases_of(bundle, real.world.signer.public)
    for name, judge in JUDGES.items():
        assert judge(cases, tmp_path) == [None, None, None], name
    check = ["sha256sum", "--check", "--strict", "--quiet", names.SUMS]
    assert subprocess.run(check, cwd=bundle, timeout=60, check=False).returncode == 0
