"""An exchange with a webhook at a node that is killed: a receiver with moods, and a book of what it must be told and was told."""

from __future__ import annotations

import json
import random
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from enum import Enum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple

from app.cli.demo_data import Voice, judged
from app.cli.local import now_ms, with_rows
from app.domain.canonical import JsonValue
from app.domain.errors import Unavailable
from app.sdk.client import Client, Options
from app.sdk.watching import Watch
from app.sdk.webhook import verify
from app.services.enroll import new_api_key
from app.storage.clients import Client as Row
from app.storage.database import Transaction
from tests.factories import sid_in
from tests.faults.cluster import Cluster

CODE = "xa"
CUSTOMERS = 4_000
SETTLED_S = 60
FAR_MS = 2**53


class Mood(Enum):
    """How a receiver treats what comes."""

    TAKES = "takes"
    LATE = "takes it, and answers later: a node that is killed meanwhile does not know"
    DROPS = "hangs up"


class Told(NamedTuple):
    """What an event says, without its id."""

    kind: str
    sid: str
    subject: str
    watchlist: str | None


@dataclass(frozen=True, slots=True)
class Again(Voice):
    """A member who puts what he says in the place of an earlier statement."""

    target: str = ""

    def say(self, kind: str, claims: Mapping[str, JsonValue], parts: Mapping[str, Sequence[JsonValue]]) -> str:
        return Voice.say(self, kind, {**claims, "t": [self.target]}, parts)


