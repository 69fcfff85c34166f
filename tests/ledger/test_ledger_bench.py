"""The measurement of a large ledger, of a small one."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_every_command_of_the_measurement_answers() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "scripts.bench_ledger", "--entries", "600"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    lines = [line for line in done.stdout.splitlines() if line.startswith("ledger ")]
    assert [line.split()[1] for line in lines] == ["show", "show", "verify", "prove", "prove"]
