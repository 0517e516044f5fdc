"""The index file of a node: shared by its processes, added to before each commit, built anew without missing anything, filed by reach."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from app.domain.errors import Unavailable
from app.domain.identifiers import Subject, read_id, read_subject
from app.domain.labels import EVERYTHING, PUBLIC, Label, Membership, Reader, ReaderClass, Tlp
from app.domain.reach import CLEAR, GREEN, reach_of, write_reach
from app.index.buckets import HEAD_BYTES, Buckets
from app.index.listed import LOCK, NAME, Filing, ListedIds, Page
from tests.index.addresses import evm, mixed, tron

EVIL, GOOD, WORSE = (read_subject(f"https://{name}.example/") for name in ("evil", "good", "worse"))
VASP = Reader(ReaderClass.VASP, "de.exchange", node_ids=frozenset({"de.example"}))


async def pages(*of: Filing) -> AsyncIterator[Page]:
    for page in of:
        yield text_of(page)


def text_of(filing: Filing) -> Page:
    return [(reach, "\n".join(ids)) for reach, ids in filing]


def some(numbers: range) -> list[str]:
    return [read_subject(mixed(number)).id for number in numbers]


def clear(*ids: str) -> Filing:
    return [(CLEAR, list(ids))]


def holds(listed: ListedIds, *subjects: Subject, reader: Reader = PUBLIC) -> list[bool]:
    return [listed.may_hold(one, reader) for one in subjects]


async def rebuild(listed: ListedIds, *of: Filing, places: dict[str, int]) -> None:
    built = await listed.build(pages(*of))
    assert built is not None
    assert listed.adopt(built, places)


async def built(folder: Path, ids: Sequence[str], places: dict[str, int]) -> ListedIds:
    listed = ListedIds(folder)
    assert listed.open() is None
    await rebuild(listed, [(CLEAR, ids)], places=places)
    return listed


async def test_ids_and_their_kin_are_candidates(tmp_path: Path):
    """An address, its twin on another chain by the shared key; many at once and one by one."""
    ethereum, twin = read_subject(evm(1)), read_subject(tron(1))
    listed = await built(tmp_path, some(range(100, 700)), {"a": 1})
    assert holds(listed, ethereum) == [False]
    listed.add(clear(twin.id))
    assert holds(listed, ethereum, twin) == [True, True]
    assert all(holds(listed, *(read_subject(mixed(number)) for number in range(100, 700))))
    count = len(listed)
    listed.add(clear(*some(range(100, 700))))
    assert len(listed) == count


async def test_a_file_is_used_again_if_it_is_whole(tmp_path: Path):
    """A restart: the places of the file, what was added since it was built in it. One that was cut short: none."""
    listed = await built(tmp_path, some(range(50)), {"a": 1})
    listed.add(clear(EVIL.id))
    listed.advance({"a": (1, 2), "b": (0, 9), "c": (4, 5)})
    listed.close()
    again = ListedIds(tmp_path)
    assert holds(again, GOOD) == [True]  # nothing is known without a file: look
    assert again.open() == {"a": 2, "b": 9}  # of `c` something is missing before the fourth
    assert holds(again, GOOD) == [True]
    again.believe()
    assert holds(again, EVIL, GOOD) == [True, False]
    again.close()
    with (tmp_path / NAME).open("r+b") as file:
        file.truncate(HEAD_BYTES)
    assert ListedIds(tmp_path).open() is None


async def test_a_place_moves_only_over_what_was_added(tmp_path: Path):
    """Whoever adds 5 to 8 while 3 to 5 are missing does not make the file true up to 8; moves are noticed all the same."""
    listed = await built(tmp_path, [], {"a": 3})
    moves = listed.moves
    listed.advance({"a": (5, 8)})
    assert (listed.places(), listed.moves != moves) == ({"a": 3}, True)
    listed.advance({"a": (2, 5)})
    listed.advance({"a": (5, 8)})
    assert listed.places() == {"a": 8}


async def test_all_add_and_all_see_it_at_once_also_after_a_rebuild(tmp_path: Path):
    """Two processes' handles on one file: each sees what the other adds, and opens the new file when the old has moved."""
    listed = await built(tmp_path, some(range(50)), {"a": 1})
    other = ListedIds(tmp_path)
    assert other.open() == {"a": 1}
    other.believe()
    other.add(clear(EVIL.id))
    assert holds(listed, EVIL) == [True]
    listed.add(clear(GOOD.id))
    assert holds(other, GOOD, WORSE) == [True, False]
    generation = other.generation
    await rebuild(listed, clear(*some(range(60)), EVIL.id), places={"a": 5})
    other.add(clear(WORSE.id))
    assert holds(listed, WORSE, GOOD) == [True, False]
    assert (other.places(), other.generation) == ({"a": 5}, generation + 1)
    assert all(holds(other, *(read_subject(mixed(number)) for number in range(60))))
    assert (tmp_path / LOCK).exists()


