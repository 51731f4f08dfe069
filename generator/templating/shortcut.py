"""Templates that only place fields are read without Jinja.

Most templates are text, `{{ release.model }}` and `{% if serving.timeout %}`. Their syntax tree
says all there is: which values, in which order, in which branch. Such a template becomes one
function from its context to the values and a number for the branches taken; each number has one
skeleton, which Jinja itself renders when the number comes for the first time. Loops, filters,
macros and whatever else a template may use make no shortcut, and Jinja renders it as ever.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from jinja2 import nodes

Reader = Callable[[Mapping[str, Any]], tuple[int, list[Any]]]
"""Reads a context. Raises KeyError or AttributeError where Jinja would say what is undefined."""


def fixed_texts(template: nodes.Template) -> list[list[tuple[int, str]]]:
    """List the texts of a parsed template that are no expressions, each with its first line.

    Those without an expression between them come as one list, as Jinja gives them out as one text.
    """
    runs: list[list[tuple[int, str]]] = []
    for output in template.find_all(nodes.Output):
        runs.append([])
        for node in output.nodes:
            if isinstance(node, nodes.TemplateData):
                runs[-1].append((node.lineno, node.data))
            elif runs[-1]:
                runs.append([])
    return [run for run in runs if run]


class _NoShortcutError(Exception):
    """The template does something that only Jinja can do."""


def reader(template: nodes.Template) -> Reader | None:
    """Turn a parsed template into its reader; None if it does more than place fields."""
    writer = _Writer()
    try:
        lines = list(writer.lines(template.body, "    "))
    except _NoShortcutError:
        return None
    source = "\n".join(["def read(c):", "    k, v = 0, []", *lines, "    return k, v"])
    scope: dict[str, Any] = {}
    exec(compile(source, "<shortcut>", "exec"), scope)
    function: Reader = scope["read"]
    return function


class _Writer:
    """Writes the reader's source; every branch gets a bit of its own."""

    def __init__(self) -> None:
        self._bit = 1

    def lines(self, body: list[nodes.Node], indent: str) -> Iterator[str]:
        """Write statements for a run of nodes."""
        for node in body:
            if isinstance(node, nodes.Output):
                values = [
                    _expression(n) for n in node.nodes if not isinstance(n, nodes.TemplateData)
                ]
                if values:
                    yield f"{indent}v += ({', '.join(values)},)"
            elif isinstance(node, nodes.If):
                yield from self._if(node, indent)
            else:
                raise _NoShortcutError

    def _if(self, node: nodes.If, indent: str) -> Iterator[str]:
        yield f"{indent}if {_expression(node.test)}:"
        yield from self._branch(node.body, indent)
        for other in node.elif_:
            yield f"{indent}elif {_expression(other.test)}:"
            yield from self._branch(other.body, indent)
        if node.else_:
            yield f"{indent}else:"
            yield from self._branch(node.else_, indent)

    def _branch(self, body: list[nodes.Node], indent: str) -> Iterator[str]:
        yield f"{indent}    k |= {self._bit}"
        self._bit <<= 1
        yield from self.lines(body, indent + "    ")


def _expression(node: nodes.Node) -> str:
    """Write an expression over fields; names and fields with `_` are the sandbox's to refuse."""
    match node:
        case nodes.Name(name=name):
            return f"c[{name!r}]"
        case nodes.Getattr(node=inner, attr=attr) if not attr.startswith("_"):
            return f"{_expression(inner)}.{attr}"
        case nodes.Const(value=value) if isinstance(value, str | int | bool | None):
            return repr(value)
        case nodes.Not(node=inner):
            return f"(not {_expression(inner)})"
        case nodes.And(left=left, right=right):
            return f"({_expression(left)} and {_expression(right)})"
        case nodes.Or(left=left, right=right):
            return f"({_expression(left)} or {_expression(right)})"
        case nodes.Compare(expr=expr, ops=[nodes.Operand(op="eq", expr=other)]):
            return f"({_expression(expr)} == {_expression(other)})"
        case _:
            raise _NoShortcutError
