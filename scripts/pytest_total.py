"""Add up what several runs of pytest counted, in one line of pytest's own form.

Usage: python -m scripts.pytest_total STATUS LOG...

STATUS is what the whole came to. A log without a summary, and a failure that no summary counts, is an error
more: the line never looks better than what happened. Deselected tests are not added up: each run leaves out
what the other one runs.
"""

import re
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

ORDER = ("failed", "errors", "passed", "skipped", "xfailed", "xpassed", "warnings")

_SUMMARY = re.compile(
    r"^=+ (?P<counts>[0-9]+ [a-z]+(?:, [0-9]+ [a-z]+)*) in (?P<seconds>[0-9.]+)s\b.* =+$", re.M
)


def total(logs: Sequence[str], *, failed: bool) -> str:
    """Return the sum of the last summary in each log."""
    counts, seconds = Counter[str](), 0.0
    for log in logs:
        summaries = list(_SUMMARY.finditer(log))
        if not summaries:
            counts["errors"] += 1
            continue
        seconds += float(summaries[-1]["seconds"])
        for number, word in re.findall(r"([0-9]+) ([a-z]+)", summaries[-1]["counts"]):
            counts[{"error": "errors", "warning": "warnings"}.get(word, word)] += int(number)
    if failed and not counts["failed"] and not counts["errors"]:
        counts["errors"] += 1
    del counts["deselected"]
    words = [f"{counts[word]} {word}" for word in sorted(counts, key=_place) if counts[word]]
    return f"===== {', '.join(words)} in {seconds:.2f}s ====="


def _place(word: str) -> int:
    return ORDER.index(word) if word in ORDER else len(ORDER)


def main(arguments: Sequence[str]) -> int:
    """Print the total of the logs named after the status."""
    status, *paths = arguments
    texts = [Path(path).read_text(errors="replace") if Path(path).is_file() else "" for path in paths]
    print(total(texts, failed=status != "0"))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