async def test_what_is_added_during_a_rebuild_is_in_the_new_file(tmp_path: Path):
    """Between two pages, and when all are read: it goes into both files."""
    listed = await built(tmp_path, some(range(50)), {"a": 1})

    async def disturbed() -> AsyncIterator[Page]:
        yield text_of(clear(*some(range(25))))
        listed.add([(GREEN, [EVIL.id])])
        yield text_of(clear(*some(range(25, 50))))

    made = await listed.build(disturbed())
    assert made is not None
    listed.add(clear(GOOD.id))
    assert await ListedIds(tmp_path).build(pages()) is None  # one at a time
    assert listed.adopt(made, {"a": 2})
    assert holds(listed, EVIL, GOOD, WORSE) == [False, True, False]
    assert holds(listed, EVIL, reader=VASP) == [True]
    assert all(holds(listed, *(read_subject(mixed(number)) for number in range(50))))


async def test_a_full_file_is_believed_by_nobody(tmp_path: Path):
    """From the addition on that had no room every process says "look", until a larger file stands there."""
    listed = await built(tmp_path, some(range(10)), {"a": 1})
    reader = ListedIds(tmp_path)
    assert reader.open() == {"a": 1}
    reader.believe()
    assert holds(reader, GOOD) == [False]
    many = [f"domain:x{number}.example" for number in range(5_000)]
    listed.add(clear(*many))
    assert (holds(reader, GOOD), holds(listed, GOOD)) == ([True], [True])
    await rebuild(listed, clear(*many), places={"a": 2})
    assert reader.open() == {"a": 2}
    reader.believe()
    assert holds(reader, read_id("domain:x77.example"), GOOD) == [True, False]


async def test_what_comes_too_late_for_its_room_leaves_the_old_file_in_use(tmp_path: Path):
    """A new file that ran over while it was built is not taken; the old one answers as before."""
    listed = await built(tmp_path, some(range(2_000)), {"a": 1})
    made = await listed.build(pages(clear(EVIL.id)))
    assert made is not None
    made.take(clear(*(f"domain:x{number}.example" for number in range(5_000))))
    assert not listed.adopt(made, {"a": 2})
    assert listed.places() == {"a": 1}
    assert holds(listed, read_subject(mixed(3)), EVIL) == [True, False]


async def test_a_lock_that_is_kept_is_no_reason_to_wait_for_ever(tmp_path: Path):
    """Somebody who was stopped with the lock in hand: an addition is refused after a moment, and with it its commit."""
    listed, other = await built(tmp_path, [], {}), ListedIds(tmp_path)
    other.open()
    with listed._alone(), pytest.raises(Unavailable):
        other.add(clear(EVIL.id))


# --- reach -----------------------------------------------------------------------------------------------------------

AMBER = Label(Tlp.AMBER, frozenset({"de.example"}))
RED = Label(Tlp.RED, frozenset({"de.lka"}))


