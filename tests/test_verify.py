"""Verification of bundles that real launches made, and of what a hostile hand made of them."""

import json
import os
import random
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from launcher.canonical import canonical_bytes
from launcher.spec import bundle as names
from launcher.trust.policy import single_key_policy
from launcher.trust.policy_edit import initial_policy
from launcher.verify import verify
from tests.conftest import Evalctl
from tests.fakes.forgery import change_json, copy_of, relock, relocked, reseal
from tests.fakes.world import SmallWorld, answering, copy_world, leaving
from tests.trust.sealed_bundle import ALICE, MALLORY

Forge = Callable[[Path], None]


@pytest.fixture(scope="module")
def shared(world_template: Path, tmp_path_factory: pytest.TempPathFactory) -> SmallWorld:
    """Return a world in which a bundle was made, for tests that leave it alone."""
    world = copy_world(world_template, tmp_path_factory.mktemp("shared") / "world")
    world.plays(leaving(b"a picture", "artifacts/plot.png"))
    world.launch(sections={"run": 'command = ["answer"]\nseeds = [3, 4]'})
    return world


@pytest.fixture(scope="module")
def original(shared: SmallWorld) -> Path:
    (bundle,) = shared.home.bundles.iterdir()
    return bundle


@pytest.fixture
def bundle(original: Path, tmp_path: Path) -> Path:
    """Return a copy of the bundle to do harm to."""
    return copy_of(original, tmp_path / "bundle")


def refusal(shared: SmallWorld, bundle: Path) -> str:
    """Return why a bundle fails, whoever signed it."""
    verification = shared.verify(bundle)
    assert verification.verdict == "failed", verification.checks
    return "; ".join(check.detail for check in verification.checks if check.status == "failed")


def verdict(shared: SmallWorld, bundle: Path) -> str:
    return shared.verify(bundle).verdict


def test_the_untouched_bundle_verifies(shared: SmallWorld, bundle: Path) -> None:
    assert verdict(shared, bundle) == "verified"


def test_no_changed_byte_of_any_file_goes_unnoticed(shared: SmallWorld, bundle: Path) -> None:
    """Flip, insert and delete at places spread over every file: each of thousands of bundles fails."""
    chance, policy, now, tried = random.Random(7), shared.policy, datetime.now(UTC), 0
    for path in sorted(path for path in bundle.rglob("*") if path.is_file()):
        data = path.read_bytes()
        places = {0, len(data) - 1, *(chance.randrange(len(data)) for _ in range(40))}
        for place in places:
            flipped = data[place] ^ (1 << chance.randrange(8))
            for end in (bytes([flipped]) + data[place + 1 :], b"\n" + data[place:], data[place + 1 :]):
                path.write_bytes(data[:place] + end)
                found = verify(bundle, policy, now)
                assert found.verdict == "failed", (path.name, place, found.checks)
                tried += 1
        path.write_bytes(data)
    assert tried > 1500
    assert verdict(shared, bundle) == "verified"


def test_a_stranger_s_bundle_is_untrusted_not_broken(bundle: Path) -> None:
    found = verify(bundle, single_key_policy(MALLORY.public), datetime.now(UTC))
    assert (found.verdict, found.contents) == ("untrusted", None)


def test_a_stranger_s_changed_bundle_is_broken(bundle: Path) -> None:
    (bundle / "events.jsonl").write_bytes(b"{}\n")
    found = verify(bundle, single_key_policy(MALLORY.public), datetime.now(UTC))
    assert found.verdict == "failed"


def _fifo(path: Path) -> None:
    os.mkfifo(path)


def _socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        folder = os.open(path.parent, os.O_RDONLY)
        server.bind(f"/proc/self/fd/{folder}/{path.name}")
        os.close(folder)


