"""From a resolved lock to what the engine is asked to run: one or two containers for each seed."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from msgspec import Struct, field
from msgspec.structs import replace

from launcher.canonical import canonical_bytes, freeze, thaw
from launcher.engines.engine import (
    ATTEMPT_LABEL,
    HOME_LABEL,
    REPLICATE_LABEL,
    ContainerTask,
    EngineFacts,
    Mount,
)
from launcher.engines.masking import Masker
from launcher.engines.pods import PodLink
from launcher.ledger.book import Counted
from launcher.resolve import Resolution
from launcher.runs.request import LaunchRequest
from launcher.runs.shares import Machine
from launcher.spec.blueprint import Run, Score
from launcher.spec.bundle import ARTIFACTS, PREDICTIONS, is_portable_name
from launcher.spec.grammars import THREAD_VARIABLES
from launcher.spec.sandbox import SandboxProfile, profile_for, profile_of_run
from launcher.spec.services import Phase, proxy_variables, shares_a_namespace
from launcher.store.attempts import Attempt
from launcher.store.files import copy_new
from launcher.store.journal import not_writable
from launcher.store.trees import tree_files

LOG_BYTES = 4 << 20
CONFIG = "config.json"
# Stands where a launch has the engine's id of the pod.
POD = "POD"


class RunPlan(Struct, frozen=True):
    """All that the replicates of one attempt share; `score_profile` is that of the second container.

    `lacking` is what the site policy requires, and records where the host does not have it, `gpu_remarks`
    what differs in its GPUs since the run began. `service_images` are the engine's ids of the services'
    images, by service name. `secrets` are the values of those that the blueprint names, and stand in no task
    but a container's own. `counted` is where the attempt stands in the home's ledger.
    """

    resolution: Resolution
    attempt: Attempt
    image: str
    profile: SandboxProfile
    engine: EngineFacts
    home_label: str
    score_profile: SandboxProfile | None = None
    lacking: tuple[str, ...] = ()
    service_images: Mapping[str, str] = field(default_factory=dict)
    machine: Machine = Machine()
    gpu_remarks: tuple[str, ...] = ()
    secrets: Mapping[str, str] = field(default_factory=dict)
    counted: Counted | None = None

    @property
    def masker(self) -> Masker:
        """Return what finds and masks the attempt's secrets."""
        return Masker(self.secrets)

    @property
    def seeds(self) -> tuple[int, ...]:
        """One seed for each replicate, in order."""
        return self.resolution.blueprint.run.seeds

    @property
    def last_phase(self) -> Phase:
        """Whose container leaves the samples."""
        return "run" if self.score_profile is None else "score"

    def outputs(self, replicate: int, phase: Phase) -> Path:
        """Return the folder of what the phase's container left in `/eval/out`."""
        return self.folder(replicate, phase) / "out"

    def logs(self, replicate: int, phase: Phase) -> Path:
        """Return the folder of the phase's captured streams."""
        return self.folder(replicate, phase) / "logs"

    def folder(self, replicate: int, phase: Phase) -> Path:
        """Return the phase's own folder."""
        return self.replicate(replicate) / phase

    def state(self, replicate: int) -> Path:
        """Return the folder that a resumable replicate goes on with."""
        return state_folder(self.attempt.state, replicate)

    def replicate(self, replicate: int) -> Path:
        """Return the folder of all that a replicate leaves."""
        return self.attempt.work / str(replicate)


def state_folder(states: Path, replicate: int) -> Path:
    """Return the folder among the `states` of a lock that one replicate goes on with."""
    return states / str(replicate) / "data"


def profiles_of(request: LaunchRequest) -> tuple[SandboxProfile, SandboxProfile | None]:
    """Return the profile of `[run]`, and that of the second container where one scores."""
    blueprint, runtime = request.blueprint, request.least_runtime
    run = replace(profile_of_run(blueprint), runtime=runtime)
    if blueprint.score is None or not blueprint.score.command:
        return run, None
    return run, replace(profile_for(blueprint.score.resources, blueprint.sandbox), runtime=runtime)


def labels(plan: RunPlan) -> dict[str, str]:
    """Return the labels that say whose container this is, without telling where or who."""
    return {HOME_LABEL: plan.home_label, ATTEMPT_LABEL: plan.attempt.invocation_id}


def artifact_place(replicate: int, output: str) -> str | None:
    """Return where a bundle keeps `output` (a path under `/eval/out`), None for what no bundle may hold."""
    if not output.startswith(f"{ARTIFACTS}/"):
        return None
    place = f"{ARTIFACTS}/{replicate}/{output.removeprefix(f'{ARTIFACTS}/')}"
    return place if is_portable_name(place) else None


def prediction_place(replicate: int, output: str) -> str | None:
    """Return where a bundle keeps `output`, left by `[run]` for `[score]`, None where it may not hold it."""
    place = f"{PREDICTIONS}/{replicate}/{output}"
    return place if is_portable_name(place) else None


