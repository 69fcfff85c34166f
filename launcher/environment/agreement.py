"""Whether environment and inventory in a bundle are of what its lock pins."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from msgspec.structs import replace

from launcher.digest import sha256_hex
from launcher.environment.facts import (
    Fact,
    image_facts,
    read_environment,
    read_facts,
    service_image_facts,
)
from launcher.environment.probe import differences
from launcher.environment.sbom import empty_sbom_bytes
from launcher.environment.sbom_reading import check_sbom
from launcher.errors import CheckFailedError
from launcher.spec import bundle
from launcher.spec.blueprint import RUNTIMES, Blueprint
from launcher.spec.lock import pins_from
from launcher.spec.predicates import Provenance
from launcher.spec.probe import ProbeReport, report_from_json
from launcher.spec.result import Result
from launcher.spec.sandbox import SandboxProfile, profile_for, profile_of_run, under_runtime
from launcher.spec.services import Phase, beside, service_profile


def compare_environment(
    files: Mapping[str, bytes], identity: Mapping[str, Any], provenance: Provenance, result: Result
) -> None:
    """Check that environment and inventory are of the image, sandbox and attempts that lock and result name.

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
    _compare_attempts(facts.get("launch.attempts"), result)
    check_sbom(files[bundle.SBOM], pins)


def compare_probes(environment: bytes, blueprint: Blueprint, result: Result) -> None:
    """Check that each container was probed, and found to be what the blueprint's profile allows.

    Of an attempt that failed, not every container was; a weaker one is a failure of class `sandbox`. Raises
    `CheckFailedError`.
    """
    facts = read_facts(environment)
    found = {fact.name: fact.value for fact in facts if fact.source == "probe"}
    runtime = _runtime(facts)
    weaker = []
    for phase, profile in _profiles(blueprint, result):
        own = replace(profile, runtime="runsc" if runtime == "runsc" else "runc")
        reports = _reports(found.pop(f"probe.{phase}", []))
        if result.status == "succeeded" and reports.keys() != {one.replicate for one in result.replicates}:
            raise _another(f"not every container of the phase `{phase}` was probed")
        weaker += [said for report in reports.values() for said in differences(report, own, runtime)]
    if found:
        raise _another(f"it tells of a probe that never was: {min(found)!a}")
    if weaker and result.failure != "sandbox":
        raise _another(f"the sandbox was weaker than its profile: {weaker[0]}")


def _compare_attempts(listed: Any, result: Result) -> None:
    """Check that the attempts listed are those that the result says ran its replicates."""
    if not listed:
        raise _another("it does not say which attempts there were")
    try:
        said = {each["replicate"]: one["attempt"] for one in listed for each in one["replicates"]}
        latest = max(one["attempt"] for one in listed)
        own = [one["invocation_id"] for one in listed if one["attempt"] == result.attempt]
    except (KeyError, TypeError) as error:
        raise _another("the attempts are malformed") from error
    if latest != result.attempt or own != [result.invocation_id]:
        raise _another("the attempts are not those up to this one")
    ran = {run.replicate: run.attempt or result.attempt for run in result.replicates}
    odd = {number for number, attempt in said.items() if ran.get(number) != attempt}
    odd |= {run.replicate for run in result.replicates if run.attempt is not None} - said.keys()
    if odd:
        raise _another(f"the replicate {min(map(str, odd))} is said to be of two attempts")


def _runtime(facts: Iterable[Fact]) -> str:
    for fact in facts:
        if fact.name == "sandbox.profile" and isinstance(fact.value, dict):
            named = fact.value.get("runtime")
            if named in RUNTIMES:
                return str(named)
    raise _another("it does not say under which runtime the probe looked")


def _profiles(blueprint: Blueprint, result: Result) -> Iterator[tuple[str, SandboxProfile]]:
    """Yield the phases and services whose containers ran, each with its profile."""
    phases: list[Phase] = []
    if "score-only" not in result.marks:
        phases.append("run")
        yield "run", profile_of_run(blueprint)
    if blueprint.score is not None and blueprint.score.command:
        phases.append("score")
        yield "score", profile_for(blueprint.score.resources, blueprint.sandbox)
    for phase in phases:
        for service in beside(blueprint, phase):
            yield f"service.{service.name}", service_profile(service, blueprint)


def _reports(value: Any) -> Mapping[int, ProbeReport]:
    """Return the report of each replicate; the same one may stand for several."""
    found: dict[int, ProbeReport] = {}
    try:
        for item in value:
            report = report_from_json(item["report"])
            for number in item["replicates"]:
                if type(number) is not int or number in found:
                    raise _another("a replicate has two reports of the probe")
                found[number] = report
    except (KeyError, TypeError) as error:
        raise _another("the probe's reports are malformed") from error
    return found


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
