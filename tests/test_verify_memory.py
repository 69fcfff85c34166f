"""`verify` takes bounded memory, whatever a bundle holds: measured in a process of its own."""

import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from launcher.errors import CheckFailedError
from launcher.spec.bundle import MAX_PARSED_BYTES, refuse_swollen
from tests.fakes.forgery import reseal
from tests.fakes.world import SmallWorld

ROOT = Path(__file__).resolve().parents[1]
METER = ROOT / "tests" / "bundles" / "meter.py"
LIMIT = 256 << 20
SAMPLES = 200_000


def verified(bundle: Path, key: Path) -> tuple[int, int]:
    """Return the exit code and the largest resident set of `evalctl verify` in bytes."""
    command = [sys.executable, METER, Path(sysconfig.get_path("scripts"), "evalctl"), "verify", bundle]
    done = subprocess.run([*command, "--key", key], capture_output=True, timeout=300, check=False)
    return done.returncode, int(done.stderr.splitlines()[-1])


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["labels", "unique", "scores"])
def test_many_samples_are_verified_in_bounded_memory(kind: str, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "scripts.bench_bundles", kind, str(SAMPLES), "0", str(tmp_path)]
    made = subprocess.run(command, check=True, capture_output=True, timeout=300, cwd=ROOT, text=True)
    bundle, key = made.stdout.split()
    code, peak = verified(Path(bundle), Path(key))
    assert code == 0
    assert peak < LIMIT // 2


@pytest.mark.parametrize(
    "data",
    [
        b'{"a":"' + b"x" * (MAX_PARSED_BYTES // 4 - 100_000) + "🙂".encode() + b'"}',
        b"{" + b",".join(b'"%x":{}' % number for number in range(240_000)) + b"}",
    ],
    ids=["wide text", "many names"],
)
def test_a_record_that_swells_is_read_in_bounded_memory(world: SmallWorld, data: bytes) -> None:
    bundle = world.launch().bundle
    (bundle / "environment.json").write_bytes(data)
    reseal(bundle, world.signer)
    code, peak = verified(bundle, Path(f"{world.home.default_key}.pub"))
    assert code == 1
    assert peak < LIMIT


@pytest.mark.parametrize("character", ["🙂", "\\uD83D\\uDE42", "語", "\\u8a9e"])
def test_wide_text_counts_as_what_it_takes_in_memory(character: str) -> None:
    width = 4 if "D83D" in character or ord(character[0]) > 0xFFFF else 2
    data = b"x" * (MAX_PARSED_BYTES // width) + character.encode()
    with pytest.raises(CheckFailedError, match="too much text"):
        refuse_swollen({"environment.json": data})
    refuse_swollen({"environment.json": data[100:]})
    refuse_swollen({"environment.json": b"x" * (MAX_PARSED_BYTES - 1)})


def test_records_are_bounded_together() -> None:
    half = b"[" + b"1," * 260_000 + b"1]"
    refuse_swollen({"result.json": half})
    with pytest.raises(CheckFailedError, match="more than 500000 values"):
        refuse_swollen({"result.json": half, "environment.json": half})
