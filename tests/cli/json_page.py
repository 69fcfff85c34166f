"""docs/json.md read as a grammar: which fields the object of each command has, and of which types."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from tests.cli.transcripts import CHECKOUT

PAGE = CHECKOUT / "docs" / "json.md"
ERROR = "an-error"
_TYPES = {
    type(None): "null",
    bool: "boolean",
    int: "integer",
    float: "number",
    str: "text",
    list: "list",
    dict: "object",
}


@dataclass
class Node:
    """What may stand at one place: its types, its fields, and the shapes that it takes more fields from."""

    types: set[str] = field(default_factory=set)
    fields: dict[str, "Node"] = field(default_factory=dict)
    shapes: list[str] = field(default_factory=list)
    row: str = ""

    def at(self, steps: list[str]) -> "Node":
        """Return the node below this one, made when it is missing."""
        if not steps:
            return self
        return self.fields.setdefault(steps[0], Node()).at(steps[1:])


class Grammar:
    """The page: the node of each command and of each shape, and which rows something was seen of."""

    def __init__(self, text: str) -> None:
        self.commands: dict[str, Node] = {}
        self.shapes: dict[str, Node] = {}
        self.rows: dict[str, str] = {}
        self.seen: set[str] = set()
        for title, body in re.findall(r"(?ms)^### (.*?)\n(.*?)(?=^##|\Z)", text):
            node = self._node(title, body)
            names = re.findall(r"`(.*?)`", title)
            self.commands |= dict.fromkeys(names, node)
            if not names:
                self.shapes[_anchor(title)] = node

    def _node(self, title: str, body: str) -> Node:
        node = Node({"any"} if not re.search(r"(?m)^(\| `|All of )", body) else set())
        node.shapes += re.findall(r"^All of \[.*?\]\(#(.*?)\)", body)
        for path, types, what in re.findall(r"(?m)^\| `(.*?)` \| (.*?) \| (.*?) \|$", body):
            below = node.at(re.findall(r"\[\]|\{\}|[^.\[{]+", path))
            below.shapes += re.findall(r"\(#(.*?)\)", types)
            below.types |= {_word(each) for each in types.split(" or ")}
            below.row = f"{title}: {path}"
            self.rows[below.row] = what
        return node

    @property
    def never_seen(self) -> set[str]:
        """The rows of which nothing was seen, but those that say when they are absent."""
        return {row for row, what in self.rows.items() if "absent" not in what} - self.seen

    def hold(self, value: Any, node: Node, place: str) -> None:
        """Assert that `value`, at `place`, is what the page says of `node`."""
        nodes = [node, *(self.shapes[name] for name in node.shapes)]
        types = set().union(*(each.types for each in nodes)) or {"object", "list"}
        kind = _TYPES[type(value)]
        self.seen |= {each.row for each in nodes}
        if kind == "list":  # that it was empty this time is no fault of a list of plain values
            below = [each.fields["[]"] for each in nodes if "[]" in each.fields]
            self.seen |= {each.row for each in below if not each.fields and not each.shapes}
        fits = kind in types or (kind == "integer" and "number" in types) or "any" in types
        assert fits, f"{place}: docs/json.md says {types}, not {kind}: {value!r:.80}"
        if "any" not in types:
            for step, below in _inside(value):
                there = f"{place}{step}" if step == "[]" else f"{place}.{step}"
                self.hold(below, _below(nodes, step, there), there)


def _below(nodes: list[Node], step: str, place: str) -> Node:
    names = ("[]",) if step == "[]" else (step, "{}")
    found = [node.fields[name] for node in nodes for name in names if name in node.fields]
    assert found, f"docs/json.md does not say what `{place}` is"
    return Node(
        set().union(*(each.types for each in found)),
        {name: node for each in found for name, node in each.fields.items()},
        [shape for each in found for shape in each.shapes],
        found[0].row,
    )


def _inside(value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        yield from value.items()
    elif isinstance(value, list):
        yield from (("[]", each) for each in value)


def _word(text: str) -> str:
    """Return a type's word; a shape is an object."""
    return "object" if text.startswith("[") else text


def _anchor(title: str) -> str:
    return re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-")


def read_page() -> Grammar:
    """Return the grammar that docs/json.md is."""
    return Grammar(PAGE.read_text())
