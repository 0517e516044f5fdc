"""From an agency's file to receipts: `cordon submit` with 5,000 wallets of a CSV against a running node, by the clock and by CPU.

The client reads, judges, signs, sends and writes receipts; the node does all it does. On a machine that others use the clock counts them,
too: the CPU of both together is what an idle one would need at most.
"""

from __future__ import annotations

import asyncio
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.http import ROOT, Server, serve
from benchmarks.material import AGENCY, Bench, address, found_bench, open_node

WALLETS = 5_000
ROUNDS = 3
GOAL_S = 3.0


def write_file(file: Path, first: int) -> None:
    """The rows as an agency has them."""
    rows = [f"{address(number)},ethereum,fraud.investment.pig_butchering" for number in range(first, first + WALLETS)]
    file.write_text("\n".join(["address,chain,typologies", *rows, ""]))


def children_s() -> float:
    """CPU seconds of the processes that this one has waited for."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def hand_in(bench: Bench, server: Server, key: Path, number: int) -> tuple[float, float, float]:
    """Seconds by the clock, CPU seconds of the client, and of the node; every row must have its receipt."""
    folder = bench.settings.data_dir.parent
    file, out = folder / f"wallets{number}.csv", folder / f"receipts{number}"
    write_file(file, 800_000_000 + number * WALLETS)
    command = [sys.executable, "-m", "app.cli", "submit", str(file), "--as", AGENCY, "--key", str(key), "--redress", "redress desk"]
    command += ["--out", str(out), "--node", f"http://127.0.0.1:{server.port}", "--json"]
    clean = {name: value for name, value in os.environ.items() if not name.startswith("CORDON_")}
    before, own, began = server.cpu_s(), children_s(), time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT, env=clean)
    taken, own, theirs = time.perf_counter() - began, children_s() - own, server.cpu_s() - before
    words = json.loads(done.stdout)
    if words["items"] != WALLETS or len(words["accepted"]) != words["signed"]:
        raise RuntimeError(f"not everything was accepted: {done.stdout[:300]}")
    return taken, own, theirs


def run() -> None:
    """Print the seconds."""
    with tempfile.TemporaryDirectory() as directory:
        bench = found_bench(Path(directory) / "node")

        async def enrol() -> None:
            await (await open_node(bench)).stop()

        asyncio.run(enrol())
        key = Path(directory) / "agency.jwk"
        key.touch(mode=0o600)
        key.write_text(json.dumps(bench.key.to_jwk()))
        environment = {"CORDON_DATA_DIR": str(bench.settings.data_dir), "CORDON_LOG_LEVEL": "error"}
        with serve("app.main:create_app", factory=True, environment=environment) as server:
            seen = [hand_in(bench, server, key, number) for number in range(ROUNDS)]
    taken, client, node = (statistics.median(one) for one in zip(*seen, strict=True))
    print(f"\n{WALLETS:,} wallets from CSV to receipts with `cordon submit`, medians of {ROUNDS} (goal: under {GOAL_S:.0f} s)")
    print(
        f"by the clock {taken:.2f} s   CPU of the client {client:.2f} s, of the node {node:.2f} s   machine load {os.getloadavg()[0]:.1f}"
    )
