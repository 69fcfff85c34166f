"""Measure evalctl beside its yardsticks, in turn, in one run: ratios, never bare times.

Each round times the candidate and then the yardstick as whole processes; the figure is the median of the
rounds' ratios, with the smallest and the largest beside it. Nothing here passes or fails.
"""

import argparse
import json
import os
import shlex
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
EVALCTL = str(ROOT / ".venv/bin/evalctl")
PYTHON = str(ROOT / ".venv/bin/python")
LAYOUT = ROOT / "images/eval-python/layout"
WRITE = (
    "import sys;open(sys.argv[1],'w').writelines("
    '\'{"id":"%d","prediction":1}\\n\'%n for n in range(int(sys.argv[2])))'
)
CONTAINER = ["python3.11", "-I", "-S", "-c", WRITE]
MANY = 10_000
REPLICATES = 20
LAUNCHES = 50
HARDENED = 10
FLOOD = "import os\nfor _ in range(16384): os.write(1, b'y\\n' * 32768)"
SLEEP_SECONDS = 20
SLEEP = (
    f"import time; time.sleep({SLEEP_SECONDS}); "
    "open('/eval/out/samples.jsonl','w').write('{\"id\":\"0\",\"prediction\":1}\\n')"
)


@dataclass(frozen=True)
class Row:
    """One comparison: what is timed, against what, and the goal for the ratio."""

    name: str
    candidate: Sequence[str]
    yardstick: Sequence[str]
    goal: float
    most_rounds: int = 99


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory(prefix="evalctl-bench-") as folder:
        print(f"{rounds} rounds, {os.cpu_count()} processors, load {os.getloadavg()[0]:.1f}\n")
        head = f"{'what':<42} {'ratio':>6} {'min':>6} {'max':>6} {'goal':>6} {'ms':>7} {'of ms':>7}"
        print(f"{head} {'n':>4} {'load':>6}")
        for row in rows(Path(folder)):
            report(row, rounds)
        figures(Path(folder))


def rows(folder: Path) -> list[Row]:
    """Prepare blueprints and a home in `folder` and return the comparisons."""
    build = warm_build(folder)
    os.environ["EVALCTL_HOME"] = str(folder / "home")
    single, twenty = folder / "single", folder / "twenty"
    write_blueprint(single, [0])
    write_blueprint(twenty, list(range(REPLICATES)))
    write_blueprint(folder / "many", [0], items=MANY)
    for number in range(LAUNCHES):
        text = (single / "blueprint.toml").read_text()
        (single / f"{number}.toml").write_text(f"{text}[config]\nnumber = {number}\n")
    image = engine_image()
    docker = [shutil.which("docker") or "docker", "run", "--rm", "--network", "none"]
    bare = [*docker, image, *CONTAINER, "/tmp/samples.jsonl", "1"]  # noqa: S108 - inside the container
    launch = [EVALCTL, "launch", str(single / "blueprint.toml")]
    bundle = quiet(launch).stdout.strip().splitlines()[-1]
    many = quiet([EVALCTL, "launch", str(folder / "many" / "blueprint.toml")]).stdout.strip().splitlines()[-1]
    launches = [PYTHON, "-m", "scripts.bench_launches", str(single)]
    nothing = [PYTHON, "-c", "pass"]
    side_by_side = f"seq {REPLICATES} | xargs -P2 -I{{}} {shlex.join(bare)}"
    return [
        Row("launch (no-op) / docker run", [*launch, "--rerun"], bare, 2.5),
        Row("20 replicates, 2 at a time / xargs -P2",
            [EVALCTL, "launch", str(twenty / "blueprint.toml"), "--rerun"],
            ["sh", "-c", side_by_side], 2.0),
        Row("--version / python -c pass", [EVALCTL, "--version"], nothing, 2.0),
        Row("--help / python -c pass", [EVALCTL, "--help"], nothing, 10.0),
        Row("validate / python -c pass", [EVALCTL, "validate", launch[2]], nothing, 15.0),
        Row("relaunch of a finished lock / pass", launch, nothing, 20.0),
        Row("verify of a small bundle / pass", [EVALCTL, "verify", bundle], nothing, 20.0),
        Row("report of 10,000 samples / verify of them",
            [EVALCTL, "report", many, "--out", str(folder / "report.html")],
            [EVALCTL, "verify", many], 1.5),
        Row("50 launches of one process / xargs -P2", [*launches, str(LAUNCHES)],
            ["sh", "-c", f"seq {LAUNCHES} | xargs -P2 -I{{}} {shlex.join(bare)}"], 2.0, 3),
        Row("10 launches hardened / not", [*launches, str(HARDENED), "--width", "1"],
            [*launches, str(HARDENED), "--width", "1", "--plain"], 1.05),
        build,
    ]  # fmt: skip


