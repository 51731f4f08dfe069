"""Shell completion as scripts that know every command themselves: a Tab starts no Python.

Names of models and environments are those of the files in models/ and environments/ of the
repository that the shell is in.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from msgspec import Struct


class Command(Struct, frozen=True):
    """A sub-command as a shell needs to know it.

    One within a group has the group's name before its own, as `version add`. `words` lists what may
    stand as an argument; `names` is `models` or `environments` where the names of files may.
    `takes` maps options that want a value to the folder whose names it may be, or to its choices.
    """

    name: str
    summary: str
    options: tuple[str, ...]
    words: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    takes: tuple[tuple[str, tuple[str, ...]], ...] = ()

    @property
    def group(self) -> str:
        """The group that it is within; empty for one that stands alone."""
        return self.name.rpartition(" ")[0]


_FOLDERS = {"ENV": "environments", "MODEL": "models", "ENVIRONMENT": "environments"}


def folders(*metavars: str | None) -> tuple[str, ...]:
    """Return the folders whose files name what a placeholder stands for."""
    found = (_FOLDERS.get((metavar or "").strip("[].")) for metavar in metavars)
    return tuple(dict.fromkeys(folder for folder in found if folder))


def bash(commands: Sequence[Command]) -> str:
    """Write the completion of bash."""
    cases = "".join(_bash_case(command) for command in commands)
    names = " ".join(command.name for command in commands if not command.group)
    inner = "|".join(f'"{command.name}"' for command in commands if command.group)
    return _BASH.replace("@COMMANDS@", names).replace("@INNER@", inner).replace("@CASES@", cases)


def zsh(commands: Sequence[Command]) -> str:
    """Write the completion of zsh, which reads bash's."""
    return "#compdef gen\nautoload -U +X bashcompinit && bashcompinit\n" + bash(commands)


_BASH = """\
_gen_names() {
    local file root=.
    until [ -d "$root/models" ] && [ -d "$root/environments" ]; do
        [ "$root" -ef / ] && return
        root=$root/..
    done
    for file in "$root/$1"/*.yaml; do
        [ -e "$file" ] && file=${file##*/} && printf '%s\\n' "${file%.yaml}"
    done
}

_gen() {
    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]}
    local command=${COMP_WORDS[1]} words=
    if [ "$COMP_CWORD" -eq 1 ]; then
        words="@COMMANDS@ --help --version"
    else
        [ "$COMP_CWORD" -gt 2 ] && case "$command ${COMP_WORDS[2]}" in
            @INNER@) command="$command ${COMP_WORDS[2]}" ;;
        esac
        case "$command:$before" in
@CASES@        esac
    fi
    COMPREPLY=($(compgen -W "$words" -- "$word"))
}

complete -o default -F _gen gen
"""


def _bash_case(command: Command) -> str:
    lines = [
        f'            "{command.name}":{option}) words="{_bash_words(choices)}" ;;\n'
        for option, choices in command.takes
    ]
    words = " ".join([*command.words, *(f"$(_gen_names {folder})" for folder in command.names)])
    options = " ".join(command.options)
    lines.append(f'            "{command.name}":*) words="{words} {options}" ;;\n')
    return "".join(lines)


def _bash_words(choices: Sequence[str]) -> str:
    return " ".join(
        f"$(_gen_names {choice})" if choice in _FOLDERS.values() else choice for choice in choices
    )


def fish(commands: Sequence[Command]) -> str:
    """Write the completion of fish."""
    lines = ["complete -c gen -f", *_FISH_HELPERS]
    for command in commands:
        if not command.group:
            offered = f"-a {command.name} -d {_quoted(command.summary)}"
            lines.append(f"complete -c gen -n __fish_use_subcommand {offered}")
        steps = (f"__fish_seen_subcommand_from {name}" for name in command.name.split())
        seen = f"-n '{'; and '.join(steps)}'"
        arguments = [*command.words, *(f"(__gen_names {folder})" for folder in command.names)]
        if arguments:
            lines.append(f"complete -c gen {seen} -a {_quoted(' '.join(arguments))}")
        takes = dict(command.takes)
        lines += [
            f"complete -c gen {seen} {_fish_option(o, takes.get(o))}" for o in command.options
        ]
    return "\n".join([*lines, ""])


_FISH_HELPERS = (
    "function __gen_names",
    "    set -l root .",
    "    while not test -d $root/models -a -d $root/environments",
    "        test (realpath $root) = /; and return",
    "        set root $root/..",
    "    end",
    "    for file in $root/$argv[1]/*.yaml; basename $file .yaml; end",
    "end",
)


def _fish_option(option: str, choices: Sequence[str] | None) -> str:
    flag = f"-l {option[2:]}" if option.startswith("--") else f"-s {option[1:]}"
    if choices is None:
        return flag
    words = " ".join(f"(__gen_names {c})" if c in _FOLDERS.values() else c for c in choices)
    return f"{flag} -r -a {_quoted(words)}" if words else f"{flag} -r"


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


SHELLS: dict[str, Callable[[Sequence[Command]], str]] = {"bash": bash, "zsh": zsh, "fish": fish}
"""The shells that completion is written for."""
