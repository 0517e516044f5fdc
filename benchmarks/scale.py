"""A node with millions listed: start, memory, lookups with details from the database, the collector, and when others see what is admitted.

BENCH_LISTED (1,000,000; or a number on the command line, such as 10000000) wallets of the real mix in statements of 250, and as many
statements of one wallet as BENCH_ENTRIES says (100,000). On SQLite; the server is a process of its own.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

from app.domain.canonical import JsonValue
from app.domain.labels import Reader, ReaderClass
from app.index.listed import NAME
from app.main import build, settle_memory
from app.seal.disclosure import build_statement
from app.services.node import Node
from app.services.screen import Caller, Query
from benchmarks.federation import free_ports
from benchmarks.generated import A_STATEMENT, fill, id_of
from benchmarks.material import AGENCY, ORIGIN, Bench, context, found_bench, open_node, submit_all

ROOT = Path(__file__).resolve().parents[1]
VASP = Caller(Reader(ReaderClass.VASP, "zz.exchange", node_ids=frozenset({"bench.example"})))
LOOKUPS = 20_000
SENT = 300
DAY_S = 86_400

WATCHER = """
import asyncio, sys, time
from pathlib import Path
from app.domain.identifiers import read_id
from app.domain.labels import Reader, ReaderClass
from app.index.listed import ListedIds
from app.index.listings import ListingIndex
from app.storage.database import Database
from benchmarks.generated import id_of
async def main():
    folder, url, first, count = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    listed, reader = ListedIds(folder), Reader(ReaderClass.VASP, "zz.exchange")
    index = ListingIndex(Database(url), listed)
    places = listed.open()
    listed.believe()
    index.start({}, next((name, at) for name, at in places.items() if name.startswith("@")))
    print("ready", flush=True)
    for number in range(first, first + count):
        subject, missed, begun = read_id(id_of(number)), 0, time.monotonic_ns()
        while not (await index.known([subject], reader)).find(subject.id):
            await asyncio.sleep(0)
            missed, begun = begun, time.monotonic_ns()
        print(missed, time.monotonic_ns(), flush=True)
asyncio.run(main())
"""


def line(name: str, value: str) -> None:
    """Print one figure."""
    print(f"{name:<74} {value:>22}", flush=True)


def resident_mb(pid: int, name: str = "RssAnon") -> float:
    """Memory of a process that is its own, now."""
    text = Path(f"/proc/{pid}/status").read_text()
    return int(text.partition(f"{name}:")[2].split()[0]) / 1024


@contextmanager
def serving(bench: Bench) -> Iterator[tuple[int, float]]:
    """`cordon serve` over the data directory: its pid, and seconds from its start to the first answer that tells a listing."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("CORDON_")}
    place = ["--data-dir", str(bench.settings.data_dir), "--port", str(bench.settings.port)]
    command = [sys.executable, "-m", "app.cli", "serve", *place]
    began = time.perf_counter()
    with (bench.settings.data_dir.parent / "serve.log").open("ab") as out:
        process = subprocess.Popen(command, cwd=ROOT, env=clean, stdout=out, stderr=subprocess.STDOUT)
    try:
        yield process.pid, _first_answer(bench.settings.port, process) - began
    finally:
        process.terminate()
        process.wait(120)


def _first_answer(port: int, process: subprocess.Popen[bytes]) -> float:
    address = id_of(0).rpartition(":")[2]
    while process.poll() is None:
        try:
            with urlopen(f"http://127.0.0.1:{port}/v1/screen/{address}", timeout=5) as answer:
                assert json.load(answer)["result"]["id"]
                return time.perf_counter()
        except URLError:
            time.sleep(0.01)
    raise SystemExit("the node did not start: see serve.log")


def starts(bench: Bench, what: str) -> None:
    """Seconds from the start of the process to its first answer, the file present, and what the process then has."""
    taken: list[float] = []
    for _ in range(3):
        with serving(bench) as (pid, seconds):
            taken.append(seconds)
            time.sleep(1.5)
            own = resident_mb(pid)
    line(f"{what}: process start to first answer, file present, s", f"{statistics.median(taken):.2f}")
    line("  memory of that process, a second later, MB", f"{own:.0f}")


