"""Between real nodes on 127.0.0.1: how long until the others know, an empty node catching up, what followers are served, and a restart.

`--million` catches up on a log of a million entries in place of 20,000, `--entries=N` on one of another size. The ceiling stands in the same run: the same signatures and
hashes verified by one core and nothing else. CPU time of a node's process is the stable figure on a shared machine; entries a second
also depend on who else uses its cores.
"""

from __future__ import annotations

import asyncio
import http.client
import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from app.cli.demo_data import key_of
from app.cli.demo_federation import Place, pin, prepare
from app.cli.relations import Relations, with_relations
from app.domain.canonical import JsonValue
from app.domain.labels import Tlp
from app.domain.registry import Mandate, Member, MemberClass
from app.domain.statement import ohash_of, sid_of
from app.domain.tiles import TILE_WIDTH, tile_path
from app.main import build
from app.seal.bearer import sign_request
from app.seal.disclosure import build_statement
from app.seal.jws import SigningKey
from app.seal.roots import read_document
from app.services.enroll import (
    Registrar,
    default_kinds,
    member_key,
    new_api_key,
    node_key,
    read_key,
    read_node_file,
    read_root_documents,
)
from app.services.trust import Terms
from app.settings import Settings, load
from app.storage.clients import Client
from app.storage.database import Database
from app.storage.sqlite import connect_directly
from app.storage.urls import read_url, sqlite_path
from benchmarks.gate import bare_cost
from benchmarks.http import ROOT, Server, request, wait_for
from benchmarks.http import load as load_with
from benchmarks.material import Bench, address, context, submit_all, wallet

ENTRIES = 20_000
MILLION = 1_000_000
SENT = 60
PATIENCE_S = 60.0
CATCHING_UP_S = 7_200.0
STRETCHES = 10
SECONDS = 4.0
AGENCY = "bench"


@dataclass(frozen=True, slots=True)
class Agency:
    """Who signs for the first node."""

    place: Place
    key: SigningKey
    now: int

    @property
    def bench(self) -> Bench:
        """What the other benchmarks know of it."""
        return Bench(settings_of(self.place), self.key, self.now)

    def listing(self, number: int) -> str:
        """A signed listing of one wallet."""
        claims: dict[str, JsonValue] = {
            "v": 1,
            "iss": f"{self.place.code}.{AGENCY}",
            "org": self.place.origin,
            "knd": "listing",
            "iat": self.now,
        }
        claims |= {"exp": self.now + 300 * 86_400, "tlp": "GREEN"}
        return build_statement(claims, {"core": [wallet(number), context(self.now)]}, self.key)


def settings_of(place: Place) -> Settings:
    """The settings of its data directory, whatever the environment says."""
    return load({"data_dir": place.folder}, environment={})


def free_ports(count: int) -> list[int]:
    """Ports on which nothing listens now."""
    with ExitStack() as held:
        probes = [held.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]


