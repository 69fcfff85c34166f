"""Launch one attack with the real `evalctl`, and say what became of it."""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from launcher.engines.engine import HOME_LABEL
from launcher.spec.seccomp import seccomp_profile
from tests.hostile.host import MARK, Host, kernel_settings, state_of

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
LAYOUT = ROOT / "images" / "eval-python" / "layout"
EVALCTL = Path(sys.executable).parent / "evalctl"
NUMBERS = Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h")
PATIENCE = 150
# Guests' processes cost gVisor's own kernel memory, which is the sandbox's.
PLACES: Mapping[str, Mapping[str, str]] = {"runc": {}, "runsc": {"memory": '"3GiB"'}}
# uretprobe and uprobe: the kernel lets them past every filter and refuses them outside its own trampolines.
PAST_EVERY_FILTER = (335, 336)


@dataclass(frozen=True)
class Ended:
    """What a launch came to: exit code, what it printed, its bundle."""

    code: int
    answer: Mapping[str, Any]
    seconds: float
    err: str

    @property
    def bundle(self) -> Path:
        return Path(self.answer["bundle"])

    def read(self, name: str) -> Any:
        return json.loads((self.bundle / name).read_bytes())

    def samples(self) -> dict[str, Any]:
        """Return each sample's prediction by its id."""
        lines = (self.bundle / "samples.jsonl").read_bytes().splitlines()
        return {sample["id"]: sample.get("prediction") for sample in map(json.loads, lines)}


def make_code(folder: Path) -> None:
    """Commit the attacking code, the list of allowed system calls and the static attacker at `folder`."""
    shutil.copytree(HERE / "code", folder, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "allowed.json").write_text(json.dumps(allowed_numbers()))
    build = ["gcc", "-O1", "-static", "-o", folder / "low", HERE / "low.c"]
    subprocess.run(build, check=True, timeout=60)
    for arguments in (["init", "--quiet"], ["add", "."], ["commit", "--quiet", "-m", "Attack"]):
        git(folder, *arguments)


def git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=A", "-c", "user.email=a@example.org"]
    command = ["git", *identity, *arguments]
    done = subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True, timeout=60)
    return done.stdout.strip()


def allowed_numbers() -> list[int]:
    """Return the numbers of the system calls that the sandbox's filter names."""
    text = NUMBERS.read_text()
    numbers = {name: int(number) for name, number in re.findall(r"__NR_(\w+) (\d+)", text)}
    named = {name for rule in seccomp_profile()["syscalls"] for name in rule["names"]}
    return sorted({*PAST_EVERY_FILTER, *(numbers[name] for name in named if name in numbers)})


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


