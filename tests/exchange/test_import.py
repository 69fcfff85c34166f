"""Bringing in logs of lm-eval and Inspect: what the bundles say, and what nobody can make of them."""

import json
import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from launcher.canonical import canonical_bytes
from launcher.errors import CheckFailedError, EvalctlError, MalformedError
from launcher.exchange.found_logs import find_logs
from launcher.exchange.import_logs import ImportedBundle, Importer, import_logs
from launcher.spec import bundle as names
from launcher.spec.imported import Import, read_any_lock, read_imported_lock
from launcher.spec.lock import read_lock
from launcher.spec.predicates import LOCK_TYPE, LockStatement, Suite
from launcher.spec.statement import lock_statement
from launcher.store.home import Home
from launcher.trust.admission import admit_lock
from launcher.trust.policy import Policy, Rule, single_key_policy
from launcher.trust.sigstore import seal
from launcher.verify import Verification, verify
from tests.conftest import Evalctl
from tests.fakes.bundle_files import result_of
from tests.fakes.forgery import change_json, copy_of, reseal, statement_of
from tests.fakes.world import SmallWorld
from tests.trust.sealed_bundle import ALICE, MALLORY

LOGS = Path(__file__).parents[1] / "harness" / "logs"
NOW = datetime(2026, 11, 23, tzinfo=UTC)


def bring_in(home: Path, *cases: str) -> list[ImportedBundle]:
    return import_logs([LOGS / case for case in cases], Importer(Home(home), ALICE))


def verified(bundle: Path, policy: Policy | None = None) -> Verification:
    return verify(bundle, policy or single_key_policy(ALICE.public), NOW)