# --- in this process ---------------------------------------------------------------------------------------------------------


async def opened(bench: Bench) -> Node:
    """A started node, and how long its first answer took."""
    node = build(bench.settings)
    began, used = time.perf_counter(), time.process_time()
    await node.start()
    for loop in node.loops:  # the views that are built in the background are another benchmark's
        loop.cancel()
    answer = await node.screening.answer_one(Query(id_of(3)), VASP)
    assert answer.match == "listed"
    line(
        f"node.start() to the first answer, {'file present' if node.listed.is_ready else 'no file'}, s (CPU)",
        f"{time.perf_counter() - began:.3f} ({time.process_time() - used:.3f})",
    )
    return node


async def rebuilt(node: Node) -> None:
    """How long the file takes, from the rows, while lookups go on."""
    began, used, longest = time.perf_counter(), time.process_time(), 0.0
    building = asyncio.create_task(node.keeper.rebuild())
    while not building.done():
        asked = time.perf_counter()
        await node.screening.answer_one(Query(id_of(random.randrange(1_000))), VASP)
        await asyncio.sleep(0)
        longest = max(longest, time.perf_counter() - asked)
        await asyncio.sleep(0.005)
    await building
    line("the file built from the database, s (CPU)", f"{time.perf_counter() - began:.1f} ({time.process_time() - used:.1f})")
    line("  longest turn of the loop meanwhile, ms", f"{longest * 1e3:.1f}")