HARM: dict[str, Forge] = {
    "an extra file": lambda bundle: (bundle / "extra").write_bytes(b""),
    "an extra log": lambda bundle: (bundle / "logs").mkdir() or (bundle / "logs" / "x").write_bytes(b""),
    "an extra attestation": lambda bundle: (bundle / "attestations" / "x.json").write_bytes(b"{}"),
    "an empty folder": lambda bundle: (bundle / "logs").mkdir(),
    "a folder for a file": lambda bundle: (
        (bundle / "events.jsonl").unlink() or (bundle / "events.jsonl").mkdir()
    ),
    "a symbolic link": lambda bundle: (
        (bundle / "lock.json").unlink() or (bundle / "lock.json").symlink_to("/etc/hostname")
    ),
    "a link in artifacts": lambda bundle: (bundle / "artifacts" / "link").symlink_to("0"),
    "a hard link": lambda bundle: os.link(bundle / "lock.json", bundle.parent / "link"),
    "a FIFO": lambda bundle: _fifo(bundle / "artifacts" / "pipe"),
    "a FIFO for a file": lambda bundle: (bundle / "lock.json").unlink() or _fifo(bundle / "lock.json"),
    "a socket": lambda bundle: _socket(bundle / "artifacts" / "socket"),
    "a missing artifact": lambda bundle: (bundle / "artifacts" / "0" / "plot.png").unlink(),
    "a name with a line feed": lambda bundle: (bundle / "artifacts" / "0" / "a\nb").write_bytes(b""),
    "a name with an escape": lambda bundle: (bundle / "artifacts" / "0" / "\x1b[31m").write_bytes(b""),
    "a name that is not UTF-8": lambda bundle: os.close(
        os.open(os.fsencode(bundle / "artifacts" / "0") + b"/\xff", os.O_CREAT | os.O_WRONLY)
    ),
    "an empty result": lambda bundle: (bundle / "result.json").write_bytes(b""),
    "a swapped attestation": lambda bundle: shutil.copy(
        bundle / names.RESULT_ATTESTATION, bundle / names.PROVENANCE_ATTESTATION
    ),
    **{
        f"no {name}": lambda bundle, name=name: (bundle / name).unlink()  # type: ignore[misc]
        for name in (*names.REQUIRED, *names.REQUIRED_ATTESTATIONS)
    },
}


@pytest.mark.parametrize("harm", HARM)
def test_a_bundle_with(shared: SmallWorld, bundle: Path, harm: str, evalctl: Evalctl) -> None:
    HARM[harm](bundle)
    assert refusal(shared, bundle)
    done = evalctl("verify", bundle, "--key", shared.home.default_key.with_suffix(".pub"), "--json")
    answer = json.loads(done.out)
    assert (done.code, answer["verdict"], done.err) == (1, "failed", "")


def _result(change: Callable[[Any], None]) -> Forge:
    return lambda bundle: change_json(bundle / "result.json", change)


def _metric(**changes: Any) -> Forge:
    return _result(lambda result: result["metrics"][0].update(changes))


def _fact(name: str, value: Any) -> Forge:
    def change(environment: Any) -> None:
        next(fact for fact in environment["facts"] if fact["name"] == name)["value"] = value

    return lambda bundle: change_json(bundle / "environment.json", change)


def _sbom(change: Callable[[Any], Any]) -> Forge:
    return lambda bundle: change_json(bundle / "sbom.cdx.json", change)


def _probe(**changes: Any) -> Forge:
    def change(environment: Any) -> None:
        probed = next(fact for fact in environment["facts"] if fact["name"] == "probe.run")
        probed["value"][0]["report"].update(changes)

    return lambda bundle: change_json(bundle / "environment.json", change)


def _forget_writes(bundle: Path) -> None:
    def change(environment: Any) -> None:
        probed = next(fact for fact in environment["facts"] if fact["name"] == "probe.run")
        report = probed["value"][0]["report"]
        report["attempts"] = {
            name: answer for name, answer in report["attempts"].items() if not name.startswith("write:")
        }

    change_json(bundle / "environment.json", change)


def _attempts(change: Callable[[list[Any]], Any]) -> Forge:
    def listed(environment: Any) -> None:
        change(next(fact for fact in environment["facts"] if fact["name"] == "launch.attempts")["value"])

    return lambda bundle: change_json(bundle / "environment.json", listed)


def _samples(change: Callable[[list[Any]], list[Any]]) -> Forge:
    def forge(bundle: Path) -> None:
        path = bundle / "samples.jsonl"
        samples = change([json.loads(line) for line in path.read_text().splitlines()])
        path.write_bytes(b"".join(canonical_bytes(sample) + b"\n" for sample in samples))

    return forge