def container_task(plan: RunPlan, replicate: int, phase: Phase = "run") -> ContainerTask:
    """Return the task of one phase of a replicate; its folders are made fresh, its config is written.

    What `[run]` left is opened to the container that scores it.
    """
    task = planned_task(plan, replicate, phase)
    try:
        for folder in (task.outputs, task.logs):
            folder.mkdir(parents=True, mode=0o700)
        _write_config(plan, replicate, phase)
    except OSError as error:
        raise not_writable(plan.folder(replicate, phase), error) from error
    if phase == "score":
        _open_to_sandbox(plan.outputs(replicate, "run"))
    return replace(task, secrets=plan.secrets)


def planned_task(plan: RunPlan, replicate: int, phase: Phase = "run") -> ContainerTask:
    """Return the task of one phase of a replicate, a pure function of the plan: nothing is written."""
    blueprint = plan.resolution.blueprint
    asked, profile = _asked(plan, phase)
    return ContainerTask(
        name=f"evalctl-{plan.attempt.invocation_id}-{replicate}-{phase}",
        image=plan.image,
        command=asked.command,
        environment={
            **environment(plan, asked.env, plan.seeds[replicate], profile.cpus),
            **proxy_variables(blueprint, phase),
        },
        working_directory=working_directory(plan),
        mounts=tuple(_mounts(plan, replicate, phase)),
        profile=profile,
        labels={**labels(plan), REPLICATE_LABEL: str(replicate)},
        timeout=asked.timeout,
        outputs=plan.outputs(replicate, phase),
        logs=plan.logs(replicate, phase),
        log_limit=LOG_BYTES,
        state=plan.state(replicate) if phase == "run" and profile.state else None,
        pod=PodLink(POD, hosts_file(plan, replicate, phase))
        if shares_a_namespace(blueprint, phase)
        else None,
    )


def working_directory(plan: RunPlan) -> str:
    """Return the folder in which every command begins."""
    path = plan.resolution.blueprint.code.path
    return f"/eval/code/{path}" if path else "/eval/code"


def hosts_file(plan: RunPlan, replicate: int, phase: Phase) -> Path:
    """Return the `/etc/hosts` of a phase whose containers share a network namespace."""
    return plan.folder(replicate, phase) / "hosts"


def _asked(plan: RunPlan, phase: Phase) -> tuple[Run | Score, SandboxProfile]:
    blueprint = plan.resolution.blueprint
    if phase == "run":
        return blueprint.run, plan.profile
    assert blueprint.score and plan.score_profile  # noqa: S101 - the plan has a second container
    return blueprint.score, plan.score_profile


def bring_predictions(plan: RunPlan, replicate: int) -> None:
    """Copy what an earlier run left for the replicate to where `[run]` would have left it."""
    folders = plan.resolution.predictions
    assert folders is not None  # noqa: S101 - this run scores an earlier one
    source, place = folders[replicate], plan.outputs(replicate, "run")
    place.mkdir(parents=True, mode=0o700)
    for path, file in tree_files(source, what="predictions") if source.is_dir() else ():
        copy_new(file, place / path)


def _open_to_sandbox(folder: Path) -> None:
    """Let the container's user read what is below `folder`."""
    for place, _, names in os.walk(folder):
        Path(place).chmod(0o755)
        for name in names:
            Path(place, name).chmod(0o444)


def _write_config(plan: RunPlan, replicate: int, phase: Phase) -> None:
    path = plan.folder(replicate, phase) / CONFIG
    config = thaw(freeze(plan.resolution.blueprint.config))
    value = {"config": config, "seed": plan.seeds[replicate], "replicate": replicate}
    path.write_bytes(canonical_bytes(value))
    path.chmod(0o444)


def _mounts(plan: RunPlan, replicate: int, phase: Phase) -> Iterator[Mount]:
    """Yield what the phase's container may read: held-out inputs and predictions only where it scores."""
    resolution = plan.resolution
    yield Mount(resolution.code.root, "/eval/code")
    for item in resolution.blueprint.inputs:
        if phase == "score" or item.role != "held-out":
            yield Mount(resolution.inputs[item.name], f"/eval/inputs/{item.name}")
    yield Mount(plan.folder(replicate, phase) / CONFIG, "/eval/config.json")
    if phase == "score":
        yield Mount(plan.outputs(replicate, "run"), "/eval/predictions")


def environment(plan: RunPlan, own: Mapping[str, str], seed: int, cpus: int) -> dict[str, str]:
    """Return the container's variables; ours win over the blueprint's, nothing comes from the host."""
    limit = plan.resolution.pins.limit
    return {
        **own,
        **dict.fromkeys(THREAD_VARIABLES, str(cpus)),
        **({} if limit is None else {"EVALCTL_LIMIT": str(limit)}),
        "EVALCTL_SEED": str(seed),
        "PYTHONHASHSEED": str(seed),
        "SOURCE_DATE_EPOCH": str(plan.resolution.code.commit_time),
        "TZ": "UTC",
        "LC_ALL": "C.UTF-8",
        "HOME": "/tmp",  # noqa: S108 - the container's own, bounded
    }
