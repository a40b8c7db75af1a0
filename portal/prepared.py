"""Statements that run for every mail: compiled once for each engine, and then given to the driver
with the values of all rows in one call. What SQLAlchemy does around a statement costs more than
what the database does with it, many times over for a row that is found by its key.

SQLite runs the statement for each row, which costs next to nothing in the same process. PostgreSQL
runs it once for all rows, which come as one JSON document.
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast

from sqlalchemy import (
    ARRAY,
    Column,
    ColumnElement,
    Delete,
    Dialect,
    Insert,
    Select,
    Table,
    Text,
    Update,
    any_,
    bindparam,
    column,
    func,
    insert,
    literal,
    select,
)
from sqlalchemy import cast as as_type
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.engine.default import DefaultDialect
from sqlalchemy.types import TypeDecorator, TypeEngine

from portal.database import rows_changed
from portal.extensions import db

_POSITIONAL: dict[str, Literal["qmark", "format"]] = {"sqlite": "qmark", "postgresql": "format"}
_ALL = "all_rows"
_Statement = Insert | Update | Delete
_Processor = Callable[[Any], Any] | None
# Where it goes among the values for the driver, where it stands in the row, and what makes it fit.
_OfRow = tuple[int, int, _Processor]
Own = Mapping[str, ColumnElement[Any]]
Among = Callable[[Column[Any], str], ColumnElement[bool]]


@dataclass(frozen=True)
class _Place:
    """Where a value goes among those for the driver, and what makes it fit."""

    position: int
    name: str
    process: _Processor

    def fit(self, value: Any) -> Any:
        return value if self.process is None else self.process(value)


@dataclass(frozen=True)
class _Form:
    """The statement as one engine takes it. `values`: those that no row and no call changes;
    `own`: those of each row."""

    text: str
    values: tuple[Any, ...]
    shared: tuple[_Place, ...]
    own: tuple[_OfRow, ...]


class Prepared:
    """An UPDATE or DELETE for many rows.

    `make` is given the values of a row by their names; `columns` says of which type each is. Every
    `bindparam` without a value is shared by all rows of a call. Lists in a parameter (`in_`) are
    not understood.
    """

    def __init__(
        self, make: Callable[[Own], _Statement], columns: Mapping[str, Column[Any]]
    ) -> None:
        self._make = make
        self._columns = columns
        self._forms: dict[str, _Form] = {}

    def run(self, rows: Sequence[Sequence[Any]], **shared: Any) -> int:
        """Execute it in the session's transaction, for rows of values in the order of `columns`.
        Returns how many rows of the table it changed."""
        if not rows:
            return 0
        connection = db.session.connection()
        form = self._form(connection.dialect)
        if not form.own:
            named = [dict(zip(self._columns, row, strict=True)) for row in rows]
            shared[_ALL] = json.dumps(named, default=str)
        values = list(form.values)
        for place in form.shared:
            values[place.position] = place.fit(shared[place.name])
        filled = [_filled(values, form.own, row) for row in rows] if form.own else tuple(values)
        return rows_changed(connection.exec_driver_sql(form.text, filled))

    def _form(self, dialect: Dialect) -> _Form:
        if dialect.name not in self._forms:
            for_all = dialect.name == "postgresql"
            statement = self._for_all() if for_all else self._for_each()
            self._forms[dialect.name] = _compiled(statement, dialect, list(self._columns))
        return self._forms[dialect.name]

    def _for_each(self) -> _Statement:
        return self._make(
            {name: bindparam(name, type_=of.type) for name, of in self._columns.items()}
        )

    def _for_all(self) -> _Statement:
        return self._make(_document(self._columns))


class PreparedInsert(Prepared):
    """An INSERT of many rows into these columns. `shared`: those whose values come with each call,
    the same for all rows; `fixed`: those that never differ."""

    def __init__(
        self, table: Table, columns: Sequence[str], shared: Sequence[str], fixed: Mapping[str, Any]
    ) -> None:
        self._table = table
        self._shared = shared
        self._fixed = fixed
        super().__init__(self._insert, {name: table.c[name] for name in columns})

    def _insert(self, own: Own) -> _Statement:
        return insert(self._table).values(self._values(own))

    def _values(self, own: Own) -> dict[str, ColumnElement[Any]]:
        # Not before the first run: a foreign key has its type from a table that is made later.
        types = {name: of.type for name, of in self._table.c.items()}
        shared = {name: bindparam(name, type_=types[name]) for name in self._shared}
        fixed = {name: literal(value, types[name]) for name, value in self._fixed.items()}
        return {**own, **shared, **fixed}

    def _for_all(self) -> _Statement:
        values = self._values(_document(self._columns))
        return insert(self._table).from_select(list(values), select(*values.values()))


class PreparedSelect:
    """A SELECT of columns. Every `bindparam` without a value comes with each call; `make` is given
    `among(column, name)`, the condition that the column is one of the values called so."""

    def __init__(self, make: Callable[[Among], Select[Any]]) -> None:
        self._make = make
        self._forms: dict[str, tuple[_Form, list[_Processor]]] = {}

    def rows(self, **values: Any) -> list[tuple[Any, ...]]:
        """In the session's transaction."""
        connection = db.session.connection()
        form, processors = self._form(connection.dialect)
        filled = list(form.values)
        for place in form.shared:
            filled[place.position] = place.fit(values[place.name])
        found = connection.exec_driver_sql(form.text, tuple(filled)).all()
        return [
            tuple(
                value if process is None else process(value)
                for value, process in zip(row, processors, strict=True)
            )
            for row in found
        ]

    def _form(self, dialect: Dialect) -> tuple[_Form, list[_Processor]]:
        if dialect.name not in self._forms:
            statement = self._make(_AMONG[dialect.name])
            form = _compiled(statement, dialect, ())
            processors: list[_Processor] = [
                of.type.dialect_impl(dialect).result_processor(dialect, None)
                for of in statement.selected_columns
            ]
            self._forms[dialect.name] = form, processors
        return self._forms[dialect.name]


