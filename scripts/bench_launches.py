"""Launch many no-op blueprints in one process, two at a time, each with a whole bundle; for `make bench`.

`python -m scripts.bench_launches FOLDER COUNT` launches `FOLDER/0.toml` to `FOLDER/COUNT-1.toml` again and
prints what that took. EVALCTL_HOME says where the bundles go.
"""

import argparse
import json
import sys
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from launcher.engines.engine import ContainerTask, Engine
    from launcher.spec.probe import ProbeReport
    from launcher.spec.sandbox import SandboxProfile

# What makes a container of this project's stricter than one of the engine's own making.
_HARDENED = (
    *("CapDrop", "SecurityOpt", "MaskedPaths", "ReadonlyPaths", "ReadonlyRootfs"),
    *("Ulimits", "PidsLimit", "OomScoreAdj", "MemorySwap"),
)


def main() -> None:
    """Launch, and print one object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("count", type=int)
    parser.add_argument("--width", type=int, default=2)
    parser.add_argument("--plain", action="store_true", help="leave the hardening out")
    arguments = parser.parse_args()
    watch, ledger = _SamplerWatch(), watched_ledger()
    start = time.perf_counter(), time.process_time()
    launch_all(arguments.folder, arguments.count, arguments.width, plain=arguments.plain)
    taken = {
        "seconds": time.perf_counter() - start[0],
        "cpu_seconds": time.process_time() - start[1],
        "sampler_cpu_seconds": watch.stop(),
        "ledger_seconds": sum(ledger),
    }
    json.dump(taken, sys.stdout)


def launch_all(folder: Path, count: int, width: int, *, plain: bool = False) -> None:
    """Launch every blueprint once more, `width` at a time; one that fails is raised."""
    from launcher.cli.connect import connect
    from launcher.cli.signing import read_signer
    from launcher.cli.targets import read_target
    from launcher.launch import launch
    from launcher.report.progress import make_reporter
    from launcher.runs.request import Edges, LaunchRequest
    from launcher.sources.inputs import FetchSettings
    from launcher.store.bundles import is_intact
    from launcher.store.home import find_home

    home = find_home()
    signer = read_signer(home, None)

    def one(number: int) -> None:
        target = read_target(folder / f"{number}.toml", None)
        request = LaunchRequest(target.blueprint, FetchSettings(target.base), rerun=True)
        edges = Edges(home, _plain_engine if plain else connect, signer, make_reporter(quiet=True))
        launched = launch(request, edges)
        failure = json.loads((launched.bundle / "result.json").read_bytes())["failure"]
        if launched.reused or failure or not is_intact(launched.bundle):
            raise RuntimeError(f"{number}: failed ({failure}), not launched anew, or damaged")

    with ThreadPoolExecutor(width) as pool:
        list(pool.map(one, range(count)))


def watched_ledger() -> list[float]:
    """Return a list that gets the seconds of each call that records an attempt or its outcome."""
    from launcher.ledger.book import Book

    seconds: list[float] = []

    def watched(call: Callable[..., Any]) -> Callable[..., Any]:
        def timed(*arguments: Any) -> Any:
            start = time.perf_counter()
            try:
                return call(*arguments)
            finally:
                seconds.append(time.perf_counter() - start)

        return timed

    for name in ("record", "close"):
        setattr(Book, name, watched(getattr(Book, name)))
    return seconds


def _plain_engine() -> "Engine":
    """Return the engine that `connect` would, which asks for none of the hardening."""
    from launcher.cli.connect import address
    from launcher.engines import supervision
    from launcher.engines.docker_engine import DockerEngine

    # The probe runs and reports as ever; nobody minds here that it finds less than the profile asks for.
    vars(supervision)["differences"] = _no_differences
    return DockerEngine(address("docker", {}), _plain_request)


def _no_differences(report: "ProbeReport", profile: "SandboxProfile", runtime: str) -> tuple[str, ...]:
    return ()


def _plain_request(task: "ContainerTask") -> dict[str, Any]:
    from launcher.engines.docker_request import container_request

    request = container_request(task)
    host: Mapping[str, Any] = request["HostConfig"]
    return {**request, "HostConfig": {name: host[name] for name in host if name not in _HARDENED}}


class _SamplerWatch:
    """Adds up the processor time of the threads that sample; one's last few milliseconds may be missed."""

    def __init__(self) -> None:
        self._seen: dict[int, float] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def stop(self) -> float:
        self._stop.set()
        self._thread.join()
        return sum(self._seen.values())

    def _look(self) -> None:
        while not self._stop.wait(0.05):
            for thread in threading.enumerate():
                if thread.name == "sampler" and thread.native_id is not None:
                    self._read(thread.native_id)

    def _read(self, thread: int) -> None:
        try:
            text = Path(f"/proc/self/task/{thread}/schedstat").read_text()
        except OSError:
            return
        self._seen[thread] = int(text.split()[0]) / 1e9


if __name__ == "__main__":
    main()
