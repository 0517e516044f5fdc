"""Backups of a running node's database.

SQLite: its online API, a consistent copy while the node writes. PostgreSQL has better tools of its own; we name them. A backup holds
what was erased later: keep it encrypted, and apply the erasures of the log again before a restored node opens its port.
"""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

from app.domain.errors import BadRequest, Betrayed
from app.storage.faults import translated
from app.storage.sqlite import connect_directly
from app.storage.syncing import make_durable
from app.storage.urls import is_sqlite, read_url, sqlite_path, sqlite_uri


def backup(url: str, target: Path) -> None:
    """Copy the database to a new file `target` (mode 0600), checked and durable before it gets its name. Blocking."""
    read = read_url(url)
    if not is_sqlite(read):
        shown = read.set(drivername="postgresql").render_as_string(hide_password=True)
        raise BadRequest(f"PostgreSQL makes its own backups: pg_dump --format=custom --file={target} '{shown}' (restore with pg_restore)")
    source = sqlite_path(read)
    if not source.is_file():
        raise BadRequest(f"there is no database at {source}")
    if target.exists():
        raise BadRequest(f"{target} exists already and is not overwritten: choose another name")
    unfinished = target.with_name(target.name + ".unfinished")
    os.close(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600))
    try:
        _copy(source, unfinished)
        make_durable(unfinished)
        os.link(unfinished, target)  # unlike a rename it never replaces a file that appeared meanwhile
        make_durable(target.parent)
    except sqlite3.Error as error:
        raise translated(error) from error
    except FileExistsError as error:
        raise BadRequest(f"{target} exists already and is not overwritten: choose another name") from error
    finally:
        unfinished.unlink(missing_ok=True)


def _copy(source: Path, target: Path) -> None:
    reader = connect_directly(source)
    writer = sqlite3.connect(sqlite_uri(target, "rw"), uri=True, isolation_level=None)
    try:
        reader.backup(writer)
        # A copy in WAL mode would leave two more files beside it; a node that opens it turns WAL on again (`db upgrade`).
        writer.execute("PRAGMA journal_mode=DELETE")
        found = writer.execute("PRAGMA quick_check(1)").fetchone()[0]
        if found != "ok":
            raise Betrayed(f"the copy is damaged, and so most likely the database: {found}")
    finally:
        writer.close()
        reader.close()
