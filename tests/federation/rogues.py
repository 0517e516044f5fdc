"""Nodes that do not keep the rules: what they write into their log, and what they make of their answers.

A rogue's log is sound as a log (its tree, its checkpoints): what is wrong is what it says, or whom it tells. The gate of an honest
node would not write such entries, so they are written past it, into the same tables.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from hashlib import sha256

import httpx

from app.domain.canonical import b64u_encode
from app.domain.folding import Event
from app.domain.labels import Label, Tlp
from app.domain.merkle import leaf_hash
from app.storage.log import Head, LogEntry
from app.storage.records import PartRow, StatementRow
from tests.simulator import Forger, SimNode

GREEN = Label(Tlp.GREEN)


async def log_anyway(rogue: SimNode, *wires: str, ms: int | None = None) -> int:
    """Log statements that no gate would take; the index of the last."""
    at = rogue.world.clock() if ms is None else ms
    split = [wire.split("~") for wire in wires]
    return await log_raw(rogue, [(f"{at} {jws}".encode("ascii"), tuple(filter(None, texts))) for jws, *texts in split])


async def log_raw(rogue: SimNode, entries: Sequence[tuple[bytes, tuple[str, ...]]]) -> int:
    """Log any bytes, with any disclosures beside them, and sign the tree; the index of the last."""
    node, origin = rogue.node, rogue.origin
    first, grown = node.own_log.size, node.own_log.edge.append([leaf_hash(entry) for entry, _ in entries])
    async with node.database.transaction() as tx:
        for index, (entry, texts) in enumerate(entries, first):
            sid = b64u_encode(sha256(b"%d " % index + entry).digest())
            await tx.log.append([LogEntry(origin, index, sid, entry, leaf_hash(entry))])
            event = Event(origin, index, sid, "listing", "xx.rogue", "xx.rogue#1", GREEN, parts={"core": GREEN})
            await tx.statements.put([StatementRow(event, rogue.world.clock(), rogue.world.clock() // 1000)])
            parts = [PartRow(origin, index, n, "core", f"{text}~") for n, text in enumerate(texts)]
            await tx.statements.put_parts(parts)
        await tx.log.write_tiles(origin, grown.changed)
        await tx.log.swap_head(first, Head(origin, grown.size, grown.root, node.own_log.accepted_ms))
    node.own_log.advance(grown, node.own_log.accepted_ms)
    await node.own_log.sign()
    return grown.size - 1


def keeping_back(*indices: int, parts_only: bool = False, log: str | None = None) -> Forger:
    """Answer as if the stubs (or, `parts_only`, the parts) at these places were not for the caller; `log`: of this ohash alone."""
    return _changing_lines(set(indices), parts_only, log)


def _changing_lines(indices: Collection[int], parts_only: bool, log: str | None) -> Forger:
    def forge(request: httpx.Request, answer: httpx.Response, body: bytes) -> httpx.Response:
        if request.url.path not in ("/fed/v1/entries", "/fed/v1/parts") or (log is not None and request.url.params.get("o") != log):
            return _again(answer, body)
        lines = [json.loads(line) for line in body.splitlines()]
        for line in lines:
            if line["i"] in indices and parts_only:
                line.pop("d", None)
            elif line["i"] in indices:
                index = line["i"]
                line.clear()
                line.update({"i": index, "w": "stub"})
        return _again(answer, b"".join(json.dumps(line, separators=(",", ":")).encode() + b"\n" for line in lines))

    return forge


def saying(path: str, body: bytes, *, status: int = 200) -> Forger:
    """Answer every request for `path` with these bytes."""

    def forge(request: httpx.Request, answer: httpx.Response, said: bytes) -> httpx.Response:
        return _again(answer, body, status=status) if request.url.path == path else _again(answer, said)

    return forge


def _again(answer: httpx.Response, body: bytes, *, status: int | None = None) -> httpx.Response:
    headers = {name: value for name, value in answer.headers.items() if name.lower() not in ("content-length", "transfer-encoding")}
    return httpx.Response(status or answer.status_code, headers=headers, stream=httpx.ByteStream(body))
