"""Lists over HTTP: 10,000 addresses a request, 1 % of them listed, beside a bare ASGI answer and the naive service; and single lookups
while another client sends lists without pause to the same worker.

BENCH_LISTED (1,000,000) ids stand in the table, and in that of a second node BENCH_MANY_LISTED (10,000,000; 0 leaves it out); Redis behind
FastAPI holds a million at most. The goals stand below, with what was reached.
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
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from app.domain.identifiers import read_subject
from benchmarks import pauses as pausing
from benchmarks import redis_app
from benchmarks.goals import judge, ratio
from benchmarks.http import CONNECTIONS, ROOT, Server, load, prepare, request, serve
from benchmarks.lists import address
from benchmarks.material import address as listed_address
from benchmarks.material import found_bench
from benchmarks.pauses import LONG_MS
from benchmarks.pauses import read as read_pauses

ROWS = 10_000
ROUNDS = 3
SECONDS = 3.0
BODIES = 8
REFERENCE_US = 14.8
"""CPU of the bare answer where the goals were measured (performance §1)."""
MOST_IN_REDIS = 1_000_000
BARE, FORMS, SUMS = "bare ASGI answer that reads no body", "lines, every form checked", "lines, every checksum verified"
MANY = "lines, every form checked, in a table of "
NAIVE, REDIS = "naive: FastAPI, pydantic, SQLAlchemy (100,000 rows)", "Redis behind FastAPI, nothing checked"


def bodies() -> list[list[str]]:
    """Lists of ROWS addresses, one in a hundred listed."""
    texts = [[address(ROWS * body + row) for row in range(ROWS)] for body in range(BODIES)]
    for body, some in enumerate(texts):
        for row in range(0, ROWS, 100):
            some[row] = listed_address(100 * body + row // 100)
    return texts


Kinds = Mapping[str, tuple[Server, Sequence[bytes], int]]
Rates = dict[str, list[tuple[float, float]]]
"""By name: addresses a second by the clock and, in M, of CPU, in each round."""


def rates(kinds: Kinds) -> Rates:
    """Addresses a second of one core, in turn; the server's CPU is the stable figure."""
    seen: Rates = {name: [] for name in kinds}
    for round_ in range(ROUNDS + 1):
        for name, (server, requests, rows) in kinds.items():
            one = load(server, requests, connections=CONNECTIONS if name == BARE else 2, seconds=SECONDS)
            if round_:
                seen[name].append((one.rate * rows, rows / one.cpu_us))
    print(f"{'':<52} {'addresses/s':>12} {'M/s of CPU':>12}")
    for name, some in seen.items():
        print(f"{name:<52} {statistics.median(r for r, _ in some):>12,.0f} {statistics.median(c for _, c in some):>12.2f}")
    return seen


def goals(seen: Rates) -> None:
    """The goals of lists. Absolute ones were set on a machine whose bare answer takes REFERENCE_US of CPU: beside them, as if it were that one."""

    def of_cpu(name: str) -> float:
        return statistics.median(cpu for _, cpu in seen[name])

    def by(name: str) -> float:
        return ratio([cpu for _, cpu in seen[FORMS]], [cpu for _, cpu in seen[name]])

    slower = 1 / of_cpu(BARE) / REFERENCE_US
    judge("M addresses/s of a core, every form checked", of_cpu(FORMS), 4, 6)
    judge(f"  the same on the machine of the goals (this one: {slower:.2f} times its CPU)", of_cpu(FORMS) * slower, 4, 6)
    for name in seen:
        if name.startswith(MANY):
            judge(f"M addresses/s of a core, {name.removeprefix('lines, ')}", of_cpu(name), 4, 6)
            judge("  the same on the machine of the goals", of_cpu(name) * slower, 4, 6)
    judge("M addresses/s of a core, every checksum verified", of_cpu(SUMS), 0.6, 1)
    judge("  the same on the machine of the goals", of_cpu(SUMS) * slower, 0.6, 1)
    judge("as many as naive, for the same CPU", by(NAIVE), 20, 35, unit="x")
    if REDIS in seen:
        judge("as many as Redis behind FastAPI, for the same CPU", by(REDIS), 4, 6, unit="x")


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
    print(f"\nsingle lookup p99 alone {alone.p99_ms:.2f} ms; {lists['count']} lists were answered beside the others")
    judge("single lookup p99 beside lists without pause, ms", together.p99_ms, 8, 5, is_most=True)


def _with_many(servers: ExitStack, environment: Mapping[str, str], count: int) -> Server:
    """A second node over a copy of the data of the first, with so many in its table."""
    folder = Path(servers.enter_context(tempfile.TemporaryDirectory())) / "many"
    shutil.copytree(environment["CORDON_DATA_DIR"], folder)
    own = {**environment, "CORDON_DATA_DIR": str(folder), "BENCH_LISTED": str(count), pausing.FILE: str(folder / "pauses.json")}
    return servers.enter_context(serve("benchmarks.lists:node_app", factory=True, environment=own))


def run() -> None:
    """Print the tables."""
    count, many = int(os.environ.setdefault("BENCH_LISTED", "1000000")), int(os.environ.get("BENCH_MANY_LISTED", "10000000"))
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
        pauses = Path(directory) / "pauses.json"
        environment[pausing.FILE] = str(pauses)
        with ExitStack() as servers:
            bare = servers.enter_context(serve("benchmarks.bare:app"))
            simple = servers.enter_context(serve("benchmarks.naive:app"))
            larger = _with_many(servers, environment, many) if many else None  # its data are copied while nobody has them open
            node = servers.enter_context(serve("benchmarks.lists:node_app", factory=True, environment=environment))
            fast = posts("/v1/screen?include=hits", plain, "text/plain")
            asked = [json.dumps({"items": some}).encode() for some in texts]
            kinds = {
                BARE: (bare, [request("GET", "/")], 1),
                FORMS: (node, fast, ROWS),
                SUMS: (node, posts("/v1/screen?include=hits&checksums=true", plain, "text/plain"), ROWS),
                "JSON, every checksum verified": (node, posts("/v1/screen", compact, "application/json"), ROWS),
                "JSON, every form checked": (node, posts("/v1/screen?checksums=false", compact, "application/json"), ROWS),
                NAIVE: (simple, posts("/bulk", asked, "application/json"), ROWS),
            }
            if larger is not None:
                kinds[f"{MANY}{many:,}"] = (larger, fast, ROWS)
            if redis_app.missing():
                redis_app.warn()
            else:
                others = (f"0x{number:040x}" for number in range(min(count, MOST_IN_REDIS)))
                told = [text for some in texts for text in some[::100]]
                variables, process = servers.enter_context(redis_app.serving(key, told, others))
                front = servers.enter_context(serve("benchmarks.redis_app:app", environment=variables))
                kinds[REDIS] = (replace(front, beside=process), posts("/bulk", asked, "application/json"), ROWS)
            before = node.memory_mb()
            goals(rates(kinds))
            beside(node, key, fast)
            print(f"  memory of the node {before:.0f} MB before, {node.memory_mb():.0f} MB after")
        seen = read_pauses(pauses)
        judge(
            f"pauses of the collector over {LONG_MS:g} ms, of {seen.count} (longest {seen.longest_ms:.1f} ms)",
            seen.long,
            0,
            0,
            is_most=True,
        )
