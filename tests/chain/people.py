"""What other people do with a bundle: make keys, launch its lock again, sign what was found."""

import json
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from launcher.spec.reproduction import Reproduction
from launcher.spec.statement import Statement, reproduction_statement
from launcher.trust.dsse import parse_payload
from launcher.trust.key_files import load_signer, new_key
from launcher.trust.sigstore import open_envelope, seal
from tests.conftest import Evalctl
from tests.fakes.world import SmallWorld


def key_of(world: SmallWorld, name: str) -> Path:
    new_key(world.root / name)
    return world.root / name


def trust(evalctl: Evalctl, *keys: Path) -> None:
    for key in keys:
        assert evalctl("trust", "add", f"{key}.pub").code == 0


def reproduced(evalctl: Evalctl, world: SmallWorld, bundle: Path, key: Path, *more: str) -> Path:
    """Launch the lock of `bundle` again under `key`; return the statement."""
    done = evalctl("reproduce", bundle, "--blueprint-dir", world.folder, "--key", key, "--json", *more)
    return Path(json.loads(done.out)["statement"])


def on_kernel(world: SmallWorld, kernel: str) -> None:
    world.engine.facts = replace(world.engine.facts, kernel=kernel)


def verified(evalctl: Evalctl, bundle: Path, *more: str | Path) -> Any:
    return json.loads(evalctl("verify", bundle, "--json", *more).out)


def signed_again(statement: Path, key: Path, **changes: Any) -> bytes:
    """Return the reproduction in `statement`, changed and signed by `key`."""
    read = Statement.from_json(parse_payload(open_envelope(statement.read_bytes()).payload))
    found = replace(Reproduction.from_json(read.predicate), **changes)
    return seal(reproduction_statement(found), load_signer(key))


def contents_of(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def base64_signature(envelope: Any) -> str:
    from base64 import b64encode

    return b64encode(envelope.signature).decode()
