"""An engine in memory: Python callables play the programs, everything else behaves as the port says."""

import os
import signal
import stat
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from msgspec.structs import replace

from launcher.engines.capture import Capture
from launcher.engines.collector import Collector
from launcher.engines.docker_archive import docker_archive
from launcher.engines.engine import (
    CollectedOutputs,
    Console,
    ContainerOutcome,
    ContainerTask,
    EngineFacts,
    Interaction,
    Observer,
    Refusal,
    RefusalReason,
    Thing,
)
from launcher.engines.masking import Masker
from launcher.engines.pods import pod_ended
from launcher.engines.requirements import refuse_unmet
from launcher.environment.probe import differences
from launcher.errors import InfrastructureError
from launcher.sources.layout import Layout
from launcher.spec.image import ImagePins
from launcher.spec.probe import ProbeReport
from launcher.spec.sandbox import SandboxProfile
from tests.fakes.probe import clean_report

FACTS = EngineFacts(
    name="fake",
    version="1.0",
    api_version="1.41",
    runtimes=("runc", "runsc"),
    default_runtime="runc",
    cgroup_version="1",
    cgroup_driver="cgroupfs",
    storage_driver="memory",
    security_options=("name=seccomp,profile=default",),
    limits=("memory", "swap", "cpus", "pids"),
    cpus=4,
    memory=16 << 30,
    kernel="0",
    operating_system="none",
    architecture="x86_64",
)


_FOR_EVER = 10**6


