"""Guess what a mistyped key or word was meant to be."""

from launcher.spec.kinds import Fault, ListOf, Table, key_text

_LONGEST = 64


def advice(fault: Fault, language: Table) -> str:
    """Return what to append to the message of `fault`: a likely word, or the table a key belongs to."""
    if not fault.unknown or len(fault.unknown) > _LONGEST:
        return ""
    if close := _closest(fault.unknown, fault.known, 0.7):
        return f"; did you mean `{close}`?"
    if fault.at == "key" and (homes := _homes(fault.unknown, language)):
        return f"; it is a key of {' and '.join(homes[:3])}"
    if close := _closest(fault.unknown, fault.known, 0.5):
        return f"; did you mean `{close}`?"
    return f"; known: {', '.join(fault.known)}" if 0 < len(fault.known) <= 16 else ""


def _closest(word: str, known: tuple[str, ...], cutoff: float) -> str:
    from difflib import get_close_matches

    folded = {name.lower(): name for name in known}
    match = get_close_matches(word.lower().replace("_", "-"), folded, n=1, cutoff=cutoff)
    return folded[match[0]] if match else ""


def _homes(name: str, table: Table, path: tuple[str, ...] = ()) -> list[str]:
    """Return the headers of all tables below `table` that know a key `name`."""
    homes = []
    for key in table.keys:
        listed = isinstance(key.kind, ListOf)
        kind = key.kind.item if isinstance(key.kind, ListOf) else key.kind
        if isinstance(kind, Table):
            below = (*path, key.name)
            if any(inner.name == name for inner in kind.keys):
                homes.append(f"`[[{key_text(below)}]]`" if listed else f"`[{key_text(below)}]`")
            homes.extend(_homes(name, kind, below))
    return homes
