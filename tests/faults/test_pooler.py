"""F-29: behind a real pgbouncer in transaction mode the storage suite and a node of two workers are as without it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from sqlalchemy.engine import URL

from tests.conftest import libpq, new_postgres_database
from tests.faults.cluster import ROOT, Cluster, Loopback
from tests.pooler import pooling

pytestmark = [pytest.mark.slow, pytest.mark.postgres]

ESSENTIAL = (
    "tests/storage/test_log_shelf.py",
    "tests/storage/test_statement_shelf.py",
    "tests/storage/test_peer_shelves.py",
    "tests/storage/test_small_shelves.py",
    "tests/faults/test_company.py::test_two_workers_on_one_database_make_one_dense_log",
)


@pytest.fixture
def pooled(postgres_server: URL) -> Iterator[URL]:
    """The server of the tests behind a pooling proxy."""
    with pooling(postgres_server) as url:
        yield url


def test_the_proxy_does_hand_connections_on(pooled: URL) -> None:
    """What the tests below mean: two clients that take turns are one session of the server, and a session lock is both's."""
    with psycopg.connect(libpq(pooled), autocommit=True) as one, psycopg.connect(libpq(pooled), autocommit=True) as other:
        sessions = {row[0] for client in (one, other) * 3 for row in client.execute("SELECT pg_backend_pid()")}
        locked = [client.execute("SELECT pg_try_advisory_lock(7)").fetchone() for client in (one, other)]
    assert len(sessions) == 1
    assert locked == [(True,), (True,)]


def test_the_storage_suite_passes_behind_it(pooled: URL) -> None:
    """Shelves, migrations, and two writers that race for one log: the tests of PostgreSQL, each through the proxy."""
    environment = {**os.environ, "TEST_POSTGRES_URL": pooled.render_as_string(hide_password=False)}
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "-k", "postgresql", *ESSENTIAL]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stdout[-4_000:]
    assert " passed" in done.stdout
    assert " skipped" not in done.stdout


def test_two_workers_behind_it_log_and_follow(tmp_path: Path, pooled: URL) -> None:
    """A node of two workers whose every connection goes through the proxy: it logs, follows, is killed, and nothing is lost or doubled."""
    with new_postgres_database(pooled) as url:
        extra = {"xb": f'database_url = "{url}"\nworkers = 2'}
        with Cluster(tmp_path, Loopback(seed=29), extra=extra, databases={"xb": url}) as cluster:
            for _ in range(2):
                for code in cluster.stations:
                    assert cluster.say(code, 2) == 2
            cluster.converge()
            cluster.kill("xb")
            assert cluster.say("xa", 2) == 2
            cluster.start("xb")
            assert cluster.say("xb", 2) == 2
            cluster.converge()