@contextmanager
def serving(place: Place) -> Iterator[Server]:
    """The node of a place, as `cordon serve` runs it."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("CORDON_")}
    command = [sys.executable, "-m", "app.cli", "serve", "--data-dir", str(place.folder)]
    with place.folder.with_suffix(".log").open("ab") as out:
        process = subprocess.Popen(command, cwd=ROOT, env=clean, stdout=out, stderr=subprocess.STDOUT)
    try:
        wait_for(place.port, process)
        yield Server(process, place.port)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)


def memory_mb(server: Server, what: str) -> float:
    """Memory of the process in MB: `VmHWM`, the most that was ever resident; `RssAnon`, what is its own; `RssFile`, pages of files."""
    text = Path(f"/proc/{server.process.pid}/status").read_text()
    return int(text.partition(f"{what}:")[2].split()[0]) / 1024


# --- preparing ---------------------------------------------------------------------------------------------------------


def enrol(place: Place) -> Agency:
    """An agency without a practical quota."""
    now = int(time.time())
    agency = Agency(place, key_of(f"{place.code}.{AGENCY}"), now)
    registrar = Registrar(place.origin, read_key(place.folder / "keys" / "registrar-1.jwk"), now)
    mandate = Mandate(default_kinds(MemberClass.AGENCY), ("fraud",), Tlp.RED, quota_per_hour=100_000_000)
    key = member_key(agency.key.kid, agency.key.public_jwk, now=now)
    write(agency, lambda _: [registrar.member(Member(f"{place.code}.{AGENCY}", "Bench", MemberClass.AGENCY, mandate, (key,)))], 1)
    return agency


def write(agency: Agency, make: Callable[[range], list[str]], count: int) -> None:
    """Log `count` statements through the gate of a node that is not running."""

    async def work() -> None:
        node = build(settings_of(agency.place))
        await node.start()
        for first in range(0, count, 500):
            await submit_all(node, make(range(first, min(first + 500, count))))
        await node.stop()

    asyncio.run(work())


def open_valves(place: Place) -> None:
    """Let this node take in whatever the others bring."""

    async def work(own: Relations) -> None:
        for _, mirrors in await own.trust.peers():
            for mirror in mirrors:
                await own.trust.set_terms(mirror.origin, Terms(added_per_hour=100_000_000, total=100_000_000))

    with_relations(place.folder, work)


def pause(place: Place, other: Place, *, paused: bool = True) -> None:
    """Let `place` hear of the log of `other` through third parties alone, or from itself again."""
    with_relations(place.folder, lambda own: own.trust.pause(other.node, paused=paused))


def reached(place: Place, origin: str) -> int:
    """How much of a log the database of a place holds, judged."""
    there = connect_directly(sqlite_path(read_url(settings_of(place).resolved_database_url)))
    try:
        found = there.execute("SELECT size FROM log_head WHERE origin = ?", (origin,)).fetchone()
    finally:
        there.close()
    return int(found[0]) if found else 0


def until(condition: Callable[[], bool], *, pause_s: float, seconds: float = PATIENCE_S) -> None:
    """Wait for it; the benchmark ends if it does not come."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise RuntimeError("waited in vain: the logs of the nodes lie beside their folders")
        time.sleep(pause_s)


# --- from POST to the others -----------------------------------------------------------------------------------------------


def latencies(agency: Agency, others: Sequence[Place], keys: Sequence[str]) -> list[list[float]]:
    """Milliseconds from sending at the first node until each of `others` shows it to the holder of its key; sent one after the other."""
    doors = [http.client.HTTPConnection("127.0.0.1", place.port) for place in (agency.place, *others)]
    home, *away = doors
    seen: list[list[float]] = [[] for _ in others]
    for number in range(SENT + 5):
        wire = agency.listing(90_000_000 + number)
        path = f"/v1/screen/{address(90_000_000 + number)}"
        for door, shown, key in zip(away, seen, keys, strict=True):
            # One at a time: whoever asks two nodes in turn sees the second late.
            if door is not away[0]:
                wire = agency.listing(91_000_000 + number)
                path = f"/v1/screen/{address(91_000_000 + number)}"
            began = time.perf_counter()
            home.request("POST", "/v1/statements", wire.encode(), {"Content-Type": "application/sd-jwt"})
            answer = home.getresponse()
            if answer.status != 201:
                raise RuntimeError(f"{answer.status}: {answer.read()!r}")
            answer.read()
            sid = sid_of(wire.partition("~")[0])
            while sid not in get(door, path, key):
                if time.perf_counter() - began > PATIENCE_S:
                    raise RuntimeError(f"{path} was never shown")
                time.sleep(0.002)
            if number >= 5:
                shown.append((time.perf_counter() - began) * 1000)
    return seen


def get(door: http.client.HTTPConnection, path: str, key: str = "") -> str:
    """The body of an answer with 200."""
    door.request("GET", path, headers={"Authorization": f"Bearer {key}"} if key else {})
    answer = door.getresponse()
    body = answer.read().decode("latin-1")
    if answer.status != 200:
        raise RuntimeError(f"{path}: {answer.status} {body[:300]}")
    return body


