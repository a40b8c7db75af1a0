"""Liquid with limits on source, loops, output, names and time; no includes, no attributes."""

from collections.abc import Callable, Mapping
from io import StringIO
from typing import Any, TextIO

from liquid import BoundTemplate, Environment, RenderContext, StrictUndefined
from liquid.builtin.tags.for_tag import ForNode, ForTag
from liquid.exceptions import LiquidError, LoopIterationLimitError, OutputStreamLimitError
from liquid.filter import string_filter
from liquid.output import LimitedStringIO
from liquid.token import Token
from liquid.utils import ReadOnlyChainMap

from portal import clock

LONGEST_SOURCE = 64 * 1024
LONGEST_OUTPUT = 1024 * 1024
MOST_ITERATIONS = 1000
LONGEST_SECONDS = 1.0
_LONGEST_VALUE = 256 * 1024
_TAGS = ("if", "unless", "case", "for", "break", "continue", "assign", "capture", "comment", "#")
_PSEUDO_TAGS = ("content", "output", "illegal")
_FILTERS = (
    "append",
    "capitalize",
    "default",
    "downcase",
    "escape",
    "lstrip",
    "prepend",
    "rstrip",
    "size",
    "slice",
    "strip",
    "strip_newlines",
    "truncate",
    "truncatewords",
    "upcase",
    "url_encode",
)


class BrokenLetter(Exception):
    """A letter that cannot be composed: `where` (file and line, or a variable) and `what`."""

    def __init__(self, where: str, what: str) -> None:
        self.where = where
        self.what = what
        super().__init__(f"{where}: {what}")


class TooSlow(LiquidError):
    """The letter took longer than it may."""


def environment(*, escaping: bool, filters: Mapping[str, Callable[..., Any]]) -> Environment:
    """Where letters are parsed. `escaping`: data is escaped for HTML, literals are trusted."""
    made = _Environment(undefined=StrictUndefined, autoescape=escaping)
    made.tags = {name: made.tags[name] for name in (*_TAGS, *_PSEUDO_TAGS)}
    made.add_tag(_ForTag)
    allowed = {name: made.filters[name] for name in _FILTERS} | {"replace": _replace}
    made.filters = {name: _bounded(function) for name, function in allowed.items()}
    made.filters.update(filters)
    return made


def parse(source: str, *, where: str, using: Environment) -> BoundTemplate:
    """A letter ready to be rendered many times. Raises BrokenLetter."""
    if len(source) > LONGEST_SOURCE:
        raise BrokenLetter(where, f"the letter is longer than {LONGEST_SOURCE:,} characters")
    try:
        return using.from_string(source, name=where)
    except LiquidError as problem:
        raise _broken(problem, where) from problem


def render(template: BoundTemplate, variables: Mapping[str, Any]) -> str:
    """The letter's text with these variables. Raises BrokenLetter, also at every limit."""
    try:
        return template.render(variables)
    except LiquidError as problem:
        raise _broken(problem, template.name) from problem
    except (ValueError, OverflowError, RecursionError) as problem:
        raise BrokenLetter(template.name, f"a value is out of bounds ({problem})") from problem


class _Context(RenderContext):
    """Looks at the clock at every name, filter, loop and piece of output; knows no `now`."""

    __slots__ = ("deadline",)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.deadline = clock.monotonic() + LONGEST_SECONDS
        self.scope = ReadOnlyChainMap(self.locals, self.globals, self.counters)

    def check_time(self) -> None:
        if clock.monotonic() > self.deadline:
            raise TooSlow(f"takes longer than {LONGEST_SECONDS:g} s", token=None)

    def filter(self, name: str, token: Token | None) -> Callable[..., object]:
        self.check_time()
        return super().filter(name, token)

    def assign(self, key: str, val: Any) -> None:
        self.check_time()
        super().assign(key, val)

    def raise_for_loop_limit(self, length: int = 1) -> None:
        self.check_time()
        super().raise_for_loop_limit(length)

    def get_buffer(self, buf: TextIO | None = None) -> StringIO:
        return _Output(self)


class _Output(LimitedStringIO):
    def __init__(self, context: _Context) -> None:
        super().__init__(LONGEST_OUTPUT)
        self._context = context

    def write(self, text: str, /) -> int:
        self._context.check_time()
        return super().write(text)


class _Template(BoundTemplate):
    context_class = _Context

    def render(self, *args: Any, **kwargs: Any) -> str:
        context = _Context(self, globals=self.make_globals(dict(*args, **kwargs)))
        output = context.get_buffer()
        self.render_with_context(context, output)
        return output.getvalue()


class _Environment(Environment):
    template_class = _Template
    loop_iteration_limit = MOST_ITERATIONS
    local_namespace_limit = LONGEST_OUTPUT
    output_stream_limit = LONGEST_OUTPUT


class _ForNode(ForNode):
    def render_to_output(self, context: RenderContext, buffer: TextIO) -> int:
        # The library turns a reversed range into a list before it looks at the limit.
        within = self.expression.iterable.evaluate(context)
        if isinstance(within, range) and within[MOST_ITERATIONS:]:
            raise LoopIterationLimitError("loop iteration limit reached", token=self.token)
        return super().render_to_output(context, buffer)


class _ForTag(ForTag):
    node_class = _ForNode


@string_filter
def _replace(value: str, old: object, new: object = "") -> str:
    """Every `old` by `new`; refused before the result would grow out of bounds."""
    old, new = str(old), str(new)
    if len(value) + value.count(old) * len(new) > _LONGEST_VALUE:
        raise OutputStreamLimitError("the replaced text is too long", token=None)
    return value.replace(old, new)


def _bounded(function: Callable[..., Any]) -> Callable[..., Any]:
    def bounded(*values: Any, **named: Any) -> Any:
        result = function(*values, **named)
        if isinstance(result, str) and len(result) > _LONGEST_VALUE:
            raise OutputStreamLimitError("a value grew too long", token=None)
        return result

    if getattr(function, "with_environment", False):
        bounded.with_environment = True  # type: ignore[attr-defined]
    return bounded


def _broken(problem: LiquidError, where: str) -> BrokenLetter:
    place = problem.context()
    line = f", line {place[0]}" if place else ""
    return BrokenLetter(where + line, str(problem.message))
