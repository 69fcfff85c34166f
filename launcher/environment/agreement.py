"""Whether environment and inventory in a bundle are of what its lock pins."""

from collections.abc import Mapping
from typing import Any

from launcher.digest import sha256_hex
from launcher.environment.facts import image_facts, read_environment, service_image_facts
from launcher.environment.sbom import empty_sbom_bytes
from launcher.environment.sbom_reading import check_sbom
from launcher.errors import CheckFailedError
from launcher.spec import bundle
from launcher.spec.lock import pins_from
from launcher.spec.predicates import Provenance
from launcher.spec.sandbox import under_runtime


def compare_environment(
    files: Mapping[str, bytes], identity: Mapping[str, Any], provenance: Provenance
) -> None:
    """Check that environment and inventory are of the image and the sandbox that a lock's identity pins.

    Raises `CheckFailedError`, or `MalformedError` for what cannot be read.
    """
    facts, every = read_environment(files[bundle.ENVIRONMENT]), pins_from(identity)
    pins = every.image
    expected = [*image_facts(pins)]
    for name, image in every.services.items():
        expected.extend(service_image_facts(name, image))
    for fact in expected:
        if facts.get(fact.name) != fact.value:
            raise _another(f"`{fact.name}` differs")
    profile, pinned = facts.get("sandbox.profile"), identity["sandbox"]
    runtime = profile.get("runtime") if isinstance(profile, dict) else None
    if not isinstance(runtime, str) or profile != under_runtime(pinned, runtime):
        raise _another("`sandbox.profile` differs")
    if runtime not in (pinned["runtime"], "runsc") or runtime != provenance.internal.get("runtime"):
        raise _another(f"the runtime {runtime!a} is not what was asked for and signed")
    check_sbom(files[bundle.SBOM], pins)


def refuse_launch(files: Mapping[str, bytes], digests: Mapping[str, str]) -> None:
    """Check that a bundle made of foreign logs claims nothing that only a launch could have seen.

    `digests` has the hex SHA-256 of every file outside `attestations/`. Raises as `compare_environment` does.
    """
    for name in read_environment(files[bundle.ENVIRONMENT]):
        if not name.startswith(("launcher.", "harness.")):
            raise _another(f"nothing was launched, and it tells of {name!a}")
    if files[bundle.SBOM] != empty_sbom_bytes() or digests[bundle.RESOURCES] != sha256_hex(b""):
        raise _another("nothing was launched, so there is no image and no use of resources")
    if extra := digests.keys() - {*bundle.REQUIRED}:
        raise _another(f"nothing was launched, so nothing left {min(extra)!a}")


def _another(context: str) -> CheckFailedError:
    return CheckFailedError(
        "the environment is not the one that the lock pins", code="disagreement", context=context
    )
