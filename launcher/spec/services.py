"""Services: the containers beside `[run]` or `[score]`, which share one loopback and no other network.

There is no network between them but a network namespace that they join, empty but for its loopback: names
lead to 127.0.0.1, and each service listens on a port of its own.
"""

from collections.abc import Mapping
from typing import Any, Literal

from msgspec import to_builtins
from msgspec.structs import replace

from launcher.canonical import freeze
from launcher.spec.blueprint import Blueprint, Image, ImageReference, Service
from launcher.spec.grammars import split_image
from launcher.spec.image import ImagePins
from launcher.spec.sandbox import SandboxProfile, profile_for
from launcher.spec.service_rules import RELAY_PORT

Phase = Literal["run", "score"]

_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")


def beside(blueprint: Blueprint, phase: Phase) -> tuple[Service, ...]:
    """Return the services of a phase."""
    return tuple(service for service in blueprint.services if service.phase == phase)


def shares_a_namespace(blueprint: Blueprint, phase: Phase) -> bool:
    """Say whether a phase's container joins a network namespace that another one holds."""
    return bool(beside(blueprint, phase)) or is_open(blueprint)


def is_open(blueprint: Blueprint) -> bool:
    """Say whether the evaluation may ask hosts outside."""
    return blueprint.sandbox.network == "egress"


def proxy_variables(blueprint: Blueprint, phase: Phase) -> Mapping[str, str]:
    """Return the variables by which programs find the proxy, in both cases, as they are looked for."""
    if not is_open(blueprint):
        return {}
    names = ",".join(("localhost", "127.0.0.1", *(service.name for service in beside(blueprint, phase))))
    upper = {**dict.fromkeys(_PROXIES, f"http://127.0.0.1:{RELAY_PORT}"), "NO_PROXY": names}
    return {**upper, **{name.lower(): value for name, value in upper.items()}}


def service_image(service: Service, blueprint: Blueprint) -> Image:
    """Return a service's image; where it is the evaluation's own, it may be found wherever that one is."""
    transport, location, digest = split_image(service.image)
    own = blueprint.image
    places = (ImageReference(transport, location), *(own.places if digest == own.digest else ()))
    return Image(service.image, digest, tuple(dict.fromkeys(places)), own.platform)


def service_profile(service: Service, blueprint: Blueprint) -> SandboxProfile:
    """Return the profile of a service: the evaluation's sandbox without its secrets, with own resources."""
    return profile_for(service.resources, replace(blueprint.sandbox, secrets=()))


def hosts_text(blueprint: Blueprint, phase: Phase) -> str:
    """Return the `/etc/hosts` of a phase's containers."""
    names = " ".join(["localhost", "sandbox", *(service.name for service in beside(blueprint, phase))])
    return f"127.0.0.1 {names}\n"


def services_identity(blueprint: Blueprint, pins: Mapping[str, ImagePins]) -> dict[str, Any]:
    """Return what the identity says of the services: nothing at all where there are none."""
    if not blueprint.services:
        return {}
    return {"services": [_identity(service, blueprint, pins[service.name]) for service in blueprint.services]}


def _identity(service: Service, blueprint: Blueprint, pins: ImagePins) -> dict[str, Any]:
    ready = {"http": service.ready_http, "timeout": service.ready_timeout} if service.ready_http else None
    return {
        "name": service.name,
        "phase": service.phase,
        "image": pins.as_identity(),
        "command": list(service.command),
        "models": list(service.models),
        "ready": ready,
        "env": dict(service.env),
        "resources": freeze(to_builtins(service.resources)),
        "sandbox": service_profile(service, blueprint).as_identity(),
    }
