"""Bulk statements and wallets through the gate, beside the bare cost of the same signatures and hashes, on one core."""

from __future__ import annotations

import asyncio
import gc
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from hashlib import sha256
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from jose import jwk

from app.domain.canonical import b64u_decode
from app.domain.merkle import leaf_hash
from app.main import settle_memory
from app.storage.sqlite import connect_directly
from app.storage.upgrade import upgrade
from app.storage.urls import read_url, sqlite_path
from benchmarks.material import Bench, found_bench, listing, open_node, submit_all

ROUNDS = 5


def bare_cost(bench: Bench, wires: Sequence[str]) -> float:
    """Seconds of CPU for nothing but this: verify each signature, hash each leaf and each disclosure."""
    numbers = jwk.construct(bench.key.to_jwk(), "ES256").public_key().prepared_key.public_numbers()
    public = ec.EllipticCurvePublicNumbers(numbers.x, numbers.y, ec.SECP256R1()).public_key()
    scheme = ec.ECDSA(SHA256())
    start = time.process_time()
    for wire in wires:
        jws, *disclosures = wire.split("~")[:-1]
        body, _, signature = jws.rpartition(".")
        raw = b64u_decode(signature)
        public.verify(encode_dss_signature(int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big")), body.encode(), scheme)
        leaf_hash(f"1790000000000 {jws}".encode())
        for disclosure in disclosures:
            sha256(disclosure.encode()).digest()
    return time.process_time() - start


def row_cost(bench: Bench, target: Path, count: int) -> float:
    """Seconds of CPU for nothing but this: the rows of the newest `count` statements once more, into tables of the same sort."""
    source = connect_directly(sqlite_path(read_url(bench.settings.resolved_database_url)))
    if not target.exists():
        upgrade(f"sqlite:///{target}")
    there = connect_directly(target, ("journal_mode=WAL", "synchronous=FULL", "cache_size=-65536", "wal_autocheckpoint=4000"))
    rows = {
        table: source.execute(f"SELECT * FROM {table} WHERE idx > (SELECT max(idx) FROM log_entry) - ?", (count,)).fetchall()
        for table in ("log_entry", "statement", "part", "item")
    }
    start = time.process_time()
    there.execute("BEGIN IMMEDIATE")
    for table, found in rows.items():
        there.executemany(f"INSERT INTO {table} VALUES ({','.join('?' * len(found[0]))})", found)
    there.execute("COMMIT")
    taken = time.process_time() - start
    source.close()
    there.close()
    return taken


def measure(make: Callable[[int], list[str]], bench: Bench, scratch: Path) -> tuple[list[float], list[float], list[float]]:
    """CPU seconds of (bare, rows, gate) for the same statements, round by round."""

    async def rounds() -> tuple[list[float], list[float], list[float]]:
        node = await open_node(bench)
        settle_memory()
        bare, rows, gate = [], [], []
        try:
            for number in range(ROUNDS + 1):
                wires = make(number)
                gc.collect()
                bare.append(bare_cost(bench, wires))
                start = time.process_time()
                await submit_all(node, wires)
                gate.append(time.process_time() - start)
                rows.append(row_cost(bench, scratch, len(wires)))
        finally:
            await node.stop()
        return bare[1:], rows[1:], gate[1:]

    return asyncio.run(rounds())


def run() -> None:
    """Print the two tables."""
    print("\nBulk through the gate, one process, CPU seconds (all its threads); medians of", ROUNDS)
    print("ratio = bare / gate; with rows = (bare + the same rows inserted by the driver alone) / gate")
    print(f"{'statements of':>16} {'statements/s':>13} {'wallets/s':>11} {'bare/s':>9} {'ratio':>7} {'with rows':>10} {'µs a wallet':>12}")
    for per_statement, count in ((1, 1000), (10, 400), (50, 100), (250, 20)):
        with tempfile.TemporaryDirectory() as directory:
            bench = found_bench(Path(directory))

            def make(number: int, per_statement: int = per_statement, count: int = count, bench: Bench = bench) -> list[str]:
                first = number * 10_000_000
                starts = range(first, first + count * per_statement, per_statement)
                return [listing(bench, range(start, start + per_statement)) for start in starts]

            bare, rows, gate = measure(make, bench, Path(directory) / "rows.db")
        ratio = statistics.median(b / g for b, g in zip(bare, gate, strict=True))
        taken, floor = statistics.median(gate), statistics.median(bare)
        stored = statistics.median((b + r) / g for b, r, g in zip(bare, rows, gate, strict=True))
        wallets = count * per_statement
        print(
            f"{per_statement:>9} wallets {count / taken:>13,.0f} {wallets / taken:>11,.0f} {count / floor:>9,.0f} {ratio:>7.2f} "
            f"{stored:>10.2f} {taken / wallets * 1e6:>12.1f}"
        )
