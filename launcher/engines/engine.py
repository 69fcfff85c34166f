"""The port to container engines: what one is asked to run, what it answers, and the Protocol between."""

import threading
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

from msgspec import Struct, field

from launcher.engines.pods import Pod, PodLink
from launcher.spec.image import ImagePins
from launcher.spec.probe import ProbeReport
from launcher.spec.sandbox import SandboxProfile
from launcher.spec.usage import Usage

if TYPE_CHECKING:
    from launcher.sources.layout import Layout

ATTEMPT_LABEL = "evalctl.attempt"
HOME_LABEL = "evalctl.home"
REPLICATE_LABEL = "evalctl.replicate"

# What an engine keeps that carries labels, in the order in which it can be removed.
Thing = Literal["container", "network", "volume"]
THINGS: tuple[Thing, ...] = ("container", "network", "volume")

# Who puts GPUs into a container: the engine's own hook, or a device specification (CDI).
GpuDriver = Literal["nvidia", "cdi"]

RefusalReason = Literal[
    "name", "depth", "link", "hard-link", "special", "setuid", "size", "count", "unreadable", "case"
]


class Mount(Struct, frozen=True):
    """A file or folder of this host that the container sees read-only at `target`."""

    source: Path
    target: str


class ContainerTask(Struct, frozen=True):
    """One container to run once: `image` is the engine's own image id, never a tag; `timeout` is in seconds.

    `outputs` and `logs` are empty folders of the caller; the logs become `stdout` and `stderr` there, and
    `log_limit` bytes of each are kept. `secrets` join the command's environment inside the container, stand
    in no record of the engine, and win over `environment`; the logs show neither them nor `masked`, which
    other containers may tell it. `state` is a folder that the container may write to, where its profile has
    one; whoever asks for the run watches it. `pod` is whose network namespace it joins, instead of one of its
    own; without `keeps_outputs` nothing of `/eval/out` is handed over. The
    container is kept to the processors of `cpuset` (as Linux lists them; empty: to none) and gets the GPUs,
    or slices of GPUs, of these UUIDs through `gpu_driver`.
    """

    name: str
    image: str
    command: tuple[str, ...]
    environment: Mapping[str, str]
    working_directory: str
    mounts: tuple[Mount, ...]
    profile: SandboxProfile
    labels: Mapping[str, str]
    timeout: float
    outputs: Path
    logs: Path
    log_limit: int
    secrets: Mapping[str, str] = field(default_factory=dict)
    masked: Mapping[str, str] = field(default_factory=dict)
    state: Path | None = None
    pod: PodLink | None = None
    keeps_outputs: bool = True
    cpuset: str = ""
    gpus: tuple[str, ...] = ()
    gpu_driver: GpuDriver = "nvidia"


class OutputFile(Struct, frozen=True):
    """One file of `/eval/out` that was copied; `path` is relative, with `/` between its parts."""

    path: str
    size: int


class Refusal(Struct, frozen=True):
    """One thing in `/eval/out` that was not copied; odd bytes of `path` stand as `%XX`."""

    path: str
    reason: RefusalReason


class Room(Struct, frozen=True):
    """What was free in a scratch folder when the command had ended; None: it has no such bound."""

    path: str
    free_bytes: int | None
    free_inodes: int | None

    @property
    def is_full(self) -> bool:
        """Say whether nothing more could be written, or made, there."""
        return self.free_bytes == 0 or self.free_inodes == 0


class CollectedOutputs(Struct, frozen=True):
    """What came out, sorted by path; `complete` is False where the hand-over broke off."""

    files: tuple[OutputFile, ...] = ()
    refused: tuple[Refusal, ...] = ()
    bytes: int = 0
    complete: bool = False


class CapturedLog(Struct, frozen=True):
    """One captured stream: `captured` bytes are in the file, `total` were written."""

    captured: int = 0
    total: int = 0

    @property
    def truncated(self) -> bool:
        """Say whether bytes were left out."""
        return self.captured < self.total


class ContainerStep(Struct, frozen=True):
    """One thing done to a container: when it began, in monotonic seconds, and how long it took."""

    name: Literal["create", "start", "collect"]
    began: float
    seconds: float


class ContainerOutcome(Struct, frozen=True):
    """What became of a container, from facts alone.

    `exit_code`, `signal` and `exec_error` are the command's own end as its parent saw it; all None means that
    the launcher stopped it (`timed_out`, `cancelled`) or, where neither is set, that the container ended
    without a report. `oom_killed` is the engine's word. `seconds` is the command's wall time; `started` and
    `finished` are monotonic seconds around the container. `engine_exit_code` is the first process's, not the
    command's, None where nobody had to ask. `probe` is what the sandbox let its first process do before the
    command was started; `differences` say how that is more than the profile allows: then it never was.
    """

    exit_code: int | None
    signal: int | None
    exec_error: str | None
    timed_out: bool
    cancelled: bool
    oom_killed: bool
    seconds: float
    cpu_user_seconds: float
    cpu_system_seconds: float
    max_rss_bytes: int
    outputs: CollectedOutputs
    engine_exit_code: int | None
    started: float
    finished: float
    stdout: CapturedLog = CapturedLog()
    stderr: CapturedLog = CapturedLog()
    room: tuple[Room, ...] = ()
    usage: Usage = Usage()
    steps: tuple[ContainerStep, ...] = ()
    probe: ProbeReport | None = None
    differences: tuple[str, ...] = ()


