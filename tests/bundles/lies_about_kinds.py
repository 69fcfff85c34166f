"""Lies about the kind of run that a trusted key signed: widened, open to the outside, failed, or imported."""

from collections.abc import Iterator
from functools import cache

from launcher.spec import bundle as names
from tests.bundles.case import Case, Row, rows
from tests.bundles.forging import edit, new_fact, result_file, signed_rows, write
from tests.bundles.honest import Files, Run, imported, launched


def cases() -> Iterator[Case]:
    """Yield the lies about the kind of run."""
    yield from rows("lies", "sandbox", signed_rows(_WIDENINGS), base=widened)
    yield from rows("lies", "marks", signed_rows(_MARKS), base=egress)
    yield from rows("lies", "metrics", signed_rows(_FAILURES), base=failed)
    yield from rows("lies", "environment", signed_rows(_IMPORTS), base=foreign)
    yield from rows("lies", "contents", signed_rows(_ORIGINS), base=foreign)


@cache
def widened() -> Files:
    """Return a bundle whose sandbox was widened."""
    return launched(Run(sandbox='allow = ["exec-tmp", "ptrace"]'))


@cache
def egress() -> Files:
    """Return a bundle of a run that could ask hosts outside."""
    return launched(Run(sandbox='network = "egress"\nallow-hosts = ["judge.example"]'))


@cache
def failed() -> Files:
    """Return the bundle of a run that failed."""
    return launched(Run(failure="candidate"))


@cache
def foreign() -> Files:
    """Return a bundle made of foreign logs."""
    return imported(Run())


_WIDENINGS: dict[str, Row] = {
    "widenings-hidden": (
        "said nothing of a sandbox that was widened",
        result_file(lambda it: it.update(deviations=[])),
        "does not name a widening",
    ),
    "one-widening-hidden": (
        "said nothing of one of two widenings",
        result_file(lambda it: it["deviations"].pop()),
        "does not name a widening",
    ),
    "widening-in-other-words": (
        "called a widening something smaller",
        result_file(
            lambda it: it.update(deviations=[one.replace("ptrace", "trace") for one in it["deviations"]])
        ),
        "does not name a widening",
    ),
}
_MARKS: dict[str, Row] = {
    "egress-hidden": (
        "left out that it could ask hosts outside",
        result_file(lambda it: it.update(marks=[])),
        "not marked as its lock demands",
    ),
    "egress-called-partial": (
        "called a run that could ask hosts outside a partial one",
        result_file(lambda it: it.update(marks=["partial"])),
        "not marked as its lock demands",
    ),
    "egress-called-draft-too": (
        "added a mark that the lock does not have",
        result_file(lambda it: it["marks"].append("draft")),
        "not marked as its lock demands",
    ),
}
_FAILURES: dict[str, Row] = {
    "samples-of-a-failure": (
        "gave samples to a run that failed",
        write(names.SAMPLES, b'{"id":"a","replicate":0,"seed":3}\n{"id":"a","replicate":1,"seed":4}\n'),
        "a failed run has samples or a score",
    ),
    "verdict-of-a-failure": (
        "gave a verdict to a run that failed",
        result_file(lambda it: it.update(verdict="pass")),
        "a failed run has samples or a score",
    ),
    "success-without-samples": (
        "called a run that failed a success",
        result_file(
            lambda it: [
                it.update(status="succeeded", failure=None),
                *(one.update(status="succeeded", failure=None, exit_code=0) for one in it["replicates"]),
            ]
        ),
        "other metrics",
    ),
}
_IMPORTS: dict[str, Row] = {
    "import-with-a-probe": (
        "let an import tell of a probe",
        new_fact("probe.run", [], "probe"),
        "nothing was launched",
    ),
    "import-with-an-image": (
        "let an import tell of an image",
        new_fact("image.manifest", "sha256:" + "0" * 64, "image"),
        "nothing was launched",
    ),
    "import-with-resources": (
        "let an import tell of resources",
        write(names.RESOURCES, b"{}\n"),
        "nothing was launched",
    ),
    "import-with-artifacts": (
        "let an import bring artifacts",
        write("artifacts/x", b""),
        "nothing was launched",
    ),
    "import-with-a-bill": (
        "let an import bring a bill of materials",
        edit(names.SBOM, lambda it: it + b"\n"),
        "nothing was launched",
    ),
}
_ORIGINS: dict[str, Row] = {
    "import-without-its-origin": (
        "left out that an import's origin is unsigned",
        result_file(lambda it: it.pop("origin")),
        "differ in the origin",
    ),
}
