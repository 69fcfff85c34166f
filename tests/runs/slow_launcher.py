"""Be a launcher in another terminal: run an evaluation that never ends by itself."""

import sys
from pathlib import Path

from tests.fakes.engine import FakeEngine
from tests.fakes.engine import World as Inside
from tests.fakes.world import SmallWorld


def _never(inside: Inside) -> int:
    print("began", flush=True)
    inside.stopped.wait()
    return 0


if __name__ == "__main__":
    SmallWorld(Path(sys.argv[1]), FakeEngine({"answer": _never})).launch()
    print("ended", flush=True)
