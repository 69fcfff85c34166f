"""The completion script of bash."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from launcher.cli.shells.parameters import Described, Kind, Value, groups, quoted

_BASH: Final = """\
# bash completion of evalctl; written by `evalctl completion bash`.
_evalctl_bundles() {
    local folder=${EVALCTL_HOME:-${XDG_DATA_HOME:-$HOME/.local/share}/evalctl}/bundles name
    for name in "$folder"/*; do
        name=${name##*/}
        [[ $name == [0-9a-f]* ]] && printf '%s\\n' "${name:0:12}"
    done
}

_evalctl() {
    local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD-1]}
    local command=${COMP_WORDS[1]} options= words=
    COMPREPLY=()
    if ((COMP_CWORD == 1)); then
        COMPREPLY=($(compgen -W "@FIRST@ --help --version" -- "$current"))
        return
    fi
    case $command in
@GROUPS@
    esac
    case "$command $previous" in
@VALUES@
    esac
    case $command in
@COMMANDS@
    esac
    if [[ $current == -* ]]; then
        COMPREPLY=($(compgen -W "$options" -- "$current"))
    elif [[ $words == BUNDLE ]]; then
        COMPREPLY=($(compgen -W "$(_evalctl_bundles)" -- "$current"))
    elif [[ $words == FOLDER ]]; then
        compopt -o filenames 2>/dev/null
        COMPREPLY=($(compgen -d -- "$current"))
    elif [[ $words != FILE ]]; then
        compopt +o default 2>/dev/null
        COMPREPLY=($(compgen -W "$words" -- "$current"))
    fi
}
complete -o default -F _evalctl evalctl
"""


def bash(commands: Sequence[Described]) -> str:
    """Return bash's script."""
    listed = groups(commands)
    subcommands = []
    for word, group in listed.items():
        seconds = [described.command.words[1] for described in group if len(described.command.words) > 1]
        if seconds:
            line = f'COMPREPLY=($(compgen -W "{" ".join(seconds)}" -- "$current"))'
            subcommands += [
                f"        {word})",
                f"            if ((COMP_CWORD == 2)); then {line}; return; fi",
                '            command="$command ${COMP_WORDS[2]}" ;;',
            ]
    values = [line for described in commands for line in _bash_values(described)]
    cases = [
        f"        {quoted(described.name)}) options={quoted(_names(described))} "
        f"words={quoted(_bash_words(described.arguments[0]) if described.arguments else '')} ;;"
        for described in commands
    ]
    script = _BASH.replace("@FIRST@", " ".join(listed))
    script = script.replace("@GROUPS@", "\n".join(subcommands)).replace("@VALUES@", "\n".join(values))
    return script.replace("@COMMANDS@", "\n".join(cases))


def _names(described: Described) -> str:
    return " ".join(flag.name for flag in described.flags)


def _bash_values(described: Described) -> Iterator[str]:
    """Yield a case for each option that takes a value: what follows it."""
    for flag in described.flags:
        if flag.value is not None:
            reply = _REPLIES.get(flag.value.kind, "")
            if flag.value.words:
                reply = f'COMPREPLY=($(compgen -W "{" ".join(flag.value.words)}" -- "$current")); '
            yield f"        {quoted(f'{described.name} {flag.name}')}) {reply}return ;;"


_REPLIES: Final[Mapping[Kind, str]] = {
    "folder": 'compopt -o filenames 2>/dev/null; COMPREPLY=($(compgen -d -- "$current")); ',
    "bundle": 'COMPREPLY=($(compgen -W "$(_evalctl_bundles)" -- "$current")); ',
    "text": "compopt +o default 2>/dev/null; ",
}


def _bash_words(value: Value) -> str:
    return {"file": "FILE", "folder": "FOLDER", "bundle": "BUNDLE"}.get(value.kind, " ".join(value.words))