def _right(samples: list[Any]) -> list[Any]:
    return [{**sample, "prediction": sample["target"]} for sample in samples]


LIES: dict[str, tuple[Forge, str]] = {
    "another value": (_metric(value=0.95), "`accuracy` does not follow from the samples"),
    "another interval": (_metric(ci=[0.8, 0.9]), "`accuracy` does not follow from the samples"),
    "another count": (_metric(n=41), "`accuracy` does not follow from the samples"),
    "a verdict of its own": (_metric(verdict="pass"), "`accuracy` does not follow from the samples"),
    "other replicates' values": (_metric(per_replicate=[0.9, 0.91]), "does not follow from the samples"),
    "a whole verdict": (_result(lambda result: result.update(verdict="pass")), "the verdict"),
    "other counts": (_result(lambda result: result["samples"].update(n=41)), "counts of samples"),
    "another table": (_result(lambda result: result["tables"]["confusion"]["counts"][0].reverse()), "tables"),
    "no metric": (_result(lambda result: result.update(metrics=[])), "other metrics"),
    "another lock": (_result(lambda result: result.update(lock="sha256:" + "0" * 64)), "different runs"),
    "another name": (_result(lambda result: result["blueprint"].update(name="a/b")), "different evaluations"),
    "another replicate's seed": (
        _result(lambda result: result["replicates"][1].update(seed=9)),
        "replicates",
    ),
    "a missing replicate": (_result(lambda result: result["replicates"].pop()), "replicates"),
    "a failed replicate": (
        _result(lambda result: result["replicates"][1].update(status="failed", failure="candidate")),
        "replicates",
    ),
    "a replicate that exited badly": (
        _result(lambda result: result["replicates"][1].update(exit_code=3)),
        "one of the replicates",
    ),
    "a score of a failed run": (
        _result(lambda result: result.update(status="failed", failure="candidate")),
        "a failed run has samples or a score",
    ),
    "samples of a failed run": (
        _result(lambda result: result.update(status="failed", failure="candidate", metrics=[], tables={})),
        "a failed run has samples or a score",
    ),
    "an unknown field": (_result(lambda result: result.update(more=1)), "`result.json`"),
    "right answers": (_samples(_right), "does not follow from the samples"),
    "one sample less": (_samples(lambda samples: samples[1:]), "every replicate answers the same items"),
    "samples in another order": (_samples(lambda samples: samples[::-1]), "out of order"),
    "a sample twice": (_samples(lambda samples: [samples[0], *samples]), "out of order or stands twice"),
    "samples of another seed": (
        _samples(lambda samples: [{**sample, "seed": 9} for sample in samples]),
        "seed",
    ),
    "samples that are no JSON": (
        lambda bundle: (bundle / "samples.jsonl").write_bytes(b"{\n"),  # type: ignore[dict-item]
        "`samples.jsonl`",
    ),
    "another blueprint": (
        lambda bundle: (bundle / "blueprint.toml").write_bytes(  # type: ignore[dict-item]
            (bundle / "blueprint.toml").read_bytes() + b"\n"
        ),
        "`blueprint.toml` is not the text inside `lock.json`",
    ),
    "a lock of another commit": (
        lambda bundle: change_json(
            bundle / "lock.json", lambda lock: lock["identity"]["code"].update(commit="0" * 40)
        ),
        "code differ",
    ),
    "a lock of another input": (
        lambda bundle: change_json(
            bundle / "lock.json", lambda lock: lock["identity"]["inputs"][0].update(sha256="0" * 64)
        ),
        "other bytes of `items`",
    ),
    "a lock of another platform": (
        lambda bundle: change_json(
            bundle / "lock.json", lambda lock: lock["identity"]["image"].update(platform="linux/arm64")
        ),
        "another image than its blueprint names",
    ),
    "a lock of an index that nobody named": (
        lambda bundle: change_json(
            bundle / "lock.json", lambda lock: lock["identity"]["image"].update(index="sha256:" + "0" * 64)
        ),
        "another image than its blueprint names",
    ),
    "a lock of an impossible size": (
        lambda bundle: change_json(
            bundle / "lock.json", lambda lock: lock["identity"]["inputs"][0].update(size=-1)
        ),
        "does not pin image, code and inputs",
    ),
    "an environment of another image": (_fact("image.manifest", "sha256:" + "0" * 64), "`image.manifest`"),
    "an environment of another sandbox": (
        _fact("sandbox.profile", {"network": "egress"}),
        "`sandbox.profile`",
    ),
    "an environment without a fact": (
        lambda bundle: change_json(bundle / "environment.json", lambda it: it.update(facts=[])),
        "`image.manifest` differs",
    ),
    "an environment that is no list of facts": (
        lambda bundle: (bundle / "environment.json").write_bytes(b"{}\n"),  # type: ignore[dict-item]
        "`environment.json` is not a list of facts",
    ),
    "a sandbox that was not probed": (
        _fact("probe.run", []),
        "not every container of the phase `run` was probed",
    ),
    "a probe that found more than the profile allows": (
        _probe(**{"no-new-privileges": False}),
        "weaker than its profile: privileges",
    ),
    "a probe of a network": (_probe(interfaces=["lo", "eth0"]), "weaker than its profile: interfaces"),
    "a probe that does not say": (_probe(attempts={}), "the report does not say"),
    "a probe that tried to write nowhere": (_forget_writes, "writes: the report does not say"),
    "a replicate of another attempt than the environment says": (
        _attempts(lambda listed: listed[-1]["replicates"][0].update(replicate=7)),
        "is said to be of two attempts",
    ),
    "attempts that came later": (
        _attempts(lambda listed: listed.append({**listed[-1], "attempt": 9, "replicates": []})),
        "the attempts are not those up to this one",
    ),
    "another invocation": (
        _attempts(lambda listed: listed[-1].update(invocation_id="00")),
        "the attempts are not those up to this one",
    ),
    "attempts that are none": (_fact("launch.attempts", [7]), "the attempts are malformed"),
    "an environment that swells when it is read": (
        _fact("launch.attempts", [[]] * 250_001),
        "`environment.json` holds more than 500000 values",
    ),
    "a probe of another form": (_probe(more=1), "a report of the probe is malformed"),
    "a probe that is no list": (_fact("probe.run", 7), "the probe's reports are malformed"),
    "an inventory of another image": (
        _sbom(lambda it: it["metadata"]["component"].update(version="sha256:" + "0" * 64)),
        "it is of another image",
    ),
    "an inventory that is none": (
        lambda bundle: (bundle / "sbom.cdx.json").write_bytes(b"{}\n"),  # type: ignore[dict-item]
        "it is not CycloneDX 1.6",
    ),
    "an inventory with another serial number": (
        _sbom(lambda it: it.update(serialNumber="urn:uuid:0")),
        "its serial number is of another image",
    ),
    "an inventory that calls complete what it does not list": (
        _sbom(
            lambda it: it["compositions"].append({"aggregate": "complete", "dependencies": ["packages:rpm"]})
        ),
        "it refers to what it does not list",
    ),
    "an inventory with a package of no layer": (
        _sbom(
            lambda it: it.update(
                components=[
                    {
                        "bom-ref": "pkg:x/y",
                        "type": "library",
                        "name": "y",
                        "purl": "pkg:x/y",
                        "properties": [],
                    }
                ]
            )
        ),
        "is of no layer of the image",
    ),
    "a lock with a field more": (
        lambda bundle: change_json(bundle / "lock.json", lambda lock: lock["identity"].update(more=1)),
        "more differ",
    ),
}


