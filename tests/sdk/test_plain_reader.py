"""A reader that knows only the standard follows a log of another implementation, and ours, byte for byte."""

from __future__ import annotations

from collections.abc import Callable

import httpx
import pytest

from tests.api.front import Front, open_front
from tests.factories import Town, accept, wallet
from tests.paths import DATA
from tests.sdk.plain_reader import Dishonest, Fetch, PlainReader, path_of

LOG = DATA / "vectors" / "tlog" / "log"
VKEY = "example.com/log/testdata+33d7b496+AeHTu4Q3hEIMHNqc6fASMsq3rKNx280NI+oO5xCFkkSx"
needs_log = pytest.mark.skipif(not LOG.exists(), reason="the signed tiled log is absent: set CORDON_SHARED to the folder that holds it")

Change = Callable[[str, bytes], bytes]


def stored(size: int, change: Change = lambda _, data: data) -> Fetch:
    """The log of another implementation as it was at `size`; `change` is what a dishonest log does to a body."""

    def body(path: str) -> bytes | None:
        file = LOG / (f"checkpoint.{size}" if path == "checkpoint" else path)
        return change(path, file.read_bytes()) if file.is_file() else None

    async def fetch(path: str) -> bytes | None:
        return body(path)

    return fetch


def served(http: httpx.AsyncClient) -> Fetch:
    """The log of a node, over HTTP."""

    async def fetch(path: str) -> bytes | None:
        answer = await http.get(f"/log/{path}")
        assert answer.status_code in (200, 404), answer.text
        return answer.content if answer.status_code == 200 else None

    return fetch


def flip(at: int) -> Callable[[bytes], bytes]:
    """One bit of one byte."""
    return lambda data: data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


@needs_log
async def test_the_log_of_another_implementation_is_followed_from_the_empty_tree():
    """Sixteen signed checkpoints one after the other, each with its tiles and bundles."""
    reader = PlainReader(VKEY, stored(0))
    for size in range(16):
        reader._fetch = stored(size)
        assert await reader.follow() == size
    assert len(set(reader.entries)) > 1


@needs_log
@pytest.mark.parametrize("path", ["checkpoint", "tile/0/000.p/15", "tile/entries/000.p/15"])
async def test_one_flipped_bit_anywhere_is_seen(path: str):
    """The reader is one that can fail: no byte of what a log serves may be another."""
    for at in range(len((LOG / path).read_bytes())):
        reader = PlainReader(VKEY, stored(15, lambda name, data, at=at: flip(at)(data) if name == path else data))
        with pytest.raises((Dishonest, ValueError, IndexError)):
            await reader.follow()


@needs_log
async def test_a_log_that_goes_back_is_seen():
    """Also when each of its checkpoints is signed."""
    reader = PlainReader(VKEY, stored(9))
    await reader.follow()
    reader._fetch = stored(8)
    with pytest.raises(Dishonest, match="went back"):
        await reader.follow()


def test_paths_are_those_of_the_standard():
    """The examples of tlog-tiles."""
    assert path_of("0", 1234067, 256) == "tile/0/x001/x234/067"
    assert path_of("entries", 0, 256) == "tile/entries/000"
    assert path_of("1", 5, 7) == "tile/1/005.p/7"


async def grow(front: Front, first: int, end: int) -> None:
    """Public listings of a wallet each."""
    bka = front.town.signer("de.bka#1")
    await accept(front.node, *[bka.listing(wallet(n), tlp="CLEAR", jti=f"n{n}") for n in range(first, end)])


@pytest.mark.slow
async def test_a_node_is_followed_as_it_grows(town: Town, database_url: str):
    """From its founding over a full tile to the second level: what we serve is what the standard says, on each engine."""
    async with (
        open_front(town, database_url) as front,
        httpx.AsyncClient(transport=httpx.ASGITransport(front.app), base_url="http://127.0.0.1") as http,
    ):
        reader = PlainReader(town.log_keys[0].key.text(), served(http))
        founded = await reader.follow()
        await grow(front, 0, 1)
        assert await reader.follow() == founded + 1
        await grow(front, 1, 256 - founded)
        assert await reader.follow() == 256
        await grow(front, 256, 270)
        assert await reader.follow() == len(reader.entries) == 270
