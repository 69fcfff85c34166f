"""What `trust show` says of a policy's rarer tables."""

import json
from pathlib import Path

from tests.conftest import Evalctl
from tests.trust.sealed_bundle import ALICE, BOB

TEXT = f"""version = 1
expires = 2099-01-01T00:00:00Z
[keys.alice]
public = "{ALICE.public.openssh}"
roles = ["result"]
ledger = "team"
[rules.result]
threshold = 1
from = ["alice"]
[ledgers.team]
origin = "example.org/team"
public = "{BOB.public.openssh}"
"""


def test_a_pinned_ledger_is_shown_with_whom_it_counts(evalctl: Evalctl, tmp_path: Path) -> None:
    policy = tmp_path / "policy.toml"
    policy.write_text(TEXT)
    shown = evalctl("trust", "show", "--trust", policy)
    assert shown.code == 0, shown.err
    assert "    its attempts are counted by the ledger `team`\n" in shown.out
    line = f"  team: example.org/team, signed by {BOB.public.fingerprint}, no witness is asked for\n"
    assert f"ledgers:\n{line}" in shown.out
    said = json.loads(evalctl("trust", "show", "--trust", policy, "--json").out)
    assert said["keys"][0]["ledger"] == "team"
    assert said["ledgers"]["team"]["origin"] == "example.org/team"
    assert said["expires"] == "2099-01-01T00:00:00Z"
