"""A launched bundle judged from the command line by a policy that asks for two of three signatures."""

import json
import os
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from launcher.spec.bundle import PROVENANCE_ATTESTATION, RESULT_ATTESTATION, co_signature
from launcher.trust.key_files import FileSigner
from launcher.trust.policy_text import time_text
from launcher.trust.sigstore import open_envelope, seal_payload
from tests.conftest import Evalctl
from tests.fakes.forgery import copy_of
from tests.fakes.world import SmallWorld, copy_world
from tests.trust.sealed_bundle import ALICE, BOB, MALLORY, p256_signer

CAROL = p256_signer(6)
BUILDER = "https://w3id.org/evalctl-launcher/builders/local"
GROUP = {"alice": ALICE, "bob": BOB, "carol": CAROL}


@pytest.fixture(scope="module")
def original(world_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a bundle that alice's key signed."""
    world: SmallWorld = copy_world(world_template, tmp_path_factory.mktemp("group") / "world")
    world.launch(signer=ALICE)
    (bundle,) = world.home.bundles.iterdir()
    return bundle


@pytest.fixture
def bundle(original: Path, tmp_path: Path) -> Path:
    return copy_of(original, tmp_path / "bundle")


@pytest.fixture
def policy(tmp_path: Path) -> Callable[..., Path]:
    """Return a function that writes the group's policy, with more lines in some of its tables."""

    def write(version: int = 1, /, expires: str = "2090-01-01T00:00:00Z", **lines: str) -> Path:
        text = [f"version = {version}", f"expires = {expires}"]
        for name, signer in GROUP.items():
            text += [f"[keys.{name}]", f'public = "{signer.public.openssh}"', 'roles = ["lock", "result"]']
            text.append(lines.get(name, ""))
        text += ["[rules.lock]", "threshold = 1", 'from = ["alice"]']
        text += ["[rules.result]", "threshold = 2", f"from = {list(GROUP)}", lines.get("result", "")]
        path = tmp_path / "policy.toml"
        path.write_text("\n".join(text))
        return path

    return write


def co_sign(bundle: Path, signer: FileSigner, named: FileSigner | None = None) -> None:
    for path in (PROVENANCE_ATTESTATION, RESULT_ATTESTATION):
        payload = open_envelope((bundle / path).read_bytes()).payload
        place = bundle / co_signature(path, (named or signer).public.key_hex)
        place.write_bytes(seal_payload(payload, signer))


def verdict(evalctl: Evalctl, bundle: Path, policy: Path) -> tuple[int, str]:
    """Return the exit code, and what the checks that fail say."""
    done = evalctl("verify", bundle, "--trust", policy, "--json")
    if not done.out:
        return done.code, done.err
    checks = json.loads(done.out)["checks"]
    return done.code, "; ".join(check["detail"] for check in checks if check["status"] == "failed")


def test_two_of_three_is_what_it_says(evalctl: Evalctl, bundle: Path, policy: Callable[..., Path]) -> None:
    code, because = verdict(evalctl, bundle, policy())
    assert (code, "asks for 2, 1 counted" in because) == (3, True)
    co_sign(bundle, CAROL)
    assert verdict(evalctl, bundle, policy()) == (0, "")


def test_one_key_does_not_count_twice(evalctl: Evalctl, bundle: Path, policy: Callable[..., Path]) -> None:
    co_sign(bundle, ALICE)
    assert verdict(evalctl, bundle, policy())[0] == 3


def test_a_stranger_s_second_signature_does_not_count(
    evalctl: Evalctl, bundle: Path, policy: Callable[..., Path]
) -> None:
    co_sign(bundle, MALLORY)
    assert verdict(evalctl, bundle, policy())[0] == 3


def test_a_second_signature_under_another_s_name_is_tampering(
    evalctl: Evalctl, bundle: Path, policy: Callable[..., Path]
) -> None:
    co_sign(bundle, ALICE, named=BOB)
    assert verdict(evalctl, bundle, policy())[0] == 1


@pytest.mark.parametrize(
    ("lines", "because"),
    [
        ({"bob": 'revoked-from = 2090-01-01T00:00:00Z\nreason = "key-compromise"'}, "key-compromise"),
        ({"bob": 'revoked-from = 2020-01-01T00:00:00Z\nreason = "superseded"'}, "superseded"),
        ({"bob": "valid-until = 2020-01-01T00:00:00Z"}, "was valid until"),
        ({"bob": "valid-from = 2089-01-01T00:00:00Z"}, "not valid before"),
        ({"bob": 'builders = ["https://example.org/gpu-07"]'}, "may not sign for the builder"),
        ({"result": f'predicate = ["{BUILDER}"]'}, "does not allow"),
        ({"expires": "2020-01-01T00:00:00Z"}, "expired"),
    ],
)
def test_each_condition_of_the_policy_is_applied(
    evalctl: Evalctl, bundle: Path, policy: Callable[..., Path], lines: dict[str, str], because: str
) -> None:
    co_sign(bundle, BOB)
    assert verdict(evalctl, bundle, policy())[0] == 0
    code, said = verdict(evalctl, bundle, policy(**lines))
    assert code == 3
    assert because in said


def test_conditions_that_are_met_let_it_verify(
    evalctl: Evalctl, bundle: Path, policy: Callable[..., Path]
) -> None:
    co_sign(bundle, BOB)
    soon = time_text((datetime.now(UTC) + timedelta(hours=1)).replace(microsecond=0))
    lines = {
        "alice": f'builders = ["{BUILDER}"]\nvalid-from = 2020-01-01T00:00:00Z\nvalid-until = {soon}',
        "bob": f'revoked-from = {soon}\nreason = "superseded"',
        "result": 'max-age = "1h"',
    }
    assert verdict(evalctl, bundle, policy(**lines)) == (0, "")


def test_what_is_older_than_the_policy_admits_is_not_trusted(
    evalctl: Evalctl, bundle: Path, policy: Callable[..., Path]
) -> None:
    co_sign(bundle, BOB)
    time.sleep(1.1)
    code, because = verdict(evalctl, bundle, policy(result='max-age = "1s"'))
    assert (code, "older than the 1s of" in because) == (3, True)


def test_an_older_policy_at_the_same_path_is_refused(
    evalctl: Evalctl, bundle: Path, policy: Callable[..., Path]
) -> None:
    co_sign(bundle, BOB)
    assert verdict(evalctl, bundle, policy(4))[0] == 0
    code, because = verdict(evalctl, bundle, policy(3))
    assert (code, "policy-rollback" in because) == (3, True)
    assert verdict(evalctl, bundle, policy(4))[0] == 0
    assert verdict(evalctl, bundle, policy(5))[0] == 0


def test_a_policy_with_an_unknown_field_decides_nothing(
    evalctl: Evalctl, bundle: Path, policy: Callable[..., Path]
) -> None:
    co_sign(bundle, BOB)
    code, because = verdict(evalctl, bundle, policy(bob="valid-to = 2090-01-01T00:00:00Z"))
    assert (code, "unknown field 'valid-to'" in because) == (2, True)


def test_verify_works_with_a_home_that_cannot_be_written(
    evalctl: Evalctl,
    bundle: Path,
    policy: Callable[..., Path],
    read_only: Callable[[Path], None],
) -> None:
    co_sign(bundle, BOB)
    path = policy()
    read_only(Path(os.environ["EVALCTL_HOME"]))
    done = evalctl("verify", bundle, "--trust", path)
    assert done.code == 0
    assert "an older one will not be noticed" in done.err
    assert evalctl("verify", bundle).code == 3
    refused = evalctl("trust", "revoke", "me", "--reason", "superseded")
    assert (refused.code, "cannot write" in refused.err) == (4, True)


def test_a_policy_from_elsewhere_is_shown_without_acting_on_the_terminal(
    evalctl: Evalctl, policy: Callable[..., Path]
) -> None:
    place = policy()
    place.write_text(place.read_text() + 'predicate = ["x\\u001b[2J", "y\\n  mallory: trusted"]\n')
    shown = evalctl("trust", "show", "--trust", place)
    assert (shown.code, "\x1b" in shown.out) == (0, False)
    assert "only x\\x1b[2J, y\\n  mallory: trusted" in shown.out
