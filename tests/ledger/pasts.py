"""Copies of ledgers, and policies that pin them: what witnesses, verifiers and forgers have in hand."""

import json
import shutil
from pathlib import Path
from typing import Any

from launcher.trust.keys import PublicKey
from launcher.trust.policy_edit import initial_policy
from tests.conftest import Evalctl
from tests.fakes.world import SmallWorld
from tests.trust.sealed_bundle import NOW


def shown(evalctl: Evalctl) -> Any:
    return json.loads(evalctl("ledger", "show", "--json").out)


def keep(folder: Path, place: Path) -> Path:
    return Path(shutil.copytree(folder, place))


def words(text: str) -> str:
    """The text without the breaks of its lines."""
    return " ".join(text.split())


def pinned(world: SmallWorld, origin: str, witnesses: str = "", *, of_key: bool = True) -> Path:
    """A policy that trusts the world's key, with a ledger of this origin."""
    text = initial_policy("me", world.signer.public, NOW)
    if of_key:
        text = text.replace("[keys.me]\n", '[keys.me]\nledger = "ours"\n')
    line = PublicKey("ssh-ed25519", bytes.fromhex(origin[-64:])).openssh
    path = world.root / "pinned.toml"
    path.write_text(f'{text}\n[ledgers.ours]\norigin = "{origin}"\npublic = "{line}"\n{witnesses}')
    return path
