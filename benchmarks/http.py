"""Over HTTP on 127.0.0.1: single submissions with their receipts, and single lookups beside a bare ASGI answer on the same server and
beside the service that one would write first (`naive_lookup`) and one for speed (`redis_app`). The goals stand below, with what was reached.

Server and load generator are processes of their own. On a shared machine the server's CPU time per request is the stable figure;
requests a second depend on the generator too, which shares the cores.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from app.services.enroll import new_api_key
from app.storage.clients import Client
from app.storage.database import Database
from benchmarks import pauses as pausing
from benchmarks import redis_app
from benchmarks.gate import bare_cost
from benchmarks.goals import judge, ratio
from benchmarks.material import Bench, address, found_bench, listing, open_node, submit_all
from benchmarks.naive_lookup import DATABASE, fill
from benchmarks.pauses import LONG_MS, Pauses
from benchmarks.pauses import read as read_pauses

ROUNDS = 5
SECONDS = 2.0
CONNECTIONS = 16
LISTED = 20_000
BARE, NAIVE, REDIS = "bare ASGI answer", "naive FastAPI, ORM, SQLite; 10 % listed", "Redis behind FastAPI; 10 % listed"
MIXED = "lookup, 10 % listed with details and audit"
ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True, slots=True)
class Seen:
    """One round: requests a second, server CPU in µs a request, latencies in ms."""

    rate: float
    cpu_us: float
    p50_ms: float
    p99_ms: float
    load_us: float
    """What the load generator had of CPU a request: where that is more than the server's, it is what was measured."""


@dataclass(frozen=True, slots=True)
class Server:
    """A server process and its port; `beside`: a process that works for it, whose CPU counts too."""

    process: subprocess.Popen[bytes]
    port: int
    beside: subprocess.Popen[bytes] | None = None

    def memory_mb(self) -> float:
        """What it holds of memory now, in MB, without what is shared with others."""
        text = Path(f"/proc/{self.process.pid}/smaps_rollup").read_text()
        return sum(int(row.split()[1]) for row in text.splitlines() if row.startswith(("Private_Clean", "Private_Dirty"))) / 1024

    def cpu_s(self) -> float:
        """CPU seconds it has used so far, all threads."""
        ticks = 0
        for process in (self.process, self.beside):
            if process is not None:
                fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
                ticks += int(fields[11]) + int(fields[12])
        return ticks / os.sysconf("SC_CLK_TCK")


@contextmanager
def serve(target: str, *, factory: bool = False, environment: dict[str, str] | None = None) -> Iterator[Server]:
    """uvicorn with uvloop, httptools and the patience of the node, no access log, on a free port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "uvicorn", target, "--port", str(port), "--loop", "uvloop", "--no-access-log"]
    # As `cordon serve` has it, for all of them.
    command += ["--http", "app.api.patience:PatientProtocol", "--no-server-header", "--no-proxy-headers", "--log-level", "warning"]
    command += ["--factory"] if factory else []
    process = subprocess.Popen(command, cwd=ROOT, env={**os.environ, **(environment or {})})
    try:
        wait_for(port, process)
        yield Server(process, port)
    finally:
        process.terminate()
        process.wait(30)


def wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    """Until it listens, at most a minute."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise RuntimeError("the server did not come up")


def wait_until_idle(server: Server) -> None:
    """Until it has used next to no CPU for half a second, at most half a minute."""
    for _ in range(60):
        before = server.cpu_s()
        time.sleep(0.5)
        if server.cpu_s() - before < 0.02:
            return


def load(server: Server, requests: Sequence[bytes], *, connections: int, seconds: float, once: bool = False, expect: int = 200) -> Seen:
    """Send `requests` round robin (or each once) and see what the server needed for them."""
    lines = b"\n".join(base64.b64encode(request) for request in requests)
    command = [sys.executable, "-m", "benchmarks.load", str(server.port), str(seconds), str(connections), *(["once"] if once else [])]
    before = server.cpu_s()
    out = subprocess.run(command, input=lines, capture_output=True, check=True, cwd=ROOT, timeout=seconds + 60)
    used = server.cpu_s() - before
    seen = json.loads(out.stdout)
    if set(seen["statuses"]) != {str(expect)}:
        raise RuntimeError(f"unexpected answers: {seen['statuses']}")
    return Seen(seen["count"] / seen["seconds"], used / seen["count"] * 1e6, seen["p50_ms"], seen["p99_ms"], seen["own_us"])


