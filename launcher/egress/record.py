"""What went through the proxy: connections and bytes by host, and who was asked for and refused."""

from typing import Any

from launcher.spec.hosts import Target

MAX_HOSTS = 200
_OTHERS = "others"


class Traffic:
    """Counts of one host."""

    def __init__(self) -> None:
        self.connections = 0
        self.failures = 0
        self.sent = 0
        self.received = 0

    def as_json(self, host: str) -> dict[str, Any]:
        """Return the counts under the host's name."""
        return {
            "host": host,
            "connections": self.connections,
            "failures": self.failures,
            "bytes_sent": self.sent,
            "bytes_received": self.received,
        }


class EgressRecord:
    """Adds up; beyond a number of hosts the rest stand together. Written by one thread, read at the end."""

    def __init__(self) -> None:
        self._reached: dict[str, Traffic] = {}
        self._refused: dict[str, int] = {}
        self.malformed = 0

    def traffic(self, target: Target) -> Traffic:
        """Return the counts to add to."""
        return self._reached.setdefault(_bounded(str(target), self._reached), Traffic())

    def refuse(self, target: Target) -> None:
        """Count somebody who was asked for and is not reached."""
        name = _bounded(str(target), self._refused)
        self._refused[name] = self._refused.get(name, 0) + 1

    def as_json(self) -> dict[str, Any]:
        """Return everything, hosts in order."""
        return {
            "reached": [traffic.as_json(host) for host, traffic in sorted(self._reached.items())],
            "refused": [{"host": host, "times": times} for host, times in sorted(self._refused.items())],
            "malformed": self.malformed,
        }


def _bounded(name: str, known: dict[str, Any]) -> str:
    return name if name in known or len(known) < MAX_HOSTS else _OTHERS
