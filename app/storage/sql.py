"""Statements that are written once, rendered once per dialect, and then run by the driver itself.

SQLAlchemy writes the SQL; executing it through SQLAlchemy costs three times what the driver costs (performance §7.6), so a
`Query` keeps the rendered text and the order of its parameters. Lists travel as one parameter (`one_of`): the text stays the
same for any length, no limit on the number of variables applies, and the driver's statement cache always hits.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson
from sqlalchemy import Column, ColumnElement, Table, bindparam, insert, literal_column
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite
from sqlalchemy.engine import Dialect
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.base import Executable
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.elements import BindParameter, ClauseElement
from sqlalchemy.types import UserDefinedType

Row = tuple[Any, ...]

SQLITE: Final = "sqlite"
POSTGRESQL: Final = "postgresql"

_DIALECTS: Mapping[str, Dialect] = {
    SQLITE: SQLiteDialect_pysqlite(paramstyle="qmark"),
    POSTGRESQL: PGDialect_psycopg(paramstyle="format"),  # type: ignore[no-untyped-call]
}


class _Listed(UserDefinedType[Any]):
    """The type of a parameter that carries a whole list."""

    cache_ok = True


class one_of(ColumnElement[bool]):  # noqa: N801 — reads as an operator in the queries
    """`column` equals one of the values of the list parameter `name`."""

    inherit_cache = False

    def __init__(self, column: ColumnElement[Any] | Column[Any], name: str) -> None:
        self.column = column
        self.values: BindParameter[Any] = bindparam(name, type_=_Listed())


@compiles(one_of, SQLITE)
def _one_of_sqlite(element: one_of, compiler: SQLCompiler, **kw: Any) -> str:
    return f"{compiler.process(element.column, **kw)} IN (SELECT value FROM json_each({compiler.process(element.values, **kw)}))"  # noqa: S608


@compiles(one_of, POSTGRESQL)
def _one_of_postgresql(element: one_of, compiler: SQLCompiler, **kw: Any) -> str:
    return f"{compiler.process(element.column, **kw)} = ANY({compiler.process(element.values, **kw)})"


def in_words(column: ColumnElement[str], words: Iterable[str]) -> ColumnElement[bool]:
    """Whether a column holds a word of a closed list; the words stand in the text, so that partial indexes with the same list serve."""
    return column.in_([literal_column(f"'{word}'") for word in sorted(map(str, words))])


@dataclass(frozen=True, slots=True)
class Rendered:
    """SQL text for one dialect; `names` in the order of its placeholders; `lists`: which of them are lists.

    `constants`: the values of placeholders that the query itself fills.
    """

    sql: str
    names: tuple[str, ...]
    lists: frozenset[str]
    constants: Mapping[str, Any]
    json_lists: bool

    def arguments(self, values: Mapping[str, Any]) -> tuple[Any, ...]:
        """The positional arguments for the driver."""
        if self.constants:
            values = {**self.constants, **values}
        if not self.lists:
            return tuple([values[name] for name in self.names])
        return tuple([self._list(values[name]) if name in self.lists else values[name] for name in self.names])

    def _list(self, values: Iterable[Any]) -> Any:
        listed = list(values)
        return orjson.dumps(listed).decode() if self.json_lists else listed


class Query:
    """One statement for both dialects; give a mapping where the dialects need different constructs."""

    __slots__ = ("_rendered", "_statements")

    def __init__(self, statement: Executable | Mapping[str, Executable]) -> None:
        self._statements = statement
        self._rendered: dict[str, Rendered] = {}

    def render(self, dialect: str) -> Rendered:
        """The text for `dialect`, made at the first use."""
        found = self._rendered.get(dialect)
        if found is None:
            statement = self._statements[dialect] if isinstance(self._statements, Mapping) else self._statements
            found = self._rendered[dialect] = _render(statement, dialect)
        return found


def _render(statement: Executable, dialect: str) -> Rendered:
    assert isinstance(statement, ClauseElement)
    compiled = statement.compile(dialect=_DIALECTS[dialect])
    assert isinstance(compiled, SQLCompiler)
    names = tuple(compiled.positiontup or ())
    lists = frozenset(name for name in names if isinstance(compiled.binds[name].type, _Listed))
    constants = {name: compiled.binds[name].effective_value for name in names if not compiled.binds[name].required}
    return Rendered(str(compiled), names, lists, constants, json_lists=dialect == SQLITE)


def insertion(table: Table) -> Query:
    """Insert whole rows; arguments are tuples in the order of the table's columns."""
    return Query(insert(table))


def upsertion(table: Table, *, kept: Collection[str] = ()) -> Query:
    """Insert whole rows, or replace all but the key, and what is `kept`, of the row that is there."""
    statements: dict[str, Executable] = {}
    for dialect, construct in ((SQLITE, sqlite_insert), (POSTGRESQL, postgresql_insert)):
        statement = construct(table)
        keys = list(table.primary_key.columns)
        changed = {
            column.name: statement.excluded[column.name] for column in table.columns if column not in keys and column.name not in kept
        }
        statements[dialect] = statement.on_conflict_do_update(index_elements=keys, set_=changed)
    return Query(statements)


def insertion_if_absent(table: Table) -> Query:
    """Insert whole rows whose key is not there yet; the others are left as they are."""
    built: dict[str, Executable] = {
        SQLITE: sqlite_insert(table).on_conflict_do_nothing(),
        POSTGRESQL: postgresql_insert(table).on_conflict_do_nothing(),
    }
    return Query(built)


def copy_text(table: Table, columns: Sequence[str]) -> str:
    """PostgreSQL's bulk form of an insertion."""
    return f"COPY {table.name} ({', '.join(_quoted(column) for column in columns)}) FROM STDIN"


def _quoted(name: str) -> str:
    return _DIALECTS[POSTGRESQL].identifier_preparer.quote(name)
