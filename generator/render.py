"""Stage 5: a planned file becomes text and object. Jinja places values and decides nothing.

The only import of jinja2. A repository's own `templates/<path>` replaces the built-in template of
the same path.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Mapping
from dataclasses import is_dataclass
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any

import jinja2
from jinja2.sandbox import ImmutableSandboxedEnvironment

from generator import prepared, records, schema, shortcut, yamlio
from generator.prepared import SkeletonError, Statement, Statements
from generator.problems import GenError, Problem, Where, one
from generator.records import HEADER, PlannedFile, RenderedFile
from generator.shortcut import Reader

BUILT_IN = Path(__file__).parent / "templates"
OWN = "templates"


class _Recorder:
    """Keeps the values of one rendering; what stands for them in the text are tokens."""

    def __init__(self) -> None:
        self.values: list[Any] = []
        self.places: list[tuple[str, int]] | None = None
        """Template and line of each value, kept only to explain what went wrong."""

    @jinja2.pass_context  # a hook with a context is never folded into constants at compile time
    def finalize(self, _: jinja2.runtime.Context | None, value: Any) -> str:
        """Record a value and return what stands for it. Raises what StrictUndefined raises."""
        cls = value.__class__
        if cls is str:
            if not value.isascii() and prepared.has_token(value):
                return str(value)
        elif isinstance(value, jinja2.Undefined | str):
            return self._special(value)
        values = self.values
        values.append(value)
        if self.places is not None:
            self.places.append(_place(sys._getframe(1)))
        return prepared.token(len(values) - 1)

    def _special(self, value: jinja2.Undefined | str) -> str:
        """Let an undefined value raise, and take a subclass of str for the text that it is."""
        return (
            str(value) if isinstance(value, jinja2.Undefined) else self.finalize(None, str(value))
        )


class _Compiled:
    """A template, its shortcut if it has one, and the statements of the branches seen so far."""

    def __init__(self, template: jinja2.Template, read: Reader | None) -> None:
        self.template = template
        self._read = read
        self._statements: dict[int, Statement] = {}

    def short(self, context: Mapping[str, Any]) -> tuple[Statement, list[Any]] | None:
        """Read the values without Jinja; None where only Jinja can say what there is."""
        if self._read is None:
            return None
        try:
            branches, values = self._read(context)
            return self._statements[branches], values
        except (KeyError, AttributeError):
            return None

    def remember(self, context: Mapping[str, Any], statement: Statement, values: list[Any]) -> None:
        """Keep the statement of the branches that a context takes, if the values are Jinja's."""
        if self._read is None:
            return
        try:
            branches, read = self._read(context)
        except (KeyError, AttributeError):
            return
        if read == values:
            self._statements[branches] = statement
        else:
            self._read = None


