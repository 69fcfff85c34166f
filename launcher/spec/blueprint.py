"""The blueprint: what a person writes, as frozen values with every default filled in.

Field names are the TOML keys with `-` as `_`. Sizes are bytes, durations whole seconds. The reader that
turns TOML into these values, with places and advice, is `launcher.spec.reading`.
"""

from collections.abc import Mapping
from datetime import date
from typing import Any, Final, Literal, get_args

from msgspec import Struct, field

from launcher.spec.image import PLATFORM

SCHEMA = "evalctl/blueprint/v1"

KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30
MAX_DECIMALS = 15

Determinism = Literal["bitwise", "sample", "metric"]
Unpack = Literal["none", "zst", "gz", "tar", "zip"]
Direction = Literal["higher", "lower"]
# Weakest first.
Runtime = Literal["runc", "runsc"]
RUNTIMES: Final[tuple[Runtime, ...]] = get_args(Runtime)


class About(Struct, frozen=True):
    """`[blueprint]`: what this evaluation is called and why it is as it is."""

    name: str
    version: str
    title: str = ""
    license: str = ""
    authors: tuple[str, ...] = ()
    cite: str = ""
    rationale: str = ""
    supersedes: str | None = None


class ImageReference(Struct, frozen=True):
    """One place an image may be had: `REGISTRY/NAME` or an OCI layout (`oci:PATH`)."""

    transport: Literal["registry", "oci"]
    location: str


class Image(Struct, frozen=True):
    """`[image]`: the container image, named by the digest of its manifest or index."""

    ref: str
    digest: str
    places: tuple[ImageReference, ...]
    platform: str = PLATFORM


class Code(Struct, frozen=True):
    """`[code]`: a commit, where its repository or `git bundle` is, and the working directory inside."""

    git: str
    commit: str
    path: str = ""
    lockfiles: tuple[str, ...] = ()


class Window(Struct, frozen=True):
    """The period the data speaks for."""

    from_: date | None = None
    to: date | None = None


class Lineage(Struct, frozen=True):
    """`derived-from`: how an input was made from others, so that it can be replayed."""

    data: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    image: str | None = None


class Input(Struct, frozen=True):
    """`[[data]]` or `[[model]]`: bytes by checksum; `uri` only says where they may be found."""

    kind: Literal["data", "model"]
    name: str
    uri: str
    sha256: str
    size: int | None = None
    unpack: Unpack = "none"
    license: str = ""
    access: Literal["public", "gated", "private"] = "public"
    split: Literal["train", "validation", "test", "other"] = "other"
    version: str = ""
    window: Window | None = None
    role: Literal["input", "held-out"] = "input"
    variant_of: str | None = None
    derived_from: Lineage | None = None
    slot: str | None = None


class Gpu(Struct, frozen=True):
    """`[resources.gpu]`: the GPUs one container needs; absent means none."""

    count: int = 1
    memory: int | None = None
    compute_capability: str | None = None
    driver: str | None = None
    models: tuple[str, ...] = ()


class Resources(Struct, frozen=True):
    """What one container may use; `memory` bounds everything, `/tmp`, `/eval/out` and `shm` included."""

    cpus: int = 1
    memory: int = 2 * GIB
    tmp: int = 64 * MIB
    shm: int = 64 * MIB
    output: int = 256 * MIB
    pids: int = 1024
    gpu: Gpu | None = None


class Run(Struct, frozen=True):
    """`[run]`: the exact entry point, one replicate for each seed."""

    command: tuple[str, ...]
    seeds: tuple[int, ...] = (0,)
    timeout: int = 3600
    determinism: Determinism = "metric"
    env: Mapping[str, str] = field(default_factory=dict)
    format: Literal["samples", "lm-eval", "inspect"] = "samples"
    resumable: bool = False


class Score(Struct, frozen=True):
    """`[score]`: targets joined by the launcher (`labels`), or a second container (`command`)."""

    labels: str | None = None
    command: tuple[str, ...] = ()
    timeout: int = 3600
    env: Mapping[str, str] = field(default_factory=dict)
    resources: Resources = Resources()


class Service(Struct, frozen=True):
    """`[[service]]`: a container beside `[run]` or `[score]`, reachable by name, without egress."""

    name: str
    image: str
    command: tuple[str, ...]
    phase: Literal["run", "score"] = "run"
    models: tuple[str, ...] = ()
    ready_http: str | None = None
    ready_timeout: int = 600
    env: Mapping[str, str] = field(default_factory=dict)
    resources: Resources = Resources()


class Sandbox(Struct, frozen=True):
    """`[sandbox]`: what isolates the container; every entry of `allow` is a named widening."""

    network: Literal["none", "egress"] = "none"
    allow_hosts: tuple[str, ...] = ()
    runtime: Runtime = "runc"
    allow: tuple[str, ...] = ()
    secrets: tuple[str, ...] = ()


class Interval(Struct, frozen=True):
    """`ci`: how the interval is made (None: the definition's own default) and its level."""

    method: str | None = None
    level: float = 0.95


class Threshold(Struct, frozen=True):
    """`threshold`: the bound a value or an end of its interval must keep."""

    min: float | None = None
    max: float | None = None
    on: Literal["value", "ci-lower", "ci-upper"] = "value"


class Published(Struct, frozen=True):
    """`published`: the figure somebody printed, and to how many decimals."""

    value: float
    decimals: int
    source: str = ""


class Tolerance(Struct, frozen=True):
    """`reproduce`: how far a reproduction may be off and still count as equivalent."""

    abs: float | None = None
    sample_agreement: float | None = None


class Metric(Struct, frozen=True):
    """`[[metric]]`: one number the launcher computes from the samples, declared before the run."""

    name: str
    definition: str
    of: str = "prediction"
    where: Mapping[str, Any] = field(default_factory=dict)
    parameters: Mapping[str, Any] = field(default_factory=dict)
    primary: bool = False
    direction: Direction = "higher"
    ci: Interval = Interval()
    threshold: Threshold | None = None
    published: Published | None = None
    reproduce: Tolerance | None = None


class Matrix(Struct, frozen=True):
    """`[matrix]`: one lock for each combination of the axes' values."""

    axes: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    include: tuple[Mapping[str, Any], ...] = ()
    exclude: tuple[Mapping[str, Any], ...] = ()


class Blueprint(Struct, frozen=True):
    """A whole blueprint; `text` is the TOML it was read from, byte for byte."""

    text: str
    about: About
    image: Image
    code: Code
    run: Run
    metrics: tuple[Metric, ...]
    inputs: tuple[Input, ...] = ()
    config: Mapping[str, Any] = field(default_factory=dict)
    score: Score | None = None
    services: tuple[Service, ...] = ()
    resources: Resources = Resources()
    sandbox: Sandbox = Sandbox()
    matrix: Matrix | None = None
    redactable: bool = False
