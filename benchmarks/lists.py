"""Lists of addresses of the real chain mix (performance §2), and the node that is asked about them.

50 % EVM (two of three in the case of EIP-55), 25 % Tron, 15 % Bitcoin (a third each key hash, script hash, bech32), 10 % Solana.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from hashlib import sha256
from typing import Any

import numpy as np
from fastapi import FastAPI

from app.domain.address import read_wallet, siblings
from app.domain.address.bip122 import BITCOIN, KEY, SCRIPT
from app.domain.address.evm import tron_id
from app.domain.checksums import base58_encode
from app.domain.reach import CLEAR
from app.index import vector
from app.index.listed import ListedIds, Page
from app.main import create_app
from benchmarks.pauses import FILE, Recorder

KEYS_AN_ID = 1.1
"""Fingerprints an id of this mix has: a Bitcoin key hash has two."""


def address(number: int) -> str:
    """The address of a number."""
    raw = b"\x07" + sha256(b"list %d" % number).digest()
    share = number % 20
    if share < 10:
        text = "0x" + raw[:20].hex()
        return read_wallet(text).display if number % 3 else text
    if share < 15:
        return tron_id(raw[:20]).rpartition(":")[2]
    if share == 15:
        return BITCOIN.address(KEY, raw[:20])
    if share == 16:
        return BITCOIN.address(SCRIPT, raw[:20])
    if share == 17:
        kin = siblings(read_wallet(BITCOIN.address(KEY, raw[:20])))
        return next(one.id for one in kin if ":bc1" in one.id).rpartition(":")[2]
    return base58_encode(raw[:32])


def filler(count: int) -> vector.U64:
    """Digests that stand for so many listed ids that nobody asks for."""
    return np.random.default_rng(3).integers(0, 2**64, int(count * KEYS_AN_ID), dtype=np.uint64)


async def fill(listed: ListedIds, ids: Sequence[str], count: int, *, places: Mapping[str, int]) -> None:
    """A file of `ids`, all of them for everybody, and of `count` others, that stands at these places."""

    async def pages() -> AsyncIterator[Page]:
        yield [(CLEAR, "\n".join(ids))]
        assert listed._built is not None  # noqa: SLF001
        listed._built.late.append(filler(count))  # noqa: SLF001

    built = await listed.build(pages())
    assert built is not None
    assert listed.adopt(built, places)


def node_app() -> FastAPI:
    """The application over a table of BENCH_LISTED ids more than are really listed."""
    app = create_app()
    inner = app.router.lifespan_context

    @asynccontextmanager
    async def lifespan(one: FastAPI) -> AsyncIterator[Any]:
        async with inner(one) as state:
            node = one.state.api.node
            async with node.database.reading() as tx:
                texts = [text for head in await tx.log.heads() for _, text in await tx.filed.texts(head.origin, 0, head.size)]
            ids = [id_ for text in texts for id_ in text.split("\n")]
            await fill(node.listed, ids, int(os.environ["BENCH_LISTED"]), places=node.listed.places())
            pauses = Recorder() if FILE in os.environ else None
            yield state
            if pauses is not None:
                pauses.write()

    app.router.lifespan_context = lifespan
    return app