# --- catching up -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Reached:
    """Where a node that catches up was at a moment."""

    entries: int
    wall_s: float
    cpu_s: float

    def since(self, before: Reached) -> str:
        """What the stretch in between took: CPU per entry must not grow with what is there."""
        count = max(self.entries - before.entries, 1)
        rate = count / (self.wall_s - before.wall_s)
        return f"{self.entries:>11,} {rate:>9,.0f} entries/s {(self.cpu_s - before.cpu_s) / count * 1e6:>6.0f} µs of CPU each"


def catch_up(place: Place, home: Place, count: int, floor_us: float) -> None:
    """An empty node takes in the log of another."""
    size = reached(home, home.origin)
    print(f"\nAn empty node takes in {size:,} entries (one wallet each; asked for {count:,})")
    with serving(place) as server:

        def look() -> Reached:
            return Reached(reached(place, home.origin), time.perf_counter(), server.cpu_s())

        first = last = now = look()

        def is_there() -> bool:
            nonlocal now, last
            now = look()
            if now.entries - last.entries >= size // STRETCHES:
                own, files = memory_mb(server, "RssAnon"), memory_mb(server, "RssFile")
                print(f"{now.since(last)}   {own:.0f} MB and {files:.0f} MB of files", flush=True)
                last = now
            return now.entries >= size

        until(is_there, pause_s=0.05, seconds=CATCHING_UP_S)
        peak = memory_mb(server, "VmHWM")
    entries = now.entries - first.entries
    taken, cpu_us = now.wall_s - first.wall_s, (now.cpu_s - first.cpu_s) / entries * 1e6
    print(f"{'by the clock':<34} {entries / taken:>9,.0f} entries/s   of the ceiling {entries / taken * floor_us / 1e6:>5.0%}")
    print(
        f"{'by CPU of its process':<34} {1e6 / cpu_us:>9,.0f} entries/s   of the ceiling {floor_us / cpu_us:>5.0%}   {cpu_us:.0f} µs each"
    )
    print(f"{'ceiling: signatures and hashes':<34} {1e6 / floor_us:>9,.0f} entries/s   on one core                 {floor_us:.0f} µs each")
    print(f"{'most memory':<34} {peak:>9,.0f} MB   machine load {os.getloadavg()[0]:.1f}")


# --- what followers are served -----------------------------------------------------------------------------------------------


def reading_key(place: Place) -> str:
    """An API key that may read entries, of a node that is not running."""
    new = new_api_key()
    quota = {"requests_per_minute": 100_000_000, "addresses_per_day": 1_000_000_000}
    client = Client(
        new.id,
        new.secret_sha256,
        "live",
        f"{place.code}.exchange",
        "vasp",
        "bench",
        ("screen", "read"),
        "green",
        int(time.time() * 1000),
        quota,
    )

    async def work() -> None:
        database = Database(settings_of(place).resolved_database_url)
        async with database.transaction() as tx:
            await tx.clients.put(client)
        await database.close()

    asyncio.run(work())
    return new.text()


def peer_requests(caller: Place, home: Place, paths: Sequence[str]) -> list[bytes]:
    """One request for each path, each with a token of its own, as the node of `caller` sends them."""
    written = read_node_file(caller.folder)
    key = node_key(caller.folder, written, read_document(read_root_documents(caller.folder)[-1]).document)
    made = []
    for number, path in enumerate(paths):
        token = sign_request(
            key,
            node=caller.node,
            audience=home.node,
            method="GET",
            url=home.url + path,
            body=b"",
            now=int(time.time()),
            jti=f"bench-{time.monotonic_ns()}-{number}",
        )
        made.append(request("GET", path, key=token))
    return made


