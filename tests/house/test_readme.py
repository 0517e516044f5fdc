"""README's commands do what it says, as a new user copies them one by one."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.cli.demo import commands
from tests.ports import free_port

ROOT = Path(__file__).resolve().parents[2]
BLOCKS = re.findall(r"^```sh\n(.+?)^```", (ROOT / "README.md").read_text("utf-8"), re.MULTILINE | re.DOTALL)
TRIED = [block for block in BLOCKS if not block.startswith("make ")]


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, dict[str, str], int]]:
    """A folder with the `cordon` command of a clone in it and the node of `make run` behind it, on a port of its own."""
    folder = tmp_path_factory.mktemp("desk")
    script = folder / ".venv/bin/cordon"
    script.parent.mkdir(parents=True)
    script.write_text(f'#!/bin/sh\nPYTHONPATH="{ROOT}" exec "{sys.executable}" -P -m app.cli "$@"\n')
    script.chmod(0o755)
    port = free_port()
    environment = {name: value for name, value in os.environ.items() if not name.startswith("CORDON_")}
    log = folder / "node.log"
    with log.open("wb") as out:
        node = subprocess.Popen(
            [str(script), "demo", "--serve"], cwd=folder, env=environment | {"CORDON_PORT": str(port)}, stdout=out, stderr=subprocess.STDOUT
        )
    try:
        _wait_for(f"http://127.0.0.1:{port}/readyz", node, log)
        yield folder, environment, port
    finally:
        node.send_signal(signal.SIGTERM)
        node.wait(timeout=40)


def _wait_for(url: str, node: subprocess.Popen[bytes], log: Path) -> None:
    for _ in range(1_200):
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            assert node.poll() is None, log.read_text("utf-8", "replace")[-3000:]
            time.sleep(0.1)
    raise AssertionError("the node did not get ready: " + log.read_text("utf-8", "replace")[-3000:])


def test_the_readme_shows_what_make_run_prints():
    """A lookup, a signed submission and the verification of its receipt, word for word as the demonstration announces them."""
    printed = commands(Path("var/demo"), "http://127.0.0.1:8000")
    assert [block.strip().removeprefix(".venv/bin/cordon ") for block in TRIED] == [
        re.sub(r"^.*?(?=screen|submit|verify)", "", line) for line in printed
    ]


@pytest.mark.slow
def test_the_commands_of_the_readme_work(desk: tuple[Path, dict[str, str], int]):
    """Copied in order, each command succeeds: the lookup answers, the submission is accepted, its receipt verifies."""
    folder, environment, port = desk
    told = []
    for block in TRIED:
        typed = block.replace("127.0.0.1:8000", f"127.0.0.1:{port}")
        result = subprocess.run(["sh", "-ec", typed], cwd=folder, env=environment, capture_output=True, text=True, timeout=60, check=False)
        assert result.returncode == 0, f"{typed}\n{result.stdout[-2000:]}\n{result.stderr[-2000:]}"
        told.append(result.stdout)
    assert "listed" in told[0].split()
    assert list((folder / "var/demo/receipts").glob("*.receipt.txt"))
