"""F-01 and F-03: kill -9 at any moment, and at each step of a batch. Nothing acknowledged is lost, nothing is half done."""

from __future__ import annotations

import signal

import pytest

from tests.faults.conftest import Ordeal
from tests.faults.driver import CRASHES

CYCLES = 6
# On PostgreSQL a death anywhere before COMMIT is one thing, a connection that ends: two such steps are enough there.
EVERYWHERE = [*CRASHES][[*CRASHES].index("registry refreshed") :]
STEPS = [(engine, step) for engine in ("sqlite", "postgresql") for step in (CRASHES if engine == "sqlite" else EVERYWHERE)]


@pytest.mark.slow
async def test_kill_nine_in_a_loop_loses_nothing(ordeal: Ordeal) -> None:
    """F-01: six lives, each ended by SIGKILL in the midst of submissions; after each: all acknowledged there, the log verifies,
    every receipt ever handed out belongs to a prefix of it, and what was left open can be sent again.
    """
    for cycle in range(CYCLES):
        assert ordeal.live(acks=15 + 7 * cycle) == -signal.SIGKILL
        await ordeal.check()
    assert len(ordeal.acked) > 15 * CYCLES


@pytest.mark.slow
@pytest.mark.parametrize(
    ("database_url", "crash"),
    [pytest.param(engine, step, marks=pytest.mark.postgres if engine == "postgresql" else ()) for engine, step in STEPS],
    indirect=["database_url"],
)
async def test_a_crash_at_this_step_is_rolled_back_or_resumed(ordeal: Ordeal, crash: str) -> None:
    """F-03: dying there leaves the batch wholly logged or not at all, and the next start goes on by itself."""
    assert ordeal.live(crash=crash, nth=4, writers=1) == -signal.SIGKILL, "the step was never reached"
    await ordeal.check()
