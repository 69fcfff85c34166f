"""Measure `verify` of large bundles beside reading and hashing the same bytes, in turn, in one run."""

import hashlib
import json
import os
import statistics
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from scripts.bench_signatures import signing_cost

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sysconfig.get_path("scripts"))
MODEL_SIGNING = "model-signing==1.1.1"
FILES = 20_000
FILE_BYTES = 16 << 10
LARGE = 8
LARGE_BYTES = 512 << 20
SAMPLES = 1_000_000


@dataclass(frozen=True)
class Comparison:
    """What is timed beside what, as whole processes, and the goal for the ratio of their times."""

    name: str
    candidate: Sequence[str]
    yardstick: Sequence[str]
    goal: str


def main() -> None:
    """Print a line for each comparison; with the name of a yardstick, be that yardstick."""
    if len(sys.argv) == 3:
        YARDSTICKS[sys.argv[1]](Path(sys.argv[2]))
        return
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    with tempfile.TemporaryDirectory(prefix="evalctl-bench-verify-") as folder:
        print(f"{rounds} rounds, {os.cpu_count()} processors, load {os.getloadavg()[0]:.1f}")
        print(
            "time and processor time: median ratio (smallest..largest); resident set: the largest\n",
            flush=True,
        )
        for comparison in comparisons(Path(folder)):
            report(comparison, rounds)
    signing = signing_cost()
    print(f"\nthree signatures made and verified: {signing.alone:.2f} ms of processor time")
    print(f"three attestations made, read and judged whole: {signing.whole:.2f} ms of processor time")


def comparisons(folder: Path) -> list[Comparison]:
    """Make the bundles in `folder`."""
    found = []

    def add(name: str, bundle: tuple[Path, Path], yardstick: Sequence[str] | None, goal: str) -> None:
        if yardstick:
            found.append(Comparison(name, verify(*bundle), yardstick, goal))

    for kind, said in (("labels", "1,000,000 answers"), ("scores", "1,000,000 scores")):
        bundle = made(folder / kind, kind, SAMPLES, 0)
        add(f"{said} / json.loads and sha256", bundle, yardstick("lines", bundle[0]), "<= 1.5")
    bundle = made(folder / "files", "files", FILES, FILE_BYTES)
    add(f"{FILES:,} files / hashlib", bundle, yardstick("one", bundle[0]), "<= 1.5")
    add(f"{FILES:,} files / model_signing verify", bundle, model_signing(folder, bundle[0]), "<= 0.25")
    bundle = made(folder / "large", "files", LARGE, LARGE_BYTES)
    add("4 GiB in 8 files / all processors", bundle, yardstick("all", bundle[0]), "<= 1.25")
    return found


def verify(bundle: Path, key: Path) -> list[str]:
    """Return the command that verifies a bundle."""
    return [str(BIN / "evalctl"), "verify", str(bundle), "--key", str(key)]


def yardstick(name: str, bundle: Path) -> list[str]:
    """Return the command that is one of the yardsticks below."""
    return [sys.executable, "-m", "scripts.bench_verify", name, str(bundle)]


def made(folder: Path, kind: str, count: int, size: int) -> tuple[Path, Path]:
    """Make a bundle in a process of its own; return its path and its key's."""
    folder.mkdir()
    command = [sys.executable, "-m", "scripts.bench_bundles", kind, str(count), str(size), str(folder)]
    bundle, key = run(command).stdout.decode().split()
    return Path(bundle), Path(key)


def model_signing(folder: Path, bundle: Path) -> list[str] | None:
    """Install model_signing under build/, sign the bundle's folder with it and return its verification."""
    home = ROOT / "build/bench-model-signing"
    tool = home / "bin/model_signing"
    private, public, signature = folder / "key.pem", folder / "public.pem", folder / "model.sig"
    try:
        if not tool.exists():
            run([sys.executable, "-m", "venv", str(home)])
            run([str(home / "bin/pip"), "install", "--quiet", MODEL_SIGNING, "pyopenssl"])
        run(["openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", str(private)])
        run(["openssl", "ec", "-in", str(private), "-pubout", "-out", str(public)])
        signed = ["--signature", str(signature), str(bundle)]
        run([str(tool), "sign", "key", "--private_key", str(private), *signed])
    except (subprocess.CalledProcessError, OSError) as error:
        print(f"model_signing is not to be had here: {str(error)[:200]}", flush=True)
        return None
    return [str(tool), "verify", "key", "--public_key", str(public), *signed]


def report(comparison: Comparison, rounds: int) -> None:
    """Time both in turn and print the line of one comparison."""
    pairs = [(timed(comparison.candidate), timed(comparison.yardstick)) for _ in range(rounds + 1)][1:]
    shown = []
    for index in (0, 1):
        ratios = [mine[index] / other[index] for mine, other in pairs]
        shown.append(f"{statistics.median(ratios):5.2f} ({min(ratios):.2f}..{max(ratios):.2f})")
    largest = max(mine[2] for mine, _ in pairs)
    print(
        f"{comparison.name:<42} {shown[0]}  cpu {shown[1]}  goal {comparison.goal}  {largest >> 20} MiB",
        flush=True,
    )


def timed(command: Sequence[str]) -> tuple[float, float, int]:
    """Return the seconds, the processor's seconds and the largest resident set of a process that succeeds."""
    start = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=ROOT) as process:
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"{command} exited {process.returncode}")
    return time.perf_counter() - start, usage.ru_utime + usage.ru_stime, usage.ru_maxrss << 10


def run(command: Sequence[str]) -> subprocess.CompletedProcess[bytes]:
    """Run a command that must succeed."""
    return subprocess.run(command, check=True, capture_output=True, timeout=900, cwd=ROOT)


def read_lines(bundle: Path) -> None:
    """Parse each line of the samples with the standard library, and hash their bytes."""
    state = hashlib.sha256()
    with (bundle / "samples.jsonl").open("rb") as stream:
        for line in stream:
            state.update(line)
            json.loads(line)


def hash_one_by_one(bundle: Path) -> None:
    """Hash every file with hashlib."""
    for path in files_of(bundle):
        hash_file(path)


def hash_side_by_side(bundle: Path) -> None:
    """Hash every file with hashlib, on all processors."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(hash_file, files_of(bundle)))


def files_of(bundle: Path) -> list[Path]:
    """Return the path of every file."""
    return [Path(folder, name) for folder, _, names in os.walk(bundle) for name in names]


def hash_file(path: Path) -> str:
    """Return the SHA-256 of one file."""
    with path.open("rb", buffering=0) as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


YARDSTICKS: dict[str, Callable[[Path], None]] = {
    "lines": read_lines,
    "one": hash_one_by_one,
    "all": hash_side_by_side,
}

if __name__ == "__main__":
    main()
