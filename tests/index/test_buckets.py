"""The laws of the bucket file: it never says no to what is in it, whoever writes beside it and whatever a crash leaves."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.domain.reach import CLEAR, GREEN
from app.index import vector
from app.index.buckets import BUCKET_BYTES, HEAD_BYTES, Buckets, Damaged, Full, buckets_for

SECRET = b"s" * 32


def some_digests(first: int, count: int) -> np.ndarray:
    return np.random.default_rng(first).integers(0, 2**64, count, dtype=np.uint64)


def in_one_place(count: int) -> np.ndarray:
    """Digests that all belong into the last bucket: the worst that can come."""
    return (np.arange(1, count + 1, dtype=np.uint64) << np.uint64(32)) | np.uint64(0xFFFFFFFF)


def file_of(path: Path, digests: np.ndarray) -> Buckets:
    made = Buckets.create(path, buckets_for(len(digests)), secret=SECRET)
    vector.add(made, digests)
    made.set_places({"de.example/log": 7})
    return made


# --- one file ------------------------------------------------------------------------------------------------------


def test_what_is_added_is_found_by_both_readers_and_hardly_anything_else(tmp_path: Path):
    """One by one and many at once give equal answers; of 100,000 strangers not one is taken for a member."""
    digests, strangers = some_digests(1, 30_000), some_digests(2, 100_000)
    made = file_of(tmp_path / "a", digests)
    read = Buckets.open(tmp_path / "a")
    table = vector.table_of(read)
    assert vector.probe(table, digests).all()
    assert all(read.holds(int(d)) for d in digests[:5_000])
    assert vector.probe(table, strangers).sum() == 0
    assert not any(read.holds(int(d)) for d in strangers[:5_000])
    assert (len(made), read.places()) == (30_000, {"de.example/log": 7})
    assert made.load <= 0.75
    assert made.verify()
    assert vector.verify(read)


@pytest.mark.parametrize("piece", [1, 7, 300, 100_000])
def test_a_new_file_is_filled_with_what_additions_would_put_there(piece: int):
    """Whatever it is cut into: each once, found by both readers, also past full buckets and round the end; sums and count are right."""
    gathered = np.concatenate((some_digests(3, 2_000), in_one_place(70), some_digests(3, 500), some_digests(4, 900)))
    distinct = vector.by_home(gathered.copy())
    assert set(distinct.tolist()) == set(gathered.tolist())
    assert len(distinct) == 2_970
    made, added = (Buckets.create(None, buckets_for(2 * len(gathered)), secret=SECRET) for _ in range(2))
    for start in range(0, len(distinct), piece):
        vector.fill(made, distinct[start : start + piece])
    vector.add(added, gathered)
    assert len(made) == len(added) == 2_970
    assert vector.verify(made)
    assert vector.probe(vector.table_of(made), gathered).all()
    assert all(made.holds(digest) for digest in gathered.tolist())
    assert vector.add(made, gathered) == 0
    with pytest.raises(Full):
        vector.fill(made, some_digests(5, made.room + 1))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.lists(st.integers(0, 40), min_size=1, max_size=9)), max_size=60))
def test_a_history_of_additions_is_a_set(history: list[tuple[bool, list[int]]]):
    """Added once or a hundred times it is there once; sums and counts hold after each step; nothing is lost when places are shared."""
    made = Buckets.create(None, 64, secret=SECRET)
    crowded = in_one_place(41)
    held: set[int] = set()
    for is_vector, which in history:
        some = crowded[which]
        count = vector.add(made, some) if is_vector else made.add([int(one) for one in some])
        assert count == len(set(which) - held)
        held |= set(which)
    for which_one in range(41):
        there = [made.holds(int(crowded[which_one])), bool(vector.probe(vector.table_of(made), crowded[which_one : which_one + 1])[0])]
        assert there == [which_one in held] * 2
    assert len(made) == len(held)
    assert made.verify()
    assert vector.verify(made)


def test_a_search_goes_past_full_buckets_and_round_the_end():
    """Hundreds that belong into the last bucket spill into the first ones and are all found; neighbours still find their own."""
    made = Buckets.create(None, 64, secret=SECRET)
    crowded, others = in_one_place(300), some_digests(3, 200)
    vector.add(made, crowded)
    made.add([int(d) for d in others])
    both = np.concatenate((crowded, others))
    assert vector.probe(vector.table_of(made), both).all()
    assert all(made.holds(int(d)) for d in both)
    assert made.verify()


def test_what_stands_on_one_side_of_the_pairs_is_never_in_the_way_of_the_other():
    """Whoever looks under CLEAR goes no further for what is filed under GREEN: hundreds of one side leave the other as it was."""
    made = Buckets.create(None, 64, secret=SECRET)
    vector.add(made, in_one_place(150))
    made.add([int(d) for d in in_one_place(300)])
    table = vector.table_of(made)
    assert not table[::2].any()
    assert np.count_nonzero(table[1::2]) == 300
    assert made.digester.turn(GREEN) & 0xFFFFFFFF == 1
    with pytest.raises(ValueError, match="in pairs"):
        Buckets.create(None, 65, secret=SECRET)


@pytest.mark.parametrize("count", [0, 1, 40, 3_000])
@pytest.mark.parametrize("names", [(CLEAR,), (CLEAR, GREEN), (CLEAR, GREEN, "@a"), (CLEAR, "@a", "@b"), (GREEN, CLEAR)])
def test_several_classes_are_looked_for_as_one_by_one(names: tuple[str, ...], count: int):
    """Two that share their pairs in one go, others each by itself; past full buckets too, and with every second one missing."""
    made = Buckets.create(None, buckets_for(4_000), secret=SECRET)
    turns = [made.digester.turn(name) for name in names]
    digests = np.concatenate((some_digests(6, count), in_one_place(count // 10)))
    filed = [one ^ turns[at % len(turns)] for at, one in enumerate(digests[::2].tolist())]
    vector.add(made, np.array(filed, np.uint64))
    found = vector.probe(vector.table_of(made), digests, turns)
    assert found.tolist() == [any(made.holds(one ^ turn) for turn in turns) for one in digests.tolist()]
    assert found[::2].all()
    assert not found[1::2].any()


@pytest.mark.parametrize("is_vector", [True, False])
def test_an_addition_beyond_three_quarters_is_refused_before_anything_is_written(is_vector: bool):
    """Full, at once and in bounded time, with the file as it was."""
    made = Buckets.create(None, 64, secret=SECRET)
    digests = some_digests(4, 64 * 12 + 1)
    vector.add(made, digests[:-2])
    before = bytes(made.area)
    more = digests[-2:].repeat(2)
    with pytest.raises(Full):
        vector.add(made, more) if is_vector else made.add([int(d) for d in more])
    assert bytes(made.area) == before
    assert made.room == 1


def test_the_value_that_means_something_else_is_no_fingerprint():
    """A digest whose upper half is 0 or all ones is filed and found like any other."""
    made = Buckets.create(None, 64, secret=SECRET)
    odd = np.array([5, 0xFFFFFFFF << 32 | 5], np.uint64)
    vector.add(made, odd[:1])
    made.add([int(odd[1])])
    assert [made.holds(int(d)) for d in odd] == [True, True]
    assert vector.probe(vector.table_of(made), odd).all()
    assert made.verify()


# --- what is left after a crash ------------------------------------------------------------------------------------


def is_trusted(path: Path) -> bool:
    """As a node decides at its start."""
    try:
        found = Buckets.open(path)
    except Damaged:
        return False
    return vector.verify(found) and found.verify()


@pytest.mark.parametrize("keep", [0, 1, 100, HEAD_BYTES - 1, HEAD_BYTES + BUCKET_BYTES, -1])
def test_a_file_that_was_cut_is_not_used(tmp_path: Path, keep: int):
    """Whatever its length."""
    file_of(tmp_path / "a", some_digests(5, 2_000)).flush()
    whole = (tmp_path / "a").read_bytes()
    (tmp_path / "a").write_bytes(whole[:keep])
    assert not is_trusted(tmp_path / "a")


@pytest.mark.parametrize("at", [0, 9, 12, 30, 68, 73, 90, HEAD_BYTES + 3, -1, -70])
def test_a_file_with_a_flipped_bit_is_not_used(tmp_path: Path, at: int):
    """In the head, the counts, the sums or any place."""
    file_of(tmp_path / "a", some_digests(6, 2_000)).flush()
    spoilt = bytearray((tmp_path / "a").read_bytes())
    assert is_trusted(tmp_path / "a")
    spoilt[at] ^= 4
    (tmp_path / "a").write_bytes(spoilt)
    assert not is_trusted(tmp_path / "a")


def test_a_page_that_was_not_written_is_noticed(tmp_path: Path):
    """The head of now over a page of before, or the other way round, as a loss of power may leave them."""
    made = file_of(tmp_path / "a", some_digests(7, 20_000))
    before = (tmp_path / "a").read_bytes()
    vector.add(made, some_digests(8, 500))
    now = (tmp_path / "a").read_bytes()
    page = HEAD_BYTES + 4096
    (tmp_path / "a").write_bytes(now[:page] + before[page : page + 4096] + now[page + 4096 :])
    assert not is_trusted(tmp_path / "a")
    (tmp_path / "a").write_bytes(before[:4096] + now[4096:])
    assert not is_trusted(tmp_path / "a")
    (tmp_path / "a").write_bytes(now)
    assert is_trusted(tmp_path / "a")


WRITER = """
import sys
import numpy as np
from pathlib import Path
from app.index import vector
from app.index.buckets import Buckets
made = Buckets.open(Path(sys.argv[1]), writable=True)
rng = np.random.default_rng(9)
print("ready", flush=True)
for number in range(1, 10**6):
    digests = rng.integers(0, 2**64, 40, dtype=np.uint64)
    vector.add(made, digests) if number % 2 else made.add([int(d) for d in digests])
    made.set_places({"de.example/log": number})
    print(number, flush=True)
