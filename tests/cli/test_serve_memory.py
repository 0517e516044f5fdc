"""A real `cordon serve` under a mixed load: what it holds does not grow with what it is asked."""

from __future__ import annotations

import asyncio
import itertools
import os
import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from app.services.enroll import read_key, read_node_file
from tests.cli.program import RunningNode, running, wallets
from tests.factories import Signer, wallet
from tests.waiting import PATIENCE_S, until

WARM_S, RUN_S, LONG_S = 6, 10, 600
TURNS = 2
"""How often each asks for everything before memory is looked at, and afterwards, however slow the machine is."""
MOST_GROWTH = 12 * 1024 * 1024
"""Between the first and the last third: the answers to the long lists alone, if they stayed, would be more."""
PLENTY = {"CORDON_RATE_PUBLIC_PER_MINUTE": "1000000"}


def resident(node: RunningNode) -> int:
    """Bytes of the process in memory."""
    pages = int(Path(f"/proc/{node.child.pid}/statm").read_text("ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


@dataclass
class Asked:
    """What one asker has done so far, and until when he goes on."""

    over: asyncio.Event
    turns: int = 0
    answered: int = 0


async def ask(client: httpx.AsyncClient, signer: Signer, asked: Asked) -> None:
    """Lookups, lists in three forms, views, rubbish and a listing now and then."""
    for turn in itertools.takewhile(lambda _: not asked.over.is_set(), itertools.count()):
        some = wallets(1_000_000 + turn * 50, 50)
        answers = [
            *[await client.get(f"/v1/screen/{one}") for one in some[:20]],
            await client.post("/v1/screen", json={"items": [{"address": one} for one in some]}),
            await client.post("/v1/screen?include=all", content="\n".join(some * 20), headers={"Content-Type": "text/plain"}),
            await client.post("/v1/screen?include=hits", content="address\n" + "\n".join(some), headers={"Content-Type": "text/csv"}),
            await client.get(f"/v1/view/clear/bucket/{turn % 65_536:04x}"),
            await client.get(f"/v1/view/clear/segment/{turn % 256:02x}"),
            await client.get("/v1/view/clear/head"),
            await client.get("/v1/statements?limit=100"),
        ]
        assert [answer.status_code for answer in answers] == [200] * len(answers)
        refused = await client.post("/v1/statements", content=f"rubbish {turn}", headers={"Content-Type": "application/sd-jwt"})
        assert refused.status_code == 400
        if turn % 10 == 0:
            wire = signer.listing(wallet(int.from_bytes(os.urandom(6), "big")))
            taken = await client.post("/v1/statements", content=wire, headers={"Content-Type": "application/sd-jwt"})
            assert taken.status_code == 201, taken.text
        asked.answered += len(answers) + 1
        asked.turns += 1


async def watch(node: RunningNode, run_s: float, askers: Sequence[Asked]) -> list[int]:
    """The memory of the node, ten times a second, for so long, and until each has asked for everything several times."""
    seen: list[int] = []
    ends, begun = time.monotonic() + run_s, [one.turns for one in askers]
    while time.monotonic() < ends or any(one.turns < before + TURNS for one, before in zip(askers, begun, strict=True)):
        seen.append(resident(node))
        await asyncio.sleep(0.1)
    return seen


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="memory is read from /proc")
@pytest.mark.timeout(0)
@pytest.mark.parametrize("run_s", [RUN_S, pytest.param(LONG_S, marks=pytest.mark.long)])
async def test_memory_stays_flat_under_a_mixed_load(node_dir: Path, run_s: int) -> None:
    """After a warm-up the last third of the run holds no more than the first, but for what was listed and the noise of an allocator."""
    written = read_node_file(node_dir)
    signer = Signer(read_key(node_dir / "keys" / "zz.police.jwk"), written.origin, lambda: time.time_ns() // 1_000_000)
    with running(node_dir, **PLENTY) as node:
        async with httpx.AsyncClient(base_url=node.url, timeout=PATIENCE_S) as client:
            over = asyncio.Event()
            askers = [Asked(over) for _ in range(3)]
            asking = asyncio.gather(*(ask(client, signer, one) for one in askers))
            await asyncio.sleep(WARM_S)
            await until(lambda: asking.done() or all(one.turns >= TURNS for one in askers))
            seen = await watch(node, run_s, askers) if not asking.done() else []
            over.set()
            await asking
            answered = [one.answered for one in askers]
    third = len(seen) // 3
    growth = statistics.median(seen[-third:]) - statistics.median(seen[:third])
    thirds = [statistics.median(seen[at : at + third]) / 1024 / 1024 for at in (0, third, 2 * third)]
    sys.stderr.write(f"{sum(answered)} requests; MiB in each third: {', '.join(f'{one:.1f}' for one in thirds)}\n")
    assert sum(answered) > 100
    assert growth < MOST_GROWTH, f"{growth / 1024 / 1024:.1f} MiB more after {sum(answered)} requests"
