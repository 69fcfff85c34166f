"""The plan: what a launch would run, fetch and need on this machine, as far as it is known beforehand."""

from collections.abc import Mapping
from typing import Any, Literal

from msgspec import Struct, field

from launcher.spec.image import ImagePins

# `cached`: in this home; `local`: a file here, to be copied; `remote`: to be fetched from a server.
Whereabouts = Literal["cached", "local", "remote", "missing"]
MountKind = Literal["launcher", "code", "input", "config", "predictions", "state"]
PlaceStatus = Literal["holds it", "lacks it", "absent", "broken", "not asked"]


class PlannedPlace(Struct, frozen=True):
    """One place of an image, what was found there, and why where it is `broken` or not asked."""

    place: str
    status: PlaceStatus
    detail: str = ""


class PlannedImage(Struct, frozen=True):
    """The image: its pins where a layout or the cache tells them, its places, and the engine's word.

    `id` is the engine's, None where it lacks the image; `in_engine` is None where no engine was asked.
    `size` is the bytes of the layers in the layout it would be loaded from.
    """

    digest: str
    platform: str
    pins: ImagePins | None
    places: tuple[PlannedPlace, ...]
    size: int | None = None
    in_engine: bool | None = None
    id: str | None = None

    @property
    def is_sound(self) -> bool:
        """Whether its pins are known and no place holds other bytes than they say."""
        return self.pins is not None and all(place.status != "broken" for place in self.places)

    @property
    def bytes_to_load(self) -> int | None:
        """What the engine would be sent; None where that is not known."""
        return 0 if self.in_engine else self.size


class PlannedCode(Struct, frozen=True):
    """The commit and where its tree is."""

    commit: str
    git: str
    status: Whereabouts


class PlannedInput(Struct, frozen=True):
    """An input and where it is; `size` is None where nobody has said it yet."""

    name: str
    kind: str
    role: str
    uri: str
    sha256: str
    status: Whereabouts
    size: int | None

    @property
    def bytes_to_fetch(self) -> int | None:
        """What must still be brought here; None where its size is not known."""
        return 0 if self.status == "cached" else self.size


class PlannedMount(Struct, frozen=True):
    """One thing of this host that the container sees: read-only, but for the state of a resumable run."""

    kind: MountKind
    source: str
    target: str


class PlannedGpu(Struct, frozen=True):
    """A GPU, or a slice of one, that a container would be given."""

    uuid: str
    name: str
    memory: int


class PlannedGpus(Struct, frozen=True):
    """What a container asks for in words, and would be given; `waits`: others hold it.

    `service` is its name, empty for the phase's own container.
    """

    phase: Literal["run", "score"]
    asked: str
    given: tuple[PlannedGpu, ...]
    waits: bool = False
    service: str = ""


class PlannedEngine(Struct, frozen=True):
    """The engine that answered."""

    name: str
    version: str
    cpus: int
    memory: int
    runtimes: tuple[str, ...]


class Unmet(Struct, frozen=True):
    """Something that the engine or its host cannot give, with what to do about it."""

    what: str
    fix: str


class Finished(Struct, frozen=True):
    """A finished run of the lock by this home's key: a launch returns its bundle and runs nothing."""

    bundle: str
    attempt: int


class Cost(Struct, frozen=True):
    """What past runs of the lock took: `(least, most)` over `runs` of them, as their bundles say."""

    source: Literal["bundle", "store"]
    runs: int
    wall_seconds: tuple[float, float] | None
    cpu_seconds: tuple[float, float]
    max_rss_bytes: tuple[int, int]
    output_bytes: tuple[int, int]


class Disk(Struct, frozen=True):
    """Bytes that must be free: in the home for inputs and for one attempt at the most, in the engine's root.

    `unknown` names what has no known size and is in no sum.
    """

    inputs: int
    attempt: int
    engine: int
    unknown: tuple[str, ...] = ()


class PlannedContainer(Struct, frozen=True):
    """One container of the first replicate; `request` is what the engine is asked, `timeout` in seconds.

    `service` names the service that it is, empty for the phase's own; such a one may take `timeout` to be
    ready, and `ready` is the address that says so.
    What a launch draws or a fetch tells stands in it as a word: INVOCATION, ATTEMPT, LOCK, HOME, COMMIT_TIME.
    """

    phase: Literal["run", "score"]
    command: tuple[str, ...]
    working_directory: str
    timeout: int
    environment: Mapping[str, str]
    mounts: tuple[PlannedMount, ...]
    sandbox: Mapping[str, Any]
    request: Mapping[str, Any]
    service: str = ""
    ready: str = ""


class Plan(Struct, frozen=True):
    """What a launch would do; `lock` is None where it is known only when `to_fetch_first` is here.

    Each of `seeds` gets the `containers`, one after the other, services before the container that they stand
    beside; `services` are their images by name. `unmet` says what the engine cannot give.
    """

    name: str
    version: str
    lock: str | None
    to_fetch_first: tuple[str, ...]
    finished: Finished | None
    image: PlannedImage
    code: PlannedCode
    inputs: tuple[PlannedInput, ...]
    seeds: tuple[int, ...]
    parallel: int | None
    containers: tuple[PlannedContainer, ...]
    gpu: Mapping[str, Any] | None
    metrics: tuple[Mapping[str, Any], ...]
    disk: Disk
    cost: Cost | None
    engine: PlannedEngine | None
    no_engine: str
    unmet: tuple[Unmet, ...]
    services: Mapping[str, PlannedImage] = field(default_factory=dict)
    gpus: tuple[PlannedGpus, ...] = ()

    @property
    def seconds_for_one(self) -> int:
        """How long one replicate may take, the services' start included."""
        own = sum(container.timeout for container in self.containers if not container.service)
        waits = {"run": 0, "score": 0}
        for container in self.containers:
            if container.service and container.ready:
                waits[container.phase] = max(waits[container.phase], container.timeout)
        return own + sum(waits.values())

    def as_json(self) -> dict[str, Any]:
        """Return the object of `plan --json`."""
        from msgspec import to_builtins

        value: dict[str, Any] = to_builtins(self)
        value["image"]["bytes_to_load"] = self.image.bytes_to_load
        for item, shown in zip(self.inputs, value["inputs"], strict=True):
            shown["bytes_to_fetch"] = item.bytes_to_fetch
        value["longest_seconds"] = self.longest_seconds
        return value

    @property
    def longest_seconds(self) -> int | None:
        """How long the replicates may take together; None where no engine says how many run at once."""
        if self.parallel is None:
            return None
        return -(-len(self.seeds) // self.parallel) * self.seconds_for_one
