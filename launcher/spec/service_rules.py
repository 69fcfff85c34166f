"""The rules of services: names and ports that the containers of one loopback can tell apart."""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from msgspec import Struct

from launcher.spec.kinds import Fault, shown

RELAY_PORT: Final = 3128
_TAKEN_NAMES: Final = frozenset({"localhost", "sandbox", "ip6-localhost", "ip6-loopback"})
_URL = re.compile(
    r"http://(?P<host>[A-Za-z0-9._-]+)(?::(?P<port>[0-9]{1,5}))?(?P<path>[/?][^#\x00-\x20\x7f]*)?"
)


class Address(Struct, frozen=True):
    """Where a service says that it is ready: asked for by HTTP, on the loopback of its phase."""

    host: str
    port: int
    path: str


def address_of(url: str) -> Address | None:
    """Return what `url` asks for, None unless it is `http://NAME[:PORT][/PATH]`."""
    found = _URL.fullmatch(url)
    port = int((found and found["port"]) or 80)
    if found is None or not 0 < port < 1 << 16 or not url.isascii():
        return None
    path = found["path"] or "/"
    return Address(found["host"], port, path if path.startswith("/") else f"/{path}")


def services_share_a_loopback(blueprint: Mapping[str, Any]) -> Iterable[Fault]:
    """Refuse services that could not tell their names or ports apart."""
    names: dict[str, str] = {}
    ports: dict[tuple[str, int], str] = {}
    egress = blueprint.get("sandbox", {}).get("network") == "egress"
    for index, service in enumerate(blueprint.get("service", ())):
        name = service.get("name")
        if isinstance(name, str):
            yield from _name_faults(index, name, names)
            yield from _ready_faults((index, name), service, ports, egress=egress)


def _name_faults(index: int, name: str, names: dict[str, str]) -> Iterator[Fault]:
    path = ("service", index, "name")
    folded = name.lower()
    if folded in _TAKEN_NAMES:
        yield Fault(path, f"{shown(name)} already leads to the sandbox itself; rename the service")
    elif folded in names:
        same = f"a `[[service]]` is already named {shown(names[folded])}"
        yield Fault(path, f"{same}, and host names know no upper and lower case; rename one")
    names.setdefault(folded, name)


def _ready_faults(
    which: tuple[int, str], service: Mapping[str, Any], ports: dict[tuple[str, int], str], *, egress: bool
) -> Iterator[Fault]:
    index, name = which
    url = service.get("ready", {}).get("http")
    if not isinstance(url, str):
        return
    path = ("service", index, "ready", "http")
    address = address_of(url)
    if address is None or address.host != name:
        yield Fault(path, f"ask the service itself: write it as `http://{name}:PORT/PATH`")
        return
    place = (service.get("phase", "run"), address.port)
    if egress and address.port == RELAY_PORT:
        yield Fault(path, f"port {RELAY_PORT} is the way out; let {shown(name)} listen on another")
    elif place in ports:
        both = f"{shown(ports[place])} is ready at port {address.port} too"
        yield Fault(path, f"{both}, and services of one phase share a loopback; give each its own port")
    ports.setdefault(place, name)
