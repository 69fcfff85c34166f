"""Bundles that a report must do justice to: several seeds, a failed run, and a stranger's hostile words."""

from pathlib import Path
from threading import Event
from typing import Any

from launcher.resolve import Choices
from tests.fakes.engine import World
from tests.fakes.world import SmallWorld, answering, items_of, write_samples

HOSTILE = "</script></style><img src=x onerror=alert(1)>\u202egood\u2066\x1b[2J\x00`|@everyone![x](http://e.example)"
HOSTILE_LINK = "javascript:alert(1)//https://e.example"
HOSTILE_METRIC = f"""name = "accuracy"
definition = "accuracy@1"
primary = true
threshold = {{ min = 0.95 }}
published = {{ value = 0.912, decimals = 3, source = "{HOSTILE_LINK}" }}"""
HOSTILE_BLUEPRINT = f"""name = "acme/thirds"
version = "1.0.0"
title = '''<b onmouseover="alert(1)">Thirds</b> {{{{ 7 * 7 }}}} {{% raw %}}'''
authors = ["<script>alert(1)</script>"]
cite = "{HOSTILE_LINK}"
license = '''"><svg onload=alert(1)>'''
rationale = '''--> ]]> </p><iframe src="https://e.example"></iframe>'''"""
SEVERAL = """name = "accuracy"
definition = "accuracy@1"
primary = true
threshold = { min = 0.80, on = "ci-lower" }
published = { value = 0.90, decimals = 2, source = "doi:10.5555/thirds" }
[[metric]]
name = "macro-f1"
definition = "f1@1"
parameters = { average = "macro" }
[[metric]]
name = "loss"
definition = "mean@1"
of = "scores.loss"
direction = "lower"
threshold = { max = 0.5 }"""


def several_seeds(world: SmallWorld) -> Path:
    """Three seeds that differ, two kinds of metrics, one of them missing its threshold."""

    def change(seed: int, sample: dict[str, Any]) -> dict[str, Any]:
        number = int(sample["id"].removeprefix("item-"))
        if (number * 7 + seed) % 13 == 0:
            sample["prediction"] = (sample["prediction"] + 1) % 3
        sample["scores"] = {"loss": ((number * 37 + seed * 11) % 100) / 90}
        return sample

    world.plays(answering(change))
    run = 'command = ["answer"]\nseeds = [11, 23, 47]'
    return world.launch(sections={"run": run, "metric": SEVERAL}).bundle


def partial(world: SmallWorld) -> Path:
    """Less than a whole run, and marked so."""
    return world.launch(choices=Choices(limit=10)).bundle


def failed(world: SmallWorld) -> Path:
    """A program that dies after it wrote a log, and so stops the other seed's while that runs."""
    other_runs = Event()

    def die(inside: World) -> int:
        if inside.environment["EVALCTL_SEED"] == "23":
            other_runs.set()
            inside.stopped.wait(60)
            return 0
        other_runs.wait(60)
        inside.stdout += b"loading\n"
        inside.stderr += (
            b"Traceback (most recent call last):\n"
            b'  File "/eval/code/answer.py", line 12, in <module>\n'
            b"    main()\n"
            b"ValueError: \x1b[31mno </pre><script>alert(1)</script> model\x1b[0m\n"
        )
        return 3

    world.plays(die)
    return world.launch(sections={"run": 'command = ["answer"]\nseeds = [11, 23]'}).bundle


def hostile(world: SmallWorld) -> Path:
    """Every place that a stranger may fill, filled with what pages and Markdown could fall for."""

    def answer(inside: World) -> int:
        samples = []
        for item in items_of(inside):
            sample = {"id": f"{item['id']}", "prediction": item["x"] % 3}
            if item["x"] % 4 == 0:
                sample |= {"prediction": HOSTILE, "groups": {"<i>g": HOSTILE}}
            elif item["x"] % 4 == 1:
                sample |= {"prediction": HOSTILE * 200}
            elif item["x"] % 7 == 2:
                sample |= {"error": HOSTILE}
            samples.append(sample)
        write_samples(inside, samples)
        events = b'{"step":"</script><img src=x onerror=alert(1)>","phase":"\\u202e","detail":"x"}\n'
        (inside.outputs / "events.jsonl").write_bytes(events)
        return 0

    world.plays(answer)
    sections = {"metric": HOSTILE_METRIC, "blueprint": HOSTILE_BLUEPRINT}
    return world.launch(sections=sections, note=HOSTILE).bundle