def request(method: str, path: str, *, key: str = "", body: bytes = b"", content_type: str = "") -> bytes:
    """The bytes of one HTTP/1.1 request."""
    lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1"]
    if key:
        lines.append(f"Authorization: Bearer {key}")
    if body:
        lines += [f"Content-Length: {len(body)}", f"Content-Type: {content_type}"]
    return "\r\n".join([*lines, "", ""]).encode() + body


def prepare(bench: Bench) -> str:
    """Fill the node with listings, give a VASP a key without a practical quota; the key."""

    async def work() -> str:
        node = await open_node(bench)
        await submit_all(node, [listing(bench, range(first, first + 250)) for first in range(0, LISTED, 250)])
        await node.stop()
        new = new_api_key()
        database = Database(bench.settings.resolved_database_url)
        quota = {"requests_per_minute": 100_000_000, "addresses_per_day": 1_000_000_000}
        async with database.transaction() as tx:
            await tx.clients.put(
                Client(
                    new.id,
                    new.secret_sha256,
                    "live",
                    "zz.exchange",
                    "vasp",
                    "bench",
                    ("screen", "read"),
                    "green",
                    int(time.time() * 1000),
                    quota,
                )
            )
        await database.close()
        return new.text()

    return asyncio.run(work())


def row(name: str, seen: Sequence[Seen], anchor: Sequence[Seen] | None = None, naive: Sequence[Seen] | None = None) -> None:
    """Print the medians of some rounds; compared round by round: the share of the anchor, its p99, and how often faster than `naive`."""
    rate, cpu, p50, p99 = (statistics.median(getattr(one, field) for one in seen) for field in ("rate", "cpu_us", "p50_ms", "p99_ms"))
    shares = ""
    if anchor is not None:
        by_cpu = statistics.median(a.cpu_us / s.cpu_us for a, s in zip(anchor, seen, strict=True))
        by_rate = statistics.median(s.rate / a.rate for a, s in zip(anchor, seen, strict=True))
        by_p99 = statistics.median(s.p99_ms / a.p99_ms for a, s in zip(anchor, seen, strict=True))
        shares = f"{by_cpu:>9.0%} {by_rate:>7.0%} {by_p99:>7.1f}x"
    if naive is not None:
        shares += f" {statistics.median(n.cpu_us / s.cpu_us for n, s in zip(naive, seen, strict=True)):>8.1f}x"
    print(f"{name:<44} {rate:>10,.0f} {cpu:>8.1f} {p50:>8.2f} {p99:>8.2f} {shares}")


