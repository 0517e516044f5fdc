"""schemathesis against a live node on 127.0.0.1: requests made from the description, valid and not, find no 5xx (S-09)."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.api.front import WHY, open_front
from tests.factories import Town, accept, entity, wallet
from tests.ports import free_port
from tests.waiting import PATIENCE_S

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = 8


async def fill(town: Town, url: str) -> dict[str, str]:
    """Some listings, and a key for each class of caller that is tried."""
    async with open_front(town, url) as front:
        await accept(front.node, town.signer("de.bka#1").listing(wallet(1), entity("golden-sun")))
        return {"agency": await front.key("de.bka", "agency"), "operator": await front.key("", "operator")}


@pytest.fixture
def live(town: Town, sqlite_migrated_url: str, tmp_path: Path) -> Iterator[tuple[str, dict[str, str]]]:
    """A node behind uvicorn in a process of its own: its address and its keys."""
    town.clock.ms = time.time_ns() // 1_000_000  # type: ignore[attr-defined]
    keys = asyncio.run(fill(town, sqlite_migrated_url))
    port = free_port()
    settings = {
        "DATA_DIR": str(town.data_dir),
        "DATABASE_URL": sqlite_migrated_url,
        "RATE_PUBLIC_PER_MINUTE": "1000000",
        "RATE_CLIENT_PER_MINUTE": "1000000",
    }
    environment = {**os.environ, **{f"CORDON_{name}": value for name, value in settings.items()}}
    command = [
        sys.executable,
        "-m",
        "uvicorn",
        "app.main:create_app",
        "--factory",
        "--port",
        str(port),
        "--log-level",
        "warning",
        "--no-access-log",
    ]
    with (tmp_path / "server.log").open("wb") as log:
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log)
    url = f"http://127.0.0.1:{port}"
    try:
        wait_for(url, process)
        yield url, keys
        assert process.poll() is None, "the node died"
    finally:
        process.terminate()
        process.wait(30)


def wait_for(url: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline and process.poll() is None:
        try:
            httpx.get(f"{url}/startupz", trust_env=False).raise_for_status()
        except httpx.HTTPError:
            time.sleep(0.1)
        else:
            return
    raise AssertionError("the node did not start")


@pytest.mark.slow
@pytest.mark.timeout(1_500)
@pytest.mark.parametrize("caller", ["agency", "operator"])
def test_requests_made_from_the_description_find_no_5xx(live: tuple[str, dict[str, str]], caller: str, tmp_path: Path) -> None:
    """Edge cases and random ones for each operation, by a reader and, for what is his, by an operator; the node lives on."""
    url, keys = live
    headers = {"Authorization": f"Bearer {keys[caller]}", **(WHY if caller == "agency" else {})}
    given = [part for name, value in headers.items() for part in ("-H", f"{name}: {value}")]
    command = [sys.executable, "-m", "schemathesis.cli", "run", f"{url}/openapi.json", "--checks", "not_a_server_error", "--no-color"]
    command += ["--phases", "coverage,fuzzing", "--max-examples", str(EXAMPLES), "--seed", "1", "--request-timeout", "20", *given]
    if caller == "operator":
        command += ["--include-path-regex", "api-keys|readyz"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=1_200, check=False)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    assert httpx.get(f"{url}/livez", trust_env=False).status_code == 200
