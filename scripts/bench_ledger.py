"""Measure reading a large ledger, and what its appends take of a launch; for `make bench`.

Times here are of whole processes but for the share of a launch, which is measured inside the process that
launches: the time that its threads spent in the ledger, beside how long the launches took.
"""

import argparse
import os
import resource
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from launcher.ledger.entries import Attempt, Entry, Outcome

ROOT = Path(__file__).resolve().parent.parent
EVALCTL = str(ROOT / ".venv/bin/evalctl")
ENTRIES = 100_000


def main() -> None:
    """Print how long each command takes over a ledger of so many entries."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--entries", type=int, default=ENTRIES)
    entries = parser.parse_args().entries
    with tempfile.TemporaryDirectory(prefix="evalctl-bench-") as folder:
        os.environ["EVALCTL_HOME"] = str(Path(folder) / "home")
        bundle = make_ledger(Path(folder) / "home", entries)
        print(f"a ledger of {entries:,} entries, load {os.getloadavg()[0]:.1f}\n")
        for words in (
            ["show"],
            ["show", "--json"],
            ["verify"],
            ["prove", str(bundle)],
            ["prove", str(bundle)],
        ):
            seconds, cpu = timed([EVALCTL, "ledger", *words])
            each = cpu / entries * 1e6
            name = " ".join(words[:1] + words[1:2] * (words[0] == "show"))
            print(f"ledger {name:<12} {seconds:7.2f} s  {cpu:7.2f} s of CPU  {each:7.1f} µs of CPU an entry")


def make_ledger(home: Path, size: int) -> Path:
    """Write a home with a ledger of `size` entries; return a folder that looks like its last bundle."""
    from launcher.digest import sha256_hex
    from launcher.ledger.book import Book
    from launcher.ledger.entries import entry_bytes
    from launcher.ledger.tiles import ENTRIES as BUNDLE
    from launcher.ledger.tiles import WIDTH, Tile, pack_entries
    from launcher.spec.bundle import REQUIRED, REQUIRED_ATTESTATIONS, SUMS
    from launcher.store.home import Home

    sums = f"{sha256_hex(b'')}  result.json\n".encode()
    book = Book(Home(home))
    book.seal()
    *entries, last, ended = _entries(size // 2 * 2, sha256_hex(sums))
    for start in range(0, len(entries), WIDTH):
        group = [entry_bytes(entry) for entry in entries[start : start + WIDTH]]
        path = book.path / Tile(BUNDLE, start // WIDTH, len(group)).path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(pack_entries(group))
    # The last attempt is recorded as ever, so that there are counts of all.
    book.record(cast("Attempt", last))
    book.close(lambda _: cast("Outcome", ended))
    bundle = home.parent / "bundle"
    (bundle / "attestations").mkdir(parents=True)
    for name in (*REQUIRED, *REQUIRED_ATTESTATIONS):
        (bundle / name).write_bytes(b"{}")
    (bundle / SUMS).write_bytes(sums)
    return bundle


def _entries(size: int, last: str) -> "Iterator[Entry]":
    """Yield attempts of five blueprints and their outcomes, in turn."""
    from launcher.digest import sha256_hex
    from launcher.ledger.entries import Attempt, Outcome
    from launcher.spec.predicates import Suite
    from launcher.trust.key_files import load_signer, new_key

    with tempfile.TemporaryDirectory() as folder:
        new_key(Path(folder) / "key")
        signer = load_signer(Path(folder) / "key").public.fingerprint
    for index in range(0, size, 2):
        number = index // 2
        attempt = Attempt(
            lock="sha256:" + sha256_hex(b"lock %d" % number),
            suite=Suite(f"acme/suite-{number % 5}", "1.0.0"),
            data=(sha256_hex(b"data"),),
            metrics={"accuracy@1": ("accuracy",), "f1@1": ("macro-f1",)},
            attempt=1,
            position=number // 5 + 1,
            invocation_id=f"{number:032x}",
            time="2026-11-20T11:00:00Z",
            signer=signer,
        )
        yield attempt
        digest = last if index + 2 >= size else sha256_hex(b"bundle %d" % number)
        time_ended = "2026-11-20T11:01:00Z"
        yield Outcome(index, attempt.sha256, time_ended, "succeeded", None, "pass", f"sha256:{digest}")


def timed(command: Sequence[str]) -> tuple[float, float]:
    """Run a command; return its wall and CPU seconds."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    seconds, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    return seconds, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


if __name__ == "__main__":
    main()
