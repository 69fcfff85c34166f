"""Write a report as one HTML page that loads nothing, runs nothing but its own filter, and prints.

Everything a bundle says passes `_plain` on its way into the page: control characters and whatever reorders
text are spelled out, long texts cut; Jinja escapes the rest.
"""

import re
from base64 import b64encode
from hashlib import sha256
from pathlib import Path
from typing import Any

from launcher.report.page_values import page_values
from launcher.report.record import Record
from launcher.report.text import printable

_TEMPLATES = Path(__file__).parent / "templates"
_LONGEST = 4000
_LINK = re.compile(r"https://[a-z0-9.-]+(?::[0-9]+)?(?:/[A-Za-z0-9._~:/?#@!$&()*+,;=%-]*)?", re.ASCII)
_LONGEST_LINK = 500


def html_page(record: Record) -> str:
    """Return the page; the same record gives the same text."""
    from markupsafe import Markup

    style, script = (_TEMPLATES.joinpath(name).read_text() for name in ("style.css", "filter.js"))
    policy = content_policy(style, script)
    own = {"style": style, "script": script, "policy": policy}
    trusted = {name: Markup(text) for name, text in own.items()}  # noqa: S704 - nothing of a bundle is in it
    page: str = _environment().get_template("page.html").render(**trusted, **page_values(record))
    return page


def content_policy(style: str, script: str) -> str:
    """Return the Content-Security-Policy that allows these two texts inline and nothing else."""
    return (
        f"default-src 'none'; style-src '{_hash_source(style)}'; script-src '{_hash_source(script)}'; "
        "base-uri 'none'; form-action 'none'"
    )


def _hash_source(text: str) -> str:
    return f"sha256-{b64encode(sha256(text.encode()).digest()).decode()}"


def is_link(text: str) -> bool:
    """Say whether a page may link to `text`: a plain https address, shown as it is."""
    return len(text) <= _LONGEST_LINK and _LINK.fullmatch(text) is not None


def _environment() -> Any:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_plain,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.tests["linkable"] = is_link
    return environment


def _plain(value: Any) -> Any:
    """Return `value` as text that shows everything in it; our own markup stays as it is."""
    if hasattr(value, "__html__"):
        return value
    text = str(value)
    return printable(text if len(text) <= _LONGEST else f"{text[:_LONGEST]}...")
