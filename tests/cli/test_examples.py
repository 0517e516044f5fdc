"""The examples run as their first lines say, on the wheel alone, against a real node, and stay short."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from app.sdk.webhook import WebhookKey, headers_for
from tests.cli.program import ROOT, RunningNode, running
from tests.cli.wheel import ClientWheel
from tests.ports import free_port
from tests.waiting import PATIENCE_S

EXAMPLES = ROOT / "examples"


@pytest.fixture
def node(node_dir: Path) -> Iterator[RunningNode]:
    with running(node_dir) as served:
        yield served


def example(wheel: ClientWheel, name: str, *words: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    return wheel.run(EXAMPLES / name, *words, cwd=cwd)


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.py")), ids=lambda path: path.name)
def test_an_example_is_short(path: Path):
    """Under 60 lines: something to read in a minute."""
    assert len(path.read_text("utf-8").splitlines()) < 60
    assert path.name in (EXAMPLES / "README.md").read_text("utf-8")


@pytest.mark.slow
def test_an_agency_submits(client_wheel: ClientWheel, node: RunningNode, tmp_path: Path):
    """Accepted, and the receipt verifies."""
    words = (node.url, "zz.police", node.data_dir / "keys" / "zz.police.jwk", node.data_dir / "root")
    done = example(client_wheel, "agency_submits.py", *words, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "accepted" in done.stdout
    assert "verified offline" in done.stdout


@pytest.mark.slow
def test_an_exchange_screens(client_wheel: ClientWheel, node: RunningNode, tmp_path: Path):
    """A listed destination is held, a protected one passes, an unreadable one waits; without a node nothing passes."""
    asked = (
        "TMVQGm1qAQYVdetCeGRRkTWYYrLXuHK2HC",
        "0x3797126345fB5Fb6A37629Db55eC692173CfB458",
        "nonsense",
        "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4",
    )
    done = example(client_wheel, "vasp_screens.py", node.url, *asked, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert [line.partition(":")[0] for line in done.stdout.splitlines()] == ["hold", "pass", "wait", "pass"]
    alone = example(client_wheel, "vasp_screens.py", "http://127.0.0.1:9", asked[3], cwd=tmp_path)
    assert alone.stdout.startswith("wait:")


@pytest.mark.slow
def test_an_exchange_receives(client_wheel: ClientWheel, tmp_path: Path):
    """Acts once on what is signed, however often it comes; refuses what is not."""
    port = free_port()
    key = WebhookKey(os.urandom(32), os.urandom(32))
    data = {"sid": "s", "subject": "3d56", "reference": None}
    body = json.dumps({"id": "a-1", "type": "listing.corrected.v1", "urgent": True, "data": data}).encode()
    command = [client_wheel.python, EXAMPLES / "vasp_receives.py", str(port)]
    given = {"PATH": os.environ["PATH"], "PYTHONUNBUFFERED": "1", "WEBHOOK_SECRET": key.secret}
    receiver = subprocess.Popen(command, cwd=tmp_path, env=given, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        signed = headers_for([key], "a-1", int(time.time()), body)
        forged = {**signed, "webhook-id": "a-2"}
        assert [_post(port, headers, body) for headers in (signed, forged, signed)] == [204, 401, 204]
    finally:
        receiver.terminate()
        told, _ = receiver.communicate(timeout=10)
    assert told.splitlines()[0] == "URGENT listing.corrected.v1: 3d56 by statement s"
    assert [line.partition(":")[0] for line in told.splitlines()[1:]] == ["refused"]


def _post(port: int, headers: dict[str, str], body: bytes) -> int:
    ends = time.monotonic() + PATIENCE_S
    while True:
        try:
            return httpx.post(f"http://127.0.0.1:{port}/", content=body, headers=headers, trust_env=False).status_code
        except httpx.ConnectError:
            assert time.monotonic() < ends, "the receiver does not listen"
            time.sleep(0.1)
