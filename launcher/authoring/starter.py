"""The starting point that `evalctl init` writes: a small evaluation that runs as it is."""

from pathlib import Path

from msgspec import Struct

from launcher.authoring.scaffold import Scaffold
from launcher.spec.toml_text import toml_value

_FOLDER = Path(__file__).parent / "starter"
_REMARKS = {
    "blueprint.toml": "what is evaluated, how, and what counts as a result",
    "evaluation/__main__.py": "the program that runs in the container",
    "evaluation/__init__.py": "the stand-in for your model",
    "test_evaluation.py": "its own test: python3 -m unittest",
    "data/reviews.jsonl": "what the program reads",
    "held-out/labels.jsonl": "the right answers, kept from the program and from git",
    "README.md": "what to do next",
}


class StartingPoint(Struct, frozen=True):
    """What differs from one new evaluation to the next.

    `layout` is the image layout's folder or tar, `digest` its digest where the layout holds several images;
    `repository` leads from the new folder to the repository's top, `path` from there back.
    """

    name: str
    layout: Path
    digest: str | None = None
    repository: str = "."
    path: str = ""

    @property
    def reference(self) -> str:
        """The image as the new blueprint names it: by the link beside it."""
        return "oci:image" + (f"@{self.digest}" if self.digest else "")


def starter(start: StartingPoint) -> Scaffold:
    """Return the files of a new evaluation, digests and commit left for `pin`; the image is linked."""
    values = {
        "@NAME@": start.name,
        '"@IMAGE@"': toml_value(start.reference),
        '"@GIT@"': toml_value(start.repository),
        "@PATH@": f"\npath = {toml_value(start.path)}" if start.path else "",
    }
    files = {".gitignore": (_FOLDER / "gitignore").read_bytes()}
    for name in _REMARKS:
        text = (_FOLDER / name).read_text()
        for mark, value in values.items():
            text = text.replace(mark, value)
        files[name] = text.encode()
    return Scaffold(files, {"image": str(start.layout)}, _REMARKS | {"image": f"-> {start.layout}"})