class KilledError(Exception):
    """A program raises it to end by a signal."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


@dataclass
class World:
    """What a program sees: its arguments, environment, mounts (target to folder), outputs and streams.

    `ports` are those on which somebody answers in its network namespace. `stopped` is set when the launcher
    wants the program to end; one that does not look at it is abandoned.
    """

    arguments: tuple[str, ...]
    environment: Mapping[str, str]
    mounts: Mapping[str, Path]
    outputs: Path
    stopped: threading.Event
    stdin: bytes = b""
    ports: set[int] = field(default_factory=set)
    stdout: bytearray = field(default_factory=bytearray)
    stderr: bytearray = field(default_factory=bytearray)


Program = Callable[[World], int]


class FakeEngine:
    """Runs the program named by a command's first word; raise `MemoryError` in it to be out of memory."""

    def __init__(self, programs: Mapping[str, Program], *, facts: EngineFacts = FACTS) -> None:
        self.programs = dict(programs)
        self.facts = facts
        self.images: set[str] = set()
        self.exports: dict[str, bytes] = {}
        self.containers: dict[str, Mapping[str, str]] = {}
        self.networks: dict[str, Mapping[str, str]] = {}
        self.volumes: dict[str, Mapping[str, str]] = {}
        self.tasks: list[ContainerTask] = []
        self.reachable = True
        self.folder: Path | None = None
        self.own_command: tuple[str, ...] = ()
        self.pods: dict[str, FakePod] = {}
        self.weaken: Callable[[ProbeReport], ProbeReport] = lambda report: report

    def describe(self) -> EngineFacts:
        self._answer()
        return self.facts

    def root(self) -> Path | None:
        self._answer()
        return self.folder

    def require(self, profile: SandboxProfile) -> None:
        refuse_unmet(self.describe(), profile)

    def find_image(self, pins: ImagePins) -> str | None:
        self._answer()
        return pins.config if pins.config in self.images else None

    def load_image(self, layout: Layout, pins: ImagePins) -> str:
        self._answer()
        self.images.add(pins.config)
        self.exports[pins.config] = b"".join(docker_archive(layout, pins))
        return pins.config

    @contextmanager
    def export_image(self, image: str) -> Iterator[Iterable[bytes]]:
        self._answer()
        yield [self.exports[image]]

    def run(self, task: ContainerTask, observer: Observer, cancel: threading.Event) -> ContainerOutcome:
        self._answer()
        self.tasks.append(task)
        self.containers[task.name] = task.labels
        started = time.monotonic()
        try:
            with tempfile.TemporaryDirectory() as folder:
                performance = _Performance(task, Path(folder))
                performance.world.ports = self._ports(task)
                report = self.weaken(clean_report(task.profile))
                found = differences(report, task.profile, task.profile.runtime)
                if not found:
                    performance.play(self.programs.get(task.command[0]), cancel)
                performance.tell(observer)
                return replace(performance.outcome(started), probe=report, differences=found)
        finally:
            self.containers.pop(task.name, None)

    def hold(self, task: ContainerTask) -> "FakePod":
        self._answer()
        self.tasks.append(task)
        self.containers[task.name] = task.labels
        pod = FakePod(task, lambda: self.containers.pop(task.name, None))
        self.pods[task.name] = pod
        return pod

    def default_command(
        self, image: str, names: tuple[str, ...], labels: Mapping[str, str]
    ) -> tuple[str, ...]:
        self._answer()
        return next(((name,) for name in names if name in self.programs), self.own_command)

    def interact(self, task: ContainerTask, console: Console, cancel: threading.Event) -> Interaction:
        self._answer()
        self.tasks.append(task)
        self.containers[task.name] = task.labels
        started = time.monotonic()
        try:
            with tempfile.TemporaryDirectory() as folder, console.held():
                performance = _Performance(replace(task, timeout=_FOR_EVER), Path(folder))
                performance.world.ports = self._ports(task)
                performance.world.stdin = b"".join(iter(console.read, b""))
                performance.play(self.programs.get(task.command[0]), cancel)
                console.write(bytes(performance.world.stdout))
                console.write(bytes(performance.world.stderr), error=True)
                return Interaction(
                    exit_code=performance.plain_exit_code,
                    oom_killed=performance.out_of_memory,
                    cancelled=cancel.is_set(),
                    seconds=time.monotonic() - started,
                )
        finally:
            self.containers.pop(task.name, None)

    def find(self, labels: Mapping[str, str], thing: Thing = "container") -> Mapping[str, Mapping[str, str]]:
        self._answer()
        return {name: own for name, own in self._kept(thing).items() if labels.items() <= own.items()}

    def remove(self, ids: Iterable[str], thing: Thing = "container") -> None:
        self._answer()
        for name in list(ids):
            self._kept(thing).pop(name, None)

    def _kept(self, thing: Thing) -> dict[str, Mapping[str, str]]:
        return {"container": self.containers, "network": self.networks, "volume": self.volumes}[thing]

    def close(self) -> None:
        return

    def _ports(self, task: ContainerTask) -> set[int]:
        return self.pods[task.pod.container].ports if task.pod else set()

    def _answer(self) -> None:
        if not self.reachable:
            raise InfrastructureError("the container engine does not answer", code="engine-unreachable")


