"""A small world whose launches are processes of their own that talk to a real engine."""

import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from docker import APIClient

from launcher.engines.docker_engine import DockerEngine
from launcher.errors import EvalctlError
from tests.fakes.finished import Finished
from tests.fakes.world import SmallWorld
from tests.image.makers import make_layout

MAIN = "import sys; from launcher.cli.app import main; main()"
SCRIPT = """sleep 2
i=0
while [ $i -lt 40 ]; do
  printf '{"id":"item-%02d","prediction":0}\\n' $i >> /eval/out/samples.jsonl
  i=$((i + 1))
done
"""


@dataclass
class RealWorld:
    """A world whose launches are processes of their own that talk to a real engine."""

    world: SmallWorld
    engine: DockerEngine
    address: str | None = None

    def write(self, script: str, more: str = "", **sections: str) -> None:
        """Write the blueprint of a shell script; `more` is more of `[run]`, `sections` are others."""
        command = json.dumps(["/bin/sh", "-c", script])
        self.world.write(
            run=f'command = {command}\ntimeout = "30s"\n{more}',
            resources='cpus = 1\nmemory = "256MiB"\noutput = "16MiB"\nshm = "16MiB"\ntmp = "16MiB"',
            **sections,
        )

    def start(self, *arguments: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [sys.executable, "-c", MAIN, *arguments],
            env=os.environ | self._environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def _environment(self) -> dict[str, str]:
        engine = {} if self.address is None else {"DOCKER_HOST": self.address}
        return {"EVALCTL_HOME": str(self.world.home.root), **engine}

    def evalctl(self, *arguments: str) -> Finished:
        process = self.start(*arguments)
        out, err = process.communicate(timeout=60)
        return Finished(process.returncode, out, err)

    def launch(self) -> "subprocess.Popen[str]":
        return self.start("launch", str(self.world.file), "--json")

    def launched(self) -> Any:
        """Launch to the end and return what it said."""
        out, err = self.launch().communicate(timeout=60)
        assert out, err
        return json.loads(out)

    def state(self) -> Any:
        """Return the journal of the latest attempt."""
        (*_, last) = sorted(self.world.home.runs.glob("*/[0-9]*"), key=lambda folder: int(folder.name))
        return json.loads((last / "state.json").read_text())

    def containers(self) -> list[str]:
        return list(self.engine.find({"evalctl.home": self.world.home.label}))

    def wait_for_container(self, process: "subprocess.Popen[str]") -> None:
        deadline = time.monotonic() + 30
        while not self.containers():
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.05)

    def attempts(self) -> list[tuple[int, str, str | None]]:
        found = json.loads(self.evalctl("list", "--json").out)["attempts"]
        return [(it["attempt"], it["outcome"], it["failure"]) for it in found]


def busybox_layer(busybox: Path) -> bytes:
    """Return a layer that holds busybox as `/bin/sh` and what the script calls."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for folder in ("bin", "tmp", "eval", "etc", "proc", "sys", "dev"):
            entry = tarfile.TarInfo(folder)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o755
            archive.addfile(entry)
        program = tarfile.TarInfo("bin/busybox")
        program.size, program.mode = busybox.stat().st_size, 0o755
        archive.addfile(program, io.BytesIO(busybox.read_bytes()))
        # An image of this test's own: what another test removes is not this one's.
        unique = tarfile.TarInfo(f"etc/{uuid4().hex}")
        archive.addfile(unique)
        for name in ("sh", "sleep", "printf"):
            link = tarfile.TarInfo(f"bin/{name}")
            link.type, link.linkname = tarfile.SYMTYPE, "busybox"
            archive.addfile(link)
    return buffer.getvalue()


def make_real_world(world: SmallWorld, address: str | None = None) -> Iterator[RealWorld]:
    """Yield a world whose image is busybox, for an engine, or that of this machine; removed at the end."""
    busybox = Path("/bin/busybox")
    if not busybox.is_file() or b"ld-linux" in busybox.read_bytes()[:4096]:
        pytest.skip("no static /bin/busybox: apt-get install busybox-static")
    engine = DockerEngine(address)
    try:
        engine.describe()
    except EvalctlError as error:
        pytest.skip(f"no Docker Engine to test with: {error.context}")
    shutil.rmtree(world.folder / "image")
    digest = make_layout(world.folder / "image", layers=[busybox_layer(busybox)])
    pins = json.loads((world.folder / "pins.json").read_text())
    (world.folder / "pins.json").write_text(json.dumps({**pins, "image": digest}))
    real = RealWorld(world, engine, address)
    real.write(SCRIPT)
    yield real
    _clean(real)


def _clean(real: RealWorld) -> None:
    world, engine = real.world, real.engine
    engine.remove(engine.find({"evalctl.home": world.home.label}))
    image = engine.find_image(world.resolve_file().image.pins)
    engine.close()
    if image:
        client = APIClient(base_url=real.address, timeout=30)
        client.remove_image(image, force=True)
        client.close()