class Console(Protocol):
    """A person's, or a pipe's, side of an interactive container."""

    @property
    def is_terminal(self) -> bool:
        """Whether both ends are a terminal: then the container gets one, and its bytes pass unchanged."""

    @property
    def descriptor(self) -> int | None:
        """What to poll for input; None where there is none, or no more."""

    @property
    def size(self) -> tuple[int, int]:
        """The terminal's rows and columns now."""

    def held(self) -> AbstractContextManager[None]:
        """Hand every key on inside the block; the terminal is then as it was before."""

    def read(self) -> bytes:
        """Return input that has come; b"" at its end, after which there is no descriptor."""

    def write(self, data: bytes, *, error: bool = False) -> bool:
        """Show output; return False once nobody reads it any more."""


class Interaction(Struct, frozen=True):
    """How an interactive container ended; `exit_code` is the engine's, None where it did not say."""

    exit_code: int | None
    oom_killed: bool
    cancelled: bool
    seconds: float


class EngineFacts(Struct, frozen=True):
    """What an engine says of itself and its host; `limits` are the bounds it can enforce.

    `gpu_driver` is what puts GPUs into containers, `nvproxy` says that its runsc passes them on.
    """

    name: str
    version: str
    api_version: str
    runtimes: tuple[str, ...]
    default_runtime: str
    cgroup_version: str
    cgroup_driver: str
    storage_driver: str
    security_options: tuple[str, ...]
    limits: tuple[str, ...]
    cpus: int
    memory: int
    kernel: str
    operating_system: str
    architecture: str
    components: Mapping[str, str] = field(default_factory=dict)
    gpu_driver: GpuDriver = "nvidia"
    nvproxy: bool = False


class Observer(Protocol):
    """Somebody who watches a run."""

    def samples_so_far(self, count: int) -> None:
        """Take note that `/eval/out/samples.jsonl` has `count` lines; a claim, for display only."""


class Engine(Protocol):
    """A container engine; safe to use from several threads."""

    def describe(self) -> EngineFacts:
        """Return what the engine says of itself.

        Raises `InfrastructureError` (`engine-unreachable`) when it does not answer.
        """

    def root(self) -> Path | None:
        """Return the folder on the engine's machine where it keeps images, None where it does not say."""

    def require(self, profile: SandboxProfile) -> None:
        """Raise `RequirementError` unless this engine and host can apply `profile` whole."""

    def find_image(self, pins: ImagePins) -> str | None:
        """Return the engine's id of an image proven to be `pins`, or None."""

    def load_image(self, layout: "Layout", pins: ImagePins) -> str:
        """Load an OCI image layout, prove it is `pins`, and return the engine's id of it."""

    def export_image(self, image: str) -> AbstractContextManager[Iterable[bytes]]:
        """Give an image's layers inside the block, as the tar that `docker save` writes.

        Raises `InfrastructureError`, also while the bytes are read.
        """

    def run(self, task: ContainerTask, observer: Observer, cancel: threading.Event) -> ContainerOutcome:
        """Run one container to its end, or to its timeout or `cancel`, and remove it.

        Raises `InfrastructureError` for the engine's own failures, `RequirementError` for a missing runtime.
        """

    def hold(self, task: ContainerTask) -> Pod:
        """Start a pod: a container of our own program alone, which holds an empty network namespace.

        The task's command is the program's (`pod/pod.c`). Raises what `run` raises.
        """

    def default_command(
        self, image: str, names: tuple[str, ...], labels: Mapping[str, str]
    ) -> tuple[str, ...]:
        """Return the first of `names` that the image's search path has, else its own command, perhaps ()."""

    def interact(self, task: ContainerTask, console: Console, cancel: threading.Event) -> Interaction:
        """Run one container with `console` at its ends, until it ends or `cancel`, and remove it.

        The sandbox is that of `run`, but nothing is collected, and the task's timeout does not count. The
        container ends when this process dies. Its exit code is the command's, 126 or 127 where that could
        not be started, 128 and the signal that ended it.
        """

    def find(self, labels: Mapping[str, str], thing: Thing = "container") -> Mapping[str, Mapping[str, str]]:
        """Return the things that carry all of `labels`, containers running or not: id to its labels."""

    def remove(self, ids: Iterable[str], thing: Thing = "container") -> None:
        """Remove things, containers by killing them; one that is gone already is no fault."""

    def close(self) -> None:
        """Finish what is under way in the background and drop all connections."""
