"""What a sandbox let its first process do: the report of the probe."""

from typing import Any

from msgspec import Struct


class ProbeReport(Struct, frozen=True):
    """Observations of one container, made before its command was started; `facts` are by name."""

    facts: dict[str, Any]
