"""Signatures timestamped by an authority on the loopback, from the launch to `verify`."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from launcher.errors import InfrastructureError, MalformedError, RequirementError
from launcher.signing.authority import Stamping, stamped
from launcher.spec.bundle import REQUIRED_ATTESTATIONS, co_signature
from launcher.trust.key_files import new_key
from launcher.trust.policy import single_key_policy
from launcher.trust.sigstore import open_envelope, seal_payload
from launcher.trust.timestamps import Authority, read_certificates
from launcher.verify import verify
from tests.conftest import Evalctl
from tests.fakes.world import SmallWorld
from tests.signing.authorities import TestAuthority, make_authority, served
from tests.trust.sealed_bundle import ALICE, BOB, NOW


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestAuthority]:
    with served(make_authority(tmp_path_factory.mktemp("authority"))) as authority:
        yield authority


@pytest.fixture
def authority(running: TestAuthority) -> TestAuthority:
    running.requests.clear()
    running.patience = 1_000_000
    running.status = 403
    return running


def test_a_launch_has_each_signature_timestamped(
    world: SmallWorld, authority: TestAuthority, evalctl: Evalctl, tmp_path: Path
) -> None:
    world.write()
    launched = evalctl("launch", world.file, "--timestamp", authority.url)
    assert launched.code == 0, launched.err
    assert len(authority.requests) == 3
    bundle = launched.out.split()[-1]
    said = evalctl("verify", bundle, "--json")
    assert said.code == 0
    assert said.out.count("the trust policy names no authority") == 3
    world.home.trust.write_text(world.home.trust.read_text() + authority.table("tsa"))
    assert "  tsa: counts at any time" in evalctl("trust", "show").out
    assert (
        "BEGIN CERTIFICATE"
        in json.loads(evalctl("trust", "show", "--json").out)["timestamps"]["tsa"]["certificates"][0]
    )
    checks = json.loads(evalctl("verify", bundle, "--json").out)["checks"]
    stamps = [check for check in checks if check["name"].startswith("timestamp:")]
    assert [check["status"] for check in stamps] == ["ok"] * 3
    assert all(check["detail"].endswith("says `tsa`") for check in stamps)
    again = evalctl("launch", world.file, "--timestamp", authority.url, "--json")
    assert "not timestamped" in json.loads(again.out)["remarks"][0]
    assert len(authority.requests) == 3


def test_a_site_s_authority_timestamps_what_is_signed_on_the_machine(
    world: SmallWorld,
    authority: TestAuthority,
    evalctl: Evalctl,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world.write()
    site = tmp_path / "site.toml"
    site.write_text(f'schema = "evalctl/site/v1"\ntimestamp = "{authority.url}"\n')
    offline = evalctl("launch", world.file, "--site", site, "--offline")
    assert (offline.code, "no signature is timestamped" in offline.err) == (0, True)
    assert authority.requests == []
    launched = json.loads(evalctl("launch", world.file, "--site", site, "--rerun", "--json").out)
    assert len(authority.requests) == 3
    assert authority.url.encode() not in (Path(launched["bundle"]) / "environment.json").read_bytes()
    assert evalctl("resolve", world.file, "--site", site).code == 0
    assert len(authority.requests) == 4
    for name in ("carla", "dora"):
        assert evalctl("key", "new", tmp_path / name).code == 0
    assert (
        evalctl("sign", launched["bundle"], "--key", tmp_path / "carla", "--site", site).code,
        len(authority.requests),
    ) == (0, 7)
    monkeypatch.setattr("launcher.cli.site.DEFAULT", site)
    assert evalctl("sign", launched["bundle"], "--key", tmp_path / "dora").code == 0
    assert len(authority.requests) == 10
    again = evalctl("launch", world.file, "--json")
    assert (json.loads(again.out)["remarks"], len(authority.requests)) == ([], 10)


@pytest.mark.parametrize("command", ["import", "redact", "resolve", "sign"])
def test_a_site_policy_that_is_not_there_stops_each_command_that_signs(
    world: SmallWorld, evalctl: Evalctl, command: str, tmp_path: Path
) -> None:
    bundle = world.launch().bundle
    named = world.file if command == "resolve" else bundle
    done = evalctl(command, named, "--site", tmp_path / "nothing.toml", "--json")
    assert (done.code, json.loads(done.err)["error"]["message"]) == (
        2,
        f"there is no site policy `{tmp_path / 'nothing.toml'}`",
    )


def test_openssl_accepts_the_timestamp_and_refuses_it_for_another(
    world: SmallWorld, authority: TestAuthority, tmp_path: Path
) -> None:
    launched = world.launch(signer=stamped(ALICE, authority.url))
    (tmp_path / "root.pem").write_text(authority.root)
    verdicts = {}
    envelopes = [open_envelope((launched.bundle / path).read_bytes()) for path in REQUIRED_ATTESTATIONS]
    for number, stamp in enumerate(envelopes):
        for other, envelope in enumerate(envelopes):
            assert stamp.timestamp is not None
            (tmp_path / "reply").write_bytes(stamp.timestamp)
            (tmp_path / "signature").write_bytes(envelope.signature)
            command = [
                "openssl",
                "ts",
                "-verify",
                "-data",
                "signature",
                "-in",
                "reply",
                "-CAfile",
                "root.pem",
            ]
            done = subprocess.run(command, cwd=tmp_path, check=False, capture_output=True, timeout=60)
            verdicts[number, other] = done.returncode == 0
    assert verdicts == {(a, b): a == b for a in range(3) for b in range(3)}


def test_an_authority_that_gives_none_ends_a_launch_before_anything_runs(
    world: SmallWorld, authority: TestAuthority, evalctl: Evalctl
) -> None:
    world.write()
    authority.patience = 0
    done = evalctl("launch", world.file, "--timestamp", authority.url, "--json")
    assert done.code == 4
    assert json.loads(done.err)["error"]["code"] == "timestamp-failed"
    assert world.engine.tasks == []


def test_an_authority_that_stops_answering_costs_no_bundle_and_is_said(
    world: SmallWorld, authority: TestAuthority, evalctl: Evalctl
) -> None:
    world.write()
    authority.patience = 1
    done = evalctl("launch", world.file, "--timestamp", authority.url)
    assert done.code == 0
    assert "note: 2 signatures have no timestamp" in done.err
    checks = json.loads(evalctl("verify", done.out.split()[-1], "--json").out)["checks"]
    said = {check["name"]: check["detail"] for check in checks}
    assert said["timestamps"].startswith("none of provenance, result:")
    assert "timestamp:lock" in said


def test_a_reproduction_is_timestamped(world: SmallWorld, authority: TestAuthority, evalctl: Evalctl) -> None:
    bundle = world.launch().bundle
    authority.patience = 3
    done = evalctl("reproduce", bundle, "--timestamp", authority.url, "--json")
    assert done.code == 0, done.err
    said = json.loads(done.out)
    assert said["remarks"] == [f"one signature has no timestamp: {authority.url} stopped answering"]
    assert b"rfc3161Timestamps" not in Path(said["statement"]).read_bytes()
    authority.patience = 100
    said = json.loads(evalctl("reproduce", bundle, "--timestamp", authority.url, "--json").out)
    assert b"rfc3161Timestamps" in Path(said["statement"]).read_bytes()


def test_sign_has_co_signatures_timestamped(
    world: SmallWorld, authority: TestAuthority, evalctl: Evalctl, tmp_path: Path
) -> None:
    bundle = world.launch(signer=ALICE).bundle
    new_key(tmp_path / "carla")
    (tmp_path / "alice.pub").write_text(ALICE.public.openssh)
    options = ["--key", tmp_path / "carla", "--signer", tmp_path / "alice.pub", "--timestamp", authority.url]
    done = evalctl("sign", bundle, *options, "--json")
    assert done.code == 0, done.err
    said = json.loads(done.out)
    assert said["remarks"] == []
    assert len(said["written"]) == len(authority.requests) == 3
    assert all(b"rfc3161Timestamps" in Path(each).read_bytes() for each in said["written"])


def test_a_co_signature_is_timestamped(world: SmallWorld, authority: TestAuthority) -> None:
    bundle = world.launch(signer=ALICE).bundle
    for path in REQUIRED_ATTESTATIONS:
        payload = open_envelope((bundle / path).read_bytes()).payload
        own = bundle / co_signature(path, BOB.public.key_hex)
        own.write_bytes(seal_payload(payload, stamped(BOB, authority.url)))
    policy = single_key_policy(BOB.public, "bob")
    policy = replace(policy, authorities={"tsa": Authority("tsa", read_certificates(authority.root))})
    found = [check for check in verify(bundle, policy, NOW).checks if check.name.startswith("timestamp:")]
    assert [check.status for check in found] == ["ok"] * 3


def test_passing_faults_are_waited_out(authority: TestAuthority, monkeypatch: pytest.MonkeyPatch) -> None:
    authority.status = 503
    authority.patience = 0
    stamping = Stamping(authority.url)
    with pytest.raises(InfrastructureError, match="gives no timestamp") as caught:
        stamping(b"signature")
    assert len(authority.requests) == 4
    assert "503" in str(caught.value.context)


def answering(authority: TestAuthority, monkeypatch: pytest.MonkeyPatch, answer: bytes) -> str:
    monkeypatch.setattr(authority, "reply", lambda _: answer)
    with pytest.raises(InfrastructureError) as caught:
        Stamping(authority.url)(b"signature")
    return str(caught.value.context)


def test_an_answer_that_is_no_timestamp_is_said(
    authority: TestAuthority, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = authority.stamp(b"another signature")
    own = authority.stamp(b"signature")
    refusal = authority.stamp(b"signature", "-sha384", "-cert")
    assert "malformed" in answering(authority, monkeypatch, b"hello")
    assert "more than 16384 bytes" in answering(authority, monkeypatch, bytes(20_000))
    assert "another signature" in answering(authority, monkeypatch, other)
    assert "another request" in answering(authority, monkeypatch, own)
    assert "refused" in answering(authority, monkeypatch, refusal)


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://127.0.0.1/", "tsa.example", "", "http://"])
def test_what_is_no_address_of_an_authority_is_refused(url: str) -> None:
    with pytest.raises((MalformedError, InfrastructureError)):
        stamped(ALICE, url).stamp(b"signature")


def test_an_address_is_said_without_its_secrets() -> None:
    with pytest.raises(InfrastructureError) as caught:
        Stamping("http://user:secret@127.0.0.1:1/tsa?token=secret")(b"signature")
    assert "secret" not in f"{caught.value.message} {caught.value.context}"


def test_without_the_extra_no_timestamp_is_promised(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rfc3161_client", None)
    with pytest.raises(RequirementError) as caught:
        stamped(ALICE, "http://127.0.0.1/")
    assert caught.value.exit_status == 6


def test_offline_and_a_timestamp_exclude_each_other(world: SmallWorld, evalctl: Evalctl) -> None:
    world.write()
    for command in ("launch", "resolve"):
        done = evalctl(command, world.file, "--offline", "--timestamp", "http://127.0.0.1/")
        assert done.code == 2
        assert "exclude each other" in done.err
