"""Stage 5: a planned file becomes text and object. Jinja places values and decides nothing.

The only import of jinja2. A repository's own `templates/<path>` replaces the built-in template of
the same path.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from functools import cache, partial
from pathlib import Path
from types import CodeType, FrameType, TracebackType
from typing import Any

import jinja2

from generator import schema, yamlio
from generator.compiled import kept
from generator.files import HEADER, Extra, PlannedFile, RenderedFile
from generator.problems import GenError, Problem, Where, one
from generator.templating import prepared, sandbox, shortcut
from generator.templating.prepared import Fragment, SkeletonError, Statement, Statements
from generator.templating.shortcut import Reader
from generator.yamlio import Pointer

BUILT_IN = Path(__file__).parent / "templates"
OWN = "templates"
EXTRA = "extra"
"""The folder in `overlay/` and `platform/` for own templates that replace nothing."""


_API_VERSION = re.compile(r"^apiVersion: ([\w./-]+) *$", re.MULTILINE)
_KIND = re.compile(r"^kind: (\w+) *$", re.MULTILINE)


class _Recorder:
    """Keeps the values of one rendering; what stands for them in the text are tokens."""

    def __init__(self) -> None:
        self.values: list[Any] = []
        self.places: list[tuple[str, int]] | None = None
        """Template and line of each value, kept only to explain what went wrong."""

    def place(self, token: str) -> tuple[str, int]:
        """Find the template and line of a value by its token."""
        return (self.places or [])[ord(token) - prepared.FIRST]

    @jinja2.pass_context  # a hook with a context is never folded into constants at compile time
    def finalize(self, _: jinja2.runtime.Context | None, value: Any) -> str:
        """Record a value and return what stands for it. Raises what StrictUndefined raises."""
        cls = value.__class__
        if cls is Fragment:
            return str(value.skeleton)
        if cls is not str and isinstance(value, jinja2.Undefined | str):
            value = str(value)
        values = self.values
        values.append(value)
        if self.places is not None:
            self.places.append(_place(sys._getframe(1)))
        return prepared.token(len(values) - 1)


class _Compiled:
    """A template, its shortcut if it has one, and the statements of the branches seen so far."""

    def __init__(self, template: jinja2.Template, read: Reader | None) -> None:
        self.template = template
        self._read = read
        self._statements: dict[shortcut.Way, Statement] = {}

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


_CODES: dict[tuple[str, str, str], tuple[CodeType, Reader | None]] = {}
_STATEMENTS = Statements()
"""What templates come to does not depend on the engine: a comparison of two trees has two."""


class Engine:
    """Renders files from the templates of one repository.

    Every template is compiled once, every skeleton prepared once. `paranoid` parses every text
    again and compares it with its object.
    """

    def __init__(self, root: Path, *, paranoid: bool = False) -> None:
        self._root = root
        self._paranoid = paranoid
        self._recorder = _Recorder()
        self._statements = _STATEMENTS
        self._templates: dict[str, _Compiled] = {}
        self._environment = sandbox.environment(self._recorder.finalize, [root / OWN, BUILT_IN])
        self._given: Mapping[str, Any] | None = None
        self._names: dict[str, Any] = {}
        self._own = _names(root / OWN)
        self._extras = {folder: self._found_extras(folder) for folder in ("overlay", "platform")}

    def extras(self, folder: str) -> tuple[Extra, ...]:
        """List the own templates of what no built-in one makes, in `overlay` or `platform`.

        Raises GenError for one that does not name its kind in plain words.
        """
        return self._extras[folder]

    def _found_extras(self, folder: str) -> tuple[Extra, ...]:
        below = f"{folder}/{EXTRA}/"
        names = (name for name in self._own if name.startswith(below) and not _is_part(name))
        kinds = ((name, _kind(_text(self._root / OWN / name))) for name in names)
        return tuple(Extra(name, *kind) for name, kind in kinds if kind is not None)

    @property
    def has_own(self) -> bool:
        """Say whether the repository has templates of its own."""
        return bool(self._own)

    def is_own(self, template: str) -> bool:
        """Say whether a template is the repository's own."""
        return template in self._own

    def place(self, planned: PlannedFile, pointer: Pointer) -> Where:
        """Find the line of a template that writes a field, or the nearest place above the field.

        Renders once more: places are asked for when something is wrong, and only then.
        """
        compiled = self._templates[planned.template]
        self._recorder.values.clear()
        position = yamlio.position(self._skeleton(compiled.template, planned), pointer)
        return self._where(*self._place_in_template(compiled, planned, position.line))

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
            place = self._place_in_template(compiled, planned, error.line)
            raise self._problem(planned, place, error.message, error.hint) from None
        except GenError:
            raise
        except Exception as error:
            raise self._explained(planned, error) from None
        header = f"{HEADER}{planned.producer}. Change that, not this.\n"
        for comment in planned.comments:
            header += f"# {comment}\n"
        text = header + text
        path, template, producer = planned.path, planned.template, planned.producer
        return RenderedFile(path, template, producer, text, data, statement, values)

    def _long(self, compiled: _Compiled, planned: PlannedFile) -> tuple[Statement, list[Any]]:
        """Let Jinja render the skeleton, and let the template remember it for its branches."""
        values = self._recorder.values
        values.clear()
        skeleton = self._skeleton(compiled.template, planned)
        statement = self._statements.prepare(skeleton)
        compiled.remember(planned.context, statement, values)
        return statement, [*values]

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
            code, read = self._code(name)
        except jinja2.TemplateSyntaxError as error:
            where = self._where(error.name or name, error.lineno)
            raise one("E501", f"this is not Jinja: {error.message}", where) from None
        except jinja2.TemplateNotFound as error:
            message = f"there is no template {error.name}"
            raise one("E501", message, Where(f"{OWN}/{name}")) from None
        except sandbox.LinkError as error:
            raise one(
                "E501", str(error), self._where(name, 0), "put the file itself there"
            ) from None
        except (OSError, UnicodeDecodeError) as error:
            message = f"this template cannot be read: {error}"
            raise one("E501", message, Where(f"{OWN}/{name}")) from None
        globals_ = self._environment.make_globals(None)
        template = jinja2.Template.from_code(self._environment, code, globals_)
        compiled = self._templates[name] = _Compiled(template, read)
        return compiled

    def _code(self, name: str) -> tuple[CodeType, Reader | None]:
        """Compile a template, or take what was compiled of it; one of gen's own never changes."""
        is_own = (self._root / OWN / name).exists()  # through whatever link: the loader refuses it
        key = self._read(name) if is_own else (name, "", "")
        if key not in _CODES:
            make = partial(self._compiled_anew, name)
            code, way = self._made(*key) if is_own else kept("template", name, make=make)
            _CODES[key] = code, shortcut.reader(way) if way is not None else None
        return _CODES[key]

    def _read(self, name: str) -> tuple[str, str, str]:
        source, filename, _ = self._source(name)
        return name, filename or "", source

    def _compiled_anew(self, name: str) -> tuple[CodeType, CodeType | None]:
        return self._made(*self._read(name))

    def _made(self, name: str, filename: str, source: str) -> tuple[CodeType, CodeType | None]:
        """Compile a template, and its shortcut if it has one."""
        tree = self._environment.parse(source, name, filename)
        way = shortcut.compiled(tree)
        return self._environment.compile(tree, name, filename), way

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
        if isinstance(error, sandbox.LinkError):
            return one("E501", str(error), where, "put the file itself there")
        message = f"{type(error).__name__}: {error}"
        return one("E503", message, where, about=f"for {planned.path}")

    def _place_in_template(
        self, compiled: _Compiled, planned: PlannedFile, line: int
    ) -> tuple[str, int]:
        """Find the line of a template that a line of its skeleton came from.

        Rendering once more, piece by piece, is for the one file that is wrong.
        """
        recorder = self._recorder
        recorder.values.clear()
        recorder.places = []
        try:
            pieces = list(self._pieces(compiled.template, planned))
        except Exception:  # it does not even come to a skeleton
            return recorder.places[-1] if recorder.places else (planned.template, 0)
        finally:
            recorder.places = None
        return _line_of(pieces, planned.template, line)

    def _pieces(
        self, template: jinja2.Template, planned: PlannedFile
    ) -> Iterator[tuple[str, str, int]]:
        """Render piece by piece: the text, and the template and line that it starts on."""
        source, _, _ = self._source(planned.template)
        fixed = shortcut.fixed_texts(self._environment.parse(source))
        line = 1
        for text in template.root_render_func(self._context(template, planned)):
            if len(text) == 1 and prepared.has_token(text):
                pieces = [(text, *self._recorder.place(text))]
            else:
                pieces = [(t, planned.template, n) for n, t in _likeliest(fixed, text, line)]
            yield from pieces
            last, _, start = pieces[-1]
            line = start + last.count("\n")

    def _source(self, name: str) -> tuple[str, str | None, Any]:
        loader = self._environment.loader
        return loader.get_source(self._environment, name) if loader else ("", None, None)