@pytest.mark.parametrize("lie", LIES)
def test_a_lie_that_a_trusted_key_signed(shared: SmallWorld, bundle: Path, lie: str) -> None:
    forge, reason = LIES[lie]
    forge(bundle)
    reseal(bundle, shared.signer)
    assert reason in refusal(shared, bundle)


def test_claims_that_differ_from_the_result_are_refused(shared: SmallWorld, bundle: Path) -> None:
    reseal(bundle, shared.signer, result=lambda claims: claims["claims"][0].update(value="0.99"))
    assert "does not say what `result.json` says" in refusal(shared, bundle)


def _forget_input(provenance: Any) -> None:
    provenance["buildDefinition"]["resolvedDependencies"].pop()


def _other_image(provenance: Any) -> None:
    provenance["buildDefinition"]["resolvedDependencies"][0]["digest"]["sha256"] = "0" * 64


def _other_place(provenance: Any) -> None:
    provenance["buildDefinition"]["resolvedDependencies"][-1]["uri"] = "https://example.org/other"


@pytest.mark.parametrize("change", [_forget_input, _other_image, _other_place])
def test_provenance_of_other_inputs_than_the_lock_pins_is_refused(
    shared: SmallWorld, bundle: Path, change: Callable[[Any], None]
) -> None:
    reseal(bundle, shared.signer, provenance=change)
    assert "other inputs than the lock pins" in refusal(shared, bundle)


