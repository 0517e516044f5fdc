"""F-33: this release and the next one on one database, together and one after the other, and back again.

The next release is made here: a copy of this code with one more revision, which adds a column and a table while this one is running. A
plain checkout has no earlier release to run; what an older one can do on the newest schema is what this one does on the next.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from app.storage.tables import REVISIONS
from tests.faults.cluster import ROOT, Alone, Cluster, Station
from tests.ports import free_port

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

CODE = "xa"
NEXT = f"{int(REVISIONS[-1]) + 1:04d}"
MIGRATION = f"""
from alembic import op
from alembic.util.exc import CommandError
import sqlalchemy as sa

revision = "{NEXT}"
down_revision = "{REVISIONS[-1]}"
branch_labels = depends_on = None


def upgrade():
    op.add_column("statement", sa.Column("remark", sa.Text(), nullable=True))
    op.create_table("remark", sa.Column("key", sa.Text(), primary_key=True))


def downgrade():
    raise CommandError("forward only")
"""


def next_release(folder: Path, *, only_adds: bool) -> Path:
    """A checkout of the next release; `only_adds`: whether this release's code may go on with its schema."""
    for part in ("app", "migrations"):  # with what the interpreter has compiled: the times of the files stay
        shutil.copytree(ROOT / part, folder / part)
    (folder / "migrations" / "versions" / f"{NEXT}_the_next.py").write_text(MIGRATION, "utf-8")
    tables = folder / "app" / "storage" / "tables.py"
    text = tables.read_text("utf-8").replace(f'"{REVISIONS[-1]}")', f'"{REVISIONS[-1]}", "{NEXT}")', 1)
    if not only_adds:
        text = re.sub(r'^SERVED_SINCE = "\d+"', f'SERVED_SINCE = "{NEXT}"', text, count=1, flags=re.MULTILINE)
        assert f'SERVED_SINCE = "{NEXT}"' in text
    tables.write_text(text, "utf-8")
    assert f'"{NEXT}")' in text
    return folder


@contextmanager
def serving(folder: Path, url: str, *, workers: int = 1) -> Iterator[Cluster]:
    """A node of the code that is tested here."""
    extra = {CODE: f'database_url = "{url}"\nworkers = {workers}'} if url.startswith("postgresql") else {}
    with Cluster(folder, Alone(), extra=extra, databases={CODE: url} if extra else {}) as cluster:
        yield cluster


def upgrade_beside(cluster: Cluster, code: Path) -> None:
    """`cordon db upgrade` of another checkout, while the node runs."""
    command = [sys.executable, "-P", "-m", "app.cli", "db", "upgrade", "--data-dir", str(cluster.stations[CODE].folder)]
    done = subprocess.run(
        command, env={**cluster.environment(), "PYTHONPATH": str(code)}, capture_output=True, text=True, timeout=250, check=False
    )
    assert done.returncode == 0, done.stderr
    assert NEXT in done.stdout


def readiness(cluster: Cluster) -> int:
    """What a load balancer sees."""
    return httpx.get(cluster.stations[CODE].inside + "/readyz", timeout=60, trust_env=False).status_code


def test_forward_under_a_running_node_and_back(tmp_path: Path, sqlite_url: str) -> None:
    """The next release upgrades the schema beside this one, which goes on; takes over; and gives the database back, with all that it took."""
    newer = next_release(tmp_path / "next", only_adds=True)
    with serving(tmp_path / "nodes", sqlite_url) as cluster:
        assert cluster.say(CODE, 3) == 3
        upgrade_beside(cluster, newer)
        assert cluster.say(CODE, 3) == 3
        assert readiness(cluster) == 200
        cluster.terminate(CODE)
        cluster.code = newer
        cluster.start(CODE)
        assert cluster.say(CODE, 3) == 3
        cluster.kill(CODE)
        cluster.code = ROOT
        cluster.start(CODE)
        assert cluster.say(CODE, 3) == 3
        assert readiness(cluster) == 200
        cluster.check()
        assert len(cluster.acked) == 12


@pytest.mark.postgres
def test_both_at_once_on_one_database(tmp_path: Path, postgres_url: str) -> None:
    """Two machines of one node, one upgraded before the other: both take statements into one log, and either goes on alone."""
    newer = next_release(tmp_path / "next", only_adds=True)
    with serving(tmp_path / "nodes", postgres_url, workers=2) as cluster:
        upgrade_beside(cluster, newer)
        first = cluster.stations[CODE]
        second = replace(first, folder=tmp_path / "second" / CODE, port=free_port())
        shutil.copytree(first.folder, second.folder, ignore=shutil.ignore_patterns("listening", "*.lock", "lock"))
        settings = second.folder / "cordon.toml"
        settings.write_text(settings.read_text("utf-8").replace(str(first.port), str(second.port)), "utf-8")
        with serving_twice(cluster, second, newer):
            for _ in range(3):
                for station in (first, second):
                    cluster.stations[CODE] = station
                    assert cluster.say(CODE, 2) == 2, cluster.unclear
                    assert readiness(cluster) == 200
        cluster.stations[CODE] = first
        assert cluster.say(CODE, 2) == 2
        cluster.check()
        assert len(cluster.acked) == 14


@contextmanager
def serving_twice(cluster: Cluster, second: Station, code: Path) -> Iterator[None]:
    """A second node process of other code on the same database."""
    first, child = cluster.stations[CODE], cluster.children[CODE]
    try:
        cluster.stations[CODE], cluster.code = second, code
        cluster.start(CODE)
        yield
        cluster.terminate(CODE)
    finally:
        if cluster.children[CODE] is not child and cluster.children[CODE].poll() is None:
            cluster.kill(CODE)
        cluster.stations[CODE], cluster.children[CODE], cluster.code = first, child, ROOT


def test_a_schema_that_this_release_would_misread_is_left_alone(tmp_path: Path, sqlite_url: str) -> None:
    """The running node says that it is not ready, a start says which release is wanted, and the next one has everything."""
    newer = next_release(tmp_path / "next", only_adds=False)
    with serving(tmp_path / "nodes", sqlite_url) as cluster:
        assert cluster.say(CODE, 3) == 3
        upgrade_beside(cluster, newer)
        assert readiness(cluster) == 503
        cluster.terminate(CODE)
        done = subprocess.run(
            cluster.serve_command(CODE), env=cluster.environment(), capture_output=True, text=True, timeout=250, check=False
        )
        assert done.returncode != 0
        assert f"schema {NEXT}, which this release does not know" in done.stderr
        cluster.code = newer
        cluster.start(CODE)
        assert cluster.say(CODE, 3) == 3
        assert readiness(cluster) == 200
        with cluster.client(CODE) as client:
            assert [client.statement(one.sid)["index"] for one in cluster.acked] == [one.index for one in cluster.acked]
