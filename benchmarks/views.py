"""Views: building a tier, moving it, bucket answers from the application, checking one, and screening from a copy.

BENCH_LISTED (1,000,000) ids on a tier. Each figure stands beside the hashing that it cannot do without, measured in the same run: SHA-256 of
64 bytes in this interpreter, which differs by a factor of four between machines.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from hashlib import sha256
from pathlib import Path

import httpx

from app.domain.answer import Listing, Moment
from app.domain.identifiers import bucket_of, id_key
from app.domain.labels import Label, Tlp
from app.domain.view import ViewHead, ViewOrigin, verify_answer
from app.domain.view_wire import read_bucket, write_bucket
from app.domain.viewing import TIERS
from app.index.views import Sealed, View
from app.main import create_app
from app.sdk.offline import Screener
from app.sdk.view_store import Parts, Store
from app.seal.notes import NoteKey, Verifier, read_view_head, sign_note
from app.services.enroll import Founding, found
from app.settings import load
from app.storage.upgrade import upgrade

NOW_MS = 1_790_000_000_000
MOMENT = Moment(now_ms=NOW_MS, own_origin="de.example/log")
POLICY = b"{}"
LISTED = int(os.environ.get("BENCH_LISTED", "1000000"))


def row(what: str, value: str, ceiling: str) -> None:
    """One line of the report."""
    print(f"{what:58}{value:>22}   {ceiling}")


def listing(number: int) -> Listing:
    """A listing that counts for everybody."""
    subject = f"eip155:0:0x{number:040x}"
    item = {"type": "wallet", "id": subject, "severity": 3, "typologies": ["fraud.investment"], "roles": [], "action": "review"}
    label = Label(Tlp.CLEAR)
    sid = f"{number:07d}" + "A" * 36
    return Listing("de.example/log", number, sid, 0, subject, item, {}, "de.bka", "BKA", "DE", label, label, (), 0, 2**40, "active")


def per_call_us(work: Callable[[], object], calls: int, rounds: int = 5) -> float:
    """Microseconds of CPU a call, the least of some rounds."""
    best = float("inf")
    for _ in range(rounds):
        begun = time.process_time()
        for _ in range(calls):
            work()
        best = min(best, time.process_time() - begun)
    return best / calls * 1e6


async def main() -> None:
    """All figures."""
    piece = os.urandom(64)
    hash_us = per_call_us(lambda: sha256(piece).digest(), 20_000)
    row("SHA-256 of 64 bytes, the unit of the right column", f"{hash_us:.2f} µs", "")
    said = [listing(number) for number in range(LISTED)]
    by_id = {one.subject: (one,) for one in said}
    view = View(TIERS["clear"])

    begun = time.process_time()
    view.touch(by_id)
    view.look(by_id.__getitem__, MOMENT, most=LISTED)
    sealed = await view.seal()
    took = time.process_time() - begun
    # One hash an id and its leaf, one a node of the tree.
    least = (LISTED + 131_071) * hash_us / 1e6
    row(f"{LISTED:,} ids built", f"{took:.2f} s", f"{took / least:.1f} x its hashes ({least:.2f} s); floor 4 s on the machine of the spec")

    took = await moved(view, by_id, said)
    least = 1_000 * 18 * hash_us / 1e3
    row("1,000 changes, to a new root", f"{took:.1f} ms", f"{took / least:.1f} x their hashes ({least:.1f} ms); floor 50 ms there")

    sealed = await view.seal()
    key = NoteKey.from_seed("de.example/view/clear", bytes(32))
    head = ViewHead(key.name, NOW_MS // 1000, sealed.tree.root, sha256(POLICY).digest(), (ViewOrigin("de.example/log", 1, bytes(32), 0),))
    note = sign_note(head.text(), key)
    verifier = Verifier.from_vkey(key.vkey)
    answers(sealed, note, verifier, hash_us)
    offline(sealed, note, verifier, hash_us)
    await served()


async def moved(view: View, by_id: dict[str, tuple[Listing, ...]], said: Sequence[Listing]) -> float:
    """Milliseconds of CPU for 1,000 changed ids; the median of some rounds."""
    rounds = []
    for number in range(5):
        changed = said[number * 1_000 : (number + 1) * 1_000]
        by_id.update((one.subject, ()) for one in changed)
        begun = time.process_time()
        view.touch(one.subject for one in changed)
        view.look(by_id.__getitem__, MOMENT, most=len(changed))
        await view.seal()
        rounds.append(time.process_time() - begun)
    return statistics.median(rounds) * 1e3


def answers(sealed: Sealed, note: str, verifier: Verifier, hash_us: float) -> None:
    """One bucket: written, and checked from its bytes to the verdict."""
    subject = f"eip155:0:0x{LISTED - 1:040x}"
    number = bucket_of(id_key(subject))
    body = write_bucket("clear", sealed.answer(number), note)
    written = per_call_us(lambda: write_bucket("clear", sealed.answer(number), note), 2_000)
    root = read_view_head(note, [verifier]).root
    words = read_bucket(body)
    checked = per_call_us(lambda: verify_answer(id_key(subject), words.answer, root=root), 2_000)
    whole = per_call_us(lambda: verify_answer(id_key(subject), read_bucket(body).answer, root=read_view_head(note, [verifier]).root), 500)
    row(f"bucket answer written ({len(body):,} bytes)", f"{written:.0f} µs", "")
    row(
        "verify: path and entry under an opened head",
        f"{checked:.0f} µs",
        f"{checked / (18 * hash_us):.1f} x its 18 hashes; floor 100 µs there",
    )
    row("verify: JSON, head signature, path, entry", f"{whole:.0f} µs", "")


def offline(sealed: Sealed, note: str, verifier: Verifier, hash_us: float) -> None:
    """Lookups from a copy on disk."""
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder), "clear")
        copy = Parts(list(sealed.buckets), note, POLICY, 1).build("clear", [verifier])
        store.keep_snapshot(copy, {})
        begun = time.process_time()
        screener = Screener(store, [verifier], clock=lambda: NOW_MS / 1000)
        row(
            "copy loaded and verified",
            f"{time.process_time() - begun:.2f} s",
            f"{(Path(folder) / 'clear' / 'view.bin').stat().st_size:,} bytes",
        )
    texts = [f"0x{number * 7:040x}" for number in range(100_000)]
    single = per_call_us(lambda: screener.is_listed(texts[77]), 20_000)
    begun = time.process_time()
    hits = screener.listed(texts)
    batch = (time.process_time() - begun) / len(texts) * 1e6
    row("offline lookup, a spelling without checksum", f"{single:.2f} µs", f"{single / hash_us:.1f} x its hash; floor 4 µs there")
    row(
        f"offline, 100,000 at once, {len(hits):,} listed",
        f"{1 / batch:.2f} M/s",
        f"{batch / hash_us:.1f} x its hash: no batch is faster than 1 hash each",
    )


async def served() -> None:
    """A bucket from the application, without a socket: 2,000 requests, one after the other."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "de"
        folder.mkdir()
        found(folder, Founding("de", "de.example", "DE", "http://127.0.0.1:8000", seed=b"benchmark"), now=int(time.time()))
        url = f"sqlite+aiosqlite:///{folder / 'cordon.sqlite3'}"
        upgrade(url)
        app = create_app(load({"data_dir": folder, "database_url": url, "rate_public_per_minute": 10_000_000}, environment={}))
        async with app.router.lifespan_context(app):
            await app.state.api.node.views.refresh()
            async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1") as client:
                bucket, live = await latencies(client, "/v1/view/clear/bucket/3d56"), await latencies(client, "/livez")
        row(
            "bucket from the app, p50 / p99",
            f"{bucket[0]:.2f} / {bucket[1]:.2f} ms",
            f"/livez beside it {live[0]:.2f} / {live[1]:.2f} ms; floor p99 1 ms there",
        )


async def latencies(client: httpx.AsyncClient, path: str, count: int = 2_000) -> tuple[float, float]:
    """(p50, p99) in milliseconds, the client's own work included."""
    found = []
    for _ in range(count):
        begun = time.perf_counter()
        response = await client.get(path)
        found.append((time.perf_counter() - begun) * 1e3)
        assert response.status_code == 200
    found.sort()
    return found[count // 2], found[count * 99 // 100]


def run() -> None:
    """For `python -m benchmarks views`."""
    asyncio.run(main())


if __name__ == "__main__":
    run()
