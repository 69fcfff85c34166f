"""Be a launcher that the test kills: run one container that never ends by itself."""

import sys
import threading
from pathlib import Path

from launcher.engines.docker_engine import DockerEngine
from launcher.engines.engine import ContainerTask
from launcher.spec.blueprint import MIB, Resources, Sandbox
from launcher.spec.sandbox import profile_for


class _Silent:
    def samples_so_far(self, count: int) -> None:
        return


def main(image: str, home: str, folder: Path) -> None:
    """Run `while :` in `image`, labelled as `home`'s."""
    resources = Resources(memory=128 * MIB, tmp=8 * MIB, output=8 * MIB, shm=8 * MIB, pids=64)
    task = ContainerTask(
        name=f"evalctl-test-{folder.name}",
        image=image,
        command=("sh", "-c", "trap '' TERM HUP INT; (while :; do :; done) & while :; do sleep 1; done"),
        environment={},
        working_directory="/",
        mounts=(),
        profile=profile_for(resources, Sandbox()),
        labels={"evalctl.home": home, "evalctl.attempt": "crashed"},
        timeout=600,
        outputs=folder / "outputs",
        logs=folder / "logs",
        log_limit=1 * MIB,
    )
    for made in (task.outputs, task.logs):
        made.mkdir(parents=True)
    DockerEngine().run(task, _Silent(), threading.Event())


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], Path(sys.argv[3]))
