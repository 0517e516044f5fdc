"""What goes wrong below us, put into our three branches: change something, try again later, or stop and page a human.

The drivers' errors reach us unwrapped, as the hot path speaks to the driver. What is worth a retry: a busy or locked database,
a serialisation failure, a deadlock, a lock timeout, a connection that broke (trust-and-ops F-25, F-26, F-27).
"""

from __future__ import annotations

import sqlite3

import psycopg
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from app.domain.errors import Betrayed, CordonError, DiskRefused, Unavailable


class LostRace(Unavailable):
    """Somebody else was first: the head moved, or the same key was written. Read again what was decided on, then decide again."""


class Busy(Unavailable):
    """The database was busy or went away; the same work may succeed when done again from its start."""


class Exhausted(Busy):
    """Every connection was in use for as long as one waits. Whoever gets this has waited: to wait again would pile up (F-25)."""


class Unreachable(Busy):
    """No connection to the database came about: it starts, fails over, or is somewhere else."""


class SchemaMismatch(Unavailable):
    """The database has another schema than this code; the detail says which way to go."""


# serialisation failure, deadlock, lock not available, statement timeout, administrator shutdown, crash shutdown
_AGAIN = frozenset({"40001", "40P01", "55P03", "57014", "57P01", "57P02"})
_CANNOT_CONNECT_NOW = "57P03"
# Not SQLITE_IOERR_FSYNC: after that nobody knows what the disk has, whatever it gives to read (trust-and-ops F-05).
_NOT_WRITTEN = frozenset({"SQLITE_IOERR_WRITE", "SQLITE_IOERR_TRUNCATE"})
_DAMAGED = ("SQLITE_CORRUPT", "SQLITE_NOTADB", "SQLITE_IOERR")


def translated(error: BaseException) -> BaseException:
    """Our error for one of a driver; any other error as it is. An integrity fault that no race explains stays a bug of ours."""
    if isinstance(error, DBAPIError) and error.orig is not None:
        return translated(error.orig)
    if isinstance(error, PoolTimeout):
        return Exhausted("all database connections are in use: try again, or raise the pool size if this persists")
    if isinstance(error, sqlite3.Error):
        return _from_sqlite(error)
    if isinstance(error, psycopg.Error):
        return _from_postgresql(error)
    return error


def is_worth_a_retry(error: BaseException) -> bool:
    """Whether the whole unit of work may simply be done again."""
    return isinstance(error, (LostRace, Busy)) and not isinstance(error, Exhausted)


def _from_sqlite(error: sqlite3.Error) -> CordonError | sqlite3.Error:
    name = getattr(error, "sqlite_errorname", "")
    if name in ("SQLITE_CONSTRAINT_PRIMARYKEY", "SQLITE_CONSTRAINT_UNIQUE"):
        return LostRace("the same key was written by somebody else: read again and decide again")
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return Busy("the database is locked by another process: try again; only one node may run on a SQLite file")
    if name in _NOT_WRITTEN:
        return DiskRefused(f"the disk of the database takes no writes ({name}: {error}): see whether it is mounted read-only, and why")
    if name.startswith(_DAMAGED):
        return Betrayed(f"the database file cannot be trusted ({name}: {error}): stop the node, keep the file, restore a backup")
    if name.startswith(("SQLITE_FULL", "SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_PERM")):
        return Unavailable(f"the database cannot be written ({name}: {error}): check free space and permissions of its folder")
    return error


def _from_postgresql(error: psycopg.Error) -> CordonError | psycopg.Error:
    state = error.sqlstate or ""
    if state == "23505":
        return LostRace("the same key was written by somebody else: read again and decide again")
    if state in _AGAIN:
        return Busy(f"the database gave up for now ({state}): try again")
    if state == _CANNOT_CONNECT_NOW or state.startswith("08") or (not state and isinstance(error, psycopg.OperationalError)):
        said = str(error).partition("\n")[0].strip() or type(error).__name__
        return Unreachable(f"the database cannot be reached ({said}): try again; if this persists look at it and at CORDON_DATABASE_URL")
    if state.startswith(("53", "25006", "58")):
        return Unavailable(f"the database cannot be written ({state}): check its disk, memory and role")
    if state.startswith("XX"):
        return Betrayed(f"the database cannot be trusted ({state}): stop the node, keep the data, restore a backup")
    return error
