"""The law of the federation, over random histories: whatever happens, nodes that may read the same know the same, and no node more.

A seed that fails is printed with its steps and replays alone; a campaign goes on to its last seed and names all that failed:

    CORDON_HISTORY=17 pytest tests/federation/test_histories.py
    make simulate SEEDS=1000-3000
"""

from __future__ import annotations

import gc
import random
import shutil
import time
from os import environ
from pathlib import Path
from traceback import format_exc

import pytest
import uvloop

from tests.federation.histories import History, check
from tests.simulator import World

pytestmark = [pytest.mark.slow, pytest.mark.timeout(0)]

BUDGET_S = 45.0
LONG = (3, 30)
SHORT = (2, 12)
"""Rounds, and steps in each: of seeds below `FIRST_SHORT`, and of those from there on, of which a campaign gets through more."""
FIRST_SHORT = 1_000
SEEDS = environ.get("CORDON_HISTORY", "")


def seeds() -> range:
    """Those that were asked for, else as many as fit the time."""
    first, _, last = SEEDS.partition("-")
    return range(int(first), int(last or first) + 1) if first else range(1_000_000)


# 1216: past a fork that nobody shows, what needs a second key goes on needing it.
MET = (1216,)


def live(folder: Path, seed: int) -> None:
    """One history, on the loop of a node that is served. Its nodes are let go: each start puts all there is beyond the collector's reach."""
    try:
        uvloop.run(_live(folder, seed))
    finally:
        gc.unfreeze()
        gc.collect()


async def _live(folder: Path, seed: int) -> None:
    """Its rounds, checked after each."""
    chance = random.Random(seed)
    rounds, steps = LONG if seed < FIRST_SHORT else SHORT
    codes = ("xa", "xb", "xc") if chance.random() < 0.8 else ("xa", "xb", "xc", "xd")
    async with World.open(folder, *codes) as world:
        await world.introduce()
        history = History(world, chance)
        try:
            for _ in range(rounds):
                for _ in range(steps):
                    await history.do()
                await history.settle()
                await check(history)
            if chance.random() < 0.4:
                await history.fork()
                await check(history)
        except BaseException:
            print(f"history {seed} failed; replay it with CORDON_HISTORY={seed}")  # noqa: T201 — shown by pytest when it fails
            print("\n".join(history.steps), flush=True)  # noqa: T201
            raise


@pytest.mark.parametrize("seed", MET)
def test_what_failed_once_holds(tmp_path: Path, seed: int) -> None:
    """Seeds beyond those of the ordinary run that a campaign has met."""
    live(tmp_path, seed)


def test_whatever_happens_nodes_that_may_read_the_same_know_the_same(tmp_path: Path) -> None:
    """Seeds from 0 on for a minute, or those of CORDON_HISTORY, all of them."""
    ends_at = time.monotonic() + BUDGET_S
    failed: dict[int, str] = {}
    for seed in seeds():
        if not SEEDS and time.monotonic() > ends_at:
            print(f"{seed} histories held")  # noqa: T201
            break
        try:
            live(tmp_path / str(seed), seed)
        except Exception as error:
            if len(seeds()) == 1 or not SEEDS:
                raise
            failed[seed] = str(error) or repr(error)
            print(f"history {seed} FAILED: {error}\n{format_exc(limit=-4)}", flush=True)  # noqa: T201
        else:
            if SEEDS:
                print(f"history {seed} held", flush=True)  # noqa: T201
        shutil.rmtree(tmp_path / str(seed), ignore_errors=True)  # a thread that closes the last connection takes files away, too
    assert failed == {}
