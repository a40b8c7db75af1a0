"""Statements that run for every mail: compiled once for each engine, and then given to the driver
with the values of all rows in one call. What SQLAlchemy does around a statement costs more than
what the database does with it, many times over for a row that is found by its key.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast

from sqlalchemy import Delete, Dialect, Insert, Update
from sqlalchemy.engine.default import DefaultDialect

from portal.database import rows_changed
from portal.extensions import db

_POSITIONAL: dict[str, Literal["qmark", "format"]] = {"sqlite": "qmark", "postgresql": "format"}
_Process = Callable[[Any], Any] | None


@dataclass(frozen=True)
class _Place:
    """Where a value of each row goes in the values for the driver."""

    position: int
    index: int
    process: _Process


@dataclass(frozen=True)
class _Form:
    """The statement as one engine takes it. `values`: those that no row and no call changes."""

    text: str
    values: tuple[Any, ...]
    shared: tuple[tuple[int, str, _Process], ...]
    own: tuple[_Place, ...]


class Prepared:
    """A Core INSERT, UPDATE or DELETE for many rows; `bindparam`s name what comes with them.

    `columns`: the names of the values of each row, in order. Every other parameter without a value
    is shared by all rows of a call. Lists in a parameter (`in_`) are not understood.
    """

    def __init__(self, statement: Insert | Update | Delete, *columns: str) -> None:
        self._statement = statement
        self._columns = columns
        self._forms: dict[str, _Form] = {}

    def run(self, rows: Sequence[Sequence[Any]], **shared: Any) -> int:
        """Execute it for all rows, in the session's transaction. Returns how many it changed."""
        if not rows:
            return 0
        connection = db.session.connection()
        form = self._form(connection.dialect)
        blank = list(form.values)
        for position, name, process in form.shared:
            blank[position] = _processed(process, shared[name])
        filled = [_fill(blank, form.own, row) for row in rows]
        return rows_changed(connection.exec_driver_sql(form.text, filled))

    def _form(self, dialect: Dialect) -> _Form:
        if dialect.name not in self._forms:
            self._forms[dialect.name] = self._made(dialect)
        return self._forms[dialect.name]

    def _made(self, dialect: Dialect) -> _Form:
        kind = cast(type[DefaultDialect], type(dialect))
        positional = kind(paramstyle=_POSITIONAL[dialect.name])
        compiled = self._statement.compile(dialect=positional)
        values: list[Any] = []
        shared, own = [], []
        for position, name in enumerate(compiled.positiontup or ()):
            parameter = compiled.binds[name]
            process = parameter.type.dialect_impl(positional).bind_processor(positional)
            values.append(None)
            if name in self._columns:
                own.append(_Place(position, self._columns.index(name), process))
            elif parameter.required:
                shared.append((position, name, process))
            else:
                values[position] = _processed(process, parameter.value)
        return _Form(str(compiled), tuple(values), tuple(shared), tuple(own))


def _fill(blank: Sequence[Any], places: Sequence[_Place], row: Sequence[Any]) -> tuple[Any, ...]:
    values = list(blank)
    for place in places:
        value = row[place.index]
        values[place.position] = value if place.process is None else place.process(value)
    return tuple(values)


def _processed(process: _Process, value: Any) -> Any:
    return value if process is None else process(value)
