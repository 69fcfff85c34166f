"""The stand-alone verifier says what `evalctl verify` says, of every bundle."""

import ast
import contextlib
import io
import json
import os
import random
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import rfc8785
from hypothesis import example, given, settings
from hypothesis import strategies as st

from launcher.cli.signing import read_verifying_policy
from launcher.cli.verify import EXIT_CODES
from launcher.errors import MalformedError, TrustError
from launcher.exports import evalctl_verify as one
from launcher.metrics.evaluation import evaluate
from launcher.metrics.intervals import normal_quantile, student_quantile
from launcher.metrics.reference import references
from launcher.spec.bundle import co_signature
from launcher.spec.image import ImagePins
from launcher.spec.lock import CodePins, InputPin, Pins, make_lock
from launcher.spec.reading import read_blueprint
from launcher.spec.sample import Sample, bundle_samples
from launcher.store.home import Home
from launcher.store.policies import place_of, read_offered
from launcher.trust.policy import Policy, single_key_policy
from launcher.trust.sigstore import open_envelope, seal_payload
from launcher.trust.timestamps import StampedSigner
from launcher.verify import verify
from tests.bundles import cases
from tests.bundles.case import Case, write_files
from tests.bundles.honest import Run, launched
from tests.bundles.keys import ALICE, ALICE_P256, BOB
from tests.fakes.forgery import change_json, reseal
from tests.fakes.world import SmallWorld
from tests.signing.authorities import make_authority
from tests.spec.test_record_schemas import VALUES, changed, places

FILE = Path(one.__file__)
LIGHT = [case for case in cases() if not case.heavy]


class Answer(NamedTuple):
    """An exit code, and what was printed."""

    code: int
    out: str
    err: str

    @property
    def skipped(self) -> set[str]:
        return {check["name"] for check in json.loads(self.out)["checks"] if check["status"] == "skipped"}


