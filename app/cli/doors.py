"""How a command reaches the gate: over HTTP when a node runs, in this process when the data directory is free.

`--node URL` always means HTTP. Else the data directory decides: if another process holds its lock, that node is asked at the address
it listens on; if nobody does, the node is built here, without a socket, for the length of the command. Both doors lead to the same gate.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from app.cli.door import Door, Outcome, Record
from app.domain.canonical import JsonValue
from app.domain.errors import NotFound, Unavailable
from app.sdk.wire import SCREEN_MAX

__all__ = ["DEFAULT_URL", "Door", "Record", "listening", "open_door", "url_of"]

DEFAULT_URL = "http://127.0.0.1:8000"


@contextmanager
def open_door(
    data_dir: Path, node: str | None, *, api_key: str | None = None, purpose: str | None = None, case: str | None = None
) -> Iterator[Door]:
    """The door to the node that the options name."""
    url = node
    if url is None and (data_dir / "node.json").exists():
        from app.storage.keyfiles import DataDirLock

        lock = DataDirLock(data_dir)
        try:
            lock.acquire()
        except Unavailable:
            url = listening(data_dir)
        else:
            try:
                from app.cli.local import LocalDoor

                with LocalDoor(data_dir) as door:
                    yield door
            finally:
                lock.release()
            return
    from app.sdk.client import Client, Options

    with Client(url or DEFAULT_URL, Options(api_key=api_key, purpose=purpose, case=case)) as client:
        yield HttpDoor(client)


def url_of(data_dir: Path, node: str | None) -> str:
    """The address of the node that the options name, for what only a running node can do."""
    return node or (listening(data_dir) if (data_dir / "node.json").exists() else DEFAULT_URL)


def listening(data_dir: Path) -> str:
    """Where the node that holds this directory listens, as `serve` wrote it down."""
    try:
        return (data_dir / "listening").read_text("utf-8").strip() or DEFAULT_URL
    except FileNotFoundError:
        return DEFAULT_URL


class HttpDoor:
    """A running node."""

    def __init__(self, client: _Client) -> None:
        self._client = client

    def origin(self) -> str:
        return self._client.origin()

    def submit(self, wires: Sequence[str]) -> Iterator[Outcome]:
        return self._client.submit_many(wires)

    def screen(self, items: Sequence[Mapping[str, JsonValue]]) -> list[Record]:
        results: list[Record] = []
        for start in range(0, len(items), SCREEN_MAX):
            answer = self._client.screen_many(items[start : start + SCREEN_MAX])
            found = answer.get("results")
            results += [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []
        return results

    def listings(self, issuer: str) -> Iterator[Record]:
        return self._client.statements(issuer=issuer, kind="listing")

    def statement(self, sid: str) -> Record:
        return self._client.statement(sid)

    def member(self, member_id: str) -> Record:
        return self._client.member(member_id)

    def member_claims(self, member_id: str) -> Record:
        # The newest statement on a member is the one that brought its newest key, or a later one.
        registered = [key.get("registered_index") for key in self._client.member_keys(member_id)]
        first = max((index for index in registered if isinstance(index, int)), default=0)
        found: Record = {}
        for brief in self._client.statements(kind="member"):
            index, sid = brief.get("index"), brief.get("sid")
            if not isinstance(index, int) or index < first or not isinstance(sid, str) or brief.get("state") != "active":
                continue
            stub = self._client.statement(sid).get("stub")
            if isinstance(stub, dict) and stub.get("id") == member_id:
                found = stub
        if not found:
            raise NotFound(f"the node knows {member_id}, but shows no member statement of it")
        return found

    def member_keys(self, member_id: str) -> list[Record]:
        return self._client.member_keys(member_id)

    def members(self) -> list[Record]:
        return list(self._client.members())


class _Client(Protocol):
    """The part of `sdk.client.Client` that is used here: named so that a local command need not load the HTTP library."""

    def origin(self) -> str: ...
    def submit_many(self, wires: Sequence[str]) -> Iterator[Outcome]: ...
    def screen_many(self, items: Sequence[Mapping[str, JsonValue]]) -> Record: ...
    def statements(self, *, issuer: str | None = None, kind: str | None = None) -> Iterator[Record]: ...
    def statement(self, sid: str) -> Record: ...
    def member(self, member_id: str) -> Record: ...
    def member_keys(self, member_id: str) -> list[Record]: ...
    def members(self) -> Iterator[Record]: ...
