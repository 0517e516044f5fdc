"""Lists over HTTP: 10,000 addresses a request, 1 % of them listed, beside a bare ASGI answer and the naive service; and single lookups
while another client sends lists without pause to the same worker.

BENCH_LISTED (1,000,000; try 10,000,000) ids stand in the table. A Redis behind FastAPI belongs beside this; it is compared where
a `redis-server` is on the path, and its absence is said.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from app.domain.identifiers import read_subject
from benchmarks.http import CONNECTIONS, ROOT, Server, load, prepare, request, serve
from benchmarks.lists import address
from benchmarks.material import address as listed_address
from benchmarks.material import found_bench

ROWS = 10_000
ROUNDS = 3
SECONDS = 3.0
BODIES = 8


def bodies() -> list[list[str]]:
    """Lists of ROWS addresses, one in a hundred listed."""
    texts = [[address(ROWS * body + row) for row in range(ROWS)] for body in range(BODIES)]
    for body, some in enumerate(texts):
        for row in range(0, ROWS, 100):
            some[row] = listed_address(100 * body + row // 100)
    return texts


def rates(kinds: dict[str, tuple[Server, Sequence[bytes], int]]) -> None:
    """Addresses a second of one core, in turn; the server's CPU is the stable figure."""
    seen: dict[str, list[tuple[float, float]]] = {name: [] for name in kinds}
    for round_ in range(ROUNDS + 1):
        for name, (server, requests, rows) in kinds.items():
            one = load(server, requests, connections=2, seconds=SECONDS)
            if round_:
                seen[name].append((one.rate * rows, rows / one.cpu_us))
    print(f"{'':<52} {'addresses/s':>12} {'M/s of CPU':>12}")
    for name, some in seen.items():
        print(f"{name:<52} {statistics.median(r for r, _ in some):>12,.0f} {statistics.median(c for _, c in some):>12.2f}")


def beside(server: Server, key: str, heavy: Sequence[bytes]) -> None:
    """Single lookups alone, and while lists are sent."""
    singles = [request("GET", f"/v1/screen/{address(10_000_000 + n)}", key=key) for n in range(500)]
    alone = load(server, singles, connections=CONNECTIONS, seconds=SECONDS)
    command = [sys.executable, "-m", "benchmarks.load", str(server.port), str(2 * SECONDS), "1"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT) as other:
        assert other.stdin is not None
        other.stdin.write(b"\n".join(base64.b64encode(one) for one in heavy))
        other.stdin.close()
        together = load(server, singles, connections=1, seconds=SECONDS)
        assert other.stdout is not None
        lists = json.loads(other.stdout.read())
    print(f"\nsingle lookup p99: alone {alone.p99_ms:.2f} ms, beside lists without pause {together.p99_ms:.2f} ms ({lists['count']} lists)")


def run() -> None:
    """Print the tables."""
    count = int(os.environ.setdefault("BENCH_LISTED", "1000000"))
    with tempfile.TemporaryDirectory() as directory:
        bench = found_bench(Path(directory))
        key = prepare(bench)
        texts = bodies()
        os.environ["BENCH_NAIVE"] = str(Path(directory) / "naive.sqlite3")
        from benchmarks import naive  # noqa: PLC0415 - its database is named in the environment

        naive.make([listed_address(n) for n in range(20_000)] + [read_subject(address(n)).address for n in range(10**6, 10**6 + 80_000)])
        plain = ["\n".join(some).encode() for some in texts]
        compact = [('{"items":[{"address":"' + '"},{"address":"'.join(some) + '"}],"include":"hits"}').encode() for some in texts]

        def posts(path: str, some: Sequence[bytes], kind: str) -> list[bytes]:
            return [request("POST", path, key=key, body=body, content_type=kind) for body in some]

        environment = {"CORDON_DATA_DIR": str(bench.settings.data_dir), "CORDON_LOG_LEVEL": "error"}
        print(
            f"\nLists of {ROWS:,} addresses, 1 % listed with details and audit, {count:,} in the table, medians of {ROUNDS} rounds in turn"
        )
        with (
            serve("benchmarks.bare:app") as bare,
            serve("benchmarks.naive:app") as simple,
            serve("benchmarks.lists:node_app", factory=True, environment=environment) as node,
        ):
            fast = posts("/v1/screen?include=hits", plain, "text/plain")
            rates(
                {
                    "bare ASGI answer that reads no body": (bare, [request("GET", "/")], 1),
                    "lines, every form checked": (node, fast, ROWS),
                    "lines, every checksum verified": (node, posts("/v1/screen?include=hits&checksums=true", plain, "text/plain"), ROWS),
                    "JSON, every checksum verified": (node, posts("/v1/screen", compact, "application/json"), ROWS),
                    "JSON, every form checked": (node, posts("/v1/screen?checksums=false", compact, "application/json"), ROWS),
                    "naive: FastAPI, pydantic, SQLAlchemy (100,000 rows)": (
                        simple,
                        posts("/bulk", [json.dumps({"items": some}).encode() for some in texts], "application/json"),
                        ROWS,
                    ),
                }
            )
            beside(node, key, fast)
    if shutil.which("redis-server") is None:
        print("\n*** NO redis-server ON THIS MACHINE: the comparison with Redis behind FastAPI WAS NOT MADE. ***")
