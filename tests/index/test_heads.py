"""The board of heads: what pollers and streams are told, and when."""

from __future__ import annotations

import asyncio

import pytest

from app.domain.errors import Quota
from app.domain.statement import ohash_of
from app.index import heads
from app.index.heads import HeadBoard
from tests.waiting import within

ORIGIN = "de.example/log"
OTHER = "fr.example/log"


def sizes(found: list[heads.PostedHead]) -> list[tuple[str, int]]:
    return [(head.origin, head.size) for head in found]


async def test_a_poller_gets_what_was_put_since_he_asked() -> None:
    """First everything, then only what moved; nothing new is an empty page under the same cursor."""
    board = HeadBoard()
    assert board.put(ORIGIN, "a1", 1)
    assert board.put(OTHER, "b7", 7)
    found, cursor = board.since()
    assert sizes(found) == [(ORIGIN, 1), (OTHER, 7)]
    assert found[0].ohash == ohash_of(ORIGIN)
    assert board.since(cursor) == ([], cursor)
    board.put(ORIGIN, "a2", 2)
    found, following = board.since(cursor)
    assert sizes(found) == [(ORIGIN, 2)]
    assert following != cursor


async def test_a_smaller_tree_and_the_same_note_move_nothing() -> None:
    """An old note that comes late is no news, nor is one that stands already; a fresh note of the same size is."""
    board = HeadBoard()
    board.put(ORIGIN, "a2", 2)
    _, cursor = board.since()
    assert not board.put(ORIGIN, "a1", 1)
    assert not board.put(ORIGIN, "a2", 2)
    assert board.since(cursor)[0] == []
    assert board.put(ORIGIN, "a2 with a cosignature", 2)
    assert [head.note for head in board.since(cursor)[0]] == ["a2 with a cosignature"]


async def test_a_waiting_poller_wakes_at_once_and_gives_up_in_time() -> None:
    """Whoever waits hears of the next head without delay, and of nothing when nothing comes."""
    board = HeadBoard()
    board.put(ORIGIN, "a1", 1)
    _, cursor = board.since()
    waiting = [asyncio.create_task(board.wait(cursor, 5)) for _ in range(3)]
    await asyncio.sleep(0)
    board.put(ORIGIN, "a2", 2)
    async with within(1):
        assert [sizes(found) for found, _ in await asyncio.gather(*waiting)] == [[(ORIGIN, 2)]] * 3
    assert await board.wait(board.since()[1], 0.01) == ([], board.since()[1])


async def test_a_cursor_of_another_worker_is_caught_up_only_if_it_knew_the_same() -> None:
    """Workers count for themselves: the same heads wait, other heads are told from the beginning, so is any text that is no cursor."""
    ours, theirs = HeadBoard(), HeadBoard()
    for board in (ours, theirs):
        board.put(ORIGIN, "a1", 1)
        board.put(OTHER, "b7", 7)
    _, cursor = ours.since()
    assert theirs.since(cursor)[0] == []
    theirs.put(OTHER, "b8", 8)
    assert len(theirs.since(cursor)[0]) == 2
    assert len(cursor) <= 64
    for text in ("", "0", "-1", "x" * 100, cursor + "0", "0" * 16 + ".0.", "0" * 16 + ".99."):
        assert len(ours.since(text)[0]) == 2, text


async def test_many_heads_come_in_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """A page is bounded in number and size; the cursor goes on where it ended, and nothing is told twice."""
    monkeypatch.setattr(heads, "PAGE_HEADS", 3)
    board = HeadBoard()
    for number in range(7):
        board.put(f"n{number}.example/log", f"note {number}", number)
    seen: list[int] = []
    cursor = ""
    for _ in range(3):
        found, cursor = board.since(cursor)
        seen += [head.size for head in found]
    assert seen == [*range(7)]
    assert board.since(cursor)[0] == []
    monkeypatch.setattr(heads, "PAGE_CHARACTERS", 10)
    assert len(board.since()[0]) == 1


async def test_a_stream_hears_growth_once_a_log_however_slow_it_is() -> None:
    """A listener that sleeps finds the newest size of each log, not every step; notes of the same size are not for him."""
    board = HeadBoard()
    board.put(ORIGIN, "a1", 1)
    with board.subscribe("peer") as signal:
        assert await signal.take(0.01) == []
        for size in range(2, 1000):
            board.put(ORIGIN, f"a{size}", size)
        board.put(ORIGIN, "a999 once more", 999)
        board.put(OTHER, "b1", 1)
        assert await signal.take(1) == [(ohash_of(ORIGIN), 999), (ohash_of(OTHER), 1)]
        board.put(OTHER, "b1 once more", 1)
        assert await signal.take(0.01) == []
    assert board.listeners == 0


async def test_one_listener_has_a_bounded_number_of_streams() -> None:
    """Beyond it Quota; a stream that ends, also by an error, makes room, and others are not touched."""
    board = HeadBoard(most_signals=1)
    with board.subscribe("fr.example"), board.subscribe("nl.example"):
        with pytest.raises(Quota), board.subscribe("fr.example"):
            pass
        assert board.listeners == 2
    with pytest.raises(ZeroDivisionError), board.subscribe("fr.example"):
        raise ZeroDivisionError
    with board.subscribe("fr.example"):
        assert board.listeners == 1


async def test_a_log_that_is_no_longer_held_is_told_no_more() -> None:
    """After a peer was removed its head is gone from the board."""
    board = HeadBoard()
    board.put(ORIGIN, "a1", 1)
    board.put(OTHER, "b1", 1)
    board.drop(OTHER)
    assert sizes(board.since()[0]) == [(ORIGIN, 1)]
    assert board.get(OTHER) is None