def figures(folder: Path) -> None:
    """Print what is no comparison: the cost of sampling, and the launcher's memory beside a flood."""
    command = {
        "flood": ["python3.11", "-c", FLOOD],
        "sleep": ["python3.11", "-c", SLEEP],
    }
    for name, words in command.items():
        write_blueprint(folder / name, [0], command=words)
    launched = [EVALCTL, "launch", str(folder / "flood" / "blueprint.toml"), "--json"]
    print(f"\nlargest resident set while a run prints 1 GiB: {peak_of(launched) / 2**20:.0f} MiB (goal 150)")
    shutil.copy(folder / "sleep" / "blueprint.toml", folder / "sleep" / "0.toml")
    done = quiet([PYTHON, "-m", "scripts.bench_launches", str(folder / "sleep"), "1"])
    share = json.loads(done.stdout)["sampler_cpu_seconds"] / SLEEP_SECONDS
    one_by_one = [
        PYTHON,
        "-m",
        "scripts.bench_launches",
        str(folder / "single"),
        str(LAUNCHES),
        "--width",
        "1",
    ]
    taken = json.loads(quiet(one_by_one).stdout)
    part, each = taken["ledger_seconds"] / taken["seconds"], taken["ledger_seconds"] / LAUNCHES * 1000
    print(
        f"the ledger's part of {LAUNCHES} launches, one by one: {part:.1%} of their time, {each:.1f} ms each"
    )
    signing = json.loads(quiet([PYTHON, "-m", "scripts.bench_signatures"]).stdout)["alone"]
    share_of = signing / (taken["seconds"] / LAUNCHES * 1000)
    print(
        f"three signatures made and verified: {signing:.2f} ms, {share_of:.2%} of such a launch (goal 0.1%)"
    )
    print(f"sampling one container for {SLEEP_SECONDS} s: {share:.2%} of a core (goal 1%)")


def peak_of(command: Sequence[str]) -> int:
    """Run `command`, which may fail, and return the most bytes that it, alone, had in memory."""
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        _, _, usage = os.wait4(process.pid, 0)
    return usage.ru_maxrss << 10


def warm_build(folder: Path) -> Row:
    """Build an image again elsewhere, with what the user's own home has cached, beside hashing its layers."""
    home = os.environ.get("EVALCTL_HOME")
    own = [f"EVALCTL_HOME={home}"] if home else ["-u", "EVALCTL_HOME"]
    build = ["env", *own, EVALCTL, "image", "build", str(LAYOUT.parent), "--out", str(folder / "layout")]
    quiet(build)
    again = f"rm -r {shlex.quote(str(folder / 'layout'))} && {shlex.join(build)}"
    blobs = f"sha256sum {shlex.quote(str(LAYOUT))}/blobs/sha256/*"
    return Row("image build, warm cache / sha256sum", ["sh", "-c", again], ["sh", "-c", blobs], 1.0)


def report(row: Row, rounds: int) -> None:
    """Time one row and print its line."""
    count = min(rounds, row.most_rounds)
    pairs = [(timed(row.candidate), timed(row.yardstick)) for _ in range(count + 1)][1:]
    ratios = [candidate / yardstick for candidate, yardstick in pairs]
    median = statistics.median(ratios)
    mine = statistics.median(pair[0] for pair in pairs) * 1000
    other = statistics.median(pair[1] for pair in pairs) * 1000
    print(
        f"{row.name:<42} {median:6.2f} {min(ratios):6.2f} {max(ratios):6.2f} {row.goal:6.1f}"
        f" {mine:7.0f} {other:7.0f} {count:4} {os.getloadavg()[0]:6.1f}",
        flush=True,
    )


def timed(command: Sequence[str]) -> float:
    """Run `command` to its end and return the seconds it took."""
    start = time.perf_counter()
    quiet(command)
    return time.perf_counter() - start


def quiet(command: Sequence[str]) -> subprocess.CompletedProcess[str]:
    """Run `command`, which must succeed within two minutes."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, cwd=ROOT)
    if done.returncode:
        sys.exit(f"{shlex.join(command)} exited {done.returncode}:\n{done.stdout}{done.stderr}")
    return done


def engine_image() -> str:
    """Load the image where the engine lacks it and return its Id there."""
    done = quiet([EVALCTL, "image", "load", str(LAYOUT), "--json"])
    return str(json.loads(done.stdout)["id"])


def write_blueprint(
    folder: Path, seeds: list[int], *, items: int = 1, command: Sequence[str] | None = None
) -> None:
    """Write a blueprint that leaves `items` samples a seed, with its code in a git repository."""
    folder.mkdir()
    (folder / "README").write_text("nothing\n")
    git = ["git", "-C", str(folder), "-c", "user.name=bench", "-c", "user.email=bench@example.org"]
    for arguments in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "bench"]):
        quiet([*git, *arguments])
    commit = quiet([*git, "rev-parse", "HEAD"]).stdout.strip()
    digest = json.loads((LAYOUT / "index.json").read_bytes())["manifests"][0]["digest"]
    words = json.dumps(command or [*CONTAINER, "/eval/out/samples.jsonl", str(items)])
    (folder / "blueprint.toml").write_text(f"""schema = "evalctl/blueprint/v1"
[blueprint]
name = "bench/nothing"
version = "1.0.0"
[image]
ref = "oci:{LAYOUT}@{digest}"
[code]
git = "."
commit = "{commit}"
[[data]]
name = "labels"
uri = "labels.jsonl"
sha256 = "{labels(folder, items)}"
role = "held-out"
[run]
command = {words}
seeds = {seeds}
[score]
labels = "labels"
[[metric]]
name = "accuracy"
definition = "accuracy@1"
""")


def labels(folder: Path, items: int) -> str:
    """Write the held-out labels and return their checksum."""
    import hashlib

    data = b"".join(b'{"id":"%d","target":1}\n' % number for number in range(items))
    (folder / "labels.jsonl").write_bytes(data)
    return hashlib.sha256(data).hexdigest()


if __name__ == "__main__":
    main()