def strangers(root: Path) -> list[Problem]:
    """Find own templates that replace nothing, which nobody would ever notice otherwise.

    A name that starts with `_` is for templates to include. One in `extra/` is one more object, and
    says its kind in plain words: an AppProject allows the kind before anything is rendered.
    """
    built_in, problems = _built_in(), list[Problem]()
    for name in _names(root / OWN):
        where = Where(f"{OWN}/{name}", 1, 1)
        if _is_part(name) or name in built_in or not (root / OWN / name).exists():
            continue
        if not _is_extra(name):
            message = "no built-in template has this path, so this one replaces nothing"
            hint = f"{schema.suggestion(name, built_in)} A part for other templates starts with `_`"
            problems.append(Problem("E504", message, Where(where.file), hint))
        elif _kind(_text(root / OWN / name)) is None:
            message = "an extra object says its `apiVersion` and `kind` in plain words"
            hint = "write both without an expression"
            problems.append(Problem("E503", message, where, hint))
    return problems


def _text(path: Path) -> str:
    """Read a template as far as it can be read: whoever compiles it says what is wrong with it."""
    try:
        return path.read_text("utf-8", errors="replace")
    except OSError:
        return ""


def _kind(source: str) -> tuple[str, str] | None:
    """Read group and kind off a template; None if they are not written in plain words."""
    version, kind = _API_VERSION.search(source), _KIND.search(source)
    if version is None or kind is None:
        return None
    group, slash, _ = version[1].partition("/")
    return group if slash else "", kind[1]


