"""The files of interest that an image has once its layers lie above each other, and who brought each."""

from collections.abc import Callable, Iterator

from msgspec import Struct, field

from launcher.inventory.interest import DATABASES
from launcher.inventory.layers import Held, Layer

_LONGEST_CHAIN = 8


class Placed(Struct, frozen=True):
    """A file and the diff_id of the layer that it is from."""

    held: Held
    layer: str


class Files(Struct):
    """What is left once layers were applied; `rewritten` has every state of a database, lowest layer first.

    A layer that installs one package writes the whole database anew: only its history tells who brought what.
    """

    placed: dict[str, Placed] = field(default_factory=dict)
    links: dict[str, str] = field(default_factory=dict)
    rewritten: dict[str, list[Placed]] = field(default_factory=dict)

    def apply(self, layer: Layer, diff_id: str) -> None:
        """Lay `layer` above the others."""
        self._remove(layer)
        for path, held in layer.files.items():
            placed = Placed(held, diff_id)
            self.placed[path] = placed
            if path in DATABASES:
                self.rewritten.setdefault(path, []).append(placed)
        self.links.update(layer.links)

    def _remove(self, layer: Layer) -> None:
        """Take away what whiteouts name, and what lies below or under a name that is no folder any more."""
        gone = layer.removed | layer.plain
        for table in (self.placed, self.links):
            for path in [path for path in table if _is_gone(path, gone, layer.opaque)]:
                del table[path]
        for path in layer.removed & self.rewritten.keys():
            del self.rewritten[path]

    def find(self, path: str) -> Placed | None:
        """Return the file at `path`, through links in its last part or its folder."""
        for _ in range(_LONGEST_CHAIN):
            if (placed := self.placed.get(path)) is not None:
                return placed
            folder, _, last = path.rpartition("/")
            if path in self.links:
                path = self.links[path]
            elif folder in self.links:
                path = f"{self.links[folder]}/{last}"
            else:
                return None
        return None

    def matching(self, wanted: Callable[[str], bool]) -> Iterator[tuple[str, Placed]]:
        """Yield the files whose path is `wanted`, in the order of their paths; links to files among them."""
        for path in sorted(self.placed.keys() | self.links.keys()):
            if wanted(path) and (placed := self.find(path)) is not None:
                yield path, placed


def _is_gone(path: str, gone: set[str], opaque: set[str]) -> bool:
    if path in gone:
        return True
    folder = path.rpartition("/")[0]
    while folder:
        if folder in gone or folder in opaque:
            return True
        folder = folder.rpartition("/")[0]
    return "" in opaque
