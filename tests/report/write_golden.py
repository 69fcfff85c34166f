"""Write the golden reports anew: python -m tests.report.write_golden."""

import tempfile
from pathlib import Path

from launcher.trust.policy import empty_policy
from tests.fakes.world import copy_world, make_template
from tests.report import golden, stories


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        template = Path(folder) / "template"
        make_template(template)
        for name in golden.NAMES:
            world = copy_world(template, Path(folder) / name)
            told = "several_seeds" if name == "stranger" else name
            bundle = getattr(stories, told)(world)
            policy = empty_policy() if name == "stranger" else None
            record = golden.record_of(world, bundle, policy)
            for ending, text in golden.expected(record).items():
                golden.FOLDER.mkdir(exist_ok=True)
                (golden.FOLDER / f"{name}.{ending}").write_text(text)


if __name__ == "__main__":
    main()