@pytest.fixture(scope="module")
def imported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a bundle of the samples of an Inspect log, one of which failed."""
    (one,) = bring_in(tmp_path_factory.mktemp("home"), "inspect-errors")
    return one.path


@pytest.fixture
def bundle(imported: Path, tmp_path: Path) -> Path:
    return copy_of(imported, tmp_path / "bundle")


def test_every_task_is_a_bundle_that_verifies_and_says_where_it_comes_from(tmp_path: Path) -> None:
    bundles = bring_in(tmp_path, "lm-eval", "inspect-eval")
    assert [one.task for one in bundles] == ["colours", "sums", "endings", "whole", "words"]
    for one in bundles:
        verification = verified(one.path)
        assert verification.verdict == "verified", verification.checks
        origins = [check for check in verification.checks if check.name == "origin"]
        assert [(check.status, "unsigned origin" in check.detail) for check in origins] == [("skipped", True)]
        result = result_of(one.path)
        assert (result["origin"], result["status"], result["discrepancies"]) == ("unsigned", "succeeded", [])
        assert json.loads((one.path / names.LOCK).read_bytes())["schema"] == "evalctl/imported/v1"
        assert statement_of(one.path, names.RESULT_ATTESTATION)["predicate"]["origin"] == "unsigned"


def test_metrics_are_the_means_that_the_harness_reports(tmp_path: Path) -> None:
    colours, sums, endings, whole, words = (
        result_of(one.path) for one in bring_in(tmp_path, "lm-eval", "inspect-json")
    )

    def values(result: Any) -> dict[str, float]:
        return {metric["name"]: metric["value"] for metric in result["metrics"]}

    assert values(colours) == {"acc": 0.4, "acc_norm": 0.4}
    assert set(values(sums)) == {"exact_match.first-character", "exact_match.anything"}
    assert values(endings) == {"acc": 0.0}
    assert values(whole) == {}
    assert any("bits_per_byte,none = 8.014" in said for said in whole["deviations"])
    assert values(words) == {"includes": 0.5, "shape.length": 10.75, "shape.polite": 0.5}
    assert [metric["n"] for metric in words["metrics"]] == [4, 4, 4]


def test_what_is_partial_is_marked_and_failed_samples_are_named(imported: Path) -> None:
    result = result_of(imported)
    assert (result["marks"], result["samples"]) == (["partial"], {"n": 4, "errors": 1})
    assert result["metrics"][0]["n"] == 3
    assert result["deviations"][1:] == [
        "partial: 1 of 4 samples of `words` ended with an error",
        "the metrics are of the 3 of 4 samples that completed, as inspect's are",
    ]


def test_a_number_that_the_samples_do_not_give_is_a_discrepancy(tmp_path: Path) -> None:
    shutil.copytree(LOGS / "lm-eval", tmp_path / "logs")
    path = next((tmp_path / "logs").rglob("results_*.json"))
    path.write_text(path.read_text().replace('"acc,none": 0.4,', '"acc,none": 0.9,'))
    first = import_logs([tmp_path / "logs"], Importer(Home(tmp_path / "home"), ALICE))[0]
    assert result_of(first.path)["discrepancies"] == [
        "replicate 0: lm-eval says acc,none = 0.9 for `colours`, its samples give acc = 0.4"
    ]
    assert verified(first.path).verdict == "verified"


def test_the_same_logs_by_the_same_key_are_one_bundle(tmp_path: Path) -> None:
    (first,) = bring_in(tmp_path, "inspect-eval")
    (second,) = bring_in(tmp_path, "inspect-eval")
    assert (first.path, first.reused, second.reused) == (second.path, False, True)
    (third,) = import_logs([LOGS / "inspect-eval"], Importer(Home(tmp_path), MALLORY))
    assert third.path != first.path
    assert (third.path / names.SAMPLES).read_bytes() == (first.path / names.SAMPLES).read_bytes()
    assert result_of(third.path)["lock"] == result_of(first.path)["lock"]


def test_a_file_is_imported_like_its_folder(tmp_path: Path) -> None:
    path = next((LOGS / "lm-eval-limited").rglob("results_*.json"))
    (found,) = find_logs(path)
    assert found.sources[0].name == path.name
    assert len(found.sources) == 2
    assert find_logs(LOGS / "lm-eval-limited")[0].sources == found.sources
    shutil.copy(next((LOGS / "inspect-json").iterdir()), tmp_path / "renamed.json")
    assert find_logs(tmp_path / "renamed.json")[0].output.task == "words"


@pytest.mark.parametrize("case", ["inspect-failed", "inspect-cancelled", "lm-eval-unlogged"])
def test_nothing_is_written_where_one_of_the_logs_cannot_be_imported(tmp_path: Path, case: str) -> None:
    with pytest.raises(MalformedError):
        bring_in(tmp_path / "home", "inspect-eval", case)
    assert not (tmp_path / "home").exists()


def test_a_folder_without_logs_and_no_folder_are_refused(tmp_path: Path) -> None:
    for place, code in ((tmp_path, "no-logs"), (tmp_path / "absent", "no-such-file")):
        with pytest.raises(MalformedError) as caught:
            find_logs(place)
        assert caught.value.code == code


def test_no_path_of_the_importer_s_machine_is_in_the_bundle(imported: Path) -> None:
    for path in imported.rglob("*"):
        if path.is_file() and path.suffix != ".jsonl":
            assert str(LOGS) not in path.read_text()


def refusal(bundle: Path) -> str:
    verification = verified(bundle)
    assert verification.verdict == "failed", verification.checks
    return "; ".join(check.detail for check in verification.checks if check.status == "failed")


def test_no_changed_byte_of_any_file_goes_unnoticed(bundle: Path) -> None:
    for path in sorted(path for path in bundle.rglob("*") if path.is_file()):
        whole = path.read_bytes()
        path.write_bytes(whole[:-2] + bytes([whole[-2] ^ 1]) + whole[-1:] if len(whole) > 1 else b"x")
        assert verified(bundle).verdict == "failed", path
        path.write_bytes(whole)
    assert verified(bundle).verdict == "verified"


def _without(key: str) -> Callable[[Any], None]:
    def change(value: Any) -> None:
        del value[key]

    return change


def _change(name: str, change: Callable[[Any], Any]) -> Callable[[Path], None]:
    return lambda bundle: change_json(bundle / name, change)


def _write(name: str, data: bytes) -> Callable[[Path], None]:
    def forge(bundle: Path) -> None:
        (bundle / name).parent.mkdir(exist_ok=True)
        (bundle / name).write_bytes(data)

    return forge


LIES: dict[str, tuple[Callable[[Path], None], str]] = {
    "a result without its origin": (_change(names.RESULT, _without("origin")), "differ in the origin"),
    "a result of another origin": (
        _change(names.RESULT, lambda result: result.update(origin="signed")),
        "`result.json` does not say what a result says",
    ),
    "a result that failed": (
        _change(names.RESULT, lambda result: result.update(status="failed", failure="candidate")),
        "an import has no failure or mark of a launch",
    ),
    "a draft": (
        _change(names.RESULT, lambda result: result.update(marks=["draft"])),
        "an import has no failure or mark of a launch",
    ),
    "a better value": (
        _change(names.RESULT, lambda result: result["metrics"][0].update(value=0.9)),
        "does not follow from the samples",
    ),
    "a metric of all samples": (
        _change(names.LOCK, lambda lock: lock["identity"]["metrics"][0].update(completed_only=False)),
        "is not what its own identity gives",
    ),
    "a lock of other logs": (
        _change(names.LOCK, lambda lock: lock["identity"]["sources"][0].update(sha256="0" * 64)),
        "is not what its own identity gives",
    ),
    "a lock of a launch": (
        _change(names.LOCK, lambda lock: lock.update(schema="evalctl/lock/v1")),
        "is not a valid blueprint",
    ),
    "a lock with a field more": (
        _change(names.LOCK, lambda lock: lock["identity"].update(more=1)),
        "`lock.json` is not that of an import",
    ),
    "another blueprint": (
        _write(names.BLUEPRINT, b"# launched by evalctl\n"),
        "`blueprint.toml` is not the text inside `lock.json`",
    ),
    "a sandbox that was never seen": (
        _change(
            names.ENVIRONMENT,
            lambda it: it["facts"].append({"name": "sandbox.profile", "value": {}, "source": "engine"}),
        ),
        "nothing was launched, and it tells of 'sandbox.profile'",
    ),
    "an image that was never seen": (
        _change(names.SBOM, lambda it: it.update(metadata={"component": {"version": "sha256:" + "0" * 64}})),
        "nothing was launched, so there is no image",
    ),
    "resources that were never measured": (
        _write(names.RESOURCES, b'{"replicate":0}\n'),
        "nothing was launched, so there is no image and no use of resources",
    ),
    "logs of a container": (
        _write("logs/run-0.stdout", b"hello\n"),
        "nothing was launched, so nothing left 'logs/run-0.stdout'",
    ),
}


@pytest.mark.parametrize("lie", LIES)
def test_a_lie_that_a_trusted_key_signed(bundle: Path, lie: str) -> None:
    forge, reason = LIES[lie]
    forge(bundle)
    reseal(bundle, ALICE)
    assert reason in refusal(bundle)


def test_statements_that_hide_the_origin_are_refused(bundle: Path) -> None:
    reseal(bundle, ALICE, result=_without("origin"))
    assert "different values for the origin" in refusal(bundle)
    launch = "https://w3id.org/evalctl-launcher/launch/v1"
    reseal(
        bundle,
        ALICE,
        result=lambda predicate: predicate.update(origin="unsigned"),
        provenance=lambda predicate: predicate["buildDefinition"].update(buildType=launch),
    )
    assert "different values for the origin" in refusal(bundle)
    reseal(bundle, ALICE, result=_without("origin"))
    assert "different values for the origin" in refusal(bundle)


def _sign_as_lock(bundle: Path) -> bytes:
    """Return the attestation that a launch would have made of the import's lock."""
    result = result_of(bundle)
    suite = Suite(result["blueprint"]["name"], result["blueprint"]["version"])
    sha256 = statement_of(bundle, names.LOCK_ATTESTATION)["subject"][0]["digest"]["sha256"]
    return seal(lock_statement(sha256, LockStatement(result["lock"], suite)), ALICE)


