"""Templates that only place fields are read without Jinja.

Most templates are text, `{{ release.model }}` and `{% if serving.timeout %}`. Their syntax tree
says all there is: which values, in which order, in which branch, how often around a loop. Such a
template becomes one function from its context to the values and the branches taken; each way
through it has one skeleton, which Jinja itself renders when the way is taken for the first time.
Filters, macros and whatever else a template may use make no shortcut, and Jinja renders it as ever.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from types import CodeType
from typing import Any

from jinja2 import nodes

Way = int | tuple[int, ...]
"""Which branches were taken, as bits; with loops, also how often and which within, in order."""

Reader = Callable[[Mapping[str, Any]], tuple[Way, list[Any]]]
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


def compiled(template: nodes.Template) -> CodeType | None:
    """Write the reader of a parsed template; None if it does more than place fields."""
    writer = _Writer()
    try:
        lines = list(writer.lines(template.body, "    "))
    except _NoShortcutError:
        return None
    start, way = ("k, t, v = 0, [], []", "(k, *t)") if writer.loops else ("k, v = 0, []", "k")
    source = "\n".join(["def read(c):", f"    {start}", *lines, f"    return {way}, v"])
    return compile(source, "<shortcut>", "exec")


def reader(code: CodeType) -> Reader:
    """Make the reader that was written."""
    scope: dict[str, Any] = {}
    exec(code, scope)
    function: Reader = scope["read"]
    return function


class _Writer:
    """Writes the reader's source; every branch gets a bit of its own.

    Within a loop a branch is taken each time anew: there, each is noted by a number.
    """

    def __init__(self) -> None:
        self.loops = 0
        self._bit = 1
        self._within: tuple[str, ...] = ()

    def lines(self, body: list[nodes.Node], indent: str) -> Iterator[str]:
        """Write statements for a run of nodes."""
        for node in body:
            if isinstance(node, nodes.Output):
                said = [n for n in node.nodes if not isinstance(n, nodes.TemplateData)]
                if said:
                    yield f"{indent}v += ({', '.join(map(self._expression, said))},)"
            elif isinstance(node, nodes.If):
                yield from self._if(node, indent)
            elif isinstance(node, nodes.For):
                yield from self._for(node, indent)
            else:
                raise _NoShortcutError

    def _if(self, node: nodes.If, indent: str) -> Iterator[str]:
        yield f"{indent}if {self._expression(node.test)}:"
        yield from self._branch(node.body, indent)
        for other in node.elif_:
            yield f"{indent}elif {self._expression(other.test)}:"
            yield from self._branch(other.body, indent)
        if node.else_ or self._within:
            yield f"{indent}else:"
            yield from self._branch(node.else_, indent)

    def _branch(self, body: list[nodes.Node], indent: str) -> Iterator[str]:
        yield (
            f"{indent}    t.append({self._bit})"
            if self._within
            else f"{indent}    k |= {self._bit}"
        )
        self._bit <<= 1
        yield from self.lines(body, indent + "    ")

    def _for(self, node: nodes.For, indent: str) -> Iterator[str]:
        """Write a loop; its names are the reader's own, and end with it."""
        if node.else_ or node.test or node.recursive:
            raise _NoShortcutError
        self.loops += 1
        items = f"i{self.loops}"
        yield f"{indent}{items} = list({self._expression(node.iter)})"
        yield f"{indent}t.append(len({items}))"
        names = node.target.items if isinstance(node.target, nodes.Tuple) else [node.target]
        outer, own = (
            self._within,
            tuple(name.name for name in names if isinstance(name, nodes.Name)),
        )
        if len(own) < len(names) or {"loop", *outer} & {*own}:
            raise _NoShortcutError
        self._within = (*outer, *own)
        yield f"{indent}for {', '.join(f'n_{name}' for name in own)} in {items}:"
        yield f"{indent}    pass"
        yield from self.lines(node.body, indent + "    ")
        self._within = outer

    def _expression(self, node: nodes.Node) -> str:
        """Write an expression over fields; those with `_` are the sandbox's to refuse."""
        match node:
            case nodes.Name(name=name) if name in self._within:
                return f"n_{name}"
            case nodes.Name(name=name) if name != "loop":
                return f"c[{name!r}]"
            case nodes.Getattr(node=inner, attr=attr) if not attr.startswith("_"):
                return f"{self._expression(inner)}.{attr}"
            case nodes.Call(node=nodes.Getattr(node=inner, attr="items"), args=[], kwargs=[]):
                return f"{self._expression(inner)}.items()"
            case nodes.Const(value=value) if isinstance(value, str | int | bool | None):
                return repr(value)
            case _:
                return self._operation(node)

    def _operation(self, node: nodes.Node) -> str:
        match node:
            case nodes.Not(node=inner):
                return f"(not {self._expression(inner)})"
            case nodes.And(left=left, right=right):
                return f"({self._expression(left)} and {self._expression(right)})"
            case nodes.Or(left=left, right=right):
                return f"({self._expression(left)} or {self._expression(right)})"
            case nodes.Compare(expr=expr, ops=[nodes.Operand(op="eq", expr=other)]):
                return f"({self._expression(expr)} == {self._expression(other)})"
            case nodes.CondExpr(test=test, expr1=first, expr2=nodes.Expr() as other):
                said = (self._expression(each) for each in (first, test, other))
                return "({} if {} else {})".format(*said)
            case _:
                raise _NoShortcutError
