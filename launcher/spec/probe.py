"""What a sandbox let its first process do: the probe's report, as an engine brings it and a bundle keeps it."""

from typing import Any

from msgspec import Struct


class ProbeReport(Struct, frozen=True):
    """Observations of one container, made before its command was started; `facts` are by name."""

    facts: dict[str, Any]
