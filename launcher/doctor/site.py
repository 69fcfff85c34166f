"""Judge whether this machine has what its site policy requires."""

from collections.abc import Iterator

from launcher.engines.engine import EngineFacts
from launcher.runs.site import has
from launcher.spec.health import HealthCheck, fail, ok, warn
from launcher.spec.site import Demand, SitePolicy

_ROOTLESS = "podman system service --time 0 &   # as a user without root; then --engine podman"
_KERNEL = "sudo sed -i 's/^GRUB_CMDLINE_LINUX=\"/&{} /' /etc/default/grub && sudo update-grub && sudo reboot"
_FIXES: dict[Demand, str] = {
    "cgroup-v2": _KERNEL.format("systemd.unified_cgroup_hierarchy=1"),
    "user-namespaces": 'sudoedit /etc/docker/daemon.json   # {"userns-remap": "default"}, then restart it',
    "rootless": _ROOTLESS,
    "seccomp": "sudo apt-get install --reinstall docker.io && sudo systemctl restart docker",
    "apparmor": _KERNEL.format("apparmor=1 security=apparmor"),
    "selinux": _KERNEL.format("selinux=1 security=selinux"),
    "swap-limit": _KERNEL.format("swapaccount=1"),
    "pids-limit": _KERNEL.format("cgroup_enable=pids"),
}


def site_checks(facts: EngineFacts | None, site: SitePolicy) -> Iterator[HealthCheck]:
    """Yield one line for the policy, and one for each thing that it requires and this machine lacks."""
    if site == SitePolicy():
        yield ok("site", "no policy: every launch is let be as it asks")
        return
    if facts is None:
        yield ok("site", "a policy; no engine answers to be held against it")
        return
    found = list(_lacking(facts, site))
    yield from found
    if not found:
        demanded = ", ".join(site.require) or "nothing of the host"
        yield ok("site", f"at least {site.minimum_runtime}; requires {demanded}")


def _lacking(facts: EngineFacts, site: SitePolicy) -> Iterator[HealthCheck]:
    if site.engines is not None and facts.name not in site.engines:
        detail = f"the policy does not allow the engine {facts.name}"
        yield fail("site-engine", detail, f"evalctl doctor --engine {site.engines[0]}")
    if site.minimum_runtime not in facts.runtimes:
        detail = f"the policy asks for {site.minimum_runtime}, which the engine lacks"
        yield fail("site-runtime", detail, f"sudo apt-get install {site.minimum_runtime}   # docs/engines.md")
    judge = fail if site.lacking == "refuse" else warn
    for demand in site.require:
        if not has(facts, demand):
            end = "nothing is launched" if site.lacking == "refuse" else "each result says so"
            yield judge(f"site-{demand}", f"required by the policy and not here: {end}", _FIXES[demand])
