"""F-04: the disk runs full under a node. Writes are refused with `unavailable`, lookups go on, and it recovers by itself."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from app.services.admit import Admitted
from app.services.screen import Caller as Asking
from app.services.screen import Query
from app.storage.upgrade import upgrade
from tests.checks import check_index, check_log, check_states
from tests.factories import Clock, Town, accept, submit, vasp_reader, wallet, wallet_id, words

SIZE = 6 * 2**20


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of a few megabytes."""
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", str(folder)], capture_output=True, text=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"NOT TESTED: what a full disk does. A tmpfs cannot be mounted here: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def fill_up(ballast: Path) -> None:
    """Leave no page free."""
    with ballast.open("wb", buffering=0) as file, suppress(OSError):
        while file.write(b"\0" * 4096):
            pass


@pytest.mark.parametrize("anchor_too", [False, True])
async def test_a_full_disk_stops_writing_and_nothing_else(small_disk: Path, tmp_path: Path, clock: Clock, anchor_too: bool) -> None:
    """No statement is half there, nobody gets a receipt that does not hold; with room again the same bytes are taken."""
    url = f"sqlite+aiosqlite:///{small_disk / 'cordon.sqlite3'}"
    upgrade(url)
    town = Town.found((small_disk if anchor_too else tmp_path) / "de", clock=clock)
    ballast = small_disk / "ballast"
    async with town.open(url) as node:
        bka = town.signer("de.bka#1")
        await accept(node, *town.settled(), bka.listing(wallet(1)))
        fill_up(ballast)
        wires = [bka.listing(*(wallet(1000 * turn + n) for n in range(100))) for turn in range(12)]
        told = [(await submit(node, wire))[0] for wire in wires]
        assert set(words(told)) <= {"accepted", "unavailable"}
        assert words(told)[-1] == "unavailable", "the disk was not full"
        for wire, result in zip(wires, told, strict=True):
            if isinstance(result, Admitted):
                town.check_receipt(wire, result)
        answer = await node.screening.screen_one(Query(wallet_id(1)), Asking(vasp_reader(), actor=""))
        assert isinstance(answer["result"], dict)
        assert answer["result"]["match"] == "listed"
        assert node.gate.frozen is None, node.gate.frozen
        ballast.unlink()
        again = await submit(node, *wires)
        assert set(words(again)) <= {"accepted", "known"}
        for wire, result in zip(wires, again, strict=True):
            assert isinstance(result, Admitted)
            town.check_receipt(wire, result)
        async with node.database.reading() as tx:
            folded = await check_states(tx, node, town)
            await check_log(tx, town, [])
        await check_index(node, town, folded)
