"""How the tests of the command line run it: in this process for speed, as a real process where processes matter, beside a real node."""

from __future__ import annotations

import contextlib
import io
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.ports import free_port
from tests.waiting import PATIENCE_S

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Outcome:
    """What a command did: exit code, stdout, stderr."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """stdout as the one JSON document it must be."""
        return json.loads(self.out)

    @property
    def rows(self) -> list[Any]:
        """stdout as one JSON document a line."""
        return [json.loads(line) for line in self.out.splitlines()]


def cordon(*words: object) -> Outcome:
    """Run a command in this process, through the same door as a shell would."""
    from app.cli.tree import run

    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = run([str(word) for word in words])
    return Outcome(code, out.getvalue(), err.getvalue())


def environment(**more: str) -> dict[str, str]:
    """A shell's environment without any setting of ours."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("CORDON_")}
    return {**clean, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1", **more}


def command(*words: object) -> list[str]:
    """The command line of a real process."""
    return [sys.executable, "-P", "-m", "app.cli", *(str(word) for word in words)]


def process(*words: object, cwd: Path | None = None, **more: str) -> Outcome:
    """Run a command as a process of its own and wait for it."""
    done = subprocess.run(
        command(*words), cwd=cwd, env=environment(**more), capture_output=True, text=True, check=False, timeout=PATIENCE_S
    )
    return Outcome(done.returncode, done.stdout, done.stderr)


@dataclass(frozen=True)
class RunningNode:
    """A node in a process of its own."""

    url: str
    data_dir: Path
    child: subprocess.Popen[bytes]
    log: Path


@contextlib.contextmanager
def running(data_dir: Path, *words: object, **more: str) -> Iterator[RunningNode]:
    """Serve a data directory on a free port until the block ends; `words` replace `serve`, `more` are settings."""
    port = free_port()
    log = data_dir.with_name(data_dir.name + ".log")
    with log.open("wb") as out:
        child = subprocess.Popen(
            command(*(words or ("serve",)), "--port", port, "--data-dir", data_dir),
            env=environment(**more),
            stdout=out,
            stderr=subprocess.STDOUT,
        )
    try:
        _wait(port, child, log)
        yield RunningNode(f"http://127.0.0.1:{port}", data_dir, child, log)
    finally:
        if child.poll() is None:
            child.send_signal(signal.SIGTERM)
            try:
                child.wait(20)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait(10)


def _wait(port: int, child: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        if child.poll() is not None:
            raise AssertionError(f"the node ended with {child.returncode}: {log.read_text()[-2000:]}")
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.05)
    raise AssertionError(f"the node does not answer: {log.read_text()[-2000:]}")


def wallets(first: int, count: int) -> list[str]:
    """Ethereum addresses that nobody has a key of, in small letters: cheap, and as good as any other for a list."""
    return [f"0x{number:040x}" for number in range(0xC0DE_0000_0000 + first, 0xC0DE_0000_0000 + first + count)]


def write_csv(path: Path, addresses: list[str], **columns: object) -> Path:
    """A CSV whose headers are member names: the same judgement for every row."""
    said = {"typologies": "fraud.investment", "roles": "collection", "severity": 3, **columns}
    lines = [",".join(["address", "chain", *said])]
    lines += [",".join([address, "ethereum", *(str(value) for value in said.values())]) for address in addresses]
    path.write_text("\n".join(lines) + "\n", "utf-8")
    return path
