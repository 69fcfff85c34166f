"""docs/sandbox.md says what the code has."""

from pathlib import Path

from launcher.environment.probe import EXPECTATIONS
from launcher.spec.sandbox import MASKED_PATHS, PROFILE_VERSION, READ_ONLY_PATHS
from launcher.spec.seccomp import GROUPS, allowed_calls
from launcher.spec.widenings import IMPLIED, OPENS, SYSTEM_CALLS

PAGE = (Path(__file__).parents[2] / "docs" / "sandbox.md").read_text(encoding="utf-8")
LINES = PAGE.splitlines()


def test_the_page_lists_every_system_call_in_its_group() -> None:
    for name, calls in GROUPS.items():
        assert f"| {name} | {' '.join(sorted(calls.split()))} |" in LINES
    for call in allowed_calls("gpu", ()) - allowed_calls("cpu", ()):
        assert f"`{call}`" in PAGE


def test_the_page_says_what_each_widening_opens() -> None:
    for name, opens in {**OPENS, **IMPLIED}.items():
        calls = f"`{SYSTEM_CALLS[name]}`" if name in SYSTEM_CALLS else ""
        assert f"| `{name}` | {opens} | {calls} |" in LINES


def test_the_page_lists_what_the_probe_holds_and_under_which_runtime() -> None:
    for one in EXPECTATIONS:
        assert f"| {one.name} | {one.holds} | {'yes' if 'runsc' in one.runtimes else 'no'} |" in LINES


def test_the_page_names_every_masked_path_and_the_version() -> None:
    for path in (*MASKED_PATHS, *READ_ONLY_PATHS, PROFILE_VERSION):
        assert f"`{path}`" in PAGE