def test_an_import_signed_as_a_lock_that_was_launched_is_refused(bundle: Path) -> None:
    (bundle / names.LOCK_ATTESTATION).write_bytes(_sign_as_lock(bundle))
    assert "different values for the origin" in refusal(bundle)


def test_all_statements_of_a_launch_around_an_import_are_refused(bundle: Path) -> None:
    launch = "https://w3id.org/evalctl-launcher/launch/v1"
    change_json(bundle / names.RESULT, _without("origin"))
    reseal(
        bundle,
        ALICE,
        result=_without("origin"),
        provenance=lambda predicate: predicate["buildDefinition"].update(buildType=launch),
    )
    (bundle / names.LOCK_ATTESTATION).write_bytes(_sign_as_lock(bundle))
    assert "differ in the origin" in refusal(bundle)


@pytest.mark.parametrize("key", ["harness", "sources"])
def test_a_signed_import_of_other_logs_is_refused(bundle: Path, key: str) -> None:
    other: Any = "lm-eval" if key == "harness" else []
    reseal(bundle, ALICE, lock=lambda predicate: predicate.update({key: other}))
    assert "the signed import names other logs than `lock.json`" in refusal(bundle)


def test_a_launched_bundle_cannot_pass_for_an_import(world: SmallWorld, tmp_path: Path) -> None:
    bundle = copy_of(world.launch().bundle, tmp_path / "copy")
    change_json(bundle / names.RESULT, lambda result: result.update(origin="unsigned"))
    reseal(bundle, world.signer, result=lambda predicate: predicate.update(origin="unsigned"))
    assert world.verify(bundle).verdict == "failed"


