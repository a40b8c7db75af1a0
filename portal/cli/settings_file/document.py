"""A YAML file read against a shape: every value with its line, every mistake named with its line.

Works on YAML's nodes, so that a text stays what was written: an unquoted `off` is not a false.
"""

import difflib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from types import MappingProxyType
from typing import Any

import yaml

_LONGEST_FILE = 5 * 1024 * 1024


class Scalar(Enum):
    """What one value is. TEXT keeps the spelling of the file."""

    TEXT = "text"
    WHOLE = "a whole number"
    SWITCH = "true or false"
    TEXTS = "a list"


@dataclass(frozen=True)
class Table:
    """A mapping with these keys; the required ones must stand in it."""

    keys: Mapping[str, "Shape"]
    required: tuple[str, ...] = ()


@dataclass(frozen=True)
class Tables:
    """A list of mappings of one shape."""

    of: Table


Shape = Scalar | Table | Tables


@dataclass(frozen=True)
class Problem:
    """One mistake: the line it stands on, counted from 1, and a sentence."""

    line: int
    message: str


class Wrong(Exception):
    """The file cannot be applied; nothing was changed."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(sorted(problems, key=lambda problem: problem.line))
        super().__init__("; ".join(f"line {p.line}: {p.message}" for p in self.problems))


@dataclass(frozen=True)
class Section:
    """One mapping of the file. `path` spells its place: organizations[0].senders[1].

    A value is str, int, bool, None (written as null), a tuple of str, a Section or a tuple of
    Sections.
    """

    path: str
    line: int
    values: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    lines: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))

    def get(self, key: str) -> Any:
        return self.values.get(key)

    def section(self, key: str) -> "Section":
        """The mapping below a key; an empty one where it is not in the file."""
        found = self.values.get(key)
        return found if isinstance(found, Section) else Section(self.place(key), self.line)

    def sections(self, key: str) -> tuple["Section", ...]:
        return self.values.get(key) or ()

    def place(self, key: str) -> str:
        return f"{self.path}.{key}" if self.path else key

    def problem(self, key: str, message: str) -> Problem:
        """A mistake in the value of a key; the section's own line where the key is not there."""
        return Problem(self.lines.get(key, self.line), f"{self.place(key)}: {message}")


def read(path: Path, shape: Table) -> Section:
    """The whole file as a Section. Raises Wrong with every mistake in its form."""
    root = _compose(path)
    if root is None:
        return Section("", 1)
    problems: list[Problem] = []
    section = _Reader(problems).table(root, shape, "")
    if problems:
        raise Wrong(problems)
    return section


def _compose(path: Path) -> yaml.Node | None:
    try:
        content = path.read_bytes()
        if len(content) > _LONGEST_FILE:
            raise Wrong([Problem(1, "The file is larger than 5 MiB.")])
        node: yaml.Node | None = yaml.compose(content, Loader=yaml.SafeLoader)
    except OSError as problem:
        raise Wrong([Problem(1, f"The file cannot be read: {problem.strerror}.")]) from None
    except yaml.MarkedYAMLError as problem:
        mark = problem.problem_mark or problem.context_mark
        line = mark.line + 1 if mark else 1
        raise Wrong([Problem(line, f"This is not YAML: {problem.problem}.")]) from None
    except (yaml.YAMLError, UnicodeError, RecursionError):
        raise Wrong([Problem(1, "This is not a YAML text in UTF-8.")]) from None
    return node


class _Reader:
    """Walks nodes along a shape and gathers every mistake on the way."""

    def __init__(self, problems: list[Problem]) -> None:
        self._problems = problems

    def table(self, node: yaml.Node, shape: Table, path: str) -> Section:
        line = _line(node)
        if _is_null(node):
            node = yaml.MappingNode("tag:yaml.org,2002:map", [], node.start_mark, node.end_mark)
        if not isinstance(node, yaml.MappingNode):
            self._note(line, f"{path or 'the file'}: Write keys with values here.")
            return Section(path, line)
        values: dict[str, Any] = {}
        lines: dict[str, int] = {}
        for key, value in self._entries(node, shape, path):
            place = f"{path}.{key}" if path else key
            values[key] = self._value(value, shape.keys[key], place)
            lines[key] = _line(value)
        for key in shape.required:
            if values.get(key) in (None, ""):
                self._note(line, f"{path or 'the file'}: The key {key} is missing.")
        return Section(path, line, MappingProxyType(values), MappingProxyType(lines))

    def _entries(
        self, node: yaml.MappingNode, shape: Table, path: str
    ) -> Iterator[tuple[str, yaml.Node]]:
        seen: dict[str, int] = {}
        for key_node, value in node.value:
            key = str(key_node.value)
            line = _line(key_node)
            if key not in shape.keys:
                self._note(line, _unknown(key, shape, path))
            elif key in seen:
                self._note(
                    line, f"{path or 'the file'}: {key} stands here and on line {seen[key]}."
                )
            else:
                seen[key] = line
                yield key, value

    def _value(self, node: yaml.Node, shape: Shape, place: str) -> Any:
        if isinstance(shape, Table):
            return self.table(node, shape, place)
        if isinstance(shape, Tables):
            return tuple(
                self.table(item, shape.of, f"{place}[{number}]")
                for number, item in enumerate(self._items(node, place))
            )
        if shape is Scalar.TEXTS:
            return tuple(
                self._text(item, Scalar.TEXT, f"{place}[{number}]") or ""
                for number, item in enumerate(self._items(node, place))
            )
        return self._text(node, shape, place)

    def _items(self, node: yaml.Node, place: str) -> list[yaml.Node]:
        if _is_null(node):
            return []
        if isinstance(node, yaml.SequenceNode):
            return list(node.value)
        self._note(_line(node), f"{place}: Write a list here.")
        return []

    def _text(self, node: yaml.Node, shape: Scalar, place: str) -> Any:
        if _is_null(node):
            return None
        text = node.value if isinstance(node, yaml.ScalarNode) else None
        if text is not None:
            if shape is Scalar.TEXT:
                return text
            if shape is Scalar.SWITCH and text.lower() in _SWITCHES:
                return _SWITCHES[text.lower()]
            if shape is Scalar.WHOLE and text.isascii() and text.isdigit() and len(text) < 10:
                return int(text)
        self._note(_line(node), f"{place}: Write {shape.value} here.")
        return None

    def _note(self, line: int, message: str) -> None:
        self._problems.append(Problem(line, message))


_SWITCHES = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}


def _unknown(key: str, shape: Table, path: str) -> str:
    where = f" in {path}" if path else ""
    near = difflib.get_close_matches(key, shape.keys, n=1)
    cure = f"did you mean '{near[0]}'?" if near else f"known: {', '.join(shape.keys)}"
    return f"unknown key '{key}'{where}; {cure}"


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1


def _is_null(node: yaml.Node) -> bool:
    return isinstance(node, yaml.ScalarNode) and node.tag == "tag:yaml.org,2002:null"
