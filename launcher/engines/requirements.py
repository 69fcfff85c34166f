"""Say whether an engine, its host and an image let a sandbox profile be applied, before anything runs."""

import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from launcher.engines.engine import EngineFacts
from launcher.errors import RequirementError
from launcher.spec.sandbox import SandboxProfile

INIT_ARCHITECTURES = ("x86_64", "amd64")
_BOUNDS = ("memory", "cpus", "pids")


def refuse_unmet(facts: EngineFacts, profile: SandboxProfile) -> None:
    """Raise `RequirementError` for the first thing that this engine cannot give or bound."""
    for error in unmet(facts, profile):
        raise error


def unmet(facts: EngineFacts, profile: SandboxProfile) -> Iterator[RequirementError]:
    """Yield an error for each thing that this engine cannot give or bound."""
    if facts.architecture not in INIT_ARCHITECTURES:
        yield _unmet("the processor", "x86_64", facts.architecture, "launch on an x86-64 machine")
    if (runtime := profile.runtime) not in facts.runtimes:
        got = ", ".join(name for name in facts.runtimes if not name.startswith("io.containerd.")) or "none"
        hint = f"see what to type with `evalctl doctor`; it installs `{runtime}` and names it to the engine"
        yield _unmet("the sandbox runtime", runtime, got, hint)
    if profile.cpus > facts.cpus:
        hint = "lower `cpus` in [resources], or use a larger machine"
        yield _unmet("`cpus`", str(profile.cpus), str(facts.cpus), hint)
    if profile.memory > facts.memory:
        hint = "lower `memory` in [resources], or use a larger machine"
        yield _unmet("`memory`", f"{profile.memory} bytes", str(facts.memory), hint)
    for bound in _BOUNDS:
        if bound not in facts.limits:
            hint = "enable that control group in the host's kernel"
            yield _unmet("a bound", f"{bound} limits", "none", hint)
    if not any("seccomp" in option for option in facts.security_options):
        yield _unmet("system call filters", "seccomp", "none", "use an engine built with seccomp")


def refuse_shut_files(files: Mapping[Path, int]) -> None:
    """Open this installation's files to the sandbox's user, who is nobody here.

    Raises `RequirementError` where they are not ours to open: a strict umask while installing shuts them.
    """
    for path, needed in files.items():
        mode = stat.S_IMODE(path.stat().st_mode)
        if mode & needed == needed:
            continue
        try:
            path.chmod(mode | needed)
        except OSError as error:
            raise RequirementError(
                f"the sandbox's user may not use `{path.name}` of this installation",
                code="installation-shut",
                context=f"expected mode {needed:o} at least, got {mode:o}",
                hint=f"chmod {mode | needed:o} {path}",
            ) from error


def refuse_volumes(container: Mapping[str, Any], image: str) -> None:
    """Refuse a created container with a volume: its image wants a writable folder that nothing bounds."""
    places = sorted(item["Destination"] for item in container["Mounts"] if item["Type"] == "volume")
    if places:
        raise RequirementError(
            f"the image `{image}` declares the volume `{places[0]}`, which no engine can bound",
            code="image-volumes",
            context="expected an image without volumes: /tmp and /eval/out are the only writable folders",
            hint="build the image without VOLUME",
        )


def _unmet(what: str, expected: str, got: str, hint: str) -> RequirementError:
    return RequirementError(
        f"this machine's container engine cannot give {what} that is asked for",
        code="requirement-unmet",
        context=f"expected {expected}, got {got}",
        hint=hint,
    )