def serve_followers(server: Server, place: Place, key: str, caller: Place) -> None:
    """Full hash tiles and pages of 1,024 entries, as fast as two connections take them."""
    size = reached(place, place.origin)
    ohash = ohash_of(place.origin)
    tiles = [f"/log/{tile_path(0, number)}" for number in range(size // TILE_WIDTH)]
    pages = [f"/fed/v1/entries?o={ohash}&from={first}&to={first + 1024}" for first in range(0, size - 1023, 1024)]
    print(f"\nServed to followers, 2 connections, machine load {os.getloadavg()[0]:.1f}")
    print(f"{'':<40} {'answers/s':>10} {'MB/s':>8} {'CPU µs':>9} {'p50 ms':>8} {'p99 ms':>8}")
    door = http.client.HTTPConnection("127.0.0.1", place.port)
    rounds = (
        ("full hash tiles, with an API key", tiles[0], [request("GET", path, key=key) for path in tiles], False),
        ("full hash tiles, with a peer's tokens", tiles[0], peer_requests(caller, place, (tiles * 40)[:4_000]), True),
        ("pages of 1,024 entries, a peer's tokens", pages[0], peer_requests(caller, place, (pages * 100)[:800]), True),
    )
    for name, first, asked, once in rounds:
        length = len(get(door, first, key))
        seen = load_with(server, asked, connections=2, seconds=SECONDS, once=once)
        print(
            f"{name:<40} {seen.rate:>10,.1f} {seen.rate * length / 1e6:>8.1f} {seen.cpu_us:>9,.0f} {seen.p50_ms:>8.2f} {seen.p99_ms:>8.2f}"
        )


# --- a restart ---------------------------------------------------------------------------------------------------------------


def restart(place: Place) -> None:
    """How long until a node with its log answers again."""
    taken: list[float] = []
    for _ in range(3):
        began = time.perf_counter()
        with serving(place):
            taken.append(time.perf_counter() - began)

    entries = sum(reached(place, origin) for origin in {place.origin, f"node.{'xa'}.example/log"})
    print(f"\nA restart with {entries:,} entries: {statistics.median(taken):.2f} s from the start of the process until it answers")


def run() -> None:
    """Print everything."""
    count = MILLION if "--million" in sys.argv else ENTRIES
    count = next((int(one.partition("=")[2]) for one in sys.argv if one.startswith("--entries=")), count)
    with tempfile.TemporaryDirectory() as directory:
        places = [Place(code, Path(directory) / code, port) for code, port in zip(("xa", "xb", "xc", "xd"), free_ports(4), strict=True)]
        home, second, third, empty = places
        for place in places:
            prepare(place)
        agency = enrol(home)
        key, *away = [reading_key(place) for place in (home, second, third)]
        with ExitStack() as running:
            for place in (home, second, third):
                running.enter_context(serving(place))
            with serving(empty):
                pin([home, empty])
                pause(empty, home)
            pin([home, second, third])
            until(lambda: reached(third, home.origin) > 0, pause_s=0.1)
            pause(third, home)
            until(lambda: reached(second, home.origin) > 0, pause_s=0.1)
            print(
                f"\nFrom POST at one node to verified and visible at another: {SENT} statements, one at a time, {os.getloadavg()[0]:.1f} load"
            )
            for name, seen in zip(
                ("at the second node", "at the third, through the second"), latencies(agency, (second, third), away), strict=True
            ):
                seen.sort()
                print(f"{name:<34} p50 {statistics.median(seen):>7.1f} ms   p99 {seen[int(len(seen) * 0.99)]:>7.1f} ms")
        began = time.perf_counter()
        wires: list[str] = []

        def make(numbers: range) -> list[str]:
            made = [agency.listing(number) for number in numbers]
            if len(wires) < 2_000:
                wires.extend(made)
            return made

        write(agency, make, count)
        print(f"\n({count:,} statements signed and logged in {time.perf_counter() - began:,.0f} s)", flush=True)
        with serving(home) as server:
            open_valves(empty)
            pause(empty, home, paused=False)
            before = bare_cost(agency.bench, wires[:1_000])
            # The ceiling is taken on both sides of the measurement: the machine is not the same every minute.
            floor_us = statistics.median([before, bare_cost(agency.bench, wires[:1_000]), bare_cost(agency.bench, wires[:1_000])]) * 1e3
            catch_up(empty, home, count, floor_us)
            serve_followers(server, home, key, empty)
        restart(empty)
        print(json.dumps({"entries": count, "cores": os.cpu_count()}))
