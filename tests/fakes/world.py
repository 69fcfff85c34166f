"""A whole small world in a folder: a blueprint and what it names, a home with a key, an engine in memory."""

import json
import shutil
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

from launcher.cli.signing import read_signer
from launcher.launch import launch
from launcher.metrics.reference import references
from launcher.resolve import Resolution, resolve
from launcher.runs.request import Edges, Launched, LaunchRequest
from launcher.sources.inputs import FetchSettings
from launcher.spec.blueprint import Blueprint
from launcher.spec.reading import read_blueprint
from launcher.spec.site import SitePolicy
from launcher.store.cache import Cache
from launcher.store.home import Home
from launcher.trust.keys import Signer
from launcher.trust.policy import Policy, single_key_policy
from launcher.verify import Verification, verify
from scripts.code_bundle import write_bundle
from tests.fakes.engine import FakeEngine, Program
from tests.fakes.engine import World as Inside
from tests.image.makers import make_layout

ITEMS = 40
WRONG = 4

SECTIONS: Mapping[str, str] = {
    "blueprint": 'name = "acme/thirds"\nversion = "1.0.0"\ntitle = "Remainders by three"',
    "image": 'ref = "oci:image@{image}"',
    "code": 'git = "code.bundle"\ncommit = "{commit}"',
    "data": 'name = "items"\nuri = "items.jsonl"\nsha256 = "{items}"',
    "labels": 'name = "labels"\nuri = "labels.jsonl"\nsha256 = "{labels}"\nrole = "held-out"',
    "config": "temperature = 0.5",
    "run": 'command = ["answer"]',
    "score": 'labels = "labels"',
    "resources": 'cpus = 1\nmemory = "1GiB"\noutput = "16MiB"',
    "sandbox": "",
    "metric": 'name = "accuracy"\ndefinition = "accuracy@1"\nprimary = true',
}
_HEADERS = {"data": "[[data]]", "labels": "[[data]]", "metric": "[[metric]]"}


@dataclass
class Recorder:
    """A reporter that remembers what it was told."""

    stages: list[str] = field(default_factory=list)
    counts: list[int] = field(default_factory=list)

    def stage(self, text: str) -> None:
        self.stages.append(text)

    def samples(self, count: int) -> None:
        self.counts.append(count)

    def close(self) -> None:
        return


@dataclass
class SmallWorld:
    """The folder of a blueprint, the home beside it, and what touches the world."""

    root: Path
    engine: FakeEngine
    reporter: Recorder = field(default_factory=Recorder)
    site: SitePolicy = field(default_factory=SitePolicy)

    @property
    def folder(self) -> Path:
        return self.root / "blueprint"

    @property
    def file(self) -> Path:
        return self.folder / "blueprint.toml"

    @property
    def home(self) -> Home:
        return Home(self.root / "home")

    @property
    def signer(self) -> Signer:
        return read_signer(self.home, None)

    @property
    def policy(self) -> Policy:
        return single_key_policy(self.signer.public)

    @property
    def settings(self) -> FetchSettings:
        return FetchSettings(self.folder)

    def write(self, **sections: str | None) -> Path:
        """Write the blueprint with these sections in place of the usual ones, `tail` behind them all."""
        self.file.write_text(blueprint_text(self.folder, **sections))
        return self.file

    def blueprint(self, **sections: str | None) -> Blueprint:
        self.write(**sections)
        return self.read()

    def read(self) -> Blueprint:
        return read_blueprint(self.file.read_bytes(), file=str(self.file), definitions=references())

    def resolve(self, **sections: str | None) -> Resolution:
        self.write(**sections)
        return self.resolve_file()

    def resolve_file(self) -> Resolution:
        """Resolve the blueprint as it stands in its file."""
        return resolve(self.read(), Cache(self.home.cache), self.settings)

    def plays(self, program: Program, name: str = "answer") -> None:
        self.engine.programs[name] = program

    def edges(self, **changes: Any) -> Edges:
        usual = {
            "home": self.home,
            "connect": lambda: self.engine,
            "signer": self.signer,
            "reporter": self.reporter,
            "site": self.site,
        }
        return Edges(**{**usual, **changes})

    def launch(self, *, signer: Signer | None = None, **request: Any) -> Launched:
        """Launch the blueprint as it is written now, or as `sections` of it say."""
        blueprint = self.blueprint(**request.pop("sections", {}))
        return self.launch_read(blueprint, signer=signer, **request)

    def launch_read(self, blueprint: Blueprint, *, signer: Signer | None = None, **request: Any) -> Launched:
        """Launch a blueprint that was read before."""
        edges = self.edges(signer=signer) if signer else self.edges()
        return launch(LaunchRequest(blueprint, self.settings, **request), edges)

    def verify(self, bundle: Path, policy: Policy | None = None) -> Verification:
        return verify(bundle, policy or self.policy, datetime.now(UTC))


