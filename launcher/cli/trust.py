"""`evalctl trust add`, `evalctl trust revoke`, `evalctl trust rule`: who may sign what, in any policy."""

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial, reduce

from launcher.cli import trust_options as options
from launcher.cli.options import Json, PassphraseDescriptor
from launcher.cli.output import say
from launcher.cli.policies import age_text, changed, hints_under, moment_of, one_of, place_named
from launcher.cli.published import chosen_keys
from launcher.cli.signing import read_existing_signer
from launcher.errors import MalformedError
from launcher.spec.roles import EVIDENCE_ROLES, REVOCATIONS, ROLES
from launcher.spec.units import time_text
from launcher.store.home import find_home
from launcher.store.policies import place_of, read_offered
from launcher.store.policy_changes import change, create
from launcher.trust.policy import TrustedKey
from launcher.trust.policy_edit import add_key, first_policy, revoke_key
from launcher.trust.policy_rules import RuleChange, change_rule


def add(
    public_key: options.PublicKeyFile = None,
    source: options.Published = None,
    fingerprint: options.Fingerprints = None,
    yes: options.TakeAll = False,
    name: options.OwnerName = "",
    role: options.KeyRoles = None,
    valid_from: options.ValidFrom = None,
    valid_until: options.ValidUntil = None,
    builder: options.Builders = None,
    trust: options.PolicyFile = None,
    key: options.RootKey = None,
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
    place, signer = place_of(home, trust), partial(read_existing_signer, home, key, passphrase_fd)
    added = [terms(owner, public) for owner, public in keys.items()]
    with hints_under(trust):
        if trust is None and not place.path.exists():
            offered = create(place, partial(_first_with, added, now), None, now)
        else:
            offered = change(place, lambda text: reduce(add_key, added, text), signer, now)
    outcome = changed(place, offered, now)
    who = "this machine" if trust is None else f"`{trust}`"
    verb = "has" if outcome.missing else "now trusts"
    named = [{"name": item.name, "fingerprint": item.public.fingerprint} for item in added]
    lines = [f"{who} {verb} `{item['name']}` ({item['fingerprint']})" for item in named]
    return outcome.report({**named[0], "keys": named}, "\n".join(lines), as_json=as_json)


def _first_with(keys: Sequence[TrustedKey], now: datetime, version: int) -> str:
    return reduce(add_key, keys[1:], first_policy(keys[0], now, version))


def revoke(
    name: options.KeyName,
    reason: options.Reason,
    since: options.Since = None,
    trust: options.PolicyFile = None,
    key: options.RootKey = None,
    passphrase_fd: PassphraseDescriptor = None,
    as_json: Json = False,
) -> int:
    """Revoke a key, for good or from a time on.

    The key stays in the policy, so that it cannot be added again by mistake. A second time changes nothing,
    unless for another reason or with another `--from`.
    """
    home, now = find_home(), datetime.now(UTC)
    place, signer = place_named(home, trust), partial(read_existing_signer, home, key, passphrase_fd)
    why, moment = one_of(reason, REVOCATIONS, "reason"), moment_of(since)
    before = read_offered(place).policy.version
    with hints_under(trust):
        offered = change(place, lambda text: revoke_key(text, name, why, now, moment), signer, now)
    revoked = offered.policy.keys[name]
    if offered.policy.version == before and revoked.revoked_from is not None:
        say(f"it was revoked already, from {time_text(revoked.revoked_from)} on: nothing was changed")
    return changed(place, offered, now).report(
        {"name": name, "fingerprint": revoked.public.fingerprint},
        f"`{name}` is revoked in `{place.path}`, version {offered.policy.version}: {why}",
        as_json=as_json,
    )


def rule(
    role: options.RuleRole,
    threshold: options.Threshold = None,
    member: options.Members = None,
    removed: options.Removed = None,
    predicate: options.Predicates = None,
    max_age: options.MaxAge = None,
    trust: options.PolicyFile = None,
    key: options.RootKey = None,
    passphrase_fd: PassphraseDescriptor = None,
    as_json: Json = False,
) -> int:
    """Say how many keys, and whose, must sign.

    Who is taken from a rule is still named by others; revoke a key that is lost. The threshold stays as it
    is, so that nobody's going makes less do: where the keys that are left cannot meet it, name another.
    The first rule for `root` makes the policy a signed one: from then on it counts only with the signatures
    of its root keys, and nothing unsigned takes its place.
    """
    home, now = find_home(), datetime.now(UTC)
    place, signer = place_named(home, trust), partial(read_existing_signer, home, key, passphrase_fd)
    signed = one_of(role, ROLES, "role")
    taken, types = tuple(dict.fromkeys(removed or ())), tuple(predicate or ())
    wanted = RuleChange(threshold, tuple(dict.fromkeys(member or ())), max_age, taken, types)
    with hints_under(trust):
        if wanted == RuleChange():
            raise MalformedError(
                "nothing to change", code="usage", hint=f"evalctl trust rule {role} --threshold 2 --add NAME"
            )
        offered = change(place, lambda text: change_rule(text, signed, wanted), signer, now)
    outcome = offered.policy.rules[signed]
    members = sorted(outcome.members)
    return changed(place, offered, now).report(
        {
            "role": role,
            "threshold": outcome.threshold,
            "from": members,
            "predicate": sorted(outcome.predicates),
            "max-age": None if outcome.max_age is None else age_text(outcome.max_age),
        },
        f"`{role}` takes {outcome.threshold} of {', '.join(members)} in `{place.path}`,"
        f" version {offered.policy.version}",
        as_json=as_json,
    )
