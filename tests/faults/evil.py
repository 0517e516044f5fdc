"""EvilPeer: a jurisdiction with valid keys, a valid root document and a real HTTP server on loopback that misbehaves as it is told.

    async with EvilPeer.open(tmp_path, "ev", clock) as evil:
        evil.log(*evil.town.settled())         # honest so far: log, tree and checkpoint are as they should be
        evil.vice = VICES["heads_of_nan"]      # from now on one kind of answer is not

What it does wrong is in two tables: `vices.VICES`, what it makes of its answers, and `sins.SINS`, what it writes into its log (sound as a
log, so nobody can refuse it; what it says is wrong). Nothing here keeps HTTP or anything else in order: answers are bytes on a socket.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from app.domain.checkpoint import Checkpoint
from app.domain.merkle import leaf_hash
from app.domain.statement import ohash_of
from app.domain.tiles import Edge, TileKey, parse_tile_path
from app.seal.notes import NoteKey, cosign, sign_note
from app.seal.roots import read_document
from app.services.enroll import (
    heartbeat_key,
    log_keys,
    read_node_file,
    read_note_seed,
    read_root_documents,
    view_key,
    witness_key,
)
from tests.factories import Town

Sender = Callable[[asyncio.StreamWriter], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer in order, unless `raw` is there: then that sends whatever it likes, and the connection ends."""

    status: int = 200
    body: bytes = b""
    headers: str = ""
    raw: Sender | None = None


@dataclass(frozen=True, slots=True)
class Asked:
    """One request."""

    method: str
    path: str
    query: dict[str, str]


@dataclass(slots=True)
class Book:
    """A log: entries, what belongs to them, and the tree over them."""

    entries: list[bytes] = field(default_factory=list)
    texts: list[tuple[str, ...]] = field(default_factory=list)
    edge: Edge = field(default_factory=Edge)
    tiles: dict[TileKey, bytes] = field(default_factory=dict)

    def append(self, entry: bytes, *texts: str) -> int:
        """Log any bytes; their index."""
        self.entries.append(entry)
        self.texts.append(texts)
        grown = self.edge.append([leaf_hash(entry)])
        self.edge = grown.edge
        self.tiles |= grown.changed
        return len(self.entries) - 1

    def branch(self) -> Book:
        """A copy that can go another way."""
        return replace(self, entries=[*self.entries], texts=[*self.texts], tiles={**self.tiles})

    @property
    def size(self) -> int:
        """Entries."""
        return len(self.entries)


Act = Callable[["EvilPeer", Asked, Reply], Reply]


@dataclass(frozen=True, slots=True)
class Vice:
    """`where`: of which answers. `is_harmless`: nothing is wrong with it for us, the round ends well."""

    name: str
    where: re.Pattern[str]
    act: Act
    is_harmless: bool = False
    is_slow: bool = False


