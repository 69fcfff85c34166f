"""What OpenSSH makes of the allowed_signers file that is exported."""

import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest

from launcher.trust.allowed_signers import allowed_signers, namespace
from launcher.trust.key_files import new_key
from launcher.trust.policy_file import read_policy

pytestmark = pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="ssh-keygen is not installed")

NAMES = ("alice", "bob", "carol", "dan", "erin", "frank")
LINES = {
    "bob": "valid-from = 2026-02-01T00:00:00Z\nvalid-until = 2026-03-01T00:00:00Z",
    "carol": 'revoked-from = 2026-02-01T00:00:00+01:00\nreason = "superseded"',
    "dan": 'revoked-from = 2027-02-01T00:00:00Z\nreason = "key-compromise"',
}
# The zone of the machine is not UTC's here, and no time is taken for another.
ZONE = {"TZ": "America/New_York"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a key for each name, a message, its signatures, and the exported file."""
    folder = tmp_path_factory.mktemp("signers")
    lines = ["version = 4", "expires = 2026-12-01T00:00:00Z"]
    (folder / "message").write_text("the sums\n")
    for name in NAMES:
        public = new_key(folder / name)
        roles = '["lock", "result"]' if name != "erin" else '["lock"]'
        lines += [f"[keys.{name}]", f'public = "{public.openssh}"', f"roles = {roles}", LINES.get(name, "")]
        for role in ("lock", "result"):
            sign(folder, name, role)
    lines += ["[rules.lock]", "threshold = 1", 'from = ["erin"]']
    lines += ["[rules.result]", "threshold = 1", 'from = ["alice", "bob", "carol", "dan", "erin"]']
    policy = read_policy("\n".join(lines).encode())
    (folder / "allowed").write_text(allowed_signers(policy))
    return folder


def sign(folder: Path, name: str, role: str) -> None:
    with (folder / "message").open("rb") as message:
        done = subprocess.run(
            ["ssh-keygen", "-Y", "sign", "-f", folder / name, "-n", f"evalctl-{role}@w3id.org"],
            stdin=message,
            capture_output=True,
            check=True,
        )
    (folder / f"{name}.{role}.sig").write_bytes(done.stdout)


def accepts(folder: Path, name: str, role: str, moment: datetime) -> bool:
    with (folder / "message").open("rb") as message:
        done = subprocess.run(
            [
                *("ssh-keygen", "-Y", "verify", "-f", folder / "allowed", "-I", name),
                *("-n", namespace("result" if role == "result" else "lock")),
                *("-s", folder / f"{name}.{role}.sig"),
                *("-O", f"verify-time={moment:%Y%m%d%H%M%S}Z"),
            ],
            stdin=message,
            capture_output=True,
            check=False,
            env=ZONE,
        )
    return done.returncode == 0


@pytest.mark.parametrize(
    ("name", "month", "day", "accepted"),
    [
        ("alice", 2, 15, True),
        ("alice", 11, 30, True),
        ("alice", 12, 1, False),
        ("bob", 1, 31, False),
        ("bob", 2, 15, True),
        ("bob", 3, 1, False),
        ("carol", 1, 30, True),
        ("carol", 2, 1, False),
        ("dan", 2, 15, False),
        ("erin", 2, 15, False),
        ("frank", 2, 15, False),
    ],
)
def test_openssh_accepts_who_may_sign_results_in_their_time(
    folder: Path, name: str, month: int, day: int, accepted: bool
) -> None:
    assert accepts(folder, name, "result", datetime(2026, month, day, 1, tzinfo=UTC)) is accepted


def test_openssh_takes_no_signature_for_another_role_s(folder: Path) -> None:
    moment = datetime(2026, 2, 15, tzinfo=UTC)
    assert accepts(folder, "erin", "lock", moment)
    assert not accepts(folder, "alice", "lock", moment)


def test_who_may_sign_nothing_is_left_out_and_the_compromised_named(folder: Path) -> None:
    text = (folder / "allowed").read_text()
    assert "frank" not in text
    assert "# `dan` is left out" in text