def told(*arguments: str | Path) -> Answer:
    """Run the file's command line in this process."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = one.main([*map(str, arguments), "--json"])
    return Answer(code, out.getvalue(), err.getvalue())


def own_code(bundle: Path, policy: Policy) -> int:
    return EXIT_CODES[verify(bundle, policy, datetime.now(UTC)).verdict]


def decider(case: Case, folder: Path) -> tuple[Path | None, Path | None]:
    """Return the key, or else the policy, by which a case is judged; where only a home has one, that."""
    if case.trust.key is not None:
        return folder / "key.pub", None
    trust = folder / ("trust.toml" if case.trust.policy is not None else "home/trust.toml")
    return None, trust if trust.exists() else None


@pytest.mark.slow
def test_both_verifiers_agree_on_every_case_of_the_corpus(tmp_path: Path) -> None:
    differing, judged = {}, 0
    for case in LIGHT:
        folder = tmp_path / case.name
        bundle = case.build(folder)
        key, trust = decider(case, folder)
        if key is None and trust is None:  # it is about a home that trusts nobody
            continue
        try:
            expected = own_code(bundle, read_verifying_policy(Home(tmp_path / "none"), trust, key))
        except MalformedError:
            expected = 2
        except TrustError:
            expected = 3
        answer = told(bundle, *(("--key", key) if key else ("--trust", trust)))  # type: ignore[arg-type]
        judged += 1
        if answer.code != expected:
            differing[case.name] = (expected, answer)
    assert differing == {}
    assert judged > 400


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    folder = tmp_path / "bundle"
    folder.mkdir()
    write_files(folder, launched(RUN))
    return folder


RUN = Run(
    seeds=(3, 4),
    items=6,
    metric='name = "accuracy"\ndefinition = "accuracy@1"\nthreshold = { min = 0.5, on = "ci-lower" }\n'
    'published = { value = 0.9, decimals = 1, source = "somewhere" }\n'
    '[[metric]]\nname = "f1"\ndefinition = "f1@1"\nparameters = { average = "macro" }',
)
POLICY = single_key_policy(ALICE.public)


@pytest.fixture
def key(tmp_path: Path) -> Path:
    path = tmp_path / "key.pub"
    path.write_text(ALICE.public.openssh + "\n")
    return path


def test_what_a_known_key_co_signed_is_read_by_both_though_its_maker_is_unknown(
    bundle: Path, tmp_path: Path
) -> None:
    bob = tmp_path / "bob.pub"
    bob.write_text(BOB.public.openssh + "\n")
    for path in sorted((bundle / "attestations").iterdir()):
        payload = open_envelope(path.read_bytes()).payload
        place = co_signature(path.relative_to(bundle).as_posix(), BOB.public.key_hex)
        (bundle / place).write_bytes(seal_payload(payload, BOB))
    answer = told(bundle, "--key", bob)
    assert (answer.code, own_code(bundle, single_key_policy(BOB.public))) == (0, 0)
    assert not {"contents", "agreement"} & answer.skipped
    change_json(bundle / "result.json", lambda value: value["metrics"][0].update(value=0.123))
    reseal(bundle, ALICE)
    for path in (bundle / "attestations").glob("*.????????????????????????????????*"):
        base = open_envelope(path.with_name(f"{path.name.split('.')[0]}.sigstore.json").read_bytes())
        path.write_bytes(seal_payload(base.payload, BOB))
    assert (told(bundle, "--key", bob).code, own_code(bundle, single_key_policy(BOB.public))) == (1, 1)


def test_bytes_changed_at_random_are_refused_by_both(bundle: Path, key: Path) -> None:
    chance, files = random.Random(5), sorted(path for path in bundle.rglob("*") if path.is_file())
    for _ in range(80):
        path = chance.choice(files)
        data = path.read_bytes()
        place = chance.randrange(len(data) + 1)
        cut = data[place + chance.randrange(3) :]
        forged = data[:place] + chance.randbytes(chance.randrange(3)) + cut
        path.write_bytes(forged)
        expected = own_code(bundle, POLICY)
        assert told(bundle, "--key", key).code == expected == (forged != data), (path, place)
        path.write_bytes(data)


@pytest.mark.parametrize("name", ["result.json", "lock.json", "environment.json", "sbom.cdx.json"])
def test_lies_signed_with_the_trusted_key_are_judged_alike(bundle: Path, key: Path, name: str) -> None:
    """Change every place of a document to some value, sign the bundle again, and ask both."""
    chance = random.Random(name)
    data = (bundle / name).read_bytes()
    document = json.loads(data)
    chosen = [path for path in places(document) if path]
    for path in chance.sample(chosen, min(60, len(chosen))):
        mutant = changed(document, path, chance.choice(["replace", "remove", "add"]), chance.choice(VALUES))
        change_json(bundle / name, lambda value, mutant=mutant: (value.clear(), value.update(mutant)))
        reseal(bundle, ALICE)

        answer = told(bundle, "--key", key)
        assert answer.code == own_code(bundle, POLICY), (path, answer)
        (bundle / name).write_bytes(data)


def _without_a_sample(lines: list[bytes]) -> list[bytes]:
    return lines[:-1]


def _without_a_replicate(lines: list[bytes]) -> list[bytes]:
    return [line for line in lines if b'"replicate":0' in line]


def _at_another_epoch(lines: list[bytes]) -> list[bytes]:
    return [*lines[:-1], b'{"epoch":1,' + lines[-1][1:]]


@pytest.mark.parametrize("change", [_without_a_sample, _without_a_replicate, _at_another_epoch])
def test_replicates_that_answered_different_items_are_refused_by_both(
    bundle: Path, key: Path, change: Callable[[list[bytes]], list[bytes]]
) -> None:
    place = bundle / "samples.jsonl"
    place.write_bytes(b"".join(change(place.read_bytes().splitlines(keepends=True))))
    reseal(bundle, ALICE)
    answer = told(bundle, "--key", key)
    assert (answer.code, own_code(bundle, POLICY)) == (1, 1)
    assert "replicate" in json.loads(answer.out)["sentence"]


def test_marks_that_are_none_are_refused_by_both(bundle: Path, key: Path) -> None:
    reseal(bundle, ALICE, result=lambda predicate: predicate.update(marks=[]))
    assert (told(bundle, "--key", key).code, own_code(bundle, POLICY)) == (1, 1)


def test_a_changed_statement_signed_again_is_judged_alike(bundle: Path, key: Path) -> None:
    chance = random.Random(11)
    originals = {path: path.read_bytes() for path in bundle.rglob("*") if path.is_file()}
    predicates = {"provenance": "provenance", "result": "result", "lock": "lock"}
    for word in predicates:

        def change(predicate: Any) -> None:
            path = chance.choice([place for place in places(predicate) if place])
            how = chance.choice(["replace", "remove", "add"])
            mutant = changed(predicate, path, how, chance.choice(VALUES))
            predicate.clear()
            predicate.update(mutant)

        for _ in range(20):
            try:
                reseal(bundle, ALICE, **{word: change})  # type: ignore[arg-type]
            except Exception:  # noqa: BLE001 - a float or a lone surrogate is never sealed
                continue
            finally:
                expected, answer = own_code(bundle, POLICY), told(bundle, "--key", key)
                assert answer.code == expected, (word, answer)
                for path, data in originals.items():
                    path.write_bytes(data)


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


@pytest.fixture(scope="module")
def sealed_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sealed") / "bundle"
    folder.mkdir()
    write_files(folder, launched(RUN))
    return folder


METRICS = """
[[metric]]
name = "accuracy"
definition = "accuracy@1"
ci = { level = 0.9 }
threshold = { max = 0.9, on = "ci-upper" }
[[metric]]
name = "precision"
definition = "precision@1"
parameters = { class = 1 }
[[metric]]
name = "f1-of-one"
definition = "f1@1"
parameters = { class = "a" }
[[metric]]
name = "macro"
definition = "f1@1"
parameters = { average = "macro" }
[[metric]]
name = "micro"
definition = "precision@1"
parameters = { average = "micro" }
[[metric]]
name = "weighted"
definition = "recall@1"
parameters = { average = "weighted" }
where = { half = "left" }
[[metric]]
name = "mean"
definition = "mean@1"
of = "scores.x"
primary = true
published = { value = 0.25, decimals = 2, source = "print" }
[[metric]]
name = "left"
definition = "mean@1"
of = "scores.x"
where = { half = "left", ok = true }
[[metric]]
name = "mae"
definition = "mae@1"
[[metric]]
name = "rmse"
definition = "rmse@1"
[[metric]]
name = "digits"
definition = "lre@1"
parameters = { digits = 9 }
"""
BLUEPRINT = (
    'schema = "evalctl/blueprint/v1"\n[blueprint]\nname = "a/b"\nversion = "1.0.0"\n'
    f'[image]\nref = "oci:image@sha256:{"1" * 64}"\n[code]\ngit = "x"\ncommit = "{"2" * 40}"\n'
    '[run]\ncommand = ["x"]\nseeds = [5, 6]\n'
)
LABELS, NUMBERS = (
    {"accuracy", "precision", "f1-of-one", "macro", "micro", "weighted"},
    {"mae", "rmse", "digits"},
)
finite = st.floats(-1e9, 1e9) | st.integers(-5, 5)


@st.composite
def answers(draw: st.DrawFn) -> tuple[list[list[Sample]], bool]:
    """Return what two replicates answered, and whether the answers are numbers."""
    numbers = draw(st.booleans())
    values = finite if numbers else st.sampled_from([0, 1, "a", "b", True, None, 0.5])
    keys = draw(
        st.lists(st.tuples(st.text("xy", max_size=2), st.integers(0, 4)), min_size=1, unique=True, max_size=9)
    )
    weighted = draw(st.booleans())
    replicates = []
    for _ in range(2):
        samples = []
        for name, epoch in keys:
            prediction = draw(values)
            samples.append(
                Sample(
                    f"id{name}",
                    prediction=1 if prediction is None and numbers else prediction,
                    target=draw(values.filter(lambda value: value is not None)),
                    scores={"x": draw(finite)},
                    groups={"half": draw(st.sampled_from(["left", "right"])), "ok": draw(st.booleans())},
                    weight=draw(st.floats(1e-3, 1e3)) if weighted else None,
                    epoch=epoch,
                )
            )
        replicates.append(samples)
    return replicates, numbers


@settings(max_examples=50, deadline=None)
@given(answers())
def test_both_compute_the_same_metrics(sealed_folder: Path, drawn: tuple[list[list[Sample]], bool]) -> None:
    replicates, numbers = drawn
    blueprint = read_blueprint((BLUEPRINT + METRICS).encode(), file="it", definitions=references())
    image = ImagePins(None, "sha256:" + "1" * 64, "sha256:" + "3" * 64, (), "linux/amd64")
    lock = make_lock(blueprint, Pins(image, CodePins("4" * 40, "5" * 64, {}), dict[str, InputPin]()))
    chosen = [
        index
        for index, metric in enumerate(blueprint.metrics)
        if metric.name not in (LABELS if numbers else NUMBERS)
    ]
    samples = bundle_samples(replicates, (5, 6))
    wanted = evaluate([blueprint.metrics[index] for index in chosen], samples.samples, (5, 6))
    specs = json.loads(lock.data)["identity"]["metrics"]
    metrics = [one.Metric(specs[index], 2, primary=specs[index]["primary"]) for index in chosen]
    path = sealed_folder.parent / "samples.jsonl"
    path.write_bytes(samples.data)
    descriptor = os.open(path, os.O_RDONLY)
    try:
        read = one.Samples(descriptor, len(samples.data))
        one.count_samples(read, metrics, [5, 6])
        one.count_items(read, metrics)
    finally:
        os.close(descriptor)
    for metric, result in zip(metrics, wanted, strict=True):
        claimed = json.loads(json.dumps(result.as_json()))
        found = metric.expected(claimed, claimed["published"], [])
        leeway = 1e-11 * abs(claimed["ci"][1] - claimed["ci"][0]) if claimed["ci"] else 0.0
        for name, value in found.items():
            assert name == "primary" or one.is_same(value, claimed[name], leeway), (
                metric.kind,
                name,
                value,
                claimed,
            )


@given(st.floats(allow_nan=False, allow_infinity=False))
@example(1e21)
@example(-5e-324)
@example(123456789012345680000.0)
def test_doubles_are_written_as_the_standard_says(value: float) -> None:
    assert one.double(value).encode() == rfc8785.dumps(value)


@given(
    st.dictionaries(st.text(max_size=3), st.text(max_size=3) | st.integers(-9, 9) | st.none() | st.booleans())
)
def test_objects_are_written_as_the_standard_says(value: dict[str, Any]) -> None:
    try:
        wanted = rfc8785.dumps(value)
    except (rfc8785.CanonicalizationError, UnicodeEncodeError):
        return
    assert one.canonical(value).encode() == wanted


@pytest.mark.parametrize("level", [0.5, 0.8, 0.9, 0.95, 0.99, 0.999, 0.999999])
def test_quantiles_agree_to_the_digits_that_are_used(level: float) -> None:
    assert one.normal_quantile(level) == normal_quantile(level)
    for degrees in (1, 2, 3, 4, 5, 10, 39, 100, 999, 1000, 1001, 50_000):
        ours, theirs = one.student_quantile(level, degrees), student_quantile(level, degrees)
        assert abs(ours - theirs) <= one.quantile_leeway(level) * theirs, degrees


HOSTILE = (
    *(b"{", b"[" * 100_000, b'{"a":1,"a":1}', b"NaN", b"1e999", b'"\\ud800"', b"\xff", b"", b"1.0", b"[1,]"),
    *(b"9007199254740993", b"1" * 5000, b"-0", b'{"b":1,"a":1}', b"\xef\xbb\xbf1", '"x"'.encode("utf-16")),
)


@pytest.mark.parametrize("data", HOSTILE, ids=range(len(HOSTILE)))
def test_json_in_another_spelling_is_refused(data: bytes) -> None:
    with pytest.raises(one.RefusedError):
        one.parse(data, "it")


@settings(max_examples=50, deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_as_an_attestation_or_a_policy_end_in_a_refusal(data: bytes) -> None:
    for read, error in ((one.read_policy, one.MisuseError), (one.policy_of_key, one.MisuseError)):
        with pytest.raises(error):
            read(data)
    with pytest.raises(one.RefusedError):
        one.open_attestation(one.LOCK, data, {})


def test_misuse_is_told_from_a_bad_bundle(bundle: Path, key: Path, tmp_path: Path) -> None:
    assert told(tmp_path / "nothing", "--key", key).code == 2
    assert told(key, "--key", key).code == 2
    assert told(bundle, "--key", tmp_path / "nothing").code == 2
    assert told(bundle, "--key", bundle / "lock.json").code == 2
    assert told(tmp_path, "--key", key).code == 1
    with pytest.raises(SystemExit) as caught, contextlib.redirect_stderr(io.StringIO()):
        one.main([str(bundle)])
    assert caught.value.code == 2


def test_what_is_not_checked_is_named(bundle: Path, key: Path) -> None:
    answer = told(bundle, "--key", key)
    assert answer.code == 0
    assert answer.skipped == set()
    assert json.loads(answer.out)["verdict"] == "verified"


def test_the_file_stands_alone() -> None:
    names = set()
    for node in ast.walk(ast.parse(FILE.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add(node.module or "")
    roots = {name.partition(".")[0] for name in names}
    assert roots - {"cryptography"} <= sys.stdlib_module_names
    assert not roots & {"socket", "subprocess", "urllib", "http", "ctypes", "launcher"}


def test_nothing_of_the_launcher_imports_it() -> None:
    for path in FILE.parents[1].rglob("*.py"):
        assert path == FILE or "evalctl_verify import" not in path.read_text()
        assert path == FILE or "exports import" not in path.read_text()


def in_a_process(*arguments: str | Path) -> "subprocess.CompletedProcess[str]":
    """Run the file as a stranger does, with little memory."""

    def bound() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (256 << 20, 256 << 20))

    return subprocess.run(
        [sys.executable, "-I", FILE, *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        preexec_fn=bound,
    )


def test_it_runs_as_a_program_within_256_mebibytes(tmp_path: Path, key: Path) -> None:
    folder = tmp_path / "large"
    folder.mkdir()
    write_files(folder, launched(Run(items=20_000, seeds=(1, 2))))
    done = in_a_process(folder, "--key", key)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[-1] == (
        "verified: the bundle is what its signers signed, and they are trusted"
    )


def test_as_a_program_with_little_memory_it_answers_as_it_does_here(tmp_path: Path) -> None:
    groups = ("exhaustion", "archives")
    for case in [*LIGHT[::40], *(case for case in LIGHT if case.group in groups)]:
        bundle = case.build(tmp_path / case.name)
        key, trust = decider(case, tmp_path / case.name)
        done = in_a_process(bundle, *(("--key", key) if key else ("--trust", trust or "")))
        assert (done.returncode, "Traceback" in done.stderr) == (case.exit_code, False), done
        shutil.rmtree(tmp_path / case.name)


def test_a_timestamp_is_named_and_counts_for_nothing(bundle: Path, key: Path, tmp_path: Path) -> None:
    authority = make_authority(tmp_path / "tsa")
    reseal(bundle, StampedSigner(ALICE, authority.stamp))
    trust = tmp_path / "trust.toml"
    revoked = 'revoked-from = 2091-01-01T00:00:00Z\nreason = "superseded"\n'
    head = "version = 1\nexpires = 2095-01-01T00:00:00Z\n"
    rules = '[rules.lock]\nthreshold = 1\nfrom = ["a"]\n[rules.result]\nthreshold = 1\nfrom = ["a"]\n'
    keys = f'[keys.a]\npublic = "{ALICE.public.openssh}"\nroles = ["lock", "result"]\n'
    trust.write_text(head + keys + revoked + rules + authority.table())
    late = tmp_path / "late.toml"
    late.write_text(trust.read_text().replace("revoked-from = 2091", "revoked-from = 2020"))
    policies = [(Home(tmp_path / name), path) for name, path in (("a", trust), ("b", late))]
    codes = [own_code(bundle, read_verifying_policy(home, path, None)) for home, path in policies]
    answers = [told(bundle, "--trust", path) for _, path in policies]
    assert codes == [answer.code for answer in answers] == [0, 3]
    assert {"timestamp:lock", "timestamp:provenance", "timestamp:result"} <= answers[0].skipped
    trust.write_text(trust.read_text().replace("-----BEGIN CERTIFICATE-----\n", ""))
    assert told(bundle, "--trust", trust).code == 2


def test_a_redactable_bundle_without_commitments_is_refused_by_both(tmp_path: Path, key: Path) -> None:
    folder = tmp_path / "redactable"
    folder.mkdir()
    write_files(folder, launched(Run(tail="[bundle]\nredactable = true\n")))
    assert told(folder, "--key", key).code == own_code(folder, POLICY) == 1


def test_both_hold_a_ledger_proof_against_the_bundle(world: SmallWorld, tmp_path: Path, key: Path) -> None:
    bundle, chance = world.launch().bundle, random.Random(3)
    key.write_text(world.signer.public.openssh)
    proof = bundle / "attestations" / "ledger.tlog-proof"
    data = proof.read_bytes()
    checks = {check["name"]: check for check in json.loads(told(bundle, "--key", key).out)["checks"]}
    assert checks["ledger-proof"]["status"] == checks["ledger-entry"]["status"] == "ok"
    assert "not witnessed" in checks["ledger-proof"]["detail"]
    forged = [
        data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]
        for place in chance.sample(range(len(data)), 40)
    ]
    forged += [b"", data[:-1], data + b"\n", data.replace(b"index 1", b"index 2"), data.split(b"\n\n")[0]]
    for other in forged:
        proof.write_bytes(other)
        assert told(bundle, "--key", key).code == own_code(bundle, world.policy) == 1, other
    proof.unlink()
    assert told(bundle, "--key", key).code == own_code(bundle, world.policy) == 0