def test_a_stranger_s_import_is_untrusted_and_nothing_of_it_is_parsed(imported: Path) -> None:
    verification = verified(imported, single_key_policy(MALLORY.public))
    assert (verification.verdict, verification.contents) == ("untrusted", None)


def test_a_policy_may_refuse_imports(imported: Path) -> None:
    policy = single_key_policy(ALICE.public)
    rule = Rule(1, frozenset(policy.keys), frozenset([LOCK_TYPE]))
    strict = Policy(policy.version, policy.expires, policy.keys, {**policy.rules, "lock": rule})
    assert verified(imported, strict).verdict == "untrusted"


def test_an_import_s_signature_does_not_admit_its_lock_to_a_launch(imported: Path) -> None:
    sha256 = statement_of(imported, names.LOCK_ATTESTATION)["subject"][0]["digest"]["sha256"]
    attestation = (imported / names.LOCK_ATTESTATION).read_bytes()
    with pytest.raises(CheckFailedError, match="about something else"):
        admit_lock((sha256, result_of(imported)["lock"]), attestation, single_key_policy(ALICE.public), NOW)


def test_the_lock_of_an_import_has_one_form(imported: Path) -> None:
    data = (imported / names.LOCK).read_bytes()
    lock = read_imported_lock(data)
    assert lock.data == data and Import.from_identity(lock.identity) == lock.imported
    assert read_any_lock(data) == lock
    with pytest.raises(MalformedError, match="imported from foreign logs"):
        read_lock(data)
    for broken in (b"{}", data + b"\n", data[:-1], data.replace(b'"size":', b'"size": '), b"[" * 9999):
        with pytest.raises(MalformedError):
            read_imported_lock(broken)