class _Listed(TypeDecorator[Sequence[Any]]):
    """Values of one type as a JSON list."""

    impl = Text
    cache_ok = False

    def __init__(self, of: TypeEngine[Any]) -> None:
        self._of = of
        super().__init__()

    def process_bind_param(self, value: Iterable[Any] | None, dialect: Dialect) -> str:
        process = self._of.dialect_impl(dialect).bind_processor(dialect)
        return json.dumps([one if process is None else process(one) for one in value or ()])


def _in_json(of: Column[Any], name: str) -> ColumnElement[bool]:
    listed = func.json_each(bindparam(name, type_=_Listed(of.type))).table_valued("value")
    return of.in_(select(listed.c.value))


def _in_array(of: Column[Any], name: str) -> ColumnElement[bool]:
    return of == any_(bindparam(name, type_=ARRAY(of.type)))


_AMONG: dict[str, Among] = {"sqlite": _in_json, "postgresql": _in_array}


def _document(columns: Mapping[str, Column[Any]]) -> Own:
    """The rows of a JSON document, as PostgreSQL reads them."""
    document = as_type(bindparam(_ALL, type_=Text), JSONB)
    typed = [column(name, of.type) for name, of in columns.items()]
    rows = func.jsonb_to_recordset(document).table_valued(*typed, name="given")
    return dict(rows.render_derived(with_types=True).c)


def _compiled(
    statement: _Statement | Select[Any], dialect: Dialect, columns: Sequence[str]
) -> _Form:
    kind = cast(type[DefaultDialect], type(dialect))
    positional = kind(paramstyle=_POSITIONAL[dialect.name])
    compiled = statement.compile(dialect=positional)
    values: list[Any] = []
    shared: list[_Place] = []
    own: list[_OfRow] = []
    for position, name in enumerate(compiled.positiontup or ()):
        parameter = compiled.binds[name]
        process = parameter.type.dialect_impl(positional).bind_processor(positional)
        place = _Place(position, name, process)
        values.append(None)
        if name in columns and parameter.required:
            own.append((position, columns.index(name), process))
        elif parameter.required:
            shared.append(place)
        else:
            values[position] = place.fit(parameter.value)
    return _Form(str(compiled), tuple(values), tuple(shared), tuple(own))


def _filled(values: Sequence[Any], places: Sequence[_OfRow], row: Sequence[Any]) -> tuple[Any, ...]:
    filled = list(values)
    for position, index, process in places:
        value = row[index]
        filled[position] = value if process is None else process(value)
    return tuple(filled)