async def test_who_may_not_read_it_is_not_led_to_it(tmp_path: Path):
    """Filed for everybody, for members, for an audience, for one: each reader looks in his classes; the issuer finds his own."""
    said = {
        "clear": reach_of(Label(Tlp.CLEAR), Label(Tlp.CLEAR), "de.bka"),
        "green": reach_of(Label(Tlp.CLEAR), Label(Tlp.GREEN), "de.bka"),
        "amber": reach_of(Label(Tlp.GREEN), AMBER, "de.bka"),
        "red": reach_of(AMBER, RED, "de.bka"),
    }
    subjects = {name: read_subject(f"https://{name}.example/") for name in said}
    listed = await built(tmp_path, [], {})
    listed.add([(write_reach(reach), [subjects[name].id]) for name, reach in said.items()])
    readers = {
        "public": PUBLIC,
        "client": VASP,
        "stranger": Reader(ReaderClass.VASP, "fr.exchange"),
        "member of the audience": Reader(ReaderClass.NODE, "de.zoll", ids=frozenset({"de.example"})),
        "in a group": Reader(ReaderClass.NODE, "de.zoll", memberships=(Membership("de.example/log", "de.lka", 3),)),
        "addressee": Reader(ReaderClass.NODE, "de.lka"),
        "issuer": Reader(ReaderClass.NODE, "de.bka"),
        "the node": EVERYTHING,
    }
    seen = {who: {name for name, one in subjects.items() if listed.may_hold(one, reader)} for who, reader in readers.items()}
    assert seen == {
        "public": {"clear"},
        "client": {"clear", "green", "amber"},
        "stranger": {"clear", "green"},
        "member of the audience": {"clear", "green", "amber"},
        "in a group": {"clear", "green", "red"},
        "addressee": {"clear", "green", "red"},
        "issuer": {"clear", "green", "amber", "red"},
        "the node": {"clear", "green", "amber", "red"},
    }


async def test_a_class_that_is_new_is_looked_in_from_then_on(tmp_path: Path):
    """A reader's classes are worked out once; another process files something for him for the first time, then a third."""
    first = await built(tmp_path, [], {})
    handles = [first, ListedIds(tmp_path), ListedIds(tmp_path)]
    for one in handles[1:]:
        one.open()
        one.believe()
    reader = Reader(ReaderClass.NODE, "de.lka")
    assert [holds(one, EVIL, reader=reader) for one in handles] == [[False]] * 3
    assert [one.turns(reader) for one in handles] == [(0,)] * 3
    handles[1].add([(write_reach(reach_of(RED, RED, "de.bka")), [EVIL.id])])
    assert [holds(one, EVIL, reader=reader) for one in handles] == [[True]] * 3
    handles[2].add([(write_reach(reach_of(RED, RED, "de.zoll")), [GOOD.id])])
    assert [holds(one, GOOD, EVIL, reader=Reader(ReaderClass.NODE, "de.zoll")) for one in handles] == [[True, False]] * 3


# --- crashes ---------------------------------------------------------------------------------------------------------

ADDING = """
import sys
from pathlib import Path
from app.index.listed import ListedIds
from tests.index.addresses import evm
listed = ListedIds(Path(sys.argv[1]))
listed.open()
listed.believe()
for number in range(10**6):
    ids = ["eip155:0:" + evm(10 * number + n).lower() for n in range(10)]
    listed.add([("clear", ids)])
    listed.advance({"a": (number, number + 1)})
    print(number + 1, flush=True)
"""


def add_until_killed(folder: Path, after_s: float) -> list[int]:
    """The places that another process said it had reached before it was killed."""
    with subprocess.Popen([sys.executable, "-c", ADDING, str(folder)], stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        told = [int(writer.stdout.readline())]
        time.sleep(after_s)
        os.kill(writer.pid, signal.SIGKILL)
        return told + [int(line) for line in writer.stdout.read().split("\n")[:-1]]


@pytest.mark.slow
@pytest.mark.parametrize("attempt", range(3))
async def test_one_that_is_killed_does_no_harm_to_the_others(tmp_path: Path, attempt: int):
    """kill -9 in the middle of an addition: who lives goes on, mends the sums with the next addition, and misses nothing."""
    await rebuild(ListedIds(tmp_path), clear(*(f"domain:x{number}.example" for number in range(200_000))), places={"a": 0})
    living = ListedIds(tmp_path)
    assert living.open() == {"a": 0}
    living.believe()
    told = add_until_killed(tmp_path, 0.1 + 0.05 * attempt)
    place = living.places()["a"]
    assert place >= told[-1]
    assert all(holds(living, *(read_subject(evm(number)) for number in range(10 * place))))
    living.add(clear(EVIL.id))
    assert not Buckets.open(tmp_path / NAME).is_dirty
    again = ListedIds(tmp_path)
    assert again.open() == {"a": place}
    again.believe()
    assert holds(again, EVIL, GOOD) == [True, False]
