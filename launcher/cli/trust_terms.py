"""`evalctl trust renew`, `evalctl trust ledger`: its end, and the ledgers that count attempts."""

from datetime import UTC, datetime
from functools import partial

from launcher.cli import trust_options as options
from launcher.cli.options import Json, PassphraseDescriptor
from launcher.cli.output import hint, say
from launcher.cli.policies import changed, hints_under, moment_of, place_named
from launcher.cli.signing import read_existing_signer, under_policy
from launcher.errors import MalformedError
from launcher.spec.units import time_text
from launcher.store.home import find_home
from launcher.store.policies import read_offered
from launcher.store.policy_changes import change
from launcher.trust.key_files import load_public_file
from launcher.trust.policy_edit import renew_policy
from launcher.trust.policy_ledgers import LedgerPin, pin_ledger


def renew(
    until: options.Until = None,
    trust: options.PolicyFile = None,
    key: options.RootKey = None,
    passphrase_fd: PassphraseDescriptor = None,
    as_json: Json = False,
) -> int:
    """Say until when a policy counts.

    Look at who is trusted first: nothing but the date of its end changes. A policy that expired is renewed
    as well, a signed one with the signatures of its root keys. Without `--until` nothing is made shorter.
    """
    home, now, moment = find_home(), datetime.now(UTC), moment_of(until)
    place, signer = place_named(home, trust), partial(read_existing_signer, home, key, passphrase_fd)
    before = read_offered(place).policy
    with hints_under(trust):
        offered = change(place, lambda text: renew_policy(text, now, moment), signer, now)
    expires = time_text(offered.policy.expires)
    if offered.policy.version == before.version:
        say(f"it expires on {expires} already: nothing was changed")
    return changed(place, offered, now).report(
        {"expires": expires},
        f"`{place.path}`, version {offered.policy.version}, expires on {expires}",
        as_json=as_json,
    )


def ledger(
    name: options.LedgerName,
    public_key: options.LedgerKey = None,
    witness: options.Witnesses = None,
    signer_name: options.Counted = None,
    trust: options.PolicyFile = None,
    key: options.RootKey = None,
    passphrase_fd: PassphraseDescriptor = None,
    as_json: Json = False,
) -> int:
    """Pin the ledger that counts a key's attempts.

    From then on a bundle that the key signed counts only with the proof of that ledger, and the proof only
    with the cosignature of every witness. What is asked for is never taken back here.
    """
    from launcher.ledger.checkpoint import ledger_key

    home, now = find_home(), datetime.now(UTC)
    place, root = place_named(home, trust), partial(read_existing_signer, home, key, passphrase_fd)
    log = None if public_key is None else ledger_key(load_public_file(public_key))
    pin = LedgerPin(name, log, tuple(witness or ()), tuple(dict.fromkeys(signer_name or ())))
    if pin == LedgerPin(name):
        raise MalformedError(
            "nothing to pin", code="usage", hint=f"evalctl trust ledger {name} ledger.pub --for NAME"
        )
    before = read_offered(place).policy
    with hints_under(trust):
        offered = change(place, lambda text: pin_ledger(text, pin), root, now)
    pinned = offered.policy.ledgers[name]
    keys = sorted(each.name for each in offered.policy.keys.values() if each.ledger == name)
    for each in keys:
        other = before.keys[each].ledger
        if other not in (None, name):
            say(f"note: `{each}` was counted by the ledger `{other}` so far")
    outcome = changed(place, offered, now)
    if not keys:
        typed = under_policy(f"evalctl trust ledger {name} --for NAME", trust)
        hint(f"no key's attempts must stand in it yet: `{typed}`")
    return outcome.report(
        {
            "ledger": name,
            "origin": pinned.origin,
            "witnesses": [each.name for each in pinned.witnesses],
            "keys": keys,
        },
        f"`{name}` ({pinned.origin}) counts {', '.join(keys) or 'nobody yet'}, co-signed by"
        f" {len(pinned.witnesses)}, in `{place.path}`, version {offered.policy.version}",
        as_json=as_json,
    )
