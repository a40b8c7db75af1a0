"""docs/faults.md and the marks of the tests say the same; every fault has a test."""

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

_ROOT = Path(__file__).parents[2]
_ROW = re.compile(r"^\| *(\d+) *\|(?:[^|]+\|){2}([^|]+)\|$", re.MULTILINE)
_FAULTS = range(1, 57)
# Those that no test produces, each with the reason.
_NOT_PRODUCED: dict[int, str] = {}


def test_every_fault_has_a_test_or_a_reason() -> None:
    assert set(_marked()) | set(_NOT_PRODUCED) == set(_FAULTS)
    assert not set(_marked()) & set(_NOT_PRODUCED)


def test_the_table_of_faults_names_the_tests_that_bear_their_marks() -> None:
    text = (_ROOT / "docs" / "faults.md").read_text(encoding="utf-8")
    rows = {int(number): set(re.findall(r"`(\w+)`", tests)) for number, tests in _ROW.findall(text)}
    assert rows == _marked()


def _marked() -> dict[int, set[str]]:
    """The names of the tests by the faults that they produce."""
    found: dict[int, set[str]] = defaultdict(set)
    for path in (_ROOT / "tests").rglob("test_*.py"):
        source = path.read_text(encoding="utf-8")
        if "mark.fault(" not in source:
            continue
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.FunctionDef):
                for number in _faults_of(node):
                    found[number].add(node.name)
    return dict(found)


def _faults_of(test: ast.FunctionDef) -> Iterator[int]:
    for decorator in test.decorator_list:
        if isinstance(decorator, ast.Call) and ast.unparse(decorator.func) == "pytest.mark.fault":
            for argument in decorator.args:
                assert isinstance(argument, ast.Constant) and isinstance(argument.value, int)
                yield argument.value
