"""F-02: the power is cut at any sync of a run. What was acknowledged before is there, the database and the log are sound, and the node signs on."""

from __future__ import annotations

import random
import shutil
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from app.cli.console import Console
from app.cli.demo_data import Voice, judged
from app.cli.doors import open_door
from app.cli.fsck import examine_url
from app.cli.local import settings_of
from app.cli.relations import Relations, with_relations
from app.domain.errors import CordonError
from app.services.enroll import read_node_file
from tests.faults.cluster import Acked, Alone, Cluster, Station
from tests.faults.power import Call, Disk, command, read_trace

pytestmark = pytest.mark.slow

CUTS = 12
LIVES = [1, pytest.param(6, marks=pytest.mark.long)]


class Traced(Alone):
    """A node whose writes are written down; its folder before is kept."""

    def __init__(self, kept: Path, trace: Path) -> None:
        super().__init__()
        self._folder = Path()
        self._kept = kept
        self._trace = trace

    def lay(self, folder: Path) -> Sequence[Station]:
        (station,) = super().lay(folder)
        self._folder = station.folder
        return [station]

    def command(self, code: str) -> list[str]:  # noqa: ARG002 - there is one
        shutil.rmtree(self._kept, ignore_errors=True)
        shutil.copytree(self._folder, self._kept)
        return command(self._trace)


@dataclass(frozen=True, slots=True)
class Run:
    """What a node wrote, and what it acknowledged when."""

    folder: Path
    before: Path
    calls: list[Call]
    acked: list[tuple[float, Acked]]

    def disk(self, *, lies_of: str = "") -> Disk:
        return Disk(self.folder, self.before, lies_of=lies_of)


def record(folder: Path, statements: int) -> Run:
    """A node that takes statements one by one, then is killed with all that was not synced."""
    if shutil.which("strace") is None:
        pytest.skip("NOT TESTED: a power cut. There is no strace, by which a node's writes are written down")
    allowed = subprocess.run([*command(folder / "probe"), "true"], capture_output=True, text=True, check=False)
    if allowed.returncode:
        pytest.skip(f"NOT TESTED: a power cut. strace may not trace here: {allowed.stderr.strip()}")
    before, trace = folder / "before", folder / "trace"
    acked = []
    with Cluster(folder, Traced(before, trace)) as cluster:
        for _ in range(statements):
            assert cluster.say("xa") == 1
            acked.append((time.time(), cluster.acked[-1]))
        cluster.kill("xa")
        station = cluster.stations["xa"]
    return Run(station.folder, before, [*read_trace(trace)], acked)


def lost(folder: Path, acked: list[Acked]) -> list[Acked]:
    """What of the acknowledged is not where its receipt says."""

    async def work(own: Relations) -> list[str]:
        async with own.database.reading() as tx:
            head = await tx.log.head(read_node_file(folder).origin)
            assert head is not None
            return [entry.sid for entry in await tx.log.entries(head.origin, 0, head.size)]

    held = with_relations(folder, work)
    return [one for one in acked if one.index >= len(held) or held[one.index] != one.sid]


def check(folder: Path, acked: list[Acked], wire: str) -> None:
    """Nothing lost, everything sound, and the node takes up where it was."""
    assert lost(folder, acked) == []
    settings = settings_of(folder)
    health = examine_url(settings.resolved_database_url, read_node_file(folder).origin, settings.resolved_anchor, Console(True))
    assert health.faults == []
    with open_door(folder, None) as door:
        (outcome,) = door.submit([wire])
    assert not isinstance(outcome, CordonError), outcome.detail
    assert outcome.receipt is not None
    assert lost(folder, acked) == []


@pytest.mark.parametrize("lives", LIVES)
def test_whenever_the_power_is_cut_what_was_acknowledged_is_there(tmp_path: Path, lives: int) -> None:
    """At syncs drawn from a run: without all that was not synced, and with any pages of it; a disk that lies about its syncs is found out."""
    run = record(tmp_path, 25 * lives)
    scout = run.disk()
    syncs = [number for number, call in enumerate(run.calls) if scout.play(call)]
    assert len(syncs) > len(run.acked), "each acknowledgement rests on a sync of its own"
    chance = random.Random(1)
    chosen = set(chance.sample(syncs, min(CUTS * lives, len(syncs))))
    disk, target = run.disk(), tmp_path / "after"
    voice = Voice("xa.police", read_node_file(run.folder).origin, int(time.time()))
    wire = voice.list([*judged([("ethereum", 1, "0x" + "ab" * 20)], "fraud.romance", "collection", 2)])
    for number, call in enumerate(run.calls):
        if number in chosen:
            acked = [one for at_s, one in run.acked if at_s < call.at_s]
            for pages in (None, chance):
                disk.cut(target, chance=pages)
                check(target, acked, wire)
        disk.play(call)
    liar = run.disk(lies_of="-wal")
    for call in run.calls:
        liar.play(call)
    liar.cut(target)
    assert lost(target, [one for _, one in run.acked]), "the emulator loses nothing: it proves nothing"