def test_a_task_with_an_odd_name_is_imported(tmp_path: Path) -> None:
    log = json.loads(next((LOGS / "inspect-json").iterdir()).read_text())
    log["eval"]["task"] = 'inspect/ta"sk\x7f\n'
    (tmp_path / "odd.json").write_text(json.dumps(log))
    (one,) = import_logs([tmp_path / "odd.json"], Importer(Home(tmp_path / "home"), ALICE))
    assert result_of(one.path)["blueprint"]["name"] == "imported/inspect_ta_sk__"
    assert verified(one.path).verdict == "verified"


def test_commands_say_that_it_is_imported_and_reproduce_refuses_it(evalctl: Evalctl, tmp_path: Path) -> None:
    done = evalctl("import", LOGS / "inspect-eval", "--out", tmp_path / "out")
    assert done.code == 0 and "imported, unsigned origin" in done.out
    assert done.out.splitlines()[-1] == str(tmp_path / "out")
    assert "imported, unsigned origin" in evalctl("list").out
    assert "unsigned origin" in evalctl("show", tmp_path / "out").out
    assert "unsigned origin" in evalctl("verify", tmp_path / "out").out
    assert json.loads(evalctl("show", tmp_path / "out", "--json").out)["origin"] == "unsigned"
    for form in ("html", "markdown"):
        report = evalctl("report", tmp_path / "out", "--format", form)
        assert report.code == 0 and "unsigned origin" in report.out
        assert "evalctl reproduce" not in report.out
    again = evalctl("reproduce", tmp_path / "out", "--json")
    assert (again.code, json.loads(again.out)["verdict"]) == (4, "not-runnable")
    assert "nothing was launched" in json.loads(again.out)["reason"]
    assert evalctl("launch", tmp_path / "out" / "lock.json").code == 2
    assert evalctl("import", LOGS / "inspect-eval", "--out", tmp_path / "out").code == 2


def test_several_tasks_go_into_numbered_folders(evalctl: Evalctl, tmp_path: Path) -> None:
    done = evalctl("import", LOGS / "lm-eval", "--out", tmp_path / "out", "--json")
    places = [one["bundle"] for one in json.loads(done.out)["bundles"]]
    assert places == [str(tmp_path / "out" / str(number)) for number in (1, 2, 3, 4)]
    assert all(evalctl("verify", place).code == 0 for place in places)


def test_a_half_written_log_is_refused_with_nothing_left(evalctl: Evalctl, tmp_path: Path) -> None:
    data = next((LOGS / "inspect-eval").iterdir()).read_bytes()
    (tmp_path / "half.eval").write_bytes(data[: len(data) // 2])
    done = evalctl("import", tmp_path / "half.eval", "--out", tmp_path / "out")
    assert (done.code, (tmp_path / "out").exists()) == (2, False)
    assert "not a whole zip file" in done.err


def test_the_canonical_bytes_of_a_result_keep_its_origin(imported: Path) -> None:
    value = result_of(imported)
    assert canonical_bytes(value) + b"\n" == (imported / names.RESULT).read_bytes()
    with pytest.raises(EvalctlError):
        read_any_lock(b"")


def test_a_log_that_cannot_be_imported_is_named_with_what_to_do(evalctl: Evalctl) -> None:
    refused = evalctl("import", LOGS / "inspect-failed", LOGS / "inspect-json").err
    assert "in `" in refused
    assert ".eval`" in refused
    assert "name the logs one by one" in refused
    assert "`lm_eval --log_samples`" in evalctl("import", LOGS / "lm-eval-unlogged").err


def test_an_import_ends_with_what_to_type_next_and_never_with_reproduce(
    evalctl: Evalctl, tmp_path: Path
) -> None:
    bundle, report = tmp_path / "bundle", tmp_path / "report.html"
    assert f"next: evalctl report {bundle}" in evalctl("import", LOGS / "inspect-json", "--out", bundle).err
    assert "next" not in evalctl("report", bundle, "--out", report).err
    assert "next: evalctl list" in evalctl("import", LOGS / "lm-eval").err
