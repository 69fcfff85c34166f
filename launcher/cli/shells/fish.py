"""The completion script of fish."""

from collections.abc import Sequence
from typing import Final

from launcher.cli.shells.parameters import Described, Value, groups, summary

_FISH: Final = """\
# fish completion of evalctl; written by `evalctl completion fish`.
function __evalctl_at
    set -l typed (commandline -opc)
    set -l wanted (string split ' ' -- $argv[1])
    set -l last (math 1 + (count $wanted))
    test (count $typed) -ge $last; and test "$typed[2..$last]" = "$argv[1]"
end
function __evalctl_next
    set -l typed (commandline -opc)
    test (count $typed) -eq (math 1 + (count $argv)); and test "$typed[2..]" = "$argv"
end
function __evalctl_bundles
    set -l home $EVALCTL_HOME
    if test -z "$home"
        set -q XDG_DATA_HOME; and set home $XDG_DATA_HOME/evalctl; or set home $HOME/.local/share/evalctl
    end
    for path in $home/bundles/*
        string match -rq '/[0-9a-f]+$' -- $path; and string sub -l 12 -- (string split -r -m1 / -- $path)[2]
    end
end
complete -c evalctl -f
"""


def fish(commands: Sequence[Described]) -> str:
    """Return fish's script."""
    lines = []
    for word, group in groups(commands).items():
        lines.append(_fish("test (count (commandline -opc)) -eq 1", f"-a {word}", summary(group)))
        lines += [
            _fish(f"__evalctl_next {word}", f"-a {described.command.words[1]}", described.command.summary)
            for described in group
            if len(described.command.words) > 1
        ]
    for described in commands:
        at = f'__evalctl_at "{described.name}"'
        for flag in described.flags:
            takes = "" if flag.value is None else f" {_fish_value(flag.value)}"
            lines.append(_fish(at, f"-l {flag.name[2:]}{takes}", flag.text))
        lines += [_fish(at, _fish_argument(value), "") for value in described.arguments[:1]]
    return _FISH + "\n".join(lines) + "\n"


def _fish(condition: str, what: str, text: str) -> str:
    told = f" -d {_fish_quoted(' '.join(text.split()))}" if text else ""
    return f"complete -c evalctl -n {_fish_quoted(condition)} {what}{told}"


def _fish_value(value: Value) -> str:
    return (
        f"-r {_fish_argument(value)}" if value.kind in ("file", "folder") else f"-x {_fish_argument(value)}"
    )


def _fish_argument(value: Value) -> str:
    return {
        "file": "-F",
        "folder": "-a '(__fish_complete_directories)'",
        "bundle": "-F -a '(__evalctl_bundles)'",
        "text": "",
    }.get(value.kind, f"-a {_fish_quoted(' '.join(value.words))}")


def _fish_quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
