"""The journal: what a crash may leave, what is damage, and that a group is durable or not there."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from app.domain.errors import Unavailable
from app.storage.journal import Journal, aside, read_journal

PAYLOADS = [b"one", b"two" * 900, b"three"]


async def written(path: Path) -> list[int]:
    """A closed file with three groups; where each ends."""
    journal = Journal(path)
    journal.open()
    ends = [await journal.append(payload) for payload in PAYLOADS]
    journal.close()
    return ends


async def test_what_was_appended_is_found_and_goes_on(tmp_path: Path) -> None:
    """Across processes, with the room that was taken ahead or without it; emptied, it is another filling."""
    path = tmp_path / "j"
    ends = await written(path)
    again = Journal(path)
    found = again.open()
    assert found is not None
    assert ([one.payload for one in found.groups], [one.end for one in found.groups], found.damage) == (PAYLOADS, ends, "")
    await again.append(b"four")
    open_still = read_journal(path)
    assert open_still is not None
    assert [one.payload for one in open_still.groups] == [*PAYLOADS, b"four"]
    again.clear()
    emptied = read_journal(path)
    assert emptied is not None
    assert (emptied.groups, emptied.id != found.id) == ((), True)
    await again.append(b"five")
    again.close()
    last = read_journal(path)
    assert last is not None
    assert [one.payload for one in last.groups] == [b"five"]


async def test_there_is_room_ahead_however_long_the_file_grows(tmp_path: Path) -> None:
    """Zeros that the next groups are written over, so that no sync has to keep a new length; what stands there is all found."""
    path = tmp_path / "j"
    journal = Journal(path)
    journal.open()
    payloads = [bytes([number]) * 50_000 for number in range(1, 40)]
    for payload in payloads:
        end = await journal.append(payload)
        assert path.stat().st_size >= end + 100_000
        assert not any(path.read_bytes()[end:])
    found = read_journal(path)
    assert found is not None
    assert ([one.payload for one in found.groups], found.sound_bytes, found.damage) == (payloads, journal.size, "")
    journal.clear()
    assert path.stat().st_size < 300_000
    journal.close()


async def test_a_cut_anywhere_loses_only_what_is_behind_it(tmp_path: Path) -> None:
    """Of a write that a power cut tore there are its first bytes, or zeros: it was never confirmed."""
    path = tmp_path / "j"
    ends = await written(path)
    whole = path.read_bytes()
    for cut in range(len(whole)):
        for rest in (b"", bytes(64)):
            left = whole[:cut] + rest
            path.write_bytes(left)
            found = read_journal(path)
            if cut < 24:
                assert found is None or found.groups == ()
            else:
                assert found is not None
                # Of a link that ends in zeros, as one in 256 does, these zeros are no loss.
                assert (found.damage, len(found.groups)) == ("", sum(left.startswith(whole[:end]) for end in ends))


@pytest.mark.parametrize("at", [3, 20, 26, 40, 60, 2_000])
async def test_a_changed_byte_with_something_behind_it_is_damage(tmp_path: Path, at: int) -> None:
    """It is put aside as it is, and a new file begins; what stands before it is believed."""
    path = tmp_path / "j"
    await written(path)
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)
    journal = Journal(path)
    found = journal.open()
    assert found is not None
    assert found.damage
    assert [one.payload for one in found.groups] == PAYLOADS[: sum(at >= start for start in (24 + 39, 24 + 39 + 2_736))]
    assert aside(path).read_bytes() == data
    await journal.append(b"new")
    journal.close()
    assert (fresh := read_journal(path)) is not None
    assert [one.payload for one in fresh.groups] == [b"new"]


async def test_one_process_at_a_time_has_it(tmp_path: Path) -> None:
    """The lock ends with the file's."""
    first, second = Journal(tmp_path / "j"), Journal(tmp_path / "j")
    first.open()
    with pytest.raises(BlockingIOError):
        second.open()
    first.close()
    second.open()
    second.close()


async def test_a_disk_that_takes_nothing_is_said_and_leaves_nothing(tmp_path: Path) -> None:
    """The write is refused by the kernel; later ones are accepted again, and nothing of the refused one is found."""
    path = tmp_path / "j"
    journal = Journal(path)
    journal.open()
    await journal.append(b"before")
    kept = os.dup(journal._handle)
    full = os.open("/dev/full", os.O_WRONLY)
    os.dup2(full, journal._handle)
    with pytest.raises(Unavailable, match="access log"):
        await journal.append(b"refused" * 2_000)
    os.dup2(kept, journal._handle)
    await journal.append(b"after")
    journal.close()
    os.close(kept)
    os.close(full)
    assert (found := read_journal(path)) is not None
    assert [one.payload for one in found.groups] == [b"before", b"after"]
