"""Honest bundles of every kind: none of them may be refused."""

from collections.abc import Iterator
from functools import cache

from tests.bundles.case import Case, Trust, leave
from tests.bundles.honest import Files, Run, imported, launched
from tests.bundles.keys import ALICE, ALICE_P256

_PLAIN = 'name = "accuracy"\ndefinition = "accuracy@1"'
_RUNS = {
    "honest": ("launched two seeds", Run()),
    "honest-p256": ("signed with a P-256 key", Run(signer=ALICE_P256)),
    "honest-failure": ("launched a candidate that failed", Run(failure="candidate")),
    "honest-timeout": ("launched a candidate that ran out of time", Run(failure="timeout")),
    "honest-missed-threshold": (
        "missed the threshold",
        Run(metric=_PLAIN + "\nprimary = true\nthreshold = { min = 0.99 }"),
    ),
    "honest-no-threshold": ("asked for no threshold", Run(metric=_PLAIN)),
    "honest-one-seed": ("launched one seed", Run(seeds=(0,))),
    "honest-nine-seeds": ("launched nine seeds", Run(seeds=tuple(range(9)))),
    "honest-unicode": ("named samples in many scripts", Run(names="\u00e9\u4e2d\U0001f600\u202e{}".format)),
    "honest-nothing-kept": ("kept no artifact and no log", Run(kept={})),
    "honest-widened": ("widened the sandbox and said so", Run(sandbox='allow = ["exec-tmp"]')),
    "honest-egress": (
        "asked a host outside and said so",
        Run(sandbox='network = "egress"\nallow-hosts = ["judge.example"]'),
    ),
    "honest-thousand-files": (
        "kept a thousand files, which makes 1,008, so that SHA256SUMS stands for all",
        Run(kept={f"artifacts/0/{number:04}": b"" for number in range(1000)}),
    ),
    "honest-thousand-and-no-more": (
        "kept 992 files, which makes 1,000, each of which is signed",
        Run(kept={f"artifacts/0/{number:04}": b"" for number in range(992)}),
    ),
    "honest-longest-names": (
        "kept files with the longest names and deepest folders there may be",
        Run(kept={"artifacts/" + "x" * 200: b"", "/".join(["artifacts", *"abcdefghijklmno"]): b""}),
    ),
    "honest-odd-but-plain-names": (
        "kept files with every character that a name may have",
        Run(kept={f"artifacts/a_Z0 +=@,()-.{number}": b"" for number in range(3)}),
    ),
    "honest-second-attempt": ("launched it again", Run(attempt=2, invocation_id="0" * 31 + "2")),
}


def cases() -> Iterator[Case]:
    """Yield the honest bundles."""
    for title, (said, run) in _RUNS.items():
        signer = ALICE_P256 if run.signer == ALICE_P256 else ALICE
        yield _honest(title, said, run, Trust(signer))
    yield Case(
        title="honest-import",
        group="honest",
        attack="imported a log, and said that its origin is unsigned",
        forge=leave,
        exit_code=0,
        base=_import,
    )


def _honest(title: str, said: str, run: Run, trust: Trust) -> Case:
    @cache
    def base() -> Files:
        return launched(run)

    return Case(title=title, group="honest", attack=said, forge=leave, exit_code=0, base=base, trust=trust)


@cache
def _import() -> Files:
    return imported(Run())
