"""The bucket file by itself: memory an id, build, open and verify, probes, additions, and what a second process sees meanwhile.

BENCH_LISTED (1,000,000; try 10,000,000) ids of the real mix; two processes, whose clock is the same.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

from app.domain.identifiers import read_subject
from app.domain.labels import PUBLIC
from app.index import vector
from app.index.buckets import Buckets, buckets_for
from app.index.bulk import Lines, to_look_at
from app.index.listed import NAME, ListedIds
from benchmarks.lists import address, fill

SAMPLE = 20_000
ROOT = Path(__file__).resolve().parents[1]

WRITER = """
import sys, time
import numpy as np
from pathlib import Path
from app.index import vector
from app.index.buckets import Buckets
made = Buckets.open(Path(sys.argv[1]), writable=True)
digests = np.random.default_rng(5).integers(0, 2**64, int(sys.argv[2]), dtype=np.uint64)
for start in range(0, len(digests), 5000):
    made.set_places({"n": start, "at": time.monotonic_ns()})
    vector.add(made, digests[start : start + 5000])
    made.set_places({"n": start + 5000, "at": time.monotonic_ns()})
"""

STARTER = """
import sys
from pathlib import Path
from app.index.listed import ListedIds
from app.domain.identifiers import read_subject
from app.domain.labels import PUBLIC
listed = ListedIds(Path(sys.argv[1]))
assert listed.open() == {}
listed.believe()
listed.may_hold(read_subject(sys.argv[2]), PUBLIC)
"""


def timed(work: Callable[[], object], rounds: int = 7) -> float:
    """The least CPU seconds of some rounds."""
    best = float("inf")
    for _ in range(rounds):
        begun = time.process_time()
        work()
        best = min(best, time.process_time() - begun)
    return best


def line(name: str, value: str) -> None:
    """Print one figure."""
    print(f"{name:<66} {value:>22}")


def private_kb() -> int:
    """Memory of this process alone."""
    text = Path("/proc/self/smaps_rollup").read_text()
    return sum(int(row.split()[1]) for row in text.splitlines() if row.startswith(("Private_Clean", "Private_Dirty")))


def build(folder: Path, count: int) -> ListedIds:
    """A file of `count` ids, of which a sample is made from real texts."""
    ids = [read_subject(address(number)).id for number in range(SAMPLE)]
    listed = ListedIds(folder)
    listed.open()
    begun = time.process_time()
    asyncio.run(fill(listed, ids, count - SAMPLE, places={}))
    line("fingerprints built into the table, M/s", f"{len(listed) / (time.process_time() - begun) / 1e6:.1f}")
    shapes = listed.shapes()
    line("an id to its fingerprints, µs", f"{timed(lambda: shapes.ids(ids)) / SAMPLE * 1e6:.2f}")
    return listed


def probes(listed: ListedIds) -> None:
    """Lists and single lookups over it."""
    texts = [address(number) for number in range(10**7, 10**7 + 10_000)]
    lines = Lines.of("\n".join(texts).encode())
    subjects = [read_subject(text) for text in texts[:2_000]]
    shapes = listed.shapes()
    digests = shapes.read(lines.clean, lines.starts, lines.lengths).digests
    whole = range(len(lines))
    line("probe of a list, ns an address", f"{timed(lambda: listed.probe(digests, (0,))) / len(lines) * 1e9:.0f}")
    for checksums in (False, True):
        used = timed(partial(to_look_at, listed, lines, whole, reader=PUBLIC, checksums=checksums, is_current=True))
        line(f"from bytes to candidates{', checksums verified' if checksums else ''}, M addresses/s", f"{len(lines) / used / 1e6:.2f}")
    line("one lookup with its keys, µs", f"{timed(lambda: [listed.may_hold(one, PUBLIC) for one in subjects]) / 2_000 * 1e6:.2f}")
    known = {texts[number] for number in range(0, 10_000, 100)}
    line("  for comparison: `in` of a Python set of texts, ns", f"{timed(lambda: [text in known for text in texts]) / 1e4 * 1e9:.0f}")


def visibility(folder: Path) -> None:
    """A writer in another process; we look without pause for what it says to be in, and how old its last word is when we see it."""
    count = 1_000_000
    path = folder / "seen.idx"
    Buckets.create(path, buckets_for(count)).flush()
    coming = np.random.default_rng(5).integers(0, 2**64, count, dtype=np.uint64)
    ages, missing, looks, last = [], 0, 0, 0
    with subprocess.Popen([sys.executable, "-c", WRITER, str(path), str(count)], cwd=ROOT) as writer:
        read = Buckets.open(path)
        table = vector.table_of(read)
        while writer.poll() is None:
            said = read.places()
            now = time.monotonic_ns()
            if said.get("n", 0) > last:
                ages.append((now - said["at"]) / 1e6)
                last = said["n"]
                some = coming[max(0, last - 50_000) : last]
                missing += int((~vector.probe(table, some)).sum())
                looks += len(some)
    ages.sort()
    line("an addition seen by another process, p50 / p99 ms", f"{ages[len(ages) // 2]:.2f} / {ages[int(len(ages) * 0.99)]:.2f}")
    line(f"false negatives in {looks:,} looks while {count:,} were added", str(missing))


def run() -> None:
    """Print the table."""
    count = int(os.environ.get("BENCH_LISTED", "1000000"))
    print(f"\nThe index file, {count:,} ids of the real chain mix")
    with tempfile.TemporaryDirectory() as directory:
        folder = Path(directory)
        listed = build(folder, count)
        line("bytes of the file an id", f"{(folder / NAME).stat().st_size / count:.2f}")
        listed.close()
        before = private_kb()
        other = ListedIds(folder)
        begun = time.process_time()
        assert other.open() == {}
        line("open and verify every place, ms", f"{(time.process_time() - begun) * 1e3:.1f}")
        line("memory of one more process's own after that, kB", f"{max(0, private_kb() - before)}")
        other.believe()
        probes(other)
        other.close()
        begun = time.perf_counter()
        subprocess.run([sys.executable, "-c", STARTER, str(folder), address(3)], check=True, cwd=ROOT)
        line("start of Python to the first answer, file present, s", f"{time.perf_counter() - begun:.2f}")
        visibility(folder)