class Hostile:
    """Launches attacks, each from a folder of its own, all into one home."""

    def __init__(self, code: Path, host: Host, folder: Path, runtime: str, engine: Mapping[str, str]) -> None:
        self._code, self.host, self._folder, self._engine = code, host, folder, engine
        self.home = folder / "home-of-nobody-else"
        self.runtime = runtime
        self._kernel = kernel_settings()
        self._before: dict[str, tuple[int, ...]] = {}
        self._files_of_host: set[str] = set()

    def launch(
        self, attack: str, labels: Mapping[str, Any], changes: Mapping[str, str] | None = None
    ) -> Ended:
        """Launch `attack` and hold its samples against `labels`; `changes` replace lines of the blueprint."""
        folder = self._folder / attack
        folder.mkdir(exist_ok=True)
        self._write_blueprint(folder, attack, labels, {**PLACES[self.runtime], **(changes or {})})
        # Folders change as other launches add to them; files must not.
        self._before = {path: facts for path, facts in self._state().items() if not Path(path).is_dir()}
        self._files_of_host = set(map(str, self.host.folder.rglob("*")))
        start = time.monotonic()
        done = self.evalctl("launch", str(folder / "blueprint.toml"), "--runtime", self.runtime)
        seconds = time.monotonic() - start
        answer = json.loads(done.stdout) if done.stdout.strip() else {}
        return Ended(done.returncode, answer, seconds, done.stderr)

    def evalctl(self, *arguments: str, as_json: bool = True) -> subprocess.CompletedProcess[str]:
        """Run the command line in the session's home, under an environment with a secret in it."""
        return subprocess.run(
            [EVALCTL, *arguments, *(["--json"] if as_json else [])],
            env={**os.environ, **self._engine, "EVALCTL_HOME": str(self.home), "HOST_SECRET": MARK},
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )

    def require_unharmed(self, ended: Ended) -> None:
        """Judge the bundle, what is shown of it, and everything around the container."""
        assert ended.answer, f"no answer, exit {ended.code}: {ended.err[-2000:]}"
        verified = self.evalctl("verify", str(ended.bundle))
        assert (verified.returncode, json.loads(verified.stdout)["verdict"]) == (0, "verified"), (
            verified.stdout
        )
        shown = self.evalctl("show", str(ended.bundle), as_json=False).stdout
        assert [line for line in shown.splitlines() if not line.isprintable()] == []
        assert self.host.contacts() == []
        assert self.host.survivors() == []
        assert self.host.mounts() == []
        assert kernel_settings() == self._kernel
        after = self._state()
        assert {path: after.get(path) for path in self._before} == self._before
        assert set(map(str, self.host.folder.rglob("*"))) == self._files_of_host
        assert self._left_in_home() == []
        assert self._containers() == []

    def require_plain_reports(self, ended: Ended) -> None:
        """See that no report of the bundle holds what a terminal or a browser would obey."""
        for form in ("markdown", "html"):
            text = self.evalctl("report", str(ended.bundle), "--format", form, as_json=False).stdout
            assert text
            assert [line for line in text.splitlines() if not line.isprintable()] == []

    def _state(self) -> dict[str, tuple[int, ...]]:
        """Return the facts of every file that an evaluation sees, or that others may write."""
        engines = ROOT / "launcher" / "engines"
        return state_of(
            self.host.folder, self._code, self.home / "cache", engines / "init", engines / "hosts"
        )

    def _left_in_home(self) -> list[str]:
        """Return what a finished attempt has no use for."""
        runs = (path for path in (self.home / "runs").rglob("*") if path.is_file())
        left = [str(path) for path in runs if path.name not in ("state.json", "launcher.flock")]
        return left + [str(path) for name in ("live", "unborn") for path in (self.home / name).glob("*")]

    def _containers(self) -> list[str]:
        """Return the home's containers, once the engine had a moment to remove them."""
        from launcher.engines.choice import open_engine

        address = next(iter(self._engine.values()), "unix:///var/run/docker.sock")
        engine = open_engine(address)
        try:
            for _ in range(50):
                left = list(engine.find({HOME_LABEL: (self.home / "id").read_text()}))
                if not left:
                    break
                time.sleep(0.1)
        finally:
            engine.close()
        return left

    def _write_blueprint(
        self, folder: Path, attack: str, labels: Mapping[str, Any], changes: Mapping[str, str]
    ) -> None:
        lines = [json.dumps({"id": name, "target": target}) + "\n" for name, target in labels.items()]
        (folder / "labels.jsonl").write_text("".join(lines))
        held_out = sha256(folder / "labels.jsonl")
        values = {
            "ref": f"oci:{LAYOUT}@{image_digest()}",
            "git": str(self._code),
            "commit": git(self._code, "rev-parse", "HEAD"),
            "command": ["python3.11", "attack.py", attack, self.host.token],
            "abstract": self.host.abstract,
            "bridge": self.host.bridge,
            "port": self.host.port,
            "kernel": os.uname().release,
            "home": str(self.home),
            "labels": held_out,
            "namespaces": [str(Path("/proc/self/ns/net").readlink())],
            "places": [str(folder / "labels.jsonl"), str(self.home / "cache")],
        }
        text = (HERE / "blueprint.toml").read_text(encoding="utf-8")
        text = text.replace('"canary.txt"', json.dumps(str(self.host.canary)))
        text = text.replace('sha256 = "CANARY"', f'sha256 = "{sha256(self.host.canary)}"')
        text = text.replace('sha256 = "LABELS"', f'sha256 = "{held_out}"')
        for name, value in values.items():
            text = text.replace(f"\n{name} = ", f"\n{name} = {json.dumps(value)} # ", 1)
        for name, line in changes.items():
            text = re.sub(rf"(?m)^{name} = .*$", lambda _, n=name, v=line: f"{n} = {v}", text, count=1)
        (folder / "blueprint.toml").write_text(text)


def image_digest() -> str:
    """Return the digest of the image's manifest, as its layout says."""
    index = json.loads((LAYOUT / "index.json").read_text())
    return str(index["manifests"][0]["digest"])