"""


@pytest.mark.slow
@pytest.mark.parametrize("attempt", range(4))
def test_a_writer_that_is_killed_leaves_a_file_that_is_right_or_not_used(tmp_path: Path, attempt: int):
    """kill -9 in the middle of batches: either sums and marks give it away, or everything up to the written place is in."""
    Buckets.create(tmp_path / "a", buckets_for(2_000_000), secret=SECRET)
    with subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path / "a")], stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        writer.stdout.readline()
        told = [int(writer.stdout.readline())]
        time.sleep(0.05 + 0.03 * attempt)
        os.kill(writer.pid, signal.SIGKILL)
        told += [int(line) for line in writer.stdout.read().split("\n")[:-1]]
    found = Buckets.open(tmp_path / "a")
    place = found.places().get("de.example/log", 0)
    assert place >= told[-1]
    if not vector.verify(found):
        return
    rng = np.random.default_rng(9)
    digests = np.concatenate([rng.integers(0, 2**64, 40, dtype=np.uint64) for _ in range(place)])
    assert vector.probe(vector.table_of(found), digests).all()


PLACING = """
import sys
from pathlib import Path
from app.index.buckets import Buckets
made = Buckets.open(Path(sys.argv[1]), writable=True)
for number in range(1, 60_001):
    made.set_places({"a": number, "b" * (number % 90 + 1): number})