def blueprint_text(folder: Path, **sections: str | None) -> str:
    """Return a blueprint of the files in `folder`; a section that is None there is left out."""
    pins = json.loads((folder / "pins.json").read_text())
    text = 'schema = "evalctl/blueprint/v1"\n'
    for name, usual in SECTIONS.items():
        body = sections.get(name, usual)
        if body is None:
            continue
        for pin, value in pins.items():
            body = body.replace("{" + pin + "}", value)
        if body or name in sections:
            text += f"{_HEADERS.get(name, f'[{name}]')}\n{body}\n\n"
    return text + (sections.get("tail") or "")


def make_template(root: Path) -> None:
    """Build the world once: its code bundle, inputs, image, and a home whose cache holds them."""
    folder = root / "blueprint"
    sources = folder / "src"
    sources.mkdir(parents=True)
    (sources / "answer.py").write_text("print('answer')\n")
    (sources / "pins.lock").write_text("nothing==1\n")
    (sources / "evals").mkdir()
    (sources / "evals" / "main.py").write_text("import answer\n")
    items = [{"id": f"item-{number:02}", "x": number} for number in range(ITEMS)]
    labels = [{"id": item["id"], "target": (item["x"] + (item["x"] % 10 == 9)) % 3} for item in items]
    pins = {
        "commit": write_bundle(folder),
        "image": make_layout(folder / "image"),
        "items": write_lines(folder / "items.jsonl", items),
        "labels": write_lines(folder / "labels.jsonl", labels),
    }
    (folder / "pins.json").write_text(json.dumps(pins))
    world = SmallWorld(root, FakeEngine({}))
    assert world.signer
    world.resolve()


def copy_world(template: Path, root: Path, engine: FakeEngine | None = None) -> SmallWorld:
    """Copy the template to `root` and give it an engine that plays `answer`."""
    shutil.copytree(template, root, symlinks=True)
    return SmallWorld(root, engine or FakeEngine({"answer": answer}))


def write_lines(path: Path, values: list[Any]) -> str:
    """Write JSON lines; return the hex SHA-256 of the file."""
    data = "".join(json.dumps(value) + "\n" for value in values).encode()
    path.write_bytes(data)
    return sha256(data).hexdigest()


def read_lines(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def items_of(inside: Inside) -> list[Any]:
    return read_lines(inside.mounts["/eval/inputs/items"])


def write_samples(inside: Inside, samples: list[Any]) -> None:
    write_lines(inside.outputs / "samples.jsonl", samples)


def answer(inside: Inside) -> int:
    """Answer each item right but for every tenth."""
    write_samples(inside, [{"id": item["id"], "prediction": item["x"] % 3} for item in items_of(inside)])
    return 0


def answering(change: Callable[[int, dict[str, Any]], dict[str, Any]]) -> Program:
    """Return a program that answers and then changes each sample: `change(seed, sample)`."""

    def program(inside: Inside) -> int:
        seed = int(inside.environment["EVALCTL_SEED"])
        samples = [{"id": item["id"], "prediction": item["x"] % 3} for item in items_of(inside)]
        write_samples(inside, [change(seed, sample) for sample in samples])
        return 0

    return program


def leaving(data: bytes, name: str = "samples.jsonl", *, first: Program = answer) -> Program:
    """Return a program that runs `first` and then leaves the file `name` with `data`."""

    def program(inside: Inside) -> int:
        code = first(inside)
        path = inside.outputs / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with suppress(FileNotFoundError):
            path.unlink()
        path.write_bytes(data)
        return code

    return program