class FakePod:
    """A network namespace in memory: whoever listens adds the port to `ports`."""

    def __init__(self, task: ContainerTask, gone: Callable[[], object]) -> None:
        self.container = task.name
        self.ports: set[int] = set()
        self.alive = True
        self._wanted = [int(port) for port in task.command[1::3]]
        self._gone = gone

    def answered(self, seconds: float) -> frozenset[int]:
        if not self.alive:
            raise pod_ended("a test ended it")
        time.sleep(min(seconds, 0.01))
        return frozenset(place for place, port in enumerate(self._wanted) if port in self.ports)

    def close(self) -> None:
        self._gone()

    def __enter__(self) -> "FakePod":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _Performance:
    """One run of one program."""

    def __init__(self, task: ContainerTask, folder: Path) -> None:
        self.task = task
        self.world = World(
            arguments=task.command,
            environment={**task.environment, **task.secrets},
            mounts={mount.target: mount.source for mount in task.mounts}
            | ({task.profile.state.path: task.state} if task.state and task.profile.state else {}),
            outputs=folder,
            stopped=threading.Event(),
        )
        self.exit_code: int | None = None
        self.signal: int | None = None
        self.exec_error: str | None = None
        self.stop_reason = ""
        self.out_of_memory = False
        self.fault: BaseException | None = None

    def play(self, program: Program | None, cancel: threading.Event) -> None:
        if program is None:
            self.exec_error = "ENOENT: No such file or directory"
            return
        thread = threading.Thread(target=self._perform, args=(program,), daemon=True)
        deadline = time.monotonic() + self.task.timeout
        thread.start()
        while thread.is_alive():
            thread.join(0.005)
            if thread.is_alive() and (cancel.is_set() or time.monotonic() >= deadline):
                self.stop_reason = "cancel" if cancel.is_set() else "timeout"
                self.world.stopped.set()
                thread.join(1)
                return
        if self.fault is not None:
            raise self.fault

    def _perform(self, program: Program) -> None:
        try:
            self.exit_code = program(self.world)
        except MemoryError:
            self.signal, self.out_of_memory = signal.SIGKILL, True
        except KilledError as killed:
            self.signal = killed.number
        except BaseException as fault:  # noqa: BLE001 - a test's own mistake belongs to the test's thread
            self.fault = fault

    @property
    def plain_exit_code(self) -> int:
        """Return the exit code as an engine gives it: 128 and the signal, 127 for no such program."""
        if self.exec_error:
            return 127
        if self.stop_reason or self.exit_code is None:
            return 128 + (self.signal or signal.SIGKILL)
        return self.exit_code

    def tell(self, observer: Observer) -> None:
        samples = self.world.outputs / "samples.jsonl"
        if samples.is_file() and (count := samples.read_bytes().count(b"\n")):
            observer.samples_so_far(count)

    def outcome(self, started: float) -> ContainerOutcome:
        finished = time.monotonic()
        streams = []
        for name, data in (("stdout", self.world.stdout), ("stderr", self.world.stderr)):
            capture = Capture(
                self.task.logs / name, self.task.log_limit, Masker({**self.task.masked, **self.task.secrets})
            )
            capture.write(bytes(data))
            streams.append(capture.finish())
        return ContainerOutcome(
            exit_code=None if self.stop_reason else self.exit_code,
            signal=None if self.stop_reason else self.signal,
            exec_error=self.exec_error,
            timed_out=self.stop_reason == "timeout",
            cancelled=self.stop_reason == "cancel",
            oom_killed=self.out_of_memory,
            seconds=finished - started,
            cpu_user_seconds=0.0,
            cpu_system_seconds=0.0,
            max_rss_bytes=0,
            outputs=_collected(self.world.outputs, self.task)
            if self.task.keeps_outputs
            else CollectedOutputs(complete=True),
            engine_exit_code=0,
            started=started,
            finished=finished,
            stdout=streams[0],
            stderr=streams[1],
        )


def _collected(folder: Path, task: ContainerTask) -> CollectedOutputs:
    collector = Collector(task.outputs, task.profile.output_bytes)
    for root, folders, files in os.walk(folder):
        for name in sorted(folders + files):
            path = Path(root) / name
            relative = str(path.relative_to(folder))
            facts = path.lstat()
            if stat.S_ISDIR(facts.st_mode):
                continue
            if reason := _objection(facts):
                collector.refuse(Refusal(relative, reason))
            else:
                collector.begin(relative, facts.st_size)
                collector.write(path.read_bytes())
    return collector.finish(complete=True)


def _objection(facts: os.stat_result) -> RefusalReason | None:
    if stat.S_ISLNK(facts.st_mode):
        return "link"
    if not stat.S_ISREG(facts.st_mode):
        return "special"
    if facts.st_nlink != 1:
        return "hard-link"
    return "setuid" if facts.st_mode & (stat.S_ISUID | stat.S_ISGID) else None
