"""What tests of the stand-alone verifier share: its command line in this process, and `verify` beside it."""

import contextlib
import io
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from launcher.cli.verify import EXIT_CODES
from launcher.exports import evalctl_verify as one
from launcher.trust.policy import Policy, single_key_policy
from launcher.verify import verify
from tests.bundles import cases
from tests.bundles.case import Case
from tests.bundles.honest import Run
from tests.bundles.keys import ALICE

FILE = Path(one.__file__)
LIGHT = [case for case in cases() if not case.heavy]


class Answer(NamedTuple):
    """An exit code, and what was printed."""

    code: int
    out: str
    err: str

    @property
    def skipped(self) -> set[str]:
        return {check["name"] for check in json.loads(self.out)["checks"] if check["status"] == "skipped"}


def told(*arguments: str | Path) -> Answer:
    """Run the file's command line in this process."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = one.main([*map(str, arguments), "--json"])
    return Answer(code, out.getvalue(), err.getvalue())


def own_code(bundle: Path, policy: Policy) -> int:
    return EXIT_CODES[verify(bundle, policy, datetime.now(UTC)).verdict]


def decider(case: Case, folder: Path) -> tuple[Path | None, Path | None]:
    """Return the key, or else the policy, by which a case is judged; where only a home has one, that."""
    if case.trust.key is not None:
        return folder / "key.pub", None
    trust = folder / ("trust.toml" if case.trust.policy is not None else "home/trust.toml")
    return None, trust if trust.exists() else None


RUN = Run(
    seeds=(3, 4),
    items=6,
    metric='name = "accuracy"\ndefinition = "accuracy@1"\nthreshold = { min = 0.5, on = "ci-lower" }\n'
    'published = { value = 0.9, decimals = 1, source = "somewhere" }\n'
    '[[metric]]\nname = "f1"\ndefinition = "f1@1"\nparameters = { average = "macro" }',
)
POLICY = single_key_policy(ALICE.public)
