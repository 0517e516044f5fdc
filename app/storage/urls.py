"""Database URLs: which of our two engines they name, in the spelling that the asynchronous and the synchronous driver want."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from app.domain.errors import BadRequest
from app.storage.sql import POSTGRESQL, SQLITE


def read_url(text: str) -> URL:
    """`text` as a URL of one of our engines, its driver set; BadRequest says what would do."""
    try:
        url = make_url(text)
    except ArgumentError as error:
        raise BadRequest(
            "the database URL cannot be read: sqlite+aiosqlite:////path/to/file or postgresql+psycopg://user@host/name"
        ) from error
    engine = url.get_backend_name()
    if engine == POSTGRESQL:
        return url.set(drivername="postgresql+psycopg")
    if engine == SQLITE and url.database and url.database != ":memory:":
        return url.set(drivername="sqlite+aiosqlite")
    raise BadRequest(
        "the database is a SQLite file (sqlite+aiosqlite:////path/to/file) or PostgreSQL (postgresql+psycopg://user@host/name)"
    )


def is_sqlite(url: URL) -> bool:
    """Whether `url` names a SQLite file."""
    return url.get_backend_name() == SQLITE


def sqlite_path(url: URL) -> Path:
    """The file of a SQLite URL."""
    assert url.database
    return Path(url.database)


def sqlite_uri(path: Path, mode: str) -> str:
    """How SQLite itself names the file; mode `rw` opens only what is there, `rwc` also creates."""
    return f"{path.absolute().as_uri()}?mode={mode}"