class Engine:
    """Renders files from the templates of one repository.

    Every template is compiled once, every skeleton prepared once. `paranoid` parses every text
    again and compares it with its object.
    """

    def __init__(self, root: Path, *, paranoid: bool = False) -> None:
        self._root = root
        self._paranoid = paranoid
        self._recorder = _Recorder()
        self._statements = Statements()
        self._templates: dict[str, _Compiled] = {}
        self._environment = _environment(self._recorder, [root / OWN, BUILT_IN])
        self._given: Mapping[str, Any] | None = None
        self._names: dict[str, Any] = {}

    def files(self, planned: Iterable[PlannedFile]) -> list[RenderedFile]:
        """Render files in their order. Raises GenError with the problems of all of them."""
        problems: list[Problem] = []
        rendered: list[RenderedFile] = []
        for file in planned:
            try:
                rendered.append(self.file(file))
            except GenError as error:
                problems += error.problems
        if problems:
            raise GenError(problems)
        return rendered

    def file(self, planned: PlannedFile) -> RenderedFile:
        """Render one file. Raises GenError that names template, line and what it was for."""
        compiled = self._templates.get(planned.template) or self._compiled(planned.template)
        try:
            statement, values = compiled.short(planned.context) or self._long(compiled, planned)
            data, text = statement.fill(values, paranoid=self._paranoid)
        except SkeletonError as error:
            place = self._place_in_template(compiled, planned, error)
            raise self._problem(planned, place, error.message, error.hint) from None
        except GenError:
            raise
        except Exception as error:
            raise self._explained(planned, error) from None
        header = f"{HEADER}{planned.producer}. Change that, not this.\n"
        for comment in planned.comments:
            header += f"# {comment}\n"
        return RenderedFile(planned.path, planned.template, planned.producer, header + text, data)

    def _long(self, compiled: _Compiled, planned: PlannedFile) -> tuple[Statement, list[Any]]:
        """Let Jinja render the skeleton, and let the template remember it for its branches."""
        values = self._recorder.values
        values.clear()
        skeleton = self._skeleton(compiled.template, planned)
        statement = self._statements.prepare(skeleton)
        compiled.remember(planned.context, statement, values)
        return statement, values

    def _skeleton(self, template: jinja2.Template, planned: PlannedFile) -> str:
        return "".join(template.root_render_func(self._context(template, planned)))

    def _context(self, template: jinja2.Template, planned: PlannedFile) -> jinja2.runtime.Context:
        """Make what a template runs in; files of one workload share their names, merged once."""
        if planned.context is not self._given:
            self._given = planned.context
            self._names = {**self._environment.globals, **planned.context}
        context = jinja2.runtime.Context
        return context(self._environment, self._names, template.name, template.blocks)

    def _compiled(self, name: str) -> _Compiled:
        try:
            source, filename, _ = self._source(name)
            tree = self._environment.parse(source, name, filename)
            read = shortcut.reader(tree)
            code = self._environment.compile(tree, name, filename)
        except jinja2.TemplateSyntaxError as error:
            where = self._where(error.name or name, error.lineno)
            raise one("E501", f"this is not Jinja: {error.message}", where) from None
        except jinja2.TemplateNotFound as error:
            message = f"there is no template {error.name}"
            raise one("E501", message, Where(f"{OWN}/{name}")) from None
        except (OSError, UnicodeDecodeError) as error:
            message = f"this template cannot be read: {error}"
            raise one("E501", message, Where(f"{OWN}/{name}")) from None
        globals_ = self._environment.make_globals(None)
        template = jinja2.Template.from_code(self._environment, code, globals_)
        compiled = self._templates[name] = _Compiled(template, read)
        return compiled

    def _where(self, template: str, line: int) -> Where:
        own = self._root / OWN / template
        folder = OWN if own.is_file() else "generator/templates"
        return Where(f"{folder}/{template}", line, 1 if line else 0)

    def _problem(
        self, planned: PlannedFile, place: tuple[str, int], message: str, hint: str = ""
    ) -> GenError:
        return one("E503", message, self._where(*place), hint, about=f"for {planned.path}")

    def _explained(self, planned: PlannedFile, error: Exception) -> GenError:
        """Whatever a template raises is the template's problem: undefined names, bad filters."""
        where = self._where(*_innermost(error.__traceback__, planned.template))
        if isinstance(error, jinja2.TemplateSyntaxError):
            place = self._where(error.name or planned.template, error.lineno)
            return one("E501", f"this is not Jinja: {error.message}", place)
        if isinstance(error, jinja2.UndefinedError):
            message, hint = _undefined(error, planned.context)
            return one("E502", message, where, hint, about=f"for {planned.path}")
        if isinstance(error, jinja2.TemplateNotFound):
            return one("E501", f"there is no template {error.name}", where)
        message = f"{type(error).__name__}: {error}"
        return one("E503", message, where, about=f"for {planned.path}")

    def _place_in_template(
        self, compiled: _Compiled, planned: PlannedFile, error: SkeletonError
    ) -> tuple[str, int]:
        """Find the line of a template that a line of its skeleton came from.

        Blocks add and drop lines, so it is counted from the last value before it, whose line Jinja
        knows. Rendering once more is for the one file that is wrong.
        """
        recorder = self._recorder
        recorder.values.clear()
        recorder.places = []
        try:
            skeleton = self._skeleton(compiled.template, planned)
            line, index = prepared.last_token(skeleton, error.line)
            if index is None:
                return planned.template, error.line
            template, start = recorder.places[index]
            return template, start + error.line - line
        except Exception:
            return planned.template, 0  # it did not even come to a skeleton
        finally:
            recorder.places = None

    def _source(self, name: str) -> tuple[str, str | None, Any]:
        loader = self._environment.loader
        return loader.get_source(self._environment, name) if loader else ("", None, None)


