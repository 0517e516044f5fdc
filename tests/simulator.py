"""A federation in one process: real nodes on real SQLite files, HTTP through the ASGI transport, one clock that stands still until told.

Nothing runs by itself. A test (or a seeded history) submits, cuts links, restarts nodes, puts an older database back, clones a node into
two that sign with one key, and says when who looks at whom; so a failing seed replays.

    async with World.open(tmp_path, "xa", "xb", "xc") as world:
        await world.introduce()                       # members everywhere, pins exchanged
        await world["xa"].say(bka.listing(wallet(1)))
        await world.settle()                          # everybody looks until nothing moves
        assert await world["xb"].states("xa") == await world["xa"].states("xa")
"""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
from fastapi import FastAPI

from app.domain.errors import CordonError
from app.domain.folding import ShownState
from app.main import Wires, create_app
from app.services.admit import Result
from app.services.node import Node
from app.settings import load
from app.storage.upgrade import upgrade
from tests.factories import Clock, Signer, Town, accept

ASSESSED = {
    "federation": True,
    "dpia_ref": "DPIA 1",
    "controller": "the agency",
    "dpo_contact": "desk 4",
    "supervisory_authority": "the authority",
}


@cache
def _empty_database() -> bytes:
    """A SQLite file of the newest schema, made once by our own migrations."""
    with TemporaryDirectory(prefix="cordon-empty-") as folder:
        path = Path(folder) / "empty.sqlite3"
        upgrade(f"sqlite+aiosqlite:///{path}")
        return path.read_bytes()


Forger = Callable[[httpx.Request, httpx.Response, bytes], httpx.Response]


class Net:
    """Who can call whom. A cut is one-way: `cut("xa", "xb")` keeps xa from calling xb."""

    def __init__(self) -> None:
        self.apps: dict[str, FastAPI] = {}
        self.cuts: set[tuple[str, str]] = set()
        self.detours: dict[tuple[str, str], str] = {}
        """(caller, host called) -> the app that answers in its place: how a log shows two faces."""
        self.forgers: dict[tuple[str, str], Forger] = {}
        """(caller, host called) -> what the called makes of its answers before they leave: how a node lies."""
        self.heard: list[httpx.Request] = []
        """Every request, if `listens`: what somebody on the line could send again."""
        self.listens = False
        self.calls = 0

    def cut(self, caller: str, called: str, *, both: bool = True) -> None:
        """Break a link."""
        self.cuts |= {(caller, called), (called, caller)} if both else {(caller, called)}

    def heal(self) -> None:
        """All links work."""
        self.cuts.clear()

    def transport(self, caller: str) -> httpx.AsyncBaseTransport:
        """What a node calls others through."""
        return _Line(self, caller)


class _Line(httpx.AsyncBaseTransport):
    def __init__(self, net: Net, caller: str) -> None:
        self._net = net
        self._caller = caller

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        called = request.url.host.partition(".")[0]
        app = self._net.apps.get(self._net.detours.get((self._caller, called), called))
        self._net.calls += 1
        if app is None or (self._caller, called) in self._net.cuts:
            raise httpx.ConnectError(f"{self._caller} cannot reach {called}", request=request)
        if self._net.listens:
            self._net.heard.append(request)
        answer = await httpx.ASGITransport(app=app, client=("192.0.2.1", 1)).handle_async_request(request)
        forger = self._net.forgers.get((self._caller, called))
        return answer if forger is None else forger(request, answer, await answer.aread())


@dataclass(slots=True)
class SimNode:
    """One node of the world: its town, its running application, and what a test asks of it."""

    world: World
    code: str
    town: Town
    name: str
    app: FastAPI
    stack: AsyncExitStack

    @property
    def node(self) -> Node:
        """The running node."""
        found: Node = self.app.state.api.node
        return found

    @property
    def origin(self) -> str:
        """Its own log."""
        return self.town.origin

    def signer(self, kid: str) -> Signer:
        """The holder of a key: `signer("xa.bka#1")`."""
        return self.town.signer(kid)

    async def say(self, *wires: str) -> Sequence[Result]:
        """Submit statements here; every one must be taken."""
        return await accept(self.node, *wires)

    async def look(self) -> list[CordonError]:
        """One round of every follower, and the chores; what went wrong comes back instead of stopping the others."""
        federation = self.node.federation
        assert federation is not None
        return await federation.step()

    async def states(self, code: str) -> dict[str, ShownState]:
        """sid -> state of every statement of the log of `code` that this node holds."""
        origin = self.world.origin(code)
        async with self.node.database.reading() as tx:
            head = await tx.log.head(origin)
            events = await tx.statements.events_between(origin, 0, head.size if head else 0)
            stored = await tx.statements.locate_all(origin, [event.sid for event in events])
        return {sid: one.state for sid, one in stored.items()}

    async def sizes(self) -> dict[str, int]:
        """How far every log is taken in here."""
        async with self.node.database.reading() as tx:
            return {origin: head.size for origin in await tx.log.origins() if (head := await tx.log.head(origin)) is not None}

    async def stop(self) -> None:
        """Stop the application."""
        await self.stack.aclose()


