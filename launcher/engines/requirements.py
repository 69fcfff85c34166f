"""Say whether an engine and its host can apply a sandbox profile, before anything is created."""

from launcher.engines.engine import EngineFacts
from launcher.errors import RequirementError
from launcher.spec.sandbox import SandboxProfile

INIT_ARCHITECTURES = ("x86_64", "amd64")
_BOUNDS = ("memory", "cpus", "pids")


def refuse_unmet(facts: EngineFacts, profile: SandboxProfile) -> None:
    """Raise `RequirementError` for the first thing that this engine cannot give or bound."""
    if facts.architecture not in INIT_ARCHITECTURES:
        raise _unmet("the processor", "x86_64", facts.architecture, "launch on an x86-64 machine")
    if (runtime := profile.runtime) not in facts.runtimes:
        got = ", ".join(facts.runtimes) or "none"
        raise _unmet(
            "the sandbox runtime", runtime, got, f"install `{runtime}` and name it in the engine's `runtimes`"
        )
    if profile.cpus > facts.cpus:
        raise _unmet(
            "`cpus`",
            str(profile.cpus),
            str(facts.cpus),
            "lower `cpus` in [resources], or use a larger machine",
        )
    if profile.memory > facts.memory:
        raise _unmet(
            "`memory`",
            f"{profile.memory} bytes",
            str(facts.memory),
            "lower `memory` in [resources], or use a larger machine",
        )
    if missing := [bound for bound in _BOUNDS if bound not in facts.limits]:
        raise _unmet(
            "a bound", f"{missing[0]} limits", "none", "enable that control group in the host's kernel"
        )
    if not any("seccomp" in option for option in facts.security_options):
        raise _unmet("system call filters", "seccomp", "none", "use an engine built with seccomp")


def _unmet(what: str, expected: str, got: str, hint: str) -> RequirementError:
    return RequirementError(
        f"this machine's container engine cannot give {what} that the blueprint asks for",
        code="requirement-unmet",
        context=f"expected {expected}, got {got}",
        hint=hint,
    )
