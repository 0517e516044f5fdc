"""A node in a process of its own, to be killed: submits without pause and writes down what was sent and what was acknowledged.

    python -m tests.faults.driver

reads one job a line from stdin (JSON), forks a child for it, answers `{"pid": …}`, and when the child has ended `{"exit": …}`
(negative: the signal). The parent process keeps the imports, so that a start costs no more than a node's start.

A job: data_dir, url, since_ms (when its clock begins), journal (file of what happened), seed, and perhaps `crash`: the name of a step
of CRASHES, and `nth`; `endings` false: nothing is retracted or erased. At the nth time that this step is reached the child kills itself with SIGKILL. The steps are wrapped here, from
outside; the product knows nothing of them.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from app.index.listed import ListedIds
from app.index.listings import ListingIndex
from app.services.admit import Admitted, Gate, OwnLog
from app.services.node import Node
from app.storage.anchor import AnchorFile
from app.storage.database import Database
from app.storage.keyfiles import DataDirLock
from app.storage.log import LogShelf
from app.storage.registry import RegistryShelf
from app.storage.statements import StatementShelf
from app.storage.subjects import SubjectShelf
from tests.factories import Town, sid_in, wallet

CRASHES: dict[str, tuple[type, str, bool]] = {
    # name: the owner, its method, and whether to die after it (else before)
    "entries written": (LogShelf, "append", True),
    "tiles written": (LogShelf, "write_tiles", True),
    "statements written": (StatementShelf, "put", True),
    "parts written": (StatementShelf, "put_parts", True),
    "items written": (SubjectShelf, "put_items", True),
    "states folded": (StatementShelf, "set_states", True),
    "parts erased": (StatementShelf, "erase_parts", True),
    "items erased": (SubjectShelf, "erase_items", True),
    "registry refreshed": (RegistryShelf, "refresh", True),
    "head swapped, not committed": (LogShelf, "swap_head", True),
    "index told, not committed": (ListingIndex, "announce", True),
    "committed, not read back": (OwnLog, "read_back", False),
    "read back": (OwnLog, "read_back", True),
    "edge advanced, not anchored": (OwnLog, "advance", True),
    "anchor half written": (Path, "replace", False),
    "anchored, not signed": (AnchorFile, "settle", True),
    "note written, not committed": (LogShelf, "set_note", True),
    "edge advanced, index not moved": (ListingIndex, "move", False),
    "index moved by half": (ListedIds, "advance", False),
    "index moved, not forgotten": (Database, "forget", False),
    "forgotten, not answered": (Gate, "_tell_verdicts", False),
    "answered": (Gate, "_tell_verdicts", True),
}


def arm(name: str, nth: int) -> None:
    """Die the nth time this step is reached."""
    owner, method, after = CRASHES[name]
    inner: Callable[..., Any] = getattr(owner, method)
    left = [nth]

    def reached() -> None:
        left[0] -= 1
        if left[0] == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    async def waiting(*args: Any, **kwargs: Any) -> Any:
        if not after:
            reached()
        result = await inner(*args, **kwargs)
        if after:
            reached()
        return result

    def plain(*args: Any, **kwargs: Any) -> Any:
        if not after:
            reached()
        result = inner(*args, **kwargs)
        if after:
            reached()
        return result

    setattr(owner, method, waiting if asyncio.iscoroutinefunction(inner) else plain)


async def run(job: dict[str, Any]) -> None:
    """One life of the node."""
    started = time.monotonic_ns()
    town = Town.at(Path(job["data_dir"]), clock=lambda: job["since_ms"] + (time.monotonic_ns() - started) // 1_000_000)
    lock = DataDirLock(town.data_dir)
    lock.acquire()
    with open(job["journal"], "a", encoding="ascii", buffering=1) as journal:  # noqa: ASYNC230, PTH123 — line by line, so that a kill loses none
        async with town.open(job["url"], commit_window_ms=2) as node:
            if node.gate.frozen is not None:
                raise SystemExit(3)
            if job.get("crash"):
                arm(job["crash"], job["nth"])
            await asyncio.gather(*(write_on(node, town, job, n, journal) for n in range(job.get("writers", 3))))
    lock.release()


async def write_on(node: Node, town: Town, job: dict[str, Any], writer: int, journal: Any) -> None:
    """Submit small batches of listings and of what ends them, until killed (or 400 rounds)."""
    seed = job["seed"] * 10 + writer
    dice = random.Random(seed)
    bka, own = town.signer(f"de.bka#{1 + seed % 2}"), list[str]()
    for turn in range(400):
        wires = [bka.listing(wallet(seed * 10_000 + turn * 10 + n)) for n in range(dice.choice((1, 1, 3)))]
        if own and turn % 2 and job.get("endings", True):
            target = own.pop(dice.randrange(len(own)))
            end = dice.choice((bka.retract, bka.erase, bka.erase, bka.renew))
            wires.append(end(target))
        for wire in wires:
            journal.write(json.dumps({"sent": wire}) + "\n")
        for wire, result in zip(wires, await node.gate.submit(wires), strict=True):
            assert isinstance(result, Admitted), result
            told = {"acked": wire, "index": result.index, "ms": result.accepted_ms, "receipt": result.receipt}
            journal.write(json.dumps(told) + "\n")
        own += [sid_in(wire) for wire in wires[:1]]


def say(answer: dict[str, int]) -> None:
    """One line for who started us."""
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


def main() -> None:
    """Fork a child for each job."""
    for line in sys.stdin:
        job = json.loads(line)
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                asyncio.run(run(job))
                code = 0
            except SystemExit as error:
                code = int(error.code or 0)
            finally:
                os._exit(code)
        say({"pid": pid})
        _, status = os.waitpid(pid, 0)
        say({"exit": os.waitstatus_to_exitcode(status)})


if __name__ == "__main__":
    main()
