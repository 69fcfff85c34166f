"""The whole report of each story, as a file that a person reads: what changes from run to run is replaced.

`python -m tests.report.write_golden` writes the files anew; read the difference.
"""

import re
from pathlib import Path

from launcher.cli.places import place_verified
from launcher.cli.report import read_record
from launcher.report.markdown import markdown
from launcher.report.page import html_page
from launcher.report.record import Record
from launcher.trust.policy import Policy
from tests.cli.transcripts import RULES
from tests.fakes.world import SmallWorld

FOLDER = Path(__file__).parent / "golden"
NAMES = ("several_seeds", "failed", "stranger")
_PLACES = (
    *RULES,
    (r"[0-9]+\.[0-9]{2} s\b", "<seconds> s"),
    (r"<time> [0-9:]{8} UTC", "<time>"),
    (r"evalctl [0-9]+\.[0-9]+\.[0-9]+\S*?(?=[ ,])", "evalctl <version>"),
    (r"(<dt>(?:Machine|Kernel)</dt><dd>)[^<]*", r"\1<as observed>"),
    # Which of them there are depends on the machine.
    (r"(?:<tr><th [^>]*>host\.[a-z-]+</th>.*</tr>\n)+", "<tr><what the host tells></tr>\n"),
    (r"(>launch\.[a-z-]+</th><td class=\"long code\">).*?(?=</td>)", r"\1<as observed>"),
    (r"(>(?:host|launch|launcher)\.[a-z-]+</th><td class=\"long code\">)[^<]*", r"\1<as observed>"),
    (r"(?s)(<(style|script)>).*?(</\2>)", r"\1...\3"),
    # Made beside the containers: which of them ends first changes.
    (r'<tr><th scope="row" class="long">inventory</th>.*</tr>\n', ""),
    (r"'sha256-[^']*'", "'sha256-...'"),
)
_STEPS = re.compile(r"(?:<tr><th scope=\"row\" class=\"long\">[a-z]+</th><td>launcher</td>.*\n)+")


def record_of(world: SmallWorld, bundle: Path, policy: Policy | None = None) -> Record:
    """Return what the report of a bundle is made of, as the command reads it."""
    judged = policy or world.policy
    verification = world.verify(bundle, judged)
    return read_record(bundle, verification, place_verified(world.home, bundle, verification, judged))


def expected(record: Record) -> dict[str, str]:
    """Return the report of `record` by the ending of its file."""
    return {"html": _steady(html_page(record)), "md": _steady(markdown(record))}


def _steady(text: str) -> str:
    for pattern, replacement in _PLACES:
        text = re.sub(pattern, replacement, text)
    # What is done beside the containers ends before or after any of them.
    return _STEPS.sub(lambda rows: "\n".join(sorted(rows[0].splitlines())) + "\n", text)
