"""`[ledgers.NAME]` of a `trust.toml`: a ledger, its witnesses, and whose attempts it counts."""

from msgspec import Struct
from msgspec.structs import replace

from launcher.errors import MalformedError
from launcher.spec.toml_text import toml_value
from launcher.trust.ledgers import PinnedLedger
from launcher.trust.notes import WITNESS, NoteKey, read_note_key
from launcher.trust.policy import Policy
from launcher.trust.policy_edit import key_called
from launcher.trust.policy_file import read_policy
from launcher.trust.policy_text import Changes, Path, edited, ledger_table


class LedgerPin(Struct, frozen=True):
    """What to say of the ledger called `name`: `log` where it is not there yet, and what to add to it.

    `witnesses` are lines that name one each; `signers` are keys of the policy, whose attempts it counts.
    """

    name: str
    log: NoteKey | None = None
    witnesses: tuple[str, ...] = ()
    signers: tuple[str, ...] = ()


def pin_ledger(text: str, pin: LedgerPin) -> str:
    """Return `text` with a ledger pinned, or with more said of it; nothing that is demanded is taken back.

    A text that says so already is returned as it is. Raises `MalformedError` for another ledger under that
    name, one that has another name, and names and witnesses that are none.
    """
    before = read_policy(text.encode())
    known = before.ledgers.get(pin.name)
    _refuse_other(before, pin)
    ledger = known or _first(pin)
    lines = {key.text for key in ledger.witnesses}
    added = tuple(line for line in dict.fromkeys(pin.witnesses) if line not in lines)
    witnesses = tuple(map(read_note_key, sorted({*lines, *map(_witness, added)})))
    after = replace(ledger, witnesses=witnesses)
    keys = {name: replace(key_called(before, name), ledger=pin.name) for name in pin.signers}
    keys = {name: key for name, key in keys.items() if key != before.keys[name]}
    if known == after and not keys:
        return text
    values: dict[Path, str] = {("keys", name, "ledger"): toml_value(pin.name) for name in keys}
    listed: dict[Path, tuple[str, ...]] = {}
    if known and added and known.witnesses:
        listed["ledgers", pin.name, "witnesses"] = added
    elif known and added:
        values["ledgers", pin.name, "witnesses"] = toml_value(list(added))
    changes = Changes(values=values, listed=listed, tables=() if known else (ledger_table(after),))
    meant = replace(before, keys={**before.keys, **keys}, ledgers={**before.ledgers, pin.name: after})
    return edited(text, changes, meant)


def _first(pin: LedgerPin) -> PinnedLedger:
    if pin.log is None:
        raise MalformedError(
            f"the trust policy has no ledger called {pin.name[:80]!a}",
            code="no-such-name",
            hint="name its public key, the file `keys/ledger.pub` of the home that launches",
        )
    return PinnedLedger(pin.name, pin.log.name, pin.log.public)


def _refuse_other(policy: Policy, pin: LedgerPin) -> None:
    if pin.log is None:
        return
    known = policy.ledgers.get(pin.name)
    if known is not None and known.public != pin.log.public:
        raise MalformedError(
            f"the trust policy has another ledger called `{pin.name}`",
            code="name-taken",
            context=f"it is {known.origin}",
            hint="give this one another name",
        )
    for other in policy.ledgers.values():
        if other.public == pin.log.public and other.name != pin.name:
            raise MalformedError(
                f"the trust policy has this ledger already, as `{other.name}`",
                code="ledger-known",
                hint="see what is asked of it with `evalctl trust show`",
            )


def _witness(line: str) -> str:
    key = read_note_key(line)
    if key.kind != WITNESS:
        raise MalformedError(f"`{key.name[:80]}` is no key of a witness", code="malformed-note-key")
    return line
