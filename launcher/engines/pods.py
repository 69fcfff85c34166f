"""Pods: an empty network namespace that one small container holds and others join."""

from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Protocol

from msgspec import Struct

from launcher.errors import InfrastructureError

if TYPE_CHECKING:
    from launcher.engines.attachment import Attachment

_MAX_LINE = 16


class PodLink(Struct, frozen=True):
    """The pod that a container joins, by the engine's id, and the `/etc/hosts` of its containers."""

    container: str
    hosts: Path


class Pod(Protocol):
    """A running pod; use it as a context, or close it: then its first process ends."""

    @property
    def container(self) -> str:
        """The engine's id of the container that holds the namespace."""

    def answered(self, seconds: float) -> frozenset[int]:
        """Return which addresses have answered so far, by their place, after `seconds` at the most.

        Raises `InfrastructureError` where the pod has ended.
        """

    def close(self) -> None:
        """End the pod; harmless when done already."""

    def __enter__(self) -> "Pod":
        """Return the pod itself."""

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the pod."""


class PodLines:
    """Reads what the pod program says: one place a line, in decimal."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._rest = b""
        self.places: frozenset[int] = frozenset()

    def feed(self, data: bytes) -> None:
        """Take bytes of its standard output; raises `InfrastructureError` for what it never says."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            if not line.isdigit() or len(line) > _MAX_LINE or int(line) >= self._count:
                raise pod_ended(f"it said {line[:_MAX_LINE]!r}")
            self.places |= {int(line)}
        if len(self._rest) > _MAX_LINE:
            raise pod_ended(f"it said {self._rest[:_MAX_LINE]!r}")


class AttachedPod:
    """A pod behind an engine's attached streams; `retire` is called once, to remove its container."""

    def __init__(self, container: str, link: "Attachment", lines: PodLines, retire: "Retire") -> None:
        from launcher.engines.attachment import FrameReader

        self._container = container
        self._link: Attachment | None = link
        self._frames = FrameReader()
        self._lines = lines
        self._retire = retire

    @property
    def container(self) -> str:
        """The engine's id of the container that holds the namespace."""
        return self._container

    def answered(self, seconds: float) -> frozenset[int]:
        """Return which addresses have answered so far, by their place, after `seconds` at the most."""
        from launcher.engines.attachment import STDOUT

        data = self._link.receive(seconds) if self._link else b""
        if data == b"":
            raise pod_ended("its streams are closed")
        for stream, piece in self._frames.feed(data or b""):
            if stream == STDOUT:
                self._lines.feed(piece)
        return self._lines.places

    def close(self) -> None:
        """End the pod and have its container removed."""
        link, self._link = self._link, None
        if link is not None:
            link.close()
            self._retire()

    def __enter__(self) -> "AttachedPod":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class Retire(Protocol):
    """Removes a pod's container."""

    def __call__(self) -> None:
        """Remove it."""


def pod_ended(context: str) -> InfrastructureError:
    """Return the error of a pod that is no longer what it was."""
    return InfrastructureError(
        "the container that holds the evaluation's network namespace has ended",
        code="pod-ended",
        context=context,
        hint="launch again",
    )
