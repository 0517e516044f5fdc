"""One lease a followed peer: a node of two workers on PostgreSQL follows each peer once, and goes on when a worker or all of it is killed."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from sqlalchemy.engine import URL

from app.storage.urls import read_url
from tests.conftest import libpq, new_postgres_database
from tests.faults.cluster import Cluster, Loopback
from tests.waiting import lived_s

pytestmark = [pytest.mark.slow, pytest.mark.postgres]


@pytest.fixture
def paired(tmp_path: Path, postgres_server: URL) -> Iterator[Cluster]:
    """Three nodes; xb has two workers and PostgreSQL."""
    with new_postgres_database(postgres_server) as url, of_cluster(tmp_path, url) as cluster:
        yield cluster


@contextmanager
def of_cluster(folder: Path, url: str) -> Iterator[Cluster]:
    extra = {"xb": f'database_url = "{url}"\nworkers = 2'}
    with Cluster(folder, Loopback(seed=4), extra=extra, databases={"xb": url}) as cluster:
        yield cluster


def worker_of(holder: str) -> int:
    """The process that a holder names."""
    return int(holder.partition("-")[0])


def leases(url: str) -> dict[str, str]:
    """Who follows whom, as the database has it."""
    with psycopg.connect(libpq(read_url(url)), autocommit=True) as session:
        rows = session.execute("SELECT name, holder FROM lease WHERE name LIKE 'follow %%'").fetchall()
    return {str(name): str(holder) for name, holder in rows}


@pytest.mark.long
def test_two_workers_follow_each_peer_once(paired: Cluster) -> None:
    """All converge; each peer has one lease; killed and started again, the node has lost nothing and follows on within the life of a lease."""
    url = paired.databases["xb"]
    for _ in range(3):
        for code in paired.stations:
            assert paired.say(code, 2) == 2
    paired.converge()
    assert set(leases(url)) == {"follow node.xa.example", "follow node.xc.example"}
    paired.kill("xb")
    assert paired.say("xa", 3) == 3
    paired.start("xb")
    paired.say("xb", 2)
    paired.await_converged(30)
    paired.converge()


def test_who_ends_in_order_gives_the_lease_back(paired: Cluster) -> None:
    """SIGTERM: no lease is left behind, and the next start follows at once."""
    paired.terminate("xb")
    assert leases(paired.databases["xb"]) == {}
    assert paired.say("xa", 2) == 2
    paired.start("xb")
    paired.converge()


def test_a_killed_worker_is_replaced_within_seconds(paired: Cluster) -> None:
    """kill -9 of the worker that follows both, or one of the two: the other one follows within ten seconds, and nothing is lost."""
    url = paired.databases["xb"]
    before = leases(url)["follow node.xa.example"]
    os.kill(worker_of(before), signal.SIGKILL)
    began = lived_s()
    assert paired.say("xa", 2) == 2
    paired.until(lambda: leases(url).get("follow node.xa.example") != before, 10, "somebody else follows")
    paired.await_converged(max(15 - (lived_s() - began), 1))
    paired.converge()
