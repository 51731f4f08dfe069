"""Jinja as templates of manifests may use it: nothing of Python, nothing of HTML, no chance.

What a macro or a `{% set %}` block gives is a piece of the skeleton. It is wrapped in a Fragment as
soon as it is there, so that it can be placed and nothing else.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jinja2
from jinja2 import nodes
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.visitor import NodeTransformer
from msgspec import Struct

from generator import files, records, yamlio
from generator.inventory import records as inventory
from generator.serving import language_models as llm
from generator.templating import prepared
from generator.templating.prepared import Fragment

_OF_HTML = ("e", "escape", "forceescape", "safe", "striptags", "urlize", "xmlattr")
_FRAGMENT = "fragment"


def environment(finalize: Callable[..., str], folders: list[Path]) -> jinja2.Environment:
    """Make the environment of templates in folders, the first one first."""
    made = _Sandbox(
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        finalize=finalize,
        loader=_Loader([str(folder) for folder in folders], encoding="utf-8-sig"),
        auto_reload=False,
    )
    for name in (*_OF_HTML, "random"):
        del made.filters[name]
    del made.globals["lipsum"]  # as random as its name
    made.filters["tojson"] = _json
    made.filters[_FRAGMENT] = _fragment
    return made


def _json(value: Any, indent: int | None = None) -> str:
    """Write JSON as it is, without the escapes that HTML would want."""
    return json.dumps(value, indent=indent, ensure_ascii=False)


def _fragment(value: Any) -> Any:
    """Wrap what holds tokens: a macro or a block made it."""
    return Fragment(value) if isinstance(value, str) and prepared.has_token(value) else value


class _Wrapping(NodeTransformer):
    """Wraps every call and every `{% set %}` block, and refuses what would change their text."""

    def visit_Call(self, node: nodes.Call) -> nodes.Node:
        """Wrap whatever a call gives: it may be a macro's."""
        self.generic_visit(node)
        return _wrapped(node)

    def visit_CallBlock(self, node: nodes.CallBlock) -> nodes.Node:
        """Leave the call itself to Jinja, which places what it gives."""
        call = node.call
        self.generic_visit(call)
        self.generic_visit(node)
        node.call = call
        return node

    def visit_AssignBlock(self, node: nodes.AssignBlock) -> list[nodes.Node]:
        """Wrap the variable once the block has filled it."""
        if node.filter is not None:
            raise jinja2.TemplateSyntaxError("a set block takes no filter", node.lineno)
        self.generic_visit(node)
        name = getattr(node.target, "name", "")
        again = nodes.Assign(nodes.Name(name, "store"), _wrapped(nodes.Name(name, "load")))
        return [node, again.set_lineno(node.lineno)]

    def visit_FilterBlock(self, node: nodes.FilterBlock) -> nodes.Node:
        """Refuse a filter over text that holds values."""
        message = "a filter block would change what stands for values: filter the values"
        raise jinja2.TemplateSyntaxError(message, node.lineno)


def _wrapped(node: nodes.Expr) -> nodes.Node:
    return nodes.Filter(node, _FRAGMENT, [], [], None, None).set_lineno(node.lineno or 1)


class _Sandbox(ImmutableSandboxedEnvironment):
    """Jinja's sandbox, with a short way to the fields of our own records.

    A record has only fields that templates may see; whatever else a template asks for takes the
    long way, and the sandbox decides.
    """

    def getattr(self, obj: Any, attribute: str) -> Any:
        """Return a field, an item, or what the sandbox gives instead."""
        if attribute in FIELDS.get(obj.__class__, ()):
            return getattr(obj, attribute)
        return super().getattr(obj, attribute)

    def _generate(
        self,
        source: nodes.Template,
        name: str | None,
        filename: str | None,
        defer_init: bool = False,
    ) -> str:
        """Compile every template, also an included one, with its calls wrapped."""
        try:
            tree = _Wrapping().visit(source)
        except jinja2.TemplateSyntaxError as error:
            raise jinja2.TemplateSyntaxError(
                error.message or "", error.lineno, name, filename
            ) from None
        return super()._generate(tree, name, filename, defer_init)


_HOMES = (records, inventory, files, llm)

FIELDS = {
    record: frozenset(name for name in dir(record) if not name.startswith("_"))
    for record in (each for home in _HOMES for each in vars(home).values())
    if isinstance(record, type) and issubclass(record, Struct)
}
"""The public fields and properties of every record."""


class _Loader(jinja2.FileSystemLoader):
    """Refuses a template that is not in its folder, or that holds what stands for slots."""

    def get_source(self, environment: jinja2.Environment, template: str) -> tuple[str, str, Any]:
        """Read a template. Raises TemplateSyntaxError as Jinja's own loaders do."""
        source, filename, fresh = super().get_source(environment, template)
        if not self._is_inside(filename):
            raise LinkError(template)
        found = yamlio.RESERVED.search(source)
        if found:
            line = source.count("\n", 0, found.start()) + 1
            message = "a private-use character (U+E000 to U+F8FF) in a template"
            raise jinja2.TemplateSyntaxError(message, line, template, filename)
        return source, filename, fresh

    def _is_inside(self, filename: str) -> bool:
        path = Path(filename).resolve()
        return any(path.is_relative_to(Path(folder).resolve()) for folder in self.searchpath)


class LinkError(OSError):
    """A template that is a link out of its folder."""

    def __init__(self, template: str) -> None:
        super().__init__(f"{template} is a link that leads out of the templates' folder")