class EvilPeer:
    """One peer. `book` is the log it shows; `vice` is what it does wrong now; `asked` what it was asked for."""

    def __init__(self, town: Town, url: str) -> None:
        self.town = town
        self.url = url
        self.book = Book()
        self.vice: Vice | None = None
        self.asked: list[Asked] = []
        self.committed = 0
        self.victims: tuple[str, ...] = ()
        """Statements of others (`<ohash>/<sid>`, `<sid>`) that its sins are aimed at."""
        node = read_node_file(town.data_dir)
        document = read_document(read_root_documents(town.data_dir)[0]).document
        self.node, self.pin = node.node, document.sha256
        self.log_keys = log_keys(town.data_dir, node, document)
        self.heartbeat = heartbeat_key(node, read_note_seed(town.data_dir, "heartbeat"))
        self.other_keys = (
            witness_key(node, read_note_seed(town.data_dir, "witness")),
            view_key(node, "green", read_note_seed(town.data_dir, "view-green")),
        )

    @property
    def origin(self) -> str:
        """Its log."""
        return self.town.origin

    @classmethod
    @asynccontextmanager
    async def open(cls, folder: Path, code: str, clock: Callable[[], int]) -> AsyncIterator[EvilPeer]:
        """Found it and serve on a free port of loopback."""
        connections: set[asyncio.Task[None]] = set()
        peer: EvilPeer | None = None

        def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            assert peer is not None
            task = asyncio.create_task(peer._serve(reader, writer))
            connections.add(task)
            task.add_done_callback(connections.discard)

        server = await asyncio.start_server(accept, "127.0.0.1", 0)
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        peer = cls(Town.found(folder / code, code=code, clock=clock, public_url=url), url)
        try:
            yield peer
        finally:
            server.close()
            for task in [*connections]:
                task.cancel()
            await asyncio.gather(*connections, return_exceptions=True)

    # --- its log -------------------------------------------------------------------------------------------------------

    def log(self, *wires: str, ms: int | None = None) -> int:
        """Log statements, accepted now (or at `ms`); the index of the last."""
        for wire in wires:
            jws, *texts = wire.split("~")
            self.book.append(f"{self.town.clock() if ms is None else ms} {jws}".encode("ascii"), *filter(None, texts))
        return self.book.size - 1

    def note(self, checkpoint: Checkpoint | None = None, *, keys: Sequence[NoteKey] | None = None) -> str:
        """A checkpoint of the log as it is (or any other), signed by its keys (or any others)."""
        text = (checkpoint or Checkpoint(self.origin, self.book.size, self.book.edge.frontier.root())).text()
        signed = sign_note(text, *(self.log_keys if keys is None else keys))
        return signed + cosign(text, self.heartbeat, time=self.town.clock() // 1000) if keys is None else signed

    def heads(self, *notes: str, origin: str | None = None) -> Reply:
        """An answer of heads."""
        named = origin or self.origin
        heads = [{"o": ohash_of(named), "origin": named, "note": note} for note in notes]
        return Reply(body=json.dumps({"heads": heads, "next": "1"}).encode())

    # --- its server ----------------------------------------------------------------------------------------------------

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = next((int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")), 0)
                await reader.readexactly(length)
                method, target, _ = head.decode("utf-8").split(" ", 2)
                parts = urlsplit(target)
                asked = Asked(method, parts.path, {name: values[0] for name, values in parse_qs(parts.query).items()})
                self.asked.append(asked)
                await self._send(writer, self._answer(asked))
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def _send(self, writer: asyncio.StreamWriter, reply: Reply) -> None:
        if reply.raw is not None:
            await reply.raw(writer)
            raise ConnectionError
        length = "" if reply.status == 204 else f"Content-Length: {len(reply.body)}\r\n"
        writer.write(f"HTTP/1.1 {reply.status} X\r\n{length}{reply.headers}\r\n".encode("latin-1") + reply.body)
        await writer.drain()

    def _answer(self, asked: Asked) -> Reply:
        reply = self.honest(asked)
        if self.vice is not None and self.vice.where.search(asked.path):
            self.committed += 1
            return self.vice.act(self, asked, reply)
        return reply

    def honest(self, asked: Asked) -> Reply:
        """What a good node would say."""
        path = asked.path
        if asked.method == "POST":
            return Reply(204)
        if path == "/.well-known/cordon-node":
            return Reply(body=json.dumps({"node": self.node, "root": {"ver": 1}}).encode())
        if path == "/fed/v1/root/1":
            return Reply(body=read_root_documents(self.town.data_dir)[0])
        if path == "/fed/v1/heads":
            return self.heads(self.note())
        if path == "/fed/v1/entries":
            first, end = int(asked.query["from"]), min(int(asked.query["to"]), self.book.size)
            return self.lines(range(first, end)) if asked.query["o"] == ohash_of(self.origin) else Reply(404)
        if path == "/fed/v1/parts":
            return self.lines([int(one) for one in asked.query["ids"].split(",")])
        log = re.fullmatch(r"/(?:log|mirror/([0-9a-f]{64}))/(checkpoint|tile/.+)", path)
        if log is None or log[1] not in (None, ohash_of(self.origin)):
            return Reply(404)
        return Reply(body=self.note().encode()) if log[2] == "checkpoint" else self._tile(log[2])

    def lines(self, indices: Sequence[int]) -> Reply:
        """Entries with all that belongs to them."""
        lines = [{"i": n, "e": self.book.entries[n].decode("utf-8"), "d": list(self.book.texts[n])} for n in indices]
        return Reply(body=b"".join(json.dumps(line).encode() + b"\n" for line in lines))

    def _tile(self, path: str) -> Reply:
        named = parse_tile_path(path)
        assert named.level != "entries"
        tile = self.book.tiles.get((named.level, named.index), b"")[: 32 * named.width]
        return Reply(body=tile) if len(tile) == 32 * named.width else Reply(404)
