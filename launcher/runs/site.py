"""What a site policy makes of a launch: raised, refused, or with what the host lacks on record."""

from collections.abc import Iterator

from msgspec.structs import replace

from launcher.engines.engine import EngineFacts
from launcher.environment.facts import Fact
from launcher.errors import RequirementError
from launcher.runs.request import LaunchRequest
from launcher.spec.blueprint import RUNTIMES
from launcher.spec.hosts import listed_addresses
from launcher.spec.site import Demand, SitePolicy
from launcher.spec.widenings import IMPLIED

_HINT = "ask those who keep the site policy, or launch on another machine"


def admitted(request: LaunchRequest, site: SitePolicy) -> LaunchRequest:
    """Return the launch as the site lets it be: under its least runtime at least.

    Raises `RequirementError` for what the site allows nobody.
    """
    sandbox = request.blueprint.sandbox
    widenings = {*sandbox.allow, *(IMPLIED if request.blueprint.run.resumable else ())}
    beyond = sorted(widenings.difference(widenings if site.widenings is None else site.widenings))
    if beyond:
        raise _refused(f"the widening `{beyond[0]}` of the sandbox", "allow", str(list(site.widenings or ())))
    if sandbox.network == "egress" and site.egress == "refuse":
        raise _refused('`network = "egress"`', "egress", "refuse")
    if sandbox.allow_hosts and site.private_hosts == "refuse":
        _refuse_inside(sandbox.allow_hosts)
    least = max((request.least_runtime, site.minimum_runtime), key=RUNTIMES.index)
    return request if least == request.least_runtime else replace(request, runtime=least)


def shortcomings(facts: EngineFacts, site: SitePolicy) -> tuple[str, ...]:
    """Return what the site requires and engine and host lack, where it lets a launch go on nevertheless.

    Raises `RequirementError` where it does not, or where the engine is none that it allows.
    """
    if site.engines is not None and facts.name not in site.engines:
        raise _refused(f"the engine `{facts.name}`", "engines", ", ".join(site.engines))
    lacking = tuple(demand for demand in site.require if not has(facts, demand))
    if lacking and site.lacking == "refuse":
        raise _refused(
            f"an engine or host without {' and '.join(lacking)}", "require", ", ".join(site.require)
        )
    return lacking


def has(facts: EngineFacts, demand: Demand) -> bool:
    """Say whether an engine and its host have what a site may demand."""
    options = [option.split(",")[0].removeprefix("name=") for option in facts.security_options]
    match demand:
        case "cgroup-v2":
            return facts.cgroup_version == "2"
        case "user-namespaces":
            return "userns" in options or "rootless" in options
        case "swap-limit":
            return "swap" in facts.limits
        case "pids-limit":
            return "pids" in facts.limits
        case "rootless" | "seccomp" | "apparmor" | "selinux":
            return demand in options


def site_facts(site: SitePolicy) -> Iterator[Fact]:
    """Yield the policy that a launch stood under, where the machine has one."""
    if site != SitePolicy():
        yield Fact("site.policy", site.as_json(), "declared")


def _refuse_inside(allow_hosts: tuple[str, ...]) -> None:
    from launcher.egress.addresses import is_public

    inside = [each for each in listed_addresses(allow_hosts) if not is_public(each)]
    if inside:
        raise RequirementError(
            f"`allow-hosts` lists {inside[0]}, an address of this machine or its networks",
            code="private-host",
            context="a blueprint reaches those only where the site policy has `private-hosts` allow",
            hint='write `schema = "evalctl/site/v1"` and `private-hosts = "allow"` into FILE: `--site FILE`',
        )


def _refused(what: str, key: str, value: str) -> RequirementError:
    return RequirementError(
        f"this machine's site policy refuses {what}",
        code="site-policy",
        context=f"its `{key}` is {value}",
        hint=_HINT,
    )