def lookups(bench: Bench, key: str) -> None:
    """Single lookups in turn with the bare answer, the naive service, and Redis behind FastAPI."""
    count = int(os.environ.setdefault("BENCH_LISTED", "1000000"))
    misses = [request("GET", f"/v1/screen/{address(10_000_000 + n)}", key=key) for n in range(900)]
    hits = [request("GET", f"/v1/screen/{address(n)}", key=key) for n in range(100)]
    mixed = [hits[n // 10] if n % 10 == 0 else misses[n * 9 // 10] for n in range(1000)]
    print(f"\nSingle lookups, {LISTED:,} listings among {count:,} ids, {CONNECTIONS} connections, medians of {ROUNDS} rounds in turn")
    file, pauses = bench.settings.data_dir / "naive.sqlite3", bench.settings.data_dir / "pauses.json"
    quiet = {"CORDON_DATA_DIR": str(bench.settings.data_dir), "CORDON_LOG_LEVEL": "error", pausing.FILE: str(pauses)}
    fill(file, key, map(address, range(LISTED)))
    with ExitStack() as servers:
        bare = servers.enter_context(serve("benchmarks.bare:app"))
        naive = servers.enter_context(serve("benchmarks.naive_lookup:app", environment={DATABASE: str(file)}))
        node = servers.enter_context(serve("benchmarks.lists:node_app", factory=True, environment=quiet))
        kinds = {
            BARE: (bare, [request("GET", "/")]),
            NAIVE: (naive, mixed),
            "lookup, not listed": (node, misses),
            MIXED: (node, mixed),
        }
        if redis_app.missing():
            redis_app.warn()
        else:
            beside, process = servers.enter_context(redis_app.serving(key, map(address, range(LISTED))))
            front = servers.enter_context(serve("benchmarks.redis_app:app", environment=beside))
            kinds[REDIS] = (replace(front, beside=process), mixed)
        seen: dict[str, list[Seen]] = {name: [] for name in kinds}
        memory_mb: list[float] = []
        for round_ in range(ROUNDS + 1):
            for name, (server, requests) in kinds.items():
                one = load(server, requests, connections=CONNECTIONS, seconds=SECONDS)
                if round_:
                    seen[name].append(one)
            memory_mb.append(node.memory_mb())
    print(f"{'':<44} {'':>10} {'':>8} {'':>8} {'':>8} {'of the bare answer:':>25} {'of naive:':>9}")
    print(f"{'':<44} {'requests/s':>10} {'CPU µs':>8} {'p50 ms':>8} {'p99 ms':>8} {'CPU':>9} {'rate':>7} {'p99':>8} {'CPU':>9}")
    for name, some in seen.items():
        row(name, some, None if name == BARE else seen[BARE], seen[NAIVE] if name in (MIXED, "lookup, not listed") else None)
    print(f"  the load generator itself, with the bare answer: {statistics.median(one.load_us for one in seen[BARE]):.1f} µs a request")
    _judge(seen, memory_mb, read_pauses(pauses))


def _judge(seen: Mapping[str, Sequence[Seen]], memory_mb: Sequence[float], pauses: Pauses) -> None:
    """The goals of single lookups, on the mixed load."""

    def by(field: str, ours: str, theirs: str) -> float:
        return ratio([getattr(one, field) for one in seen[ours]], [getattr(one, field) for one in seen[theirs]])

    judge("of the bare answer's rate", by("rate", MIXED, BARE) * 100, 45, 60, unit=" %")
    judge("of the bare answer's rate for the same CPU", by("cpu_us", BARE, MIXED) * 100, 45, 60, unit=" %")
    judge("p99, of the bare answer's", by("p99_ms", MIXED, BARE), 2.5, 1.7, unit="x", is_most=True)
    judge("as many as naive, for the same CPU", by("cpu_us", NAIVE, MIXED), 12, 18, unit="x")
    if REDIS in seen:
        judge("as many as Redis behind FastAPI, for the same CPU", by("cpu_us", REDIS, MIXED), 3.5, 5, unit="x")
        judge("as many as Redis behind FastAPI, by rate (Redis has a core of its own)", by("rate", MIXED, REDIS), 3.5, 5, unit="x")
    requests = sum(one.rate * SECONDS for name in ("lookup, not listed", MIXED) for one in seen[name])
    judge(f"pauses of the collector over {LONG_MS:g} ms in {requests:,.0f} requests", pauses.long, 0, 0, is_most=True)
    print(
        f"  {pauses.count} collections, the longest {pauses.longest_ms:.2f} ms; memory of the node {', '.join(f'{mb:.0f}' for mb in memory_mb)} MB by round"
    )


def submissions(bench: Bench) -> None:
    """Single statements, one a request."""
    print("\nSingle submissions over HTTP, one wallet each, durable, with receipt")
    print(f"{'':<44} {'requests/s':>10} {'CPU µs':>8} {'p50 ms':>8} {'p99 ms':>8}")
    environment = {"CORDON_DATA_DIR": str(bench.settings.data_dir), "CORDON_LOG_LEVEL": "error"}
    with serve("app.main:create_app", factory=True, environment=environment) as node:
        wait_until_idle(node)  # else a hundred submissions share the CPU of a start: views are built, every entry is hashed again
        for number, (connections, count) in enumerate(((1, 500), (32, 1500))):
            wires = [listing(bench, range(n, n + 1)) for n in range(50_000_000 + number * 100_000, 50_000_000 + number * 100_000 + count)]
            requests = [request("POST", "/v1/statements", body=wire.encode(), content_type="application/sd-jwt") for wire in wires]
            seen = load(node, requests, connections=connections, seconds=60, once=True, expect=201)
            row(f"{connections} in flight", [seen])
            if number:
                floor = bare_cost(bench, wires) / len(wires) * 1e6
                print(
                    f"{'  the same signatures and hashes alone':<44} {'':>10} {floor:>8.1f} {'':>8} {'':>8} ratio {floor / seen.cpu_us:.2f}"
                )


def run() -> None:
    """Print both tables."""
    with tempfile.TemporaryDirectory() as directory:
        bench = found_bench(Path(directory))
        key = prepare(bench)
        lookups(bench, key)
        submissions(bench)