async def lookups(node: Node, count: int) -> None:
    """CPU of answers in JSON: misses, hits that were never asked before, hits that were; and what the collector does meanwhile."""
    dice, pauses = random.Random(5), list[float]()

    def watch(phase: str, _info: object) -> None:
        pauses.append(-time.perf_counter() if phase == "start" else pauses.pop() + time.perf_counter())

    settle_memory()
    gc.callbacks.append(watch)
    fresh = dice.sample(range(count), LOOKUPS // 10)
    for name, numbers in (
        ("miss", [count + n for n in range(LOOKUPS)]),
        ("hit, read for the first time", fresh),
        ("hit, read lately", fresh),
        ("one in ten a hit, read for the first time", [dice.randrange(count) if n % 10 == 0 else 2 * count + n for n in range(LOOKUPS)]),
    ):
        texts = [Query(id_of(number).rpartition(":")[2]) for number in numbers]
        began = time.process_time()
        for text in texts:
            await node.screening.answer_one(text, VASP)
        line(f"a lookup, {name}, µs of CPU", f"{(time.process_time() - began) / len(texts) * 1e6:.1f}")
    gc.callbacks.remove(watch)
    line(
        f"the collector meanwhile: runs, longest pause, ms ({LOOKUPS * 2 + 2 * len(fresh):,} lookups)",
        f"{len(pauses)}, {max(pauses, default=0) * 1e3:.2f}",
    )


async def visible(bench: Bench, node: Node, first: int) -> None:
    """From the answer to a submission until another process that looks without pause has the listing from file and database.

    On a machine that others use that process spends most of such a time waiting for a core. So it says, too, when the last look began
    that did not find the listing: from then on whoever asked was told.
    """
    folder, url = bench.settings.data_dir / "index", bench.settings.resolved_database_url
    command = [sys.executable, "-c", WATCHER, str(folder), url, str(first), str(SENT)]
    now = int(time.time())
    wires = [listing(bench, number, now) for number in range(first, first + SENT)]
    watcher = await asyncio.create_subprocess_exec(*command, cwd=ROOT, stdout=asyncio.subprocess.PIPE)
    assert watcher.stdout is not None
    await watcher.stdout.readline()
    lags, misses = list[float](), list[float]()
    for wire in wires:
        (answer,) = await node.gate.submit([wire])
        told = time.monotonic_ns()
        assert not isinstance(answer, Exception), answer
        missed, seen = map(int, (await watcher.stdout.readline()).split())
        lags.append((seen - told) / 1e6)
        misses.append(max(missed - told, 0) / 1e6)
    await watcher.wait()
    for name, some in (
        ("admitted (answered) to seen by another process, p50 / p99 ms", sorted(lags)),
        ("  to the last look of it that began and found nothing (goal: p99 5, aim 1)", sorted(misses)),
    ):
        line(name, f"{some[len(some) // 2]:.2f} / {some[int(len(some) * 0.99)]:.2f}")
    line("  such looks that began after the answer", f"{sum(one > 0 for one in misses)} of {SENT}")


def listing(bench: Bench, number: int, now: int) -> str:
    """A signed listing of one wallet."""
    item: dict[str, JsonValue] = {
        "type": "wallet",
        "id": id_of(number),
        "typologies": ["fraud.investment"],
        "roles": ["collection"],
        "severity": 3,
        "basis": "authority_data",
        "reliability": "B",
        "credibility": 2,
        "status": "confirmed",
        "action": "review",
    }
    claims: dict[str, JsonValue] = {"v": 1, "iss": AGENCY, "org": ORIGIN, "knd": "listing", "iat": now}
    claims |= {"exp": now + 300 * DAY_S, "tlp": "GREEN"}
    return build_statement(claims, {"core": [item, context(now)]}, bench.key)


# --- the whole ---------------------------------------------------------------------------------------------------------------


def place(folder: Path, count: int, *, a_statement: int) -> Bench:
    """A data directory with so many listed."""
    bench = found_bench(folder / "node", port=free_ports(1)[0])

    async def prepare() -> None:
        node = await open_node(bench)
        await submit_all(node, [])
        await node.stop()

    asyncio.run(prepare())
    began = time.perf_counter()
    file = Path(bench.settings.resolved_database_url.partition("///")[2])
    size = fill(file, count, a_statement=a_statement)
    (bench.settings.data_dir / "anchor").unlink(missing_ok=True)
    line(f"{count:,} listings in {size:,} entries written, s ({file.stat().st_size / 1e9:.1f} GB)", f"{time.perf_counter() - began:.0f}")
    return bench


async def inside(bench: Bench, count: int) -> None:
    """Everything that is measured in this process."""
    shutil.rmtree(bench.settings.data_dir / "index")
    before = resident_mb(os.getpid())
    node = await opened(bench)
    await rebuilt(node)
    file = bench.settings.data_dir / "index" / NAME
    line("bytes of the file a listed address", f"{file.stat().st_size / count:.2f}")
    await lookups(node, count)
    await visible(bench, node, 4 * count)
    line("memory of this process's own more than before the node was built, MB", f"{resident_mb(os.getpid()) - before:.0f}")
    await node.stop()
    gc.unfreeze()
    again = await opened(bench)
    await again.stop()


def run() -> None:
    """Print the table."""
    said = [int(one) for one in sys.argv[1:] if one.isdigit()]
    count = said[0] if said else int(os.environ.get("BENCH_LISTED", "1000000"))
    entries = int(os.environ.get("BENCH_ENTRIES", "100000"))
    with tempfile.TemporaryDirectory(dir=os.environ.get("BENCH_FOLDER")) as directory:
        folder = Path(directory)
        print(f"\nA node with {count:,} listed addresses, {A_STATEMENT} a statement, on SQLite")
        bench = place(folder / "listed", count, a_statement=A_STATEMENT)
        asyncio.run(inside(bench, count))
        starts(bench, f"{count:,} listed")
        shutil.rmtree(folder / "listed")
        print(f"\nA node with {entries:,} statements of one wallet")
        bench = place(folder / "entries", entries, a_statement=1)
        asyncio.run(opened_once(bench))
        starts(bench, f"{entries:,} statements")


async def opened_once(bench: Bench) -> None:
    """The first start, without a file, until there is one."""
    node = await opened(bench)
    await rebuilt(node)
    await node.stop()
