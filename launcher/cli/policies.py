"""What the commands about a trust policy share: which file, who signs it, what is still missing."""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from shlex import quote
from typing import Any, Final, TypeVar

from msgspec import Struct

from launcher.cli.output import hint, print_json, say
from launcher.errors import EvalctlError, MalformedError, TrustError
from launcher.spec.units import duration_text
from launcher.store.home import Home
from launcher.store.policies import PolicyPlace, place_of, read_seen
from launcher.trust.policy_signature import OfferedPolicy, lacking

_Choice = TypeVar("_Choice", bound=str)
# `trust init` and `trust sign` name their policy otherwise.
_TO_TYPE: Final = re.compile(r"evalctl trust (?:add|revoke|rule|renew|ledger|show)\b[^`\n]*")


def place_named(home: Home, trust: Path | None) -> PolicyPlace:
    """Return where the policy is that a command is about; raises `TrustError` where the home has none."""
    place = place_of(home, trust)
    if trust is None and not place.path.exists():
        raise TrustError(
            "nobody is trusted on this machine yet",
            code="no-policy",
            context=f"there is no `{place.path}`",
            hint="add a key with `evalctl trust add NAME.pub`; the first `evalctl launch` adds your own",
        )
    return place


def say_missing(place: PolicyPlace, offered: OfferedPolicy, now: datetime) -> tuple[str, ...]:
    """Return, and say, which signatures a changed policy lacks, and which of its rules nobody can meet."""
    seen = read_seen(place)
    if missing := lacking(offered, seen.policy if seen else None, now):
        say(f"version {offered.policy.version} does not count before it is signed: {'; '.join(missing)}")
        hint(f"each of them types `evalctl trust sign {quote(str(place.path))} --key THEIR-KEY`")
    for role in offered.policy.rules:
        able = len(offered.policy.able(role, now))
        if able < (threshold := offered.policy.rules[role].threshold):
            say(f"the rule for `{role}` admits nothing: {threshold} must sign, and {able} of its keys can")
    return missing


class Changed(Struct, frozen=True):
    """A policy behind a command that changed it; `missing` says whose signatures it lacks to count."""

    place: PolicyPlace
    offered: OfferedPolicy
    missing: tuple[str, ...]

    def report(self, fields: Mapping[str, Any], line: str, *, as_json: bool) -> int:
        """Print `fields` and how the policy stands as one object, or `line`; return the exit code."""
        if as_json:
            print_json({**fields, **standing(self.place, self.offered, self.missing)})
        else:
            print(line)
        return 0


def changed(place: PolicyPlace, offered: OfferedPolicy, now: datetime) -> Changed:
    """Return a policy that was changed, once it is said what it lacks."""
    return Changed(place, offered, say_missing(place, offered, now))


def standing(place: PolicyPlace, offered: OfferedPolicy, missing: Sequence[str]) -> dict[str, Any]:
    """Return what `--json` says of a policy after a change."""
    return {
        "policy": str(place.path),
        "version": offered.policy.version,
        "digest": offered.digest,
        "signed": offered.is_signed,
        "missing": list(missing),
    }


@contextmanager
def hints_under(trust: Path | None) -> Iterator[None]:
    """Have an error's hint name the policy that was named this time, wherever it says what to type."""
    try:
        yield
    except EvalctlError as error:
        if trust is not None and error.hint is not None:
            named = f" --trust {quote(str(trust))}"
            error.hint = _TO_TYPE.sub(lambda typed: typed[0] + named, error.hint)
        raise


def moment_of(text: str | None) -> datetime | None:
    """Read a day (UTC, from its beginning) or a time with its zone."""
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise _no_time(text) from error
    if moment.tzinfo is None:
        if len(text) > len("2027-01-31"):
            raise _no_time(text)
        moment = moment.replace(tzinfo=UTC)
    return moment.astimezone(UTC)


def age_text(bound: timedelta) -> str:
    """Return the bound on an age as it is typed."""
    return duration_text(int(bound.total_seconds()))


def one_of(text: str, choices: Sequence[_Choice], what: str) -> _Choice:
    """Return the choice that `text` names; raises `MalformedError` that lists them."""
    for choice in choices:
        if text == choice:
            return choice
    raise MalformedError(
        f"{text[:40]!a} is no {what}", code="usage", context=f"expected one of {', '.join(choices)}"
    )


def _no_time(text: str) -> MalformedError:
    return MalformedError(
        f"{text[:40]!a} is no time",
        code="usage",
        hint="write a day, `2027-01-31`, or a time with its zone, `2027-01-31T12:00:00Z`",
    )
