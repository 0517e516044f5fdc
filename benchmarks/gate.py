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


def measure(make: Callable[[int], list[str]], bench: Bench) -> tuple[list[float], list[float]]:
    """CPU seconds of (bare, gate) for the same statements, round by round."""

    async def rounds() -> tuple[list[float], list[float]]:
        node = await open_node(bench)
        settle_memory()
        bare, gate = [], []
        try:
            for number in range(ROUNDS + 1):
                wires = make(number)
                gc.collect()
                bare.append(bare_cost(bench, wires))
                start = time.process_time()
                await submit_all(node, wires)
                gate.append(time.process_time() - start)
        finally:
            await node.stop()
        return bare[1:], gate[1:]

    return asyncio.run(rounds())


def run() -> None:
    """Print the two tables."""
    print("\nBulk through the gate, one process, CPU seconds (all its threads); ratio = bare / gate, medians of", ROUNDS)
    print(f"{'statements of':>16} {'statements/s':>13} {'wallets/s':>11} {'bare/s':>9} {'ratio':>7} {'µs a wallet':>12}")
    for per_statement, count in ((1, 1000), (10, 400), (50, 100), (250, 20)):
        with tempfile.TemporaryDirectory() as directory:
            bench = found_bench(Path(directory))

            def make(number: int, per_statement: int = per_statement, count: int = count, bench: Bench = bench) -> list[str]:
                first = number * 10_000_000
                starts = range(first, first + count * per_statement, per_statement)
                return [listing(bench, range(start, start + per_statement)) for start in starts]

            bare, gate = measure(make, bench)
        ratio = statistics.median(b / g for b, g in zip(bare, gate, strict=True))
        taken, floor = statistics.median(gate), statistics.median(bare)
        wallets = count * per_statement
        print(
            f"{per_statement:>9} wallets {count / taken:>13,.0f} {wallets / taken:>11,.0f} {count / floor:>9,.0f} {ratio:>7.2f} "
            f"{taken / wallets * 1e6:>12.1f}"
        )
