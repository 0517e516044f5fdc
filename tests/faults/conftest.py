"""The driver process, and what must hold after a fault."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from app.domain.merkle import Frontier, leaf_hash
from app.seal.notes import verify_receipt
from app.services.admit import Admitted
from app.services.node import Node
from tests.checks import check_index, check_log, check_states, check_tombstones
from tests.factories import Clock, Town, accept, entry_of, submit, words
from tests.waiting import PATIENCE_S

ROOT = Path(__file__).resolve().parents[2]


class Driver:
    """Speaks to `tests/faults/driver.py`."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.driver"], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def begin(self, job: dict[str, Any]) -> int:
        """Start a node that submits; its pid."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(job) + "\n")
        self._process.stdin.flush()
        return int(self._answer()["pid"])

    def end(self) -> int:
        """Wait for its end; the exit code, negative for a signal."""
        return int(self._answer()["exit"])

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        return answer

    def close(self) -> None:
        """No more jobs."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(30)


@pytest.fixture(scope="session")
def driver() -> Iterator[Driver]:
    """The process that forks nodes to be killed."""
    one = Driver()
    yield one
    one.close()


@dataclass(slots=True)
class Ordeal:
    """A jurisdiction whose node is killed again and again; remembers everything it was told."""

    town: Town
    clock: Clock
    url: str
    driver: Driver
    journal: Path
    lives: int = 0
    sent: list[str] = field(default_factory=list)
    acked: dict[str, dict[str, Any]] = field(default_factory=dict)
    read: int = 0

    async def settle(self) -> None:
        """Members first, in peace."""
        async with self.town.open(self.url) as node:
            await accept(node, *self.town.settled())

    def live(self, *, acks: int = 30, **job: Any) -> int:
        """One life: until so many acknowledgements, then kill -9; or until its own `crash`. The exit code."""
        self.lives += 1
        self.clock.advance(s=3)
        told = {"data_dir": str(self.town.data_dir), "url": self.url, "journal": str(self.journal), "seed": self.lives}
        pid = self.driver.begin({**told, "since_ms": self.clock(), **job})
        if "crash" not in job:
            before, deadline = len(self.acked), time.monotonic() + PATIENCE_S
            while len(self.acked) < before + acks and time.monotonic() < deadline:
                time.sleep(0.005)
                self.listen()
            os.kill(pid, signal.SIGKILL)
        code = self.driver.end()
        self.listen()
        self.clock.advance(s=60)
        return code

    def listen(self) -> None:
        """Read on in the journal; a last line that was cut off says nothing."""
        if not self.journal.exists():
            return
        lines = self.journal.read_text("ascii").split("\n")[:-1]
        for line in lines[self.read :]:
            told = json.loads(line)
            if "sent" in told:
                self.sent.append(told["sent"])
            else:
                self.acked[told["acked"]] = told
        self.read = len(lines)

    async def check(self) -> None:
        """After a restart: nothing acknowledged is lost, no receipt is an orphan, all that is stored fits, what was sent can be sent again."""
        async with self.town.open(self.url) as node:
            assert node.gate.frozen is None, node.gate.frozen
            async with node.database.reading() as tx:
                await self._check_acknowledged(tx)
                folded = await check_states(tx, node, self.town)
                await check_tombstones(tx, self.town, {(one.sid, one.part) for one in folded.destroyed})
                await check_log(tx, self.town, [])
                assert await tx.meta.get("forget_due") is None
            await check_index(node, self.town, folded)
            await self._send_again(node)

    async def _check_acknowledged(self, tx: Any) -> None:
        head = await tx.log.head(self.town.origin)
        entries = {entry.index: entry.entry for entry in await tx.log.entries(self.town.origin, 0, head.size)}
        frontier, roots = Frontier(), list[bytes]()
        for index in range(head.size):
            roots.append(frontier.root())
            frontier = frontier.append([leaf_hash(entries[index])])
        roots.append(frontier.root())
        for wire, told in self.acked.items():
            entry = entry_of(wire, told["ms"])
            assert entries[told["index"]] == entry, "an acknowledged statement is where its receipt says"
            receipt = verify_receipt(told["receipt"], leaf_hash(entry), origin=self.town.origin, log_keys=self.town.log_keys)
            assert receipt.checkpoint.root == roots[receipt.size], "a receipt belongs to a prefix of the log as it is"

    async def _send_again(self, node: Node) -> None:
        """What nobody answered is sent once more: known or new, with a receipt either way."""
        open_ones = [wire for wire in dict.fromkeys(self.sent) if wire not in self.acked]
        results = await submit(node, *open_ones)
        for wire, result in zip(open_ones, results, strict=True):
            assert isinstance(result, Admitted), words([result])
            self.town.check_receipt(wire, result)
            self.acked[wire] = {"index": result.index, "ms": result.accepted_ms, "receipt": result.receipt}


@pytest.fixture
async def ordeal(town: Town, clock: Clock, database_url: str, driver: Driver, tmp_path: Path) -> Ordeal:
    """A settled jurisdiction, on each engine, to be mistreated."""
    one = Ordeal(town, clock, database_url, driver, tmp_path / "journal")
    await one.settle()
    return one
