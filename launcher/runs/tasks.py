"""From a resolved lock to what the engine is asked to run, once for each seed."""

from msgspec import Struct

from launcher.canonical import canonical_bytes, freeze, thaw
from launcher.engines.engine import (
    ATTEMPT_LABEL,
    HOME_LABEL,
    REPLICATE_LABEL,
    ContainerTask,
    EngineFacts,
    Mount,
)
from launcher.resolve import Resolution
from launcher.spec.bundle import ARTIFACTS, is_portable_name
from launcher.spec.grammars import THREAD_VARIABLES
from launcher.spec.sandbox import SandboxProfile
from launcher.store.attempts import Attempt

LOG_BYTES = 4 << 20
_CONFIG = "config.json"


class RunPlan(Struct, frozen=True):
    """All that the replicates of one attempt share."""

    resolution: Resolution
    attempt: Attempt
    image: str
    profile: SandboxProfile
    engine: EngineFacts
    home_label: str

    @property
    def seeds(self) -> tuple[int, ...]:
        """One seed for each replicate, in order."""
        return self.resolution.blueprint.run.seeds


def labels(plan: RunPlan) -> dict[str, str]:
    """Return the labels that say whose container this is, without telling where or who."""
    return {HOME_LABEL: plan.home_label, ATTEMPT_LABEL: plan.attempt.invocation_id}


def artifact_place(replicate: int, output: str) -> str | None:
    """Return where a bundle keeps `output` (a path under `/eval/out`), None for what no bundle may hold."""
    if not output.startswith(f"{ARTIFACTS}/"):
        return None
    place = f"{ARTIFACTS}/{replicate}/{output.removeprefix(f'{ARTIFACTS}/')}"
    return place if is_portable_name(place) else None


def container_task(plan: RunPlan, replicate: int) -> ContainerTask:
    """Write the replicate's `config.json` and return its task; its folders are made fresh."""
    task = planned_task(plan, replicate)
    for folder in (task.outputs, task.logs):
        folder.mkdir(parents=True, mode=0o700)
    _write_config(plan, replicate)
    return task


def planned_task(plan: RunPlan, replicate: int) -> ContainerTask:
    """Return the replicate's task, a pure function of the plan: nothing is written."""
    blueprint = plan.resolution.blueprint
    folder = plan.attempt.work / str(replicate)
    workdir = f"/eval/code/{blueprint.code.path}" if blueprint.code.path else "/eval/code"
    return ContainerTask(
        name=f"evalctl-{plan.attempt.invocation_id}-{replicate}",
        image=plan.image,
        command=blueprint.run.command,
        environment=_environment(plan, plan.seeds[replicate]),
        working_directory=workdir,
        mounts=(*_mounts(plan.resolution), Mount(folder / _CONFIG, "/eval/config.json")),
        profile=plan.profile,
        labels={**labels(plan), REPLICATE_LABEL: str(replicate)},
        timeout=blueprint.run.timeout,
        outputs=folder / "out",
        logs=folder / "logs",
        log_limit=LOG_BYTES,
    )


def _write_config(plan: RunPlan, replicate: int) -> None:
    path = plan.attempt.work / str(replicate) / _CONFIG
    config = thaw(freeze(plan.resolution.blueprint.config))
    value = {"config": config, "seed": plan.seeds[replicate], "replicate": replicate}
    path.write_bytes(canonical_bytes(value))
    path.chmod(0o444)


def _mounts(resolution: Resolution) -> tuple[Mount, ...]:
    """Return what `[run]` may see: the code and every input that is not held out."""
    inputs = (item for item in resolution.blueprint.inputs if item.role != "held-out")
    return (
        Mount(resolution.code.root, "/eval/code"),
        *(Mount(resolution.inputs[item.name], f"/eval/inputs/{item.name}") for item in inputs),
    )


def _environment(plan: RunPlan, seed: int) -> dict[str, str]:
    """Return the container's variables; ours win over the blueprint's, nothing comes from the host."""
    blueprint = plan.resolution.blueprint
    return {
        **blueprint.run.env,
        **dict.fromkeys(THREAD_VARIABLES, str(blueprint.resources.cpus)),
        "EVALCTL_SEED": str(seed),
        "PYTHONHASHSEED": str(seed),
        "SOURCE_DATE_EPOCH": str(plan.resolution.code.commit_time),
        "TZ": "UTC",
        "LC_ALL": "C.UTF-8",
        "HOME": "/tmp",  # noqa: S108 - the container's own, bounded
    }
