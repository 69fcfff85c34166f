"""The completion script of zsh."""

from collections.abc import Iterator, Sequence
from typing import Final

from launcher.cli.shells.parameters import Described, Value, groups, quoted, summary

_ZSH: Final = """\
#compdef evalctl
# zsh completion of evalctl; written by `evalctl completion zsh`.
_evalctl_bundles() {
    local folder=${EVALCTL_HOME:-${XDG_DATA_HOME:-$HOME/.local/share}/evalctl}/bundles
    local -a names=("$folder"/[0-9a-f]*(N:t))
    compadd -- "${(@)names[@]%${(l:52::?:)}}"
    _files -/
}

_evalctl() {
    local command
    local -a commands
    if ((CURRENT == 2)); then
        commands=(
@FIRST@
        )
        _describe command commands
        return
    fi
    shift words
    ((CURRENT--))
    command=$words[1]
    case $command in
@GROUPS@
    esac
    case $command in
@COMMANDS@
    esac
}

if [[ $funcstack[1] == _evalctl ]]; then _evalctl "$@"; else compdef _evalctl evalctl; fi
"""


def zsh(commands: Sequence[Described]) -> str:
    """Return zsh's script."""
    listed = groups(commands)
    first = [f"            {quoted(f'{word}:{_plain(summary(group))}')}" for word, group in listed.items()]
    subcommands = []
    for word, group in listed.items():
        rows = [
            f"                {quoted(f'{described.command.words[1]}:{_plain(described.command.summary)}')}"
            for described in group
            if len(described.command.words) > 1
        ]
        if rows:
            subcommands += [
                f"        ({word})",
                "            commands=(",
                *rows,
                "            )",
                "            if ((CURRENT == 2)); then _describe command commands; return; fi",
                '            shift words; ((CURRENT--)); command+=" $words[1]" ;;',
            ]
    cases = [line for described in commands for line in _zsh_command(described)]
    script = _ZSH.replace("@FIRST@", "\n".join(first)).replace("@GROUPS@", "\n".join(subcommands))
    return script.replace("@COMMANDS@", "\n".join(cases))


def _zsh_command(described: Described) -> Iterator[str]:
    yield f"        ({quoted(described.name)})"
    yield "            _arguments \\"
    for flag in described.flags:
        action = "" if flag.value is None else f":value:{_zsh_action(flag.value)}"
        yield f"                {quoted(f'{flag.name}[{_plain(flag.text)}]{action}')} \\"
    for value in described.arguments[:-1]:
        yield f"                {quoted(f':argument:{_zsh_action(value)}')} \\"
    last = f"*:argument:{_zsh_action(described.arguments[-1])}" if described.arguments else "*: :()"
    yield f"                {quoted(last)} ;;"


def _zsh_action(value: Value) -> str:
    actions = {"file": "_files", "folder": "_files -/", "bundle": "_evalctl_bundles", "text": " "}
    return actions.get(value.kind) or f"({' '.join(value.words)})"


def _plain(text: str) -> str:
    """Return `text` on one line, without what zsh's descriptions are made of."""
    line = " ".join(text.split())
    return "".join("\\" + letter if letter in ":[]\\" else letter for letter in line)
