"""Read an HTML page as a browser would, and hold what may not stand in it."""

import base64
import re
from collections import Counter
from collections.abc import Iterator
from hashlib import sha256
from typing import Any
from xml.etree.ElementTree import Element

import html5lib

# What a browser fetches, opens or runs; `a[href]` only where a person asks for it.
LOADING = {
    "src",
    "srcset",
    "poster",
    "data",
    "background",
    "action",
    "formaction",
    "ping",
    "manifest",
    "icon",
}
FORBIDDEN = {
    "img",
    "iframe",
    "object",
    "embed",
    "link",
    "base",
    "form",
    "audio",
    "video",
    "foreignObject",
    "b",
}


def strict(text: str) -> Element:
    """Parse `text`, refusing what HTML's own grammar calls an error."""
    parser = html5lib.HTMLParser(strict=True, namespaceHTMLElements=False)
    tree: Element = parser.parse(text)
    return tree


def elements(tree: Element) -> Iterator[tuple[str, dict[str, Any]]]:
    for element in tree.iter():
        if isinstance(element.tag, str):
            yield element.tag.rpartition("}")[2], dict(element.attrib)


def faults(text: str) -> list[str]:
    """Return everything in the page that a self-contained, inert report may not have."""
    found = []
    ids: Counter[str] = Counter()
    for tag, attributes in elements(strict(text)):
        if tag in FORBIDDEN:
            found.append(f"<{tag}>")
        for name, value in attributes.items():
            local = str(name).rpartition("}")[2]
            if local.startswith("on") or local == "style" or local in LOADING:
                found.append(f"{tag}[{local}]")
            if local == "href" and not (tag == "a" and re.match(r"#[a-z]+$|https://[a-z0-9.-]+/", value)):
                found.append(f"{tag}[href={value}]")
        ids.update([attributes["id"]] if "id" in attributes else [])
    found += [f"#{name} twice" for name, count in ids.items() if count > 1]
    targets = {value[1:] for tag, a in elements(strict(text)) if (value := a.get("href", "")).startswith("#")}
    return found + [f"#{name} leads nowhere" for name in targets - set(ids)]


def policy_of(text: str) -> dict[str, str]:
    tree = strict(text)
    metas = [meta for meta in tree.iter("meta") if meta.get("http-equiv") == "Content-Security-Policy"]
    assert len(metas) == 1
    directives = [part.strip().partition(" ") for part in metas[0].attrib["content"].split(";")]
    return {name: value for name, _, value in directives}


def inline_hashes(text: str, tag: str) -> list[str]:
    """Return the CSP sources of every inline `tag`, computed from the parsed page."""
    return [
        f"'sha256-{base64.b64encode(sha256((element.text or '').encode()).digest()).decode()}'"
        for element in strict(text).iter(tag)
    ]
