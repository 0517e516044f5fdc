"""Bringing a database to the schema of this release: alembic, forward only, one process at a time.

PostgreSQL: an advisory lock that ends with the transaction, and lock timeouts, so that a waiting migration never blocks the node
for long. SQLite: the file's own exclusive lock. All steps of one upgrade are one transaction: a crash leaves the old schema.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util.exc import CommandError
from sqlalchemy import create_engine, event, select
from sqlalchemy.engine import URL, Connection
from sqlalchemy.exc import DBAPIError

from app.domain.errors import BadRequest
from app.storage.arrival import Arrival
from app.storage.faults import SchemaMismatch, Unreachable, translated
from app.storage.postgres import connect_args
from app.storage.tables import SERVED_SINCE, SERVED_SINCE_KEY, may_go_on, meta
from app.storage.urls import is_sqlite, read_url, sqlite_path

MIGRATIONS = Path(__file__).resolve().parents[2] / "migrations"
_LOCK = 0x636F72646F6E  # "cordon"
_WAIT_MS = 60_000
_DDL_WAIT_MS = 5_000
_PAUSE_S = 0.02


def upgrade(url: str) -> str:
    """Bring the database at `url` to the newest schema, creating a SQLite file that is not there; the revision reached.

    Blocking; nothing happens where all is done already, or where a newer release has added to the schema what this one need not know; waits
    a while for a server that cannot be reached. Raises SchemaMismatch for any other database of a newer release, Unreachable.
    """
    read = read_url(url)
    arrival = Arrival()
    while True:
        try:
            return _upgraded(read)
        except Unreachable as failure:
            time.sleep(arrival.pause_s(failure))


def _upgraded(url: URL) -> str:
    config = make_config()
    scripts = ScriptDirectory.from_config(config)
    head = scripts.get_current_head()
    assert head is not None
    try:
        with locked(url) as connection:
            at = MigrationContext.configure(connection).get_current_revision()
            if at is not None and at not in {script.revision for script in scripts.walk_revisions()}:
                if may_go_on(_served_since(connection)):
                    return at
                raise SchemaMismatch(
                    f"the database has schema {at}, which this release does not know: install the newer release that made it"
                )
            if at != head:
                config.attributes["connection"] = connection
                command.upgrade(config, "head")
            if _served_since(connection) != SERVED_SINCE.encode():
                connection.execute(meta.delete().where(meta.c.key == SERVED_SINCE_KEY))
                connection.execute(meta.insert().values(key=SERVED_SINCE_KEY, value=SERVED_SINCE.encode()))
    except DBAPIError as error:
        raise translated(error) from error
    except CommandError as error:
        raise BadRequest(str(error)) from error
    return head


def _served_since(connection: Connection) -> bytes | None:
    found = connection.execute(select(meta.c.value).where(meta.c.key == SERVED_SINCE_KEY)).scalar()
    return None if found is None else bytes(found)


def make_config() -> Config:
    """The alembic configuration, as `[tool.alembic]` of pyproject.toml has it, for programs that run elsewhere."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.set_main_option("path_separator", "os")
    return config


@contextmanager
def locked(url: URL) -> Iterator[Connection]:
    """A connection in a transaction that no other upgrade shares; committed at the end of the block."""
    with _sqlite(url) if is_sqlite(url) else _postgresql(url) as connection:
        yield connection


@contextmanager
def _sqlite(url: URL) -> Iterator[Connection]:
    path = sqlite_path(url)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not path.exists():
        path.touch(mode=0o600)
    engine = create_engine(
        URL.create("sqlite+pysqlite", database=str(path.absolute())), connect_args={"isolation_level": None, "timeout": _WAIT_MS / 1000}
    )

    @event.listens_for(engine, "connect")
    def _configure(connection: Any, _record: object) -> None:
        _switch_to_wal(connection)
        for pragma in ("synchronous=FULL", "foreign_keys=OFF", "secure_delete=ON"):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN EXCLUSIVE")

    try:
        with engine.begin() as connection:
            yield connection
    finally:
        engine.dispose()


def _switch_to_wal(connection: Any) -> None:
    """SQLite does not wait for other connections where it changes the journal mode, whatever the timeout: so we do."""
    deadline = time.monotonic() + _WAIT_MS / 1000
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(_PAUSE_S)
        else:
            return


@contextmanager
def _postgresql(url: URL) -> Iterator[Connection]:
    engine = create_engine(url, connect_args=connect_args(url, "cordon upgrade"))
    try:
        with engine.begin() as connection:
            connection.exec_driver_sql(f"SET LOCAL lock_timeout = {_WAIT_MS}")
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_LOCK})")
            connection.exec_driver_sql(f"SET LOCAL lock_timeout = {_DDL_WAIT_MS}")
            yield connection
    finally:
        engine.dispose()
