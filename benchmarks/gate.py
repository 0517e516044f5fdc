"""Bulk statements and wallets through the gate, beside the bare cost of the same signatures and hashes, on one core."""

from __future__ import annotations

import asyncio
import gc
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
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
from benchmarks.account import account
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


@dataclass(slots=True)
class Measured:
    """CPU seconds round by round, for the same statements each."""

    bare: list[float] = field(default_factory=list)
    rows: list[float] = field(default_factory=list)
    gate: list[float] = field(default_factory=list)
    node: list[float] = field(default_factory=list)


def measure(make: Callable[[int], list[str]], bench: Bench, scratch: Path) -> Measured:
    """Bare, the rows by the driver alone, the gate, and the gate beside all that a node does with what is new."""

    async def rounds() -> Measured:
        found = Measured()
        node = await open_node(bench)
        settle_memory()
        try:
            for number in range(2 * (ROUNDS + 1)):
                if number == ROUNDS + 1:
                    for loop in node.loops:  # views and watchers look at what is new at their own pace: without them, the gate is left
                        loop.cancel()
                wires = make(number)
                gc.collect()
                bare = bare_cost(bench, wires)
                start = time.process_time()
                await submit_all(node, wires)
                taken = time.process_time() - start
                if number % (ROUNDS + 1) == 0:
                    continue  # to warm up
                (found.node if number <= ROUNDS else found.gate).append(taken)
                if number > ROUNDS:
                    found.bare.append(bare)
                    found.rows.append(row_cost(bench, scratch, len(wires)))
        finally:
            await node.stop()
        return found

    return asyncio.run(rounds())


def run() -> None:
    """Print the two tables."""
    print("\nBulk through the gate, one process, µs of CPU a wallet (all its threads); medians of", ROUNDS)
    print("bare: the signatures and hashes; rows: the same rows by the driver alone; node: with views and watchers at their work beside it")
    print(
        f"{'statements of':>16} {'bare':>7} {'rows':>7} {'gate':>7} {'node':>7} {'bare/gate':>10} {'(bare+rows)/gate':>17} {'wallets/s':>10}"
    )
    accounts: list[tuple[int, float, dict[str, float], float]] = []
    for per_statement, count in ((1, 1000), (10, 400), (50, 100), (250, 20)):
        with tempfile.TemporaryDirectory() as directory:
            bench = found_bench(Path(directory))

            def make(number: int, per_statement: int = per_statement, count: int = count, bench: Bench = bench) -> list[str]:
                first = number * 10_000_000
                starts = range(first, first + count * per_statement, per_statement)
                return [listing(bench, range(start, start + per_statement)) for start in starts]

            found = measure(make, bench, Path(directory) / "rows.db")
            steps = account(bench, make(99))
        ratio = statistics.median(b / g for b, g in zip(found.bare, found.gate, strict=True))
        stored = statistics.median((b + r) / g for b, r, g in zip(found.bare, found.rows, found.gate, strict=True))
        bare, rows, gate, node = (statistics.median(one) for one in (found.bare, found.rows, found.gate, found.node))
        wallets = count * per_statement
        cells = " ".join(f"{one / wallets * 1e6:>7.1f}" for one in (bare, rows, gate, node))
        print(f"{per_statement:>9} wallets {cells} {ratio:>10.2f} {stored:>17.2f} {wallets / gate:>10,.0f}")
        accounts.append((per_statement, bare, {**steps, "rows by the driver": rows}, gate))
    print("\nBy step, each alone in a loop, in shares of bare; the rest is judging against the log, folding, proofs, answers and waiting")
    names = [*accounts[0][2]]
    print(f"{'':<28}" + "".join(f"{per:>9} w" for per, *_ in accounts))
    for name in names:
        print(f"{name:<28}" + "".join(f"{steps[name] / bare:>11.2f}" for _, bare, steps, _ in accounts))
    print(f"{'everything else':<28}" + "".join(f"{(gate - sum(steps.values())) / bare:>11.2f}" for _, bare, steps, gate in accounts))
    print(f"{'the whole gate':<28}" + "".join(f"{gate / bare:>11.2f}" for _, bare, _, gate in accounts))