"""


@pytest.mark.slow
def test_places_are_read_whole_while_they_are_written(tmp_path: Path):
    """A writer that goes round both copies without pause: every reading is one that was written, and none goes back."""
    Buckets.create(tmp_path / "a", 64, secret=SECRET).set_places({"a": 0, "b": 0})
    read, last, looks = Buckets.open(tmp_path / "a"), 0, 0
    with subprocess.Popen([sys.executable, "-c", PLACING, str(tmp_path / "a")]) as writer:
        while writer.poll() is None:
            places = read.places()
            assert len(places) == 2
            assert len(set(places.values())) == 1
            assert places["a"] >= last
            last, looks = places["a"], looks + 1
    assert looks > 100
    assert read.places()["a"] == 60_000


COUNTING = """
import sys
import numpy as np
from pathlib import Path
from app.index import vector
from app.index.buckets import Buckets
made = Buckets.open(Path(sys.argv[1]), writable=True)
digests = np.random.default_rng(10).integers(0, 2**64, 400_000, dtype=np.uint64)
for start in range(0, 400_000, 500):
    piece = digests[start : start + 500]
    vector.add(made, piece) if start % 1000 else made.add([int(d) for d in piece])
    made.set_places({"n": start + 500})
"""


@pytest.mark.slow
def test_a_reader_misses_nothing_while_another_process_writes(tmp_path: Path):
    """What the writer has said to be in is found by both readers in a process of its own, at every moment of 400,000 additions."""
    base = some_digests(11, 50_000)
    made = Buckets.create(tmp_path / "a", buckets_for(500_000), secret=SECRET)
    vector.add(made, base)
    coming = np.random.default_rng(10).integers(0, 2**64, 400_000, dtype=np.uint64)
    looks = 0
    with subprocess.Popen([sys.executable, "-c", COUNTING, str(tmp_path / "a")]) as writer:
        read = Buckets.open(tmp_path / "a")
        table = vector.table_of(read)
        while writer.poll() is None:
            said = read.places().get("n", 0)
            assert vector.probe(table, base).all()
            assert vector.probe(table, coming[:said]).all()
            assert all(read.holds(int(d)) for d in coming[max(0, said - 20) : said])
            looks += 1
        assert writer.returncode == 0
    assert looks > 3
    assert vector.probe(table, coming).all()
    assert vector.verify(read)