@dataclass(slots=True)
class World:
    """The nodes by code, one clock, one net."""

    folder: Path
    clock: Clock
    net: Net = field(default_factory=Net)
    nodes: dict[str, SimNode] = field(default_factory=dict)
    towns: dict[str, Town] = field(default_factory=dict)

    @classmethod
    @asynccontextmanager
    async def open(cls, folder: Path, *codes: str) -> AsyncIterator[World]:
        """Found and start the jurisdictions."""
        world = cls(folder, Clock())
        try:
            for code in codes:
                world.found(code)
                await world.start(code)
            yield world
        finally:
            for node in [*world.nodes.values()]:
                await node.stop()

    def __getitem__(self, code: str) -> SimNode:
        return self.nodes[code]

    def origin(self, code: str) -> str:
        """The log of a jurisdiction."""
        return self.towns[code].origin

    def found(self, code: str) -> Town:
        """Make keys, root document and database."""
        town = Town.found(self.folder / code, code=code, clock=self.clock, public_url=f"https://{code}.example")
        (town.data_dir / "cordon.sqlite3").write_bytes(_empty_database())
        self.towns[code] = town
        return town

    async def start(self, code: str, *, name: str | None = None, data_dir: Path | None = None, **settings: Any) -> SimNode:
        """Start a node; `name` and `data_dir` for a second one with the same keys."""
        town, name = self.towns[code], name or code
        chosen = {"data_dir": data_dir or town.data_dir, "commit_window_ms": 0, **ASSESSED, **settings}
        app = create_app(load(chosen, environment={}), clock=self.clock, wires=Wires(self.net.transport(name), by_hand=True))
        stack = AsyncExitStack()
        await stack.enter_async_context(app.router.lifespan_context(app))
        self.net.apps[name] = app
        node = SimNode(self, code, town, name, app, stack)
        self.nodes[name] = node
        return node

    async def stop(self, name: str) -> None:
        """Stop a node; its files stay."""
        self.net.apps.pop(name)
        await self.nodes.pop(name).stop()

    async def restart(self, name: str) -> SimNode:
        """Stop it and start it again."""
        code = self.nodes[name].code
        await self.stop(name)
        return await self.start(code, name=name)

    async def keep(self, name: str) -> Path:
        """A copy of its data directory as it stands, for a later `clone` or `put_back`; the node is stopped and started for it."""
        code = self.nodes[name].code
        await self.stop(name)
        kept = self.folder / f"{name}-kept-{len([*self.folder.iterdir()])}"
        shutil.copytree(self.towns[code].data_dir, kept)
        await self.start(code, name=name)
        return kept

    async def put_back(self, code: str, kept: Path, *, anchor: bool = True) -> SimNode:
        """Stop a node, put an older copy of its database in place (`anchor`: and of the anchor beside it) and start it."""
        await self.stop(code)
        data_dir = self.towns[code].data_dir
        for path in data_dir.glob("cordon.sqlite3*"):
            path.unlink()
        shutil.copyfile(kept / "cordon.sqlite3", data_dir / "cordon.sqlite3")
        if anchor:
            shutil.copyfile(kept / "anchor", data_dir / "anchor")
        return await self.start(code)

    async def clone(self, code: str, kept: Path, name: str) -> SimNode:
        """A second node with the same keys that went another way from `kept` on: the log will sign two histories."""
        return await self.start(code, name=name, data_dir=kept)

    async def introduce(self, *, members: Iterable[str] = ()) -> None:
        """Members enrolled everywhere, everybody the peer of everybody."""
        for code, node in self.nodes.items():
            await node.say(*node.town.settled(), *(node.town.member(f"{code}.{member}") for member in members))
        for code in self.nodes:
            for other in self.nodes:
                if other != code:
                    await self.befriend(code, other)

    async def befriend(self, code: str, other: str) -> None:
        """`code` pins `other`."""
        federation = self.nodes[code].node.federation
        assert federation is not None
        pin = self.nodes[other].node.documents[0].sha256
        await federation.trust.add(f"https://{other}.example", pin)
        await federation.reload()

    async def settle(self, *, rounds: int = 20) -> list[CordonError]:
        """Everybody looks at everybody until a round in which no log moved and nothing went wrong; the errors of the last round.

        What still goes wrong in the round after one in which nothing moved will not get better by looking.
        """
        before = [await node.sizes() for node in self.nodes.values()]
        errors: list[CordonError] = []
        for number in range(rounds):
            errors = [error for node in [*self.nodes.values()] for error in await node.look()]
            after = [await node.sizes() for node in self.nodes.values()]
            if after == before and not (errors and number == 0):
                break
            before = after
        return errors