def test_provenance_of_another_runtime_than_was_observed_is_refused(shared: SmallWorld, bundle: Path) -> None:
    reseal(
        bundle,
        shared.signer,
        provenance=lambda it: it["buildDefinition"]["internalParameters"].update(runtime="runsc"),
    )
    assert "is not what was asked for and signed" in refusal(shared, bundle)


def test_attestations_of_another_bundle_are_refused(world: SmallWorld) -> None:
    world.write()
    first, second = world.launch().bundle, world.launch(rerun=True).bundle
    for name in (names.PROVENANCE_ATTESTATION, names.RESULT_ATTESTATION):
        mixed = copy_of(first, world.root / name.replace("/", "-"))
        shutil.copy(second / name, mixed / name)
        assert "about other files" in refusal(world, mixed)


def test_a_failed_run_verifies_and_one_with_a_score_does_not(world: SmallWorld) -> None:
    world.plays(lambda _: 3)
    bundle = world.launch().bundle
    assert verdict(world, bundle) == "verified"
    forged = copy_of(bundle, world.root / "forged")
    (forged / "samples.jsonl").write_bytes(b'{"id":"a","prediction":1,"replicate":0,"seed":0,"target":1}\n')
    reseal(forged, world.signer)
    assert "a failed run has samples" in refusal(world, forged)


@pytest.mark.parametrize(
    "change",
    [
        {"weight": 1e308},
        {"weight": 5e-324},
        {"prediction": 1e308},
        {"prediction": {"deep": [1, {"a": None}]}},
        {"target": 5e-324},
        {"target": [], "error": "x"},
        {"epoch": 2**53 - 1, "task": "x" * 1024},
        {"scores": {"x": -1e308}, "groups": {"g": True}},
    ],
)
def test_odd_samples_are_computed_again_like_any(world: SmallWorld, change: dict[str, Any]) -> None:
    world.plays(answering(lambda _, sample: {"target": 1, **sample, **change}))
    launched = world.launch(sections={"score": None, "labels": None})
    assert verdict(world, launched.bundle) == "verified"


def test_a_lock_of_what_this_version_cannot_run_still_verifies(shared: SmallWorld, bundle: Path) -> None:
    """A newer evalctl may have run it; what counts is that the bundle holds together."""
    relock(bundle, b'\n[matrix]\naxes = { "run.seeds" = [[1], [2]] }\n')
    reseal(bundle, shared.signer, **relocked(bundle))
    assert verdict(shared, bundle) == "verified"


def test_what_this_version_does_not_know_is_named_as_not_checked(shared: SmallWorld, bundle: Path) -> None:
    relock(bundle, b'\n[matrix]\naxes = { "run.seeds" = [[1], [2]] }\n')
    reseal(bundle, shared.signer, **relocked(bundle))
    checks = {check.name: check for check in shared.verify(bundle).checks}
    assert checks["features"].status == "skipped"
    assert "matrix" in checks["features"].detail