def _is_part(name: str) -> bool:
    return name.rpartition("/")[2].startswith("_")


def _is_extra(name: str) -> bool:
    return name.rpartition("/")[0] in (f"overlay/{EXTRA}", f"platform/{EXTRA}")


@cache
def _built_in() -> list[str]:
    return _names(BUILT_IN)


def _names(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.j2"))


def _likeliest(
    fixed: Iterable[list[tuple[int, str]]], text: str, line: int
) -> list[tuple[int, str]]:
    """Find the fixed texts that make up a text, those after a line before those ahead of it."""
    found = [run for run in fixed if "".join(data for _, data in run) == text]
    return min(found, key=lambda run: (run[0][0] < line, run[0][0]), default=[(line, text)])


def _line_of(pieces: Iterable[tuple[str, str, int]], planned: str, line: int) -> tuple[str, int]:
    """Find the template and line of a skeleton's line, by the piece that its first word is in."""
    texts = list(pieces)
    skeleton = "".join(text for text, _, _ in texts)
    lines = skeleton.split("\n")[:line]
    offset = len(skeleton[: sum(len(before) + 1 for before in lines[:-1])])
    offset += len(lines[-1]) - len(lines[-1].lstrip())
    start, place = 0, (planned, line)
    for text, template, first in texts:
        if start <= offset:
            place = template, first + skeleton.count("\n", start, offset)
        start += len(text)
    return place


_NO_FIELD = re.compile(r"'generator\.(?:records|llm)\.(\w+) object' has no attribute '(\w+)'")
_NO_NAME = re.compile(r"'(\w+)' is undefined")


def _undefined(error: jinja2.UndefinedError, context: Mapping[str, Any]) -> tuple[str, str]:
    """Say what is not there, and what is likely meant."""
    message = error.message or str(error)
    field = _NO_FIELD.search(message)
    if field:
        known = next(names for each, names in sandbox.FIELDS.items() if each.__name__ == field[1])
        return f"{_article(field[1])} {field[1]} has no `{field[2]}`", schema.suggestion(
            field[2], sorted(known)
        )
    name = _NO_NAME.search(message)
    if name:
        return f"there is no `{name[1]}` here", schema.suggestion(name[1], sorted(context))
    return message, ""


def _article(word: str) -> str:
    return "an" if word[0] in "AEIOU" else "a"


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
