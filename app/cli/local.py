"""The node of the data directory inside this process: for commands on the host while no node runs there."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

from app.cli.door import Outcome, Record
from app.domain.canonical import JsonValue, b64u_decode, read_json
from app.domain.errors import CordonError, NotFound
from app.domain.folding import State
from app.domain.labels import EVERYTHING
from app.domain.statement import Kind
from app.main import build
from app.sdk.wire import Submitted
from app.services.enroll import read_node_file
from app.services.node import Node
from app.services.screen import Caller, Query
from app.settings import Settings, load
from app.storage.database import Database, Transaction
from app.storage.records import Stored
from app.storage.registry import Registration

T = TypeVar("T")

_GROUP = 500
_PAGE = 200


def settings_of(data_dir: Path) -> Settings:
    """The settings of the node of a data directory."""
    read_node_file(data_dir)
    return load({"data_dir": data_dir})


def upgrade(data_dir: Path) -> None:
    """Bring the database to this release's schema, making it if it is not there."""
    from app.storage.upgrade import upgrade as bring_up

    bring_up(settings_of(data_dir).resolved_database_url)


def with_rows(data_dir: Path, work: Callable[[Transaction], Awaitable[T]], *, write: bool = True) -> T:
    """Do `work` in one transaction on the database of a data directory, beside a running node or without one."""

    async def run() -> T:
        database = Database(settings_of(data_dir).resolved_database_url, pool_size=1, checkpoints=False)
        try:
            await database.check_schema()
            if write:
                return await database.run(work)
            async with database.reading() as tx:
                return await work(tx)
        finally:
            await database.close()

    return asyncio.run(run())


def now_ms() -> int:
    """The clock of commands."""
    return time.time_ns() // 1_000_000


class LocalDoor:
    """A node without a socket. The caller holds the data directory's lock."""

    def __init__(self, data_dir: Path) -> None:
        self._settings = settings_of(data_dir)
        self._runner = asyncio.Runner()
        self._node: Node | None = None

    def __enter__(self) -> Self:
        self._runner.__enter__()
        try:
            self._runner.run(self._start())
        except BaseException:
            self._runner.close()
            raise
        return self

    async def _start(self) -> None:
        self._node = build(self._settings)
        await self._node.start()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        try:
            self._runner.run(self.node.stop())
        finally:
            self._runner.close()

    @property
    def node(self) -> Node:
        """The running node."""
        assert self._node is not None, "the door is open while it is used"
        return self._node

    def run(self, work: Awaitable[T]) -> T:
        """Await something on the node's own loop."""

        async def awaited() -> T:
            return await work

        return self._runner.run(awaited())

    def origin(self) -> str:
        return self.node.identity.origin

    def submit(self, wires: Sequence[str]) -> Iterator[Outcome]:
        for start in range(0, len(wires), _GROUP):
            for result in self.run(self.node.gate.submit(wires[start : start + _GROUP])):
                yield (
                    result
                    if isinstance(result, CordonError)
                    else Submitted(
                        result.sid,
                        str(result.status),
                        str(result.reason) if result.reason is not None else None,
                        result.index,
                        result.accepted_ms,
                        result.receipt,
                    )
                )

    def screen(self, items: Sequence[Mapping[str, JsonValue]]) -> list[Record]:
        queries = [
            Query(str(item["address"]), _text(item.get("chain")), _text(item.get("tag")), _text(item.get("reference"))) for item in items
        ]
        answer = self.run(self.node.screening.screen_many(queries, Caller(EVERYTHING), hits_only=False))
        results = answer["results"]
        return [one for one in results if isinstance(one, dict)] if isinstance(results, list) else []

    def listings(self, issuer: str) -> Iterator[Record]:
        after: tuple[int, str, int] | None = None
        while True:
            page, records = self.run(self._page(issuer, after))
            yield from records
            if page is None:
                return
            after = page

    async def _page(self, issuer: str, after: tuple[int, str, int] | None) -> tuple[tuple[int, str, int] | None, list[Record]]:
        origin = self.node.identity.origin
        async with self.node.database.reading() as tx:
            found = await tx.statements.page(issuer=issuer, kind=Kind.LISTING, after=after, limit=_PAGE)
            parts = await tx.statements.parts_of(origin, [one.index for one in found if one.origin == origin])
        cores: dict[int, list[JsonValue]] = {}
        for part in parts:
            if part.part == "core":
                cores.setdefault(part.index, []).extend(map(_value, part.texts))
        records: list[Record] = [
            {"sid": one.sid, "state": _state(one), "parts": {"core": cores.get(one.index, [])}} for one in found if one.origin == origin
        ]
        last = found[-1] if len(found) == _PAGE else None
        return (last.accepted_ms, last.origin, last.index) if last is not None else None, records

    def statement(self, sid: str) -> Record:
        return self.run(self.node.consultation.statement(sid, EVERYTHING))

    def member(self, member_id: str) -> Record:
        return self.member_claims(member_id)

    def member_keys(self, member_id: str) -> list[Record]:
        return [one for one in self.node.consultation.member_keys(member_id) if isinstance(one, dict)]

    def member_claims(self, member_id: str) -> Record:
        async def work() -> Registration | None:
            async with self.node.database.reading() as tx:
                return await tx.registry.member(member_id, origin=self.node.identity.origin)

        found = self.run(work())
        if found is None:
            raise NotFound(f"{member_id} is no member of this node: the registrar enters it with cordon member add {member_id}")
        return dict(found.claims)

    def members(self) -> list[Record]:
        async def work() -> list[Registration]:
            async with self.node.database.reading() as tx:
                return await tx.registry.members()

        # After a fork a member stands in the log that ended, too: the log that is written now has the last word.
        own = self.node.identity.origin
        newest = {one.id: one for one in sorted(self.run(work()), key=lambda one: one.origin == own)}
        return [dict(newest[member_id].claims) for member_id in sorted(newest)]


def _state(one: Stored) -> str:
    """The fold's word; what has expired is live no more and may be listed anew."""
    until = one.state.expires_at
    return "expired" if one.state.state == State.ACTIVE and until is not None and until <= time.time() else str(one.state.state)


def _value(disclosure: str) -> JsonValue:
    content = read_json(b64u_decode(disclosure))
    return content[2] if isinstance(content, list) and len(content) == 3 else None


def _text(value: JsonValue) -> str | None:
    return value if isinstance(value, str) else None