def test_verification_uses_no_network_and_no_engine(shared: SmallWorld, bundle: Path) -> None:
    program = (
        "import socket, sys\n"
        "def refuse(*_, **__): raise AssertionError('network')\n"
        "socket.socket = socket.create_connection = socket.getaddrinfo = refuse\n"
        "from launcher.cli.app import run\n"
        "code = run(sys.argv[1:])\n"
        "assert not [name for name in sys.modules if name.startswith(('launcher.engines', 'docker'))]\n"
        "sys.exit(code)\n"
    )
    key = str(shared.home.default_key.with_suffix(".pub"))
    done = subprocess.run(
        [sys.executable, "-c", program, "verify", str(bundle), "--key", key],
        env=os.environ | {"EVALCTL_HOME": str(bundle.parent / "stranger")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, f"  next: evalctl report {bundle} --out report.html\n")
    # All that it keeps is the ledger's checkpoint, to hold later ones against.
    assert [path.name for path in (bundle.parent / "stranger").iterdir()] == ["seen-ledgers"]


def test_a_bundle_that_may_not_be_written_verifies(shared: SmallWorld, bundle: Path) -> None:
    for path in (*bundle.rglob("*"), bundle):
        path.chmod(0o555 if path.is_dir() else 0o444)
    before = {path: path.stat().st_mtime_ns for path in bundle.rglob("*")}
    assert verdict(shared, bundle) == "verified"
    assert before == {path: path.stat().st_mtime_ns for path in bundle.rglob("*")}
    for path in (bundle, *bundle.rglob("*")):
        path.chmod(0o755)


def test_the_command_says_what_to_do_about_a_stranger(
    shared: SmallWorld, bundle: Path, evalctl: Evalctl, tmp_path: Path
) -> None:
    (tmp_path / "mallory.pub").write_text(MALLORY.public.openssh)
    done = evalctl("verify", bundle, "--key", tmp_path / "mallory.pub")
    assert done.code == 3
    assert shared.signer.public.fingerprint in done.err
    assert "evalctl trust add" in done.err


def test_a_machine_without_a_policy_says_who_signed_and_still_sees_tampering(
    shared: SmallWorld, bundle: Path, evalctl: Evalctl, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("EVALCTL_HOME", str(tmp_path / "stranger"))
    done = evalctl("verify", bundle)
    assert (done.code, shared.signer.public.fingerprint in done.err) == (3, True)
    (bundle / names.SAMPLES).write_bytes(b"")
    assert evalctl("verify", bundle).code == 1
    assert not (tmp_path / "stranger").exists()


def test_a_signer_who_is_known_but_may_not_sign_is_no_reason_to_add_the_key_again(
    shared: SmallWorld, bundle: Path, evalctl: Evalctl, tmp_path: Path
) -> None:
    text = initial_policy("anna", shared.signer.public, datetime(2001, 1, 1, tzinfo=UTC))
    (tmp_path / "trust.toml").write_text(text)
    done = evalctl("verify", bundle, "--trust", tmp_path / "trust.toml")
    assert (done.code, "trust add" in done.err, "trust show" in done.err) == (3, False, True)


def test_a_home_whose_policy_was_thrown_away_can_begin_another(
    evalctl: Evalctl, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("EVALCTL_HOME", str(tmp_path / "home"))
    for signer in (ALICE, MALLORY):
        (tmp_path / "key.pub").write_text(signer.public.openssh)
        assert evalctl("trust", "add", tmp_path / "key.pub", "--name", signer.public.key_hex[:8]).code == 0
    (tmp_path / "home" / "trust.toml").unlink()
    assert evalctl("trust", "add", tmp_path / "key.pub").code == 0
    assert "version 3" in evalctl("trust", "show").out


def test_json_of_a_verification_has_its_shape(world: SmallWorld, evalctl: Evalctl) -> None:
    launched = world.launch()
    answer = json.loads(evalctl("verify", launched.bundle, "--json").out)
    assert (answer["verdict"], answer["attempt"], answer["reproductions"]) == ("verified", 1, [])
    assert answer["signers"] == [world.signer.public.fingerprint]
    assert answer["digest"] == f"sha256:{launched.bundle.name}"
    assert {check["status"] for check in answer["checks"]} == {"ok"}
    assert evalctl("verify", launched.bundle.name[:12]).code == 0


@pytest.mark.parametrize("name", ["nowhere", "sha256:" + "0" * 64, ""])
def test_no_such_bundle_is_a_mistake_of_the_command_line(evalctl: Evalctl, name: str) -> None:
    assert evalctl("verify", name or "/dev/null").code == 2
