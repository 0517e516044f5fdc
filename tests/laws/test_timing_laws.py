"""H-1 and S-02 by the clock: how long an answer takes does not say what its reader may not know.

Pairs of requests, one of each sort, in an order drawn anew for each pair, so that a busy machine slows both alike. The two samples are
compared by rank (Mann and Whitney); the law is broken where they part with p < 1e-6, which chance does once in a million runs.
"""

from __future__ import annotations

import gc
import math
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest

from app.domain.api_key import read_api_key
from app.services.enroll import new_api_key
from tests.api.front import PLENTY, WHY, Front, open_front
from tests.api.wire import Line
from tests.factories import Town, accept, wallet, wallet_id

PAIRS = 2_000
WARM = 200
IDS = 100
LEAST_P = 1e-6
Timed = Callable[[Front, str, str], Awaitable[float]]


def rank_p(one: Sequence[float], two: Sequence[float]) -> float:
    """The two-sided p of Mann and Whitney, by the normal approximation: samples are large, ties are rare."""
    ranked = sorted([(value, 0) for value in one] + [(value, 1) for value in two])
    rank_sum = sum(rank for rank, (_, sample) in enumerate(ranked, 1) if sample == 0)
    n, m = len(one), len(two)
    u = rank_sum - n * (n + 1) / 2
    z = (u - n * m / 2) / math.sqrt(n * m * (n + m + 1) / 12)
    return math.erfc(abs(z) / math.sqrt(2))


async def seconds(front: Front, path: str, key: str) -> float:
    """What one request takes inside the application."""
    headers = [(b"host", b"127.0.0.1"), (b"authorization", f"Bearer {key}".encode())] if key else [(b"host", b"127.0.0.1")]
    headers += [(name.lower().encode(), value.encode()) for name, value in WHY.items()]
    scope: dict[str, Any] = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "GET",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": headers,
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 8000),
        "scheme": "http",
        "root_path": "",
    }

    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        pass

    began = time.perf_counter()
    await front.app(scope, receive, send)
    return time.perf_counter() - began


async def seconds_at_once(front: Front, path: str, key: str) -> float:
    """What one request takes that is answered as it comes over the wire; one that is not is sent once in the ordinary way."""
    authorization = f"Authorization: Bearer {key}\r\n" if key else ""
    data = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{authorization}\r\n".encode()
    began = time.perf_counter()
    rest = front.app.at_once(data, "127.0.0.1", lambda _lines, _body: True)  # type: ignore[attr-defined]
    taken = time.perf_counter() - began
    if rest is not None:
        line = Line(front.app)
        await line.say(data)
        line.end()
        return await seconds_at_once(front, path, key)
    return taken


async def compare(
    front: Front, one: Sequence[tuple[str, str]], two: Sequence[tuple[str, str]], *, timed: Timed = seconds
) -> tuple[list[float], list[float]]:
    """Seconds of both sorts of request, (path, key) each, as `timed` takes them; each sort goes round its own.

    Many of each sort: where one id falls in the file of fingerprints, or one key in a table of hashes, costs it some tenth of a
    microsecond, which says nothing of what is known of it, and which the clock sees well.
    """
    taken: tuple[list[float], list[float]] = ([], [])
    dice = random.Random(1)
    gc.disable()
    try:
        for turn in range(WARM + PAIRS):
            for sort in dice.sample([0, 1], 2):
                round_ = (one, two)[sort]
                spent = await timed(front, *round_[turn % len(round_)])
                if turn >= WARM:
                    taken[sort].append(spent)
    finally:
        gc.enable()
    return taken


@pytest.mark.slow
async def test_an_unknown_key_takes_as_long_as_a_wrong_one(town: Town, sqlite_migrated_url: str) -> None:
    """An id that nobody has, and an id that somebody has with another secret: both are looked up and compared (S-02)."""
    async with open_front(town, sqlite_migrated_url, **PLENTY) as front:
        known = read_api_key(await front.key())
        assert known is not None
        wrong = [("/v1/members", replace(new_api_key(), id=known.id).text()) for _ in range(IDS)]
        unknown = [("/v1/members", new_api_key().text()) for _ in range(IDS)]
        taken = await compare(front, wrong, unknown)
    assert not part(taken), medians(taken)


@pytest.mark.slow
@pytest.mark.parametrize("timed", [seconds, seconds_at_once])
@pytest.mark.parametrize("reader", ["public", "vasp"])
async def test_a_hidden_listing_takes_as_long_as_none(town: Town, sqlite_migrated_url: str, reader: str, timed: Timed) -> None:
    """A lookup of an id that is listed for others only, and of one that is not listed at all."""
    async with open_front(town, sqlite_migrated_url, **PLENTY) as front:
        lka = town.signer("de.lka#1")
        await accept(front.node, lka.listing(*map(wallet, range(1, 1 + IDS)), tlp="RED", aud=["de.lka"]))
        key = "" if reader == "public" else await front.key()
        taken = await compare(front, screened(1, key), screened(1 + IDS, key), timed=timed)
    assert not part(taken), medians(taken)


@pytest.mark.slow
async def test_the_comparison_notices_a_listing_that_is_shown(town: Town, sqlite_migrated_url: str) -> None:
    """The same clock and the same ranks tell a hit from a miss, which everybody may know."""
    async with open_front(town, sqlite_migrated_url, **PLENTY) as front:
        await accept(front.node, town.signer("de.bka#1").listing(*map(wallet, range(1, 1 + IDS))))
        key = await front.key()
        taken = await compare(front, screened(1, key), screened(1 + IDS, key))
    assert part(taken), medians(taken)


def screened(first: int, key: str) -> list[tuple[str, str]]:
    """Lookups of so many ids."""
    return [(f"/v1/screen/{wallet_id(first + n)}", key) for n in range(IDS)]


def part(taken: tuple[list[float], list[float]]) -> bool:
    """Whether the clock tells the two sorts apart."""
    return rank_p(*taken) < LEAST_P


def medians(taken: tuple[list[float], list[float]]) -> list[float]:
    """For whoever has to find the gap, in microseconds."""
    return [sorted(some)[len(some) // 2] * 1e6 for some in taken]
