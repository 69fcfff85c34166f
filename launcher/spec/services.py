"""Services: the containers beside `[run]` or `[score]`, which share one loopback and no other network.

There is no network between them but a network namespace that they join, empty but for its loopback: names
lead to 127.0.0.1, and each service listens on a port of its own.
"""

from collections.abc import Mapping
from typing import Any, Literal

from msgspec import to_builtins

from launcher.canonical import freeze
from launcher.spec.blueprint import Blueprint, Image, ImageReference, Service
from launcher.spec.grammars import split_image
from launcher.spec.image import ImagePins
from launcher.spec.sandbox import SandboxProfile, profile_for

Phase = Literal["run", "score"]


def beside(blueprint: Blueprint, phase: Phase) -> tuple[Service, ...]:
    """Return the services of a phase."""
    return tuple(service for service in blueprint.services if service.phase == phase)


def shares_a_namespace(blueprint: Blueprint, phase: Phase) -> bool:
    """Say whether a phase's container joins a network namespace that another one holds."""
    return bool(beside(blueprint, phase)) or blueprint.sandbox.network == "egress"


def service_image(service: Service, blueprint: Blueprint) -> Image:
    """Return a service's image; where it is the evaluation's own, it may be found wherever that one is."""
    transport, location, digest = split_image(service.image)
    own = blueprint.image
    places = (ImageReference(transport, location), *(own.places if digest == own.digest else ()))
    return Image(service.image, digest, tuple(dict.fromkeys(places)), own.platform)


def service_profile(service: Service, blueprint: Blueprint) -> SandboxProfile:
    """Return the profile of a service: the evaluation's sandbox, with resources of its own."""
    return profile_for(service.resources, blueprint.sandbox)


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
