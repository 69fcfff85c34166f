"""`evalctl trust add`, `evalctl trust revoke`, `evalctl trust rule`: who may sign what, in any policy."""

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial, reduce
from pathlib import Path
from typing import Annotated

import typer

from launcher.cli.options import Json, PassphraseDescriptor
from launcher.cli.output import print_json
from launcher.cli.policies import (
    PolicyFile,
    RootKey,
    moment_of,
    one_of,
    place_named,
    say_missing,
    standing,
)
from launcher.cli.published import Fingerprints, Published, TakeAll, chosen_keys
from launcher.cli.signing import read_existing_signer
from launcher.errors import MalformedError
from launcher.store.home import find_home
from launcher.store.policies import place_of
from launcher.store.policy_changes import change, create
from launcher.trust.policy import EVIDENCE_ROLES, REVOCATIONS, ROLES, TrustedKey
from launcher.trust.policy_edit import RuleChange, add_key, change_rule, first_policy, revoke_key


def add(
    public_key: Annotated[
        Path | None,
        typer.Argument(metavar="FILE", help="A public key: an OpenSSH line (NAME.pub), or PEM."),
    ] = None,
    source: Published = None,
    fingerprint: Fingerprints = None,
    yes: TakeAll = False,
    name: Annotated[
        str, typer.Option(metavar="NAME", help="What to call its owner; default: the file's name.")
    ] = "",
    role: Annotated[
        list[str] | None,
        typer.Option(metavar="ROLE", help=f"What it may sign: {', '.join(ROLES)}; default: all but root."),
    ] = None,
    valid_from: Annotated[
        str | None, typer.Option(metavar="TIME", help="From when it counts, such as 2027-01-31.")
    ] = None,
    valid_until: Annotated[
        str | None, typer.Option(metavar="TIME", help="Until when it counts; default: for ever.")
    ] = None,
    builder: Annotated[
        list[str] | None,
        typer.Option(metavar="URI", help="A builder it may sign for; default: any. Repeat for more."),
    ] = None,
    trust: PolicyFile = None,
    key: RootKey = None,
    passphrase_fd: PassphraseDescriptor = None,
    as_json: Json = False,
) -> int:
    """Trust a public key on this machine.

    Adds it to this home's trust.toml, which `verify` and `reproduce` apply. Compare the fingerprint with
    what the key's owner publishes before you add it. Each key is one principal where a rule counts them.
    """
    terms = partial(
        TrustedKey,
        roles=frozenset(one_of(item, ROLES, "role") for item in role) if role else frozenset(EVIDENCE_ROLES),
        valid_from=moment_of(valid_from),
        valid_until=moment_of(valid_until),
        builders=frozenset(builder or ()),
    )
    keys = chosen_keys(public_key, source, fingerprint, name, yes=yes)
    home, now = find_home(), datetime.now(UTC)
    place = place_of(home, trust)
    signer = partial(read_existing_signer, home, key, passphrase_fd)
    added = [terms(owner, public) for owner, public in keys.items()]
    if trust is None and not place.path.exists():
        offered = create(place, partial(_first_with, added, now), None, now)
    else:
        offered = change(place, lambda text: reduce(add_key, added, text), signer, now)
    missing = say_missing(place, offered, now)
    if as_json:
        named = [{"name": owner, "fingerprint": public.fingerprint} for owner, public in keys.items()]
        print_json({**named[0], **standing(place, offered, missing), "keys": named})
        return 0
    who = "this machine" if trust is None else f"`{trust}`"
    verb = "has" if missing else "now trusts"
    for owner, public in keys.items():
        print(f"{who} {verb} `{owner}` ({public.fingerprint})")
    return 0


def _first_with(keys: Sequence[TrustedKey], now: datetime, version: int) -> str:
    return reduce(add_key, keys[1:], first_policy(keys[0], now, version))


def revoke(
    name: Annotated[str, typer.Argument(metavar="NAME", help="What the policy calls the key's owner.")],
    reason: Annotated[
        str,
        typer.Option(
            metavar="REASON",
            help="key-compromise: it never counts; superseded: what is proven to be earlier does.",
        ),
    ],
    since: Annotated[
        str | None, typer.Option("--from", metavar="TIME", help="From when on; default: now.")
    ] = None,
    trust: PolicyFile = None,
    key: RootKey = None,
    passphrase_fd: PassphraseDescriptor = None,
    as_json: Json = False,
) -> int:
    """Revoke a key, for good or from a time on.

    The key stays in the policy, so that it cannot be added again by mistake.
    """
    home, now = find_home(), datetime.now(UTC)
    place = place_named(home, trust)
    why, moment = one_of(reason, REVOCATIONS, "reason"), moment_of(since) or now
    offered = change(
        place,
        lambda text: revoke_key(text, name, why, moment),
        partial(read_existing_signer, home, key, passphrase_fd),
        now,
    )
    missing = say_missing(place, offered, now)
    if as_json:
        revoked = offered.policy.keys[name]
        print_json(
            {"name": name, "fingerprint": revoked.public.fingerprint, **standing(place, offered, missing)}
        )
    else:
        print(f"`{name}` is revoked in `{place.path}`, version {offered.policy.version}: {why}")
    return 0


def rule(
    role: Annotated[str, typer.Argument(metavar="ROLE", help=f"What is signed: {', '.join(ROLES)}.")],
    threshold: Annotated[
        int | None,
        typer.Option(metavar="N", min=1, help="How many of its keys must sign; default: as it is."),
    ] = None,
    member: Annotated[
        list[str] | None,
        typer.Option("--add", metavar="NAME", help="A key of the policy that may; repeat for more."),
    ] = None,
    max_age: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="How old evidence may be, such as 24h; default: any age."),
    ] = None,
    trust: PolicyFile = None,
    key: RootKey = None,
    passphrase_fd: PassphraseDescriptor = None,
    as_json: Json = False,
) -> int:
    """Say how many keys, and whose, must sign.

    The first rule for `root` makes the policy a signed one: from then on it counts only with the signatures
    of its root keys, and nothing unsigned takes its place.
    """
    home, now = find_home(), datetime.now(UTC)
    place = place_named(home, trust)
    signed = one_of(role, ROLES, "role")
    wanted = RuleChange(threshold, tuple(member or ()), max_age)
    if wanted == RuleChange():
        raise MalformedError(
            "nothing to change", code="usage", hint=f"evalctl trust rule {role} --threshold 2 --add NAME"
        )
    offered = change(
        place,
        lambda text: change_rule(text, signed, wanted),
        partial(read_existing_signer, home, key, passphrase_fd),
        now,
    )
    missing = say_missing(place, offered, now)
    outcome = offered.policy.rules[signed]
    if as_json:
        members = sorted(outcome.members)
        said = {"role": role, "threshold": outcome.threshold, "from": members}
        print_json({**said, **standing(place, offered, missing)})
    else:
        taken = f"`{role}` takes {outcome.threshold} of {', '.join(sorted(outcome.members))}"
        print(f"{taken} in `{place.path}`, version {offered.policy.version}")
    return 0