def _environment(recorder: _Recorder, folders: list[Path]) -> jinja2.Environment:
    return _Sandbox(
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        finalize=recorder.finalize,
        loader=_Loader([str(folder) for folder in folders]),
        auto_reload=False,
    )


class _Sandbox(ImmutableSandboxedEnvironment):
    """Jinja's sandbox, with a short way to the fields of our own records.

    A record has only fields that templates may see; whatever else a template asks for takes the
    long way, and the sandbox decides.
    """

    def getattr(self, obj: Any, attribute: str) -> Any:
        """Return a field, an item, or what the sandbox gives instead."""
        if attribute in _FIELDS.get(obj.__class__, ()):
            return getattr(obj, attribute)
        return super().getattr(obj, attribute)


_FIELDS = {
    record: frozenset(name for name in dir(record) if not name.startswith("_"))
    for record in vars(records).values()
    if is_dataclass(record)
}
"""The public fields and properties of every record."""


class _Loader(jinja2.FileSystemLoader):
    """Refuses a template that is not in its folder, or that holds what stands for slots."""

    def get_source(self, environment: jinja2.Environment, template: str) -> tuple[str, str, Any]:
        """Read a template. Raises TemplateSyntaxError as Jinja's own loaders do."""
        source, filename, fresh = super().get_source(environment, template)
        if not self._is_inside(filename):
            message = "a link that leads out of the templates' folder"
            raise jinja2.TemplateSyntaxError(message, 1, template, filename)
        found = yamlio.RESERVED.search(source)
        if found:
            line = source.count("\n", 0, found.start()) + 1
            message = "a private-use character (U+E000 to U+F8FF) in a template"
            raise jinja2.TemplateSyntaxError(message, line, template, filename)
        return source, filename, fresh

    def _is_inside(self, filename: str) -> bool:
        path = Path(filename).resolve()
        return any(path.is_relative_to(Path(folder).resolve()) for folder in self.searchpath)


def strangers(root: Path) -> list[Problem]:
    """Find own templates that replace nothing, which nobody would ever notice otherwise.

    A name that starts with `_` is for templates to include.
    """
    built_in = _names(BUILT_IN)
    return [
        Problem(
            "E504",
            "no built-in template has this path, so this one replaces nothing",
            Where(f"{OWN}/{name}"),
            f"{schema.suggestion(name, built_in)} A part for other templates starts with `_`",
        )
        for name in _names(root / OWN)
        if name not in built_in and not name.rpartition("/")[2].startswith("_")
    ]


def _names(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.j2"))


_NO_FIELD = re.compile(r"'generator\.records\.(\w+) object' has no attribute '(\w+)'")
_NO_NAME = re.compile(r"'(\w+)' is undefined")


def _undefined(error: jinja2.UndefinedError, context: Mapping[str, Any]) -> tuple[str, str]:
    """Say what is not there, and what is likely meant."""
    message = error.message or str(error)
    field = _NO_FIELD.search(message)
    if field:
        known = _FIELDS[getattr(records, field[1])]
        return f"a {field[1]} has no `{field[2]}`", schema.suggestion(field[2], sorted(known))
    name = _NO_NAME.search(message)
    if name:
        return f"there is no `{name[1]}` here", schema.suggestion(name[1], sorted(context))
    return message, ""


def _place(frame: FrameType | None) -> tuple[str, int]:
    """Find the template and line that a call into the recorder comes from."""
    while frame is not None:
        template = frame.f_globals.get("__jinja_template__")
        if template is not None:
            return template.name, template.get_corresponding_lineno(frame.f_lineno)
        frame = frame.f_back
    return "", 0


def _innermost(traceback: TracebackType | None, fallback: str) -> tuple[str, int]:
    """Find the innermost template and line of a traceback."""
    place = fallback, 0
    while traceback is not None:
        template = traceback.tb_frame.f_globals.get("__jinja_template__")
        if template is not None:
            place = template.name, template.get_corresponding_lineno(traceback.tb_lineno)
        traceback = traceback.tb_next
    return place
