"""A real pgbouncer in transaction mode before a PostgreSQL server: after each transaction a connection is somebody else's (F-29)."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy.engine import URL

from tests.ports import free_port
from tests.waiting import PATIENCE_S

CONNECTIONS = 4
"""Connections to the server for each database: fewer than clients have, so that they do change hands."""
MISSING = "NOT TESTED: no pgbouncer here, so nothing ran behind a pooling proxy: `apt-get install pgbouncer`"


@contextmanager
def pooling(server: URL) -> Iterator[URL]:
    """The URL of a pgbouncer before `server`, for any database of it; the test is skipped where there is none."""
    program = shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin:/usr/local/sbin")
    if program is None:
        pytest.skip(MISSING)
    with tempfile.TemporaryDirectory(prefix="cordon-pooler-") as name:
        folder, port, user = Path(name), free_port(), _user(server)
        (folder / "pgbouncer.ini").write_text(_settings(server, folder, port), "utf-8")
        if user is not None:
            shutil.chown(folder, user)
        command = [program, *([] if user is None else ["-u", user]), str(folder / "pgbouncer.ini")]
        with (folder / "out").open("wb") as out:
            process = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)
        try:
            _await(port, process, folder / "out")
            yield server.set(host="127.0.0.1", port=port, query={})
        finally:
            process.terminate()
            process.wait(10)


def _settings(server: URL, folder: Path, port: int) -> str:
    host = server.host or str(server.query.get("host", ""))
    login = f"host={host} port={server.port or 5432} user={server.username}" + (f" password={server.password}" if server.password else "")
    return f"""\
[databases]
* = {login}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = {CONNECTIONS}
max_client_conn = 200
server_idle_timeout = 5
logfile = {folder}/log
pidfile = {folder}/pid
"""


def _user(server: URL) -> str | None:
    """Who may run it: pgbouncer refuses to be root, and must reach the socket of the server."""
    if os.geteuid() != 0:
        return None
    folder = server.query.get("host")
    return pwd.getpwuid(Path(str(folder)).stat().st_uid).pw_name if folder else "nobody"


def _await(port: int, process: subprocess.Popen[bytes], out: Path) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        assert process.poll() is None, out.read_text("utf-8", "replace")
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise AssertionError(f"pgbouncer did not come up: {out.read_text('utf-8', 'replace')}")
