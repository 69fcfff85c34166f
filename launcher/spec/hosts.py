"""Which hosts an evaluation may reach: names and ports to the letter."""

import re
from collections.abc import Iterable
from typing import Final

from msgspec import Struct

from launcher.errors import MalformedError

DEFAULT_PORTS: Final = (443, 80)
_LABEL = r"[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?"
_NAME = re.compile(rf"{_LABEL}(?:\.{_LABEL})*", re.ASCII)
_BYTE = r"(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
_ADDRESS = re.compile(rf"{_BYTE}(?:\.{_BYTE}){{3}}", re.ASCII)
# Resolvers read these as addresses, in more ways than one.
_NUMERIC = re.compile(r"(?:.*\.)?(?:[0-9]+|0x[0-9a-f]*)", re.ASCII)
_LONGEST_NAME = 253


class Target(Struct, frozen=True):
    """What a connection is asked for: a host in lower case, without a final dot, and a port."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"

    @property
    def is_literal(self) -> bool:
        """Whether the host is an IPv4 address and no name."""
        return _ADDRESS.fullmatch(self.host) is not None


def target_of(authority: str, default_port: int | None = None) -> Target | None:
    """Return the target of `HOST[:PORT]`, None for what is none, or an address not written as a.b.c.d."""
    host, colon, port = authority.partition(":")
    host = host.lower().removesuffix(".")
    if colon and not (port.isascii() and port.isdigit() and len(port) <= 5):
        return None
    number = int(port) if colon else default_port
    if number is None or not 0 < number < 1 << 16:
        return None
    if len(host) > _LONGEST_NAME or not _NAME.fullmatch(host):
        return None
    if _NUMERIC.fullmatch(host) and not _ADDRESS.fullmatch(host):
        return None
    return Target(host, number)


class AllowList:
    """The entries of `allow-hosts`: `HOST` or `*.HOST`, each with `:PORT` or else with ports 443 and 80."""

    def __init__(self, entries: Iterable[str]) -> None:
        self._exact: set[Target] = set()
        self._below: set[Target] = set()
        for entry in entries:
            targets = _targets(entry)
            if not targets:
                raise MalformedError(
                    f"`{entry}` is no host to reach",
                    code="bad-host",
                    hint="write `HOST`, `HOST:PORT` or `*.HOST`",
                )
            (self._below if entry.startswith("*.") else self._exact).update(targets)

    def allows(self, target: Target) -> bool:
        """Say whether `target` is listed; `*.example.org` lists what is below it and not itself."""
        if target in self._exact:
            return True
        if target.is_literal:
            return False
        labels = target.host.split(".")
        above = (".".join(labels[at:]) for at in range(1, len(labels)))
        return any(Target(name, target.port) in self._below for name in above)


def listed_addresses(entries: Iterable[str]) -> tuple[str, ...]:
    """Return the addresses among the entries of `allow-hosts`, each once, sorted."""
    return tuple(sorted({each.host for entry in entries for each in _targets(entry) if each.is_literal}))


def is_host_entry(entry: str) -> bool:
    """Say whether `entry` can stand in `allow-hosts`."""
    return bool(_targets(entry))


def _targets(entry: str) -> list[Target]:
    """Return what an entry lists, each port apart; nothing where it is none."""
    name = entry.removeprefix("*.")
    ports = (None,) if ":" in name else DEFAULT_PORTS
    found = [target_of(name, port) for port in ports]
    targets = [target for target in found if target]
    return [] if name != entry and any(target.is_literal for target in targets) else targets
