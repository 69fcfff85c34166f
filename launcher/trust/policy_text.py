"""Change the text of a `trust.toml` in place: no byte changes but those of the values that are meant to.

The version is counted up, and the outcome read again: it must be the policy that was meant.
"""

from collections.abc import Mapping

from msgspec import Struct, field
from msgspec.structs import replace

from launcher.errors import MalformedError
from launcher.spec.roles import ROLES, Role
from launcher.spec.toml_text import toml_value
from launcher.spec.units import time_text
from launcher.trust.ledgers import PinnedLedger
from launcher.trust.policy import Policy, TrustedKey
from launcher.trust.policy_cuts import without_names, without_pair
from launcher.trust.policy_file import read_policy

Path = tuple[str, ...]


class Changes(Struct, frozen=True):
    """What to take out, names to put first into lists and values to set, by key; and tables to append."""

    removed: tuple[Path, ...] = ()
    unlisted: Mapping[Path, tuple[str, ...]] = field(default_factory=dict)
    values: Mapping[Path, str] = field(default_factory=dict)
    listed: Mapping[Path, tuple[str, ...]] = field(default_factory=dict)
    tables: tuple[str, ...] = ()


def edited(text: str, changes: Changes, meant: Policy) -> str:
    """Return `text` with the changes made and the version counted up, if it says then what is meant."""
    meant = replace(meant, version=meant.version + 1)
    newline = "\r\n" if "\r\n" in text else "\n"
    lines = text.replace("\r\n", "\n")
    lines = _cut(lines, changes)
    for path, names in changes.listed.items():
        lines = _with_listed(lines, path, names)
    for path, literal in {("version",): str(meant.version), **changes.values}.items():
        lines = _with_value(lines, path, literal)
    lines = "\n".join([lines.rstrip("\n") + "\n", *changes.tables])
    outcome = lines.replace("\n", newline)
    try:
        after = read_policy(outcome.encode())
    except MalformedError as error:
        if error.problems:
            raise
        raise _not_editable() from error
    if after != meant:
        raise _not_editable()
    return outcome


def _cut(text: str, changes: Changes) -> str:
    from launcher.spec.positions import TooMuchError

    try:
        for path, names in changes.unlisted.items():
            text = without_names(text, path, names)
        for path in changes.removed:
            text = without_pair(text, path)
    except (TooMuchError, ValueError) as error:
        raise _not_editable() from error
    return text


def _with_value(text: str, path: Path, literal: str) -> str:
    """Put a value in the place of the one at `path`, or into the line behind its table's header."""
    from launcher.spec.positions import scalar_end

    values = _places(text)
    if path in values:
        start = values[path]
        return text[:start] + literal + text[scalar_end(text, start) :]
    header = values.get(path[:-1], -1)
    if header < 0 or text[header] != "[":
        raise _not_editable()
    end = text.find("\n", header) + 1 or len(text)
    return f"{text[:end]}{path[-1]} = {literal}\n{text[end:]}"


def _with_listed(text: str, path: Path, names: tuple[str, ...]) -> str:
    """Put names in front of those in the list at `path`."""
    start = _places(text).get(path, -1)
    if start < 0 or text[start] != "[":
        raise _not_editable()
    added = "".join(f"{toml_value(name)}, " for name in names)
    return text[: start + 1] + added + text[start + 1 :]


def _places(text: str) -> Mapping[tuple[str | int, ...], int]:
    from launcher.spec.positions import TooMuchError, scan

    try:
        return scan(text).values
    except TooMuchError as error:
        raise _not_editable() from error


def _not_editable() -> MalformedError:
    return MalformedError(
        "the trust policy is laid out so that it cannot be edited safely",
        code="policy-not-editable",
        hint="write `version`, `[keys.NAME]` and `[rules.ROLE]` as plain tables, or change it by hand",
    )


def key_table(key: TrustedKey) -> str:
    """Return the text of `[keys.NAME]`."""
    lines = [f"[keys.{key.name}]", f"public = {toml_value(key.public.openssh)}"]
    lines.append(f"roles = {toml_value(in_order(key.roles))}")
    for field_name, moment in (("valid-from", key.valid_from), ("valid-until", key.valid_until)):
        if moment is not None:
            lines.append(f"{field_name} = {time_text(moment)}")
    if key.builders:
        lines.append(f"builders = {toml_value(sorted(key.builders))}")
    return "\n".join(lines) + "\n"


def rule_table(
    role: Role, members: tuple[str, ...], threshold: int = 1, more: Mapping[str, str] | None = None
) -> str:
    """Return the text of `[rules.ROLE]`; `more` has further values as TOML writes them."""
    lines = [f"[rules.{role}]", f"threshold = {threshold}", f"from = {toml_value(list(members))}"]
    lines += [f"{name} = {literal}" for name, literal in (more or {}).items()]
    return "\n".join(lines) + "\n"


def ledger_table(ledger: PinnedLedger) -> str:
    """Return the text of `[ledgers.NAME]`."""
    lines = [f"[ledgers.{ledger.name}]", f"origin = {toml_value(ledger.origin)}"]
    lines.append(f"public = {toml_value(ledger.public.openssh)}")
    if ledger.witnesses:
        lines.append(f"witnesses = {toml_value([key.text for key in ledger.witnesses])}")
    return "\n".join(lines) + "\n"


def in_order(roles: frozenset[Role]) -> list[Role]:
    """Return roles in the order in which they are always written."""
    return [role for role in ROLES if role in roles]