class Receiver:
    """The exchange's server. `got`: (webhook-id, event) of each delivery that it took, in their order."""

    def __init__(self) -> None:
        self.mood = Mood.TAKES
        self.secret = ""
        self.got: list[tuple[str, dict[str, Any]]] = []
        self.dropped = 0
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}/in"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        owner = self

        class Handler(BaseHTTPRequestHandler):
            timeout = 10

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                if owner.mood is Mood.DROPS:
                    owner.dropped += 1
                    self.connection.shutdown(socket.SHUT_RDWR)
                    self.close_connection = True
                    return
                name = verify(dict(self.headers), body, owner.secret)
                owner.got.append((name, json.loads(body)))
                if owner.mood is Mood.LATE:
                    time.sleep(0.05)
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Quietly."""

        return Handler


@dataclass(slots=True)
class Desk:
    """An exchange, what it watches, and the agency whose listings concern it."""

    cluster: Cluster
    receiver: Receiver
    key: str
    chance: random.Random
    watchlist: str = ""
    hook: str = ""
    named: int = 0
    open: list[str] = field(default_factory=list)
    """Statements that were sent and not answered: they go out again."""
    due: Counter[Told] = field(default_factory=Counter)
    standing: dict[str, str] = field(default_factory=dict)
    """sid -> subject of the listings that stand and that the exchange has heard of."""
    fresh: dict[str, str] = field(default_factory=dict)
    told: set[str] = field(default_factory=set)

    @classmethod
    @contextmanager
    def at(cls, cluster: Cluster, seed: int) -> Iterator[Desk]:
        """A key, a list of customers and a webhook."""
        new = new_api_key()
        row = Row(new.id, new.secret_sha256, "live", "xa.exchange", "vasp", "", ("screen", "watch", "read"), "green", now_ms())

        async def keep(tx: Transaction) -> None:
            await tx.clients.put(row)

        with_rows(cluster.stations[CODE].folder, keep)
        receiver = Receiver()
        try:
            desk = cls(cluster, receiver, new.text(), random.Random(seed))
            with desk.client() as client:
                watch = Watch(client)
                desk.watchlist = str(watch.create_list("customers")["id"])
                for start in range(0, CUSTOMERS, 1_000):
                    watch.add(desk.watchlist, [(f"eip155:0:{address(n)}", None) for n in range(start, start + 1_000)])
                made = watch.create_hook(receiver.url, events=["listing.*"])
                desk.hook, receiver.secret = str(made["id"]), str(made["secret"])
            yield desk
        finally:
            receiver.close()

    def client(self) -> Client:
        """The exchange's client; it does not try again."""
        return Client(self.cluster.stations[CODE].inside, Options(api_key=self.key, timeout_s=20, max_wait_s=0))

    # --- what the agency says -------------------------------------------------------------------------------------------

    def voice(self) -> Voice:
        station = self.cluster.stations[CODE]
        return Voice(station.police, station.origin, int(time.time()))

    def list(self, count: int) -> None:
        """New listings, each of one customer."""
        for _ in range(count):
            self.named += 1
            wire = self.voice().list([*judged([("ethereum", 1, address(self.named))], "fraud.romance", "collection", 2)])
            sid, subject = sid_in(wire), f"eip155:0:{address(self.named)}"
            self.fresh[sid] = subject
            self.due[Told("listing.added.v1", sid, subject, self.watchlist)] += 1
            self._send(wire)

    def list_again(self, count: int) -> None:
        """An import that says the same of the same: another statement takes the place of the first, and nobody need know."""
        for sid, subject in self._some(count):
            voice = self.voice()
            again = Again(voice.member_id, voice.origin, voice.now, sid)
            wire = again.list([*judged([("ethereum", 1, subject.rpartition(":")[2])], "fraud.romance", "collection", 2)])
            self._send(wire)
            del self.standing[sid]
            self.standing[sid_in(wire)] = subject
            if sid in self.told:
                self.told.add(sid_in(wire))

    def retract(self, count: int) -> None:
        """What the exchange has heard of ends."""
        for sid, subject in self._some(count):
            self._send(self.voice().say("retract", {"t": [sid]}, {"ctx": [{"reason": "error"}]}))
            self.due[Told("listing.withdrawn.v1", sid, subject, self.watchlist)] += 1
            if sid in self.told:
                self.due[Told("listing.corrected.v1", sid, subject, None)] += 1
            del self.standing[sid]

    def _some(self, count: int) -> list[tuple[str, str]]:
        return self.chance.sample(sorted(self.standing.items()), min(count, len(self.standing)))

    def _send(self, wire: str) -> None:
        """One statement; unanswered it is sent again later, byte for byte."""
        with self.client() as client:
            try:
                client.submit(wire)
            except Unavailable:
                self.open.append(wire)

    # --- what the exchange does -----------------------------------------------------------------------------------------

    def look_up(self, count: int) -> None:
        """Lookups that hit: from each answer on the exchange must be told when it ends, whatever happens to the node."""
        with self.client() as client:
            for sid, subject in self._some(count):
                answer = client.screen_one(subject)["result"]
                assert isinstance(answer, dict)
                assert sid in json.dumps(answer)
                self.told.add(sid)

    def send_open(self) -> None:
        """What was not answered, once more."""
        with self.client() as client:
            for wire in self.open:
                client.submit(wire)
        self.open.clear()

    def hear(self) -> None:
        """Wait until everything has arrived that is due; what was listed may end from now on."""

        def untold() -> set[Told]:
            return set(self.due) - {told_by(event) for _, event in self.receiver.got}

        try:
            self.cluster.until(lambda: not untold(), SETTLED_S, "all is told")
        except AssertionError as error:
            raise AssertionError(f"not told: {[(one, self._known_of(one)) for one in untold()]}") from error
        self.standing |= self.fresh
        self.fresh.clear()

    def _known_of(self, one: Told) -> str:
        """What the node itself says of an event that did not arrive: the statement, the event, the address."""
        with self.client() as client:
            watch = Watch(client)
            numbered = [str(event["id"]) for event in watch.events() if told_by(event) == one]
            statement, hook = client.statement(one.sid), watch.hook(self.hook)
        return f"statement {statement}, events {numbered}, address {hook}"

    def check(self) -> None:
        """Every event once as new, each under one id, without a hole; the pages tell the same."""
        self.hear()
        with self.client() as client:
            events = [*Watch(client).events()]
        by_id: dict[str, dict[str, Any]] = {}
        for name, event in self.receiver.got:
            assert by_id.setdefault(name, event) == event, "an id says one thing"
            assert name == event["id"]
        assert Counter(told_by(event) for event in by_id.values()) == self.due, "nothing twice as new, nothing lost, nothing else"
        assert [event["id"] for event in events] == sorted(by_id, key=lambda name: int(name.rpartition("-")[2]))
        assert [by_id[str(event["id"])] for event in events] == events
        assert [int(name["id"].rpartition("-")[2]) for name in events] == list(range(1, len(events) + 1))  # type: ignore[union-attr]


def told_by(event: Mapping[str, Any]) -> Told:
    data = event["data"]
    return Told(event["type"], data["sid"], data["subject"], data["watchlist"])


def address(number: int) -> str:
    """The address of a customer."""
    return f"0x{0xC0DE_0000_0000 + number:040x}"


def let_time_pass(hook: str, folder: Path) -> None:
    """While the node is down: what waits for its next attempt at an address is due."""

    async def work(tx: Transaction) -> None:
        for one in await tx.webhooks.due(hook, FAR_MS, limit=10_000):
            await tx.webhooks.put_off(replace(one, due_ms=0))

    with_rows(folder, work)
