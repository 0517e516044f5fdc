"""Talking to another node: its log, its entries as it may show them to us, its heads; and nothing it says is believed by its form.

Every answer is bounded in bytes and time (`outbound`), read strictly, and checked against what was asked: indices in the range, upwards
and without holes, numbers below 2^53. What an answer *says* is for the caller to verify (signatures, hashes).

    Refused (NotFound, Forbidden, Unauthenticated)   the peer does not serve this, or not to us
    Unavailable                                      later; `retry_after_s` if the peer said when
    Malformed                                        not the form that was agreed
    TooLarge                                         more than is read of any answer; of entries: ask for fewer
    Betrayed                                         the form is right, but it is not what was asked for

Protocol §3.7, §3.8, schemas §4 (federation bodies), trust-and-ops S-17.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from itertools import pairwise
from typing import Final
from urllib.parse import quote

import httpx

from ..domain.canonical import JsonValue, read_decimal, read_json, read_plain, write_json
from ..domain.checkpoint import hash_lines
from ..domain.errors import (
    BadJson,
    Betrayed,
    Forbidden,
    Malformed,
    NotFound,
    Refused,
    SizeConflict,
    TooLarge,
    Unauthenticated,
    Unavailable,
)
from ..domain.merkle import HASH_BYTES
from ..domain.statement import ohash_of
from ..domain.tiles import MAX_ENTRY, TILE_BYTES, TILE_WIDTH, parse_tile_path
from ..seal.disclosure import MAX_DISCLOSURES
from .outbound import LIMITS, Limits, check_url

Sign = Callable[[str, str, bytes], str]
"""(method, whole URL, body) to the token that stands for this node in one request (seal/bearer.sign_request)."""

PAGE: Final = 1_024
PARTS: Final = 256
NOTE_BYTES: Final = 64 * 1024
ROOT_BYTES: Final = 1024 * 1024
HEADS_BYTES: Final = 1024 * 1024
PAGE_BYTES: Final = 6 * 1024 * 1024
BUNDLE_BYTES: Final = TILE_WIDTH * (2 + MAX_ENTRY)
MAX_INT: Final = 2**53 - 1

_AT_ONCE: Final = 8
_DEADLINE_S: Final = 10.0
_STREAM_IDLE_S: Final = 90.0
_LINE_BYTES: Final = 4_096
_LINES_AT_ONCE: Final = 64
_LONGEST_LINE: Final = 1024 * 1024
_OHASH: Final = re.compile(r"[0-9a-f]{64}")
_SINCE: Final = re.compile(r"[0-9A-Za-z_.:-]{1,64}")
_WORD: Final = re.compile(r"[a-z][a-z0-9_-]{0,31}")
_CODE: Final = re.compile(rb'"code"\s*:\s*"([a-z0-9_]{1,40})"')
_CONFLICT: Final = "text/x.tlog.size"


@dataclass(frozen=True, slots=True)
class OfferedLine:
    """One entry as a peer offers it. `entry` None: only its hash is for us, `withheld` says so; `erased`: parts that are gone for good."""

    index: int
    entry: bytes | None
    disclosures: tuple[str, ...] = ()
    erased: frozenset[str] = frozenset()
    withheld: str | None = None


@dataclass(frozen=True, slots=True)
class PeerHead:
    """The newest checkpoint that a peer holds of one log, as a note; not verified."""

    ohash: str
    origin: str
    note: str


@dataclass(frozen=True, slots=True)
class Heads:
    """What moved, and the word to ask with next time."""

    heads: tuple[PeerHead, ...]
    next: str


class PeerClient:
    """One peer. `http` is shared by all (outbound.make_client); at most eight requests to one peer are under way at a time.

    `sign` None asks as a stranger. `clock_s` (epoch seconds) is compared with the peer's `Date`: `clock_offset_s`.
    """

    def __init__(self, base_url: str, http: httpx.AsyncClient, sign: Sign | None = None, clock_s: Callable[[], float] = time.time) -> None:
        self.url = check_url(base_url, allow_loopback=True).url  # whether loopback may be called is for `http` to say
        self._http = http
        self._sign = sign
        self._clock_s = clock_s
        self._turns = asyncio.Semaphore(_AT_ONCE)
        self.clock_offset_s: float | None = None
        """How far the peer's clock is ahead of ours, by its newest answer; None before it, or if it does not say."""

    # --- who it is -----------------------------------------------------------------------------------------------------

    async def well_known(self) -> dict[str, JsonValue]:
        """`/.well-known/cordon-node`."""
        return _object(_json(await self._get("/.well-known/cordon-node", NOTE_BYTES)))

    async def root_document(self, version: int) -> bytes:
        """The root document of that version, as served."""
        return await self._get(f"/fed/v1/root/{version}", ROOT_BYTES)

    # --- its logs ------------------------------------------------------------------------------------------------------

    async def checkpoint(self, ohash: str | None = None) -> str:
        """The newest checkpoint note of the peer's own log, or of the log it mirrors."""
        return _text(await self._get(f"{_log(ohash)}/checkpoint", NOTE_BYTES))

    async def tile(self, path: str, ohash: str | None = None) -> bytes:
        """A hash tile of just the width that `path` says, or an entry bundle (bytes as served); Malformed otherwise."""
        named = parse_tile_path(path)
        if named.level == "entries":
            return await self._get(f"{_log(ohash)}/{path}", BUNDLE_BYTES)
        tile = await self._get(f"{_log(ohash)}/{path}", TILE_BYTES)
        if len(tile) != named.width * HASH_BYTES:
            raise Malformed(f"{path} has {len(tile)} bytes, not {named.width * HASH_BYTES}")
        return tile

    async def entries(self, ohash: str, first: int, end: int) -> list[OfferedLine]:
        """Entries first…end−1, or fewer from `first` on (then ask again); empty if the peer has none there."""
        if not 0 <= first < end <= MAX_INT:
            raise ValueError(f"no range of entries runs from {first} to {end}")
        query = f"?o={_ohash(ohash)}&from={first}&to={min(end, first + PAGE)}"
        body = await self._get(f"/fed/v1/entries{query}", PAGE_BYTES)
        try:
            lines = await read_lines(body)
        except TooLarge as error:
            raise Malformed(f"the peer gave another form than entries have: {error.detail}") from error
        if [line.index for line in lines] != list(range(first, first + len(lines))) or first + len(lines) > end:
            raise Betrayed(f"asked for entries {first} to {end}, the peer gave others, or left some out")
        return lines

    async def parts(self, ohash: str, indices: Sequence[int]) -> list[OfferedLine]:
        """What the peer shows us today of up to 256 entries, upwards by index; those it leaves out are not there."""
        if not 0 < len(indices) <= PARTS or not all(0 <= index <= MAX_INT for index in indices):
            raise ValueError(f"ask for 1 to {PARTS} entries at a time")
        query = f"?o={_ohash(ohash)}&ids={','.join(map(str, indices))}"
        lines = await read_lines(await self._get(f"/fed/v1/parts{query}", PAGE_BYTES))
        given = [line.index for line in lines]
        if not set(given) <= set(indices) or any(later <= earlier for earlier, later in pairwise(given)):
            raise Betrayed("the peer gave entries that were not asked for, or one of them twice, or not upwards")
        return lines

    # --- what moved ----------------------------------------------------------------------------------------------------

    async def heads(self, since: str | None = None, wait_s: int = 0) -> Heads | None:
        """Heads that moved after `since` (all of them without it); None if none did within `wait_s`."""
        asked = [*([f"since={quote(since, safe='')}"] if since is not None else []), *([f"wait={wait_s}"] if wait_s else [])]
        limits = Limits(_DEADLINE_S + wait_s, HEADS_BYTES, _DEADLINE_S + wait_s)
        status, body = await self._call("GET", "/fed/v1/heads" + ("?" + "&".join(asked) if asked else ""), limits=limits, turn=not wait_s)
        return None if status == 204 else _read_heads(body)

    async def stream(self) -> AsyncIterator[tuple[str, int]]:
        """(ohash, size) of every head as it moves, until the peer ends it; Unavailable when it has been silent for 90 s."""
        limits = Limits(None, None, _STREAM_IDLE_S)
        async with self._exchange("GET", "/fed/v1/stream", limits=limits, accept="text/event-stream") as response:
            if response.status_code != 200:
                raise _refusal(response, b"")
            event = ""
            async for line in _lines_of(response.aiter_raw()):
                name, _, value = line.partition(":")
                if name == "event":
                    event = value.strip()
                elif name == "data" and event == "head":
                    yield _read_moved(value.strip().encode("utf-8"))
                elif not line:
                    event = ""

    async def nudge(self, ohash: str, size: int) -> None:
        """Tell the peer that a log has grown; it looks for itself."""
        await self._post("/fed/v1/nudge", write_json({"o": _ohash(ohash), "size": size}), "application/json")

    async def evidence(self, text: str) -> None:
        """Hand over evidence of a fork (`cordon-fork/v1`) or of a bad entry; the peer judges it."""
        await self._post("/fed/v1/evidence", text.encode("utf-8"), "text/plain; charset=utf-8")

    async def acknowledge(self, ohash: str, size: int, sids: Sequence[str]) -> None:
        """Say that the erase statements `sids` of this log, read up to `size`, have been carried out here."""
        await self._post("/fed/v1/acks", write_json({"o": _ohash(ohash), "size": size, "sids": list(sids)}), "application/json")

    async def add_checkpoint(self, old: int, proof: Sequence[bytes], note: str) -> str:
        """Ask the peer as a witness for its cosignature lines; SizeConflict if it knows another size than `old`."""
        body = f"old {old}\n{hash_lines(proof)}\n{note}".encode()
        headers = {"Content-Type": "text/plain; charset=utf-8"}
        limits = Limits(_DEADLINE_S, NOTE_BYTES, _DEADLINE_S)
        async with self._turns, self._exchange("POST", "/witness/add-checkpoint", body, limits=limits, headers=headers) as response:
            answer = await _read(response)
            if response.status_code == 409 and response.headers.get("content-type", "").partition(";")[0].strip() == _CONFLICT:
                raise SizeConflict(read_decimal(_text(answer).removesuffix("\n")))
            if response.status_code != 200:
                raise _refusal(response, answer)
        return _text(answer)

    # --- below ---------------------------------------------------------------------------------------------------------

    async def _get(self, path: str, most: int) -> bytes:
        status, body = await self._call("GET", path, limits=Limits(_DEADLINE_S, most, _DEADLINE_S))
        if status != 200:
            raise Malformed(f"the peer answered {status} where a body was asked for")
        return body

    async def _post(self, path: str, body: bytes, kind: str) -> None:
        await self._call("POST", path, body, limits=Limits(_DEADLINE_S, NOTE_BYTES, _DEADLINE_S), headers={"Content-Type": kind})

    async def _call(
        self, method: str, path: str, body: bytes = b"", *, limits: Limits, headers: dict[str, str] | None = None, turn: bool = True
    ) -> tuple[int, bytes]:
        """Status and body of a success; else our error. A long poll takes no turn: it would keep one for itself."""
        if turn:
            async with self._turns:
                return await self._call(method, path, body, limits=limits, headers=headers, turn=False)
        async with self._exchange(method, path, body, limits=limits, headers=headers) as response:
            answer = await _read(response)
            if response.status_code not in (200, 202, 204):
                raise _refusal(response, answer)
            return response.status_code, answer

    @asynccontextmanager
    async def _exchange(
        self,
        method: str,
        path: str,
        body: bytes = b"",
        *,
        limits: Limits,
        headers: dict[str, str] | None = None,
        accept: str = "*/*",
    ) -> AsyncIterator[httpx.Response]:
        url = self.url + path
        signed = {} if self._sign is None else {"Authorization": f"Bearer {self._sign(method, url, body)}"}
        all_headers = {"Accept": accept, **(headers or {}), **signed}
        request = self._http.build_request(method, url, headers=all_headers, content=body or None, extensions={LIMITS: limits})
        try:
            response = await self._http.send(request, stream=True)
            try:
                self._note_clock(response)
                yield response
            finally:
                await response.aclose()
        except httpx.TimeoutException as error:
            raise Unavailable(f"{self.url} gave no whole answer in time") from error
        except (httpx.HTTPError, httpx.StreamError) as error:
            raise Unavailable(f"cannot talk to {self.url} ({type(error).__name__}): is the node up, is its certificate good?") from error

    def _note_clock(self, response: httpx.Response) -> None:
        try:
            told = parsedate_to_datetime(response.headers["date"]).timestamp()
        except (KeyError, ValueError, OverflowError):
            return
        self.clock_offset_s = told - self._clock_s()


def _log(ohash: str | None) -> str:
    return "/log" if ohash is None else f"/mirror/{_ohash(ohash)}"


def _ohash(text: str) -> str:
    if not _OHASH.fullmatch(text):
        raise ValueError("a log is named by the hex SHA-256 of its origin")
    return text


async def _read(response: httpx.Response) -> bytes:
    return b"".join([piece async for piece in response.aiter_raw()])


def _refusal(response: httpx.Response, body: bytes) -> Refused | Unavailable:
    """Our error for another status. Of the peer's words only the code is kept: they end in our log."""
    status = response.status_code
    found = _CODE.search(body[:NOTE_BYTES])
    told = f"the peer answered {status}" + (f" ({found[1].decode('ascii')})" if found else "")
    if status == 429 or status >= 500:
        return Unavailable(f"{told}: try again later", retry_after_s=_retry_after(response.headers.get("retry-after", "")))
    known = {401: Unauthenticated, 403: Forbidden, 404: NotFound}
    return known.get(status, Refused)(told)


def _retry_after(text: str) -> int | None:
    """Seconds, at most an hour: a peer does not decide how long we stay away."""
    return min(int(text), 3600) if re.fullmatch(r"[0-9]{1,9}", text) else None


# --- bodies ----------------------------------------------------------------------------------------------------------


async def read_lines(body: bytes) -> list[OfferedLine]:
    """The lines of `entries` and `parts`; Malformed for any other form, TooLarge for more than 1,024 of them.

    A page takes some 20 ms to read: others have their turn in between.
    """
    lines = body.removesuffix(b"\n").split(b"\n") if body else []
    if len(lines) > PAGE:
        raise TooLarge(f"a page has at most {PAGE} lines")
    found: list[OfferedLine] = []
    for begin in range(0, len(lines), _LINES_AT_ONCE):
        found += _read_some(lines[begin : begin + _LINES_AT_ONCE])
        await asyncio.sleep(0)
    return found


def _read_some(lines: list[bytes]) -> list[OfferedLine]:
    values = read_plain(lines, max_depth=3, max_tokens=_LONGEST_LINE)
    if values is None:
        values = [_json(line, max_depth=2, max_tokens=3 * MAX_DISCLOSURES) for line in lines]
    return [_read_line(_object(value)) for value in values]


def _read_line(line: dict[str, JsonValue]) -> OfferedLine:
    index = _whole(line.get("i"))
    if line.keys() == {"i", "w"}:
        if line["w"] != "stub":
            raise Malformed('what is withheld is a "stub"')
        return OfferedLine(index, None, withheld="stub")
    if not {"i", "e"} <= line.keys() <= {"i", "e", "d", "x"}:
        raise Malformed("a line is an entry with its disclosures and erased parts, or says that it is withheld")
    text = line["e"]
    if not isinstance(text, str):
        raise Malformed("an entry is a text")
    entry = text.encode("utf-8")  # of any length and any signs: what a log has signed is carried, and judged by its hash
    disclosures = _list(line.get("d", []))
    if any(not _ascii(one) for one in disclosures):
        raise Malformed("a disclosure is not empty")
    erased = _list(line.get("x", []))
    words = frozenset(one for one in erased if isinstance(one, str) and _WORD.fullmatch(one))
    if len(words) != len(erased):
        raise Malformed("erased parts are named once, by their names")
    return OfferedLine(index, entry, tuple(one for one in disclosures if isinstance(one, str)), words)


def _read_heads(body: bytes) -> Heads:
    value = _object(_json(body, max_depth=4, max_tokens=50_000))
    since, heads = value.get("next"), value.get("heads")
    if value.keys() != {"heads", "next"} or not isinstance(since, str) or not _SINCE.fullmatch(since) or not isinstance(heads, list):
        raise Malformed('heads are {"heads": […], "next": "<since>"}')
    return Heads(tuple(_read_head(_object(head)) for head in heads), since)


def _read_head(head: dict[str, JsonValue]) -> PeerHead:
    ohash, origin, note = head.get("o"), head.get("origin"), head.get("note")
    if head.keys() != {"o", "origin", "note"} or not (isinstance(ohash, str) and isinstance(origin, str) and isinstance(note, str)):
        raise Malformed('a head is {"o", "origin", "note"}, three texts')
    if len(origin) > 300 or len(note) > NOTE_BYTES or ohash != ohash_of(origin):
        raise Malformed("a head names its log twice, by its origin and by the hash of it: the two do not fit, or are too long")
    return PeerHead(ohash, origin, note)


def _read_moved(data: bytes) -> tuple[str, int]:
    moved = _object(_json(data, max_depth=1, max_tokens=16))
    ohash = moved.get("o")
    if moved.keys() != {"o", "size"} or not isinstance(ohash, str) or not _OHASH.fullmatch(ohash):
        raise Malformed('an event of the stream is {"o", "size"}')
    return ohash, _whole(moved["size"])


async def _lines_of(pieces: AsyncIterator[bytes]) -> AsyncIterator[str]:
    """The lines of an event stream; Malformed for one that does not end."""
    rest = b""
    async for piece in pieces:
        *whole, rest = (rest + piece).split(b"\n")
        if len(rest) > _LINE_BYTES or any(len(line) > _LINE_BYTES for line in whole):
            raise Malformed(f"a line of the stream has more than {_LINE_BYTES} bytes")
        for line in whole:
            yield _text(line.removesuffix(b"\r"))


def _json(body: bytes, *, max_depth: int = 8, max_tokens: int = 10_000) -> JsonValue:
    try:
        return read_json(body, max_depth=max_depth, max_tokens=max_tokens)
    except BadJson as error:
        raise Malformed(f"the peer's answer is not JSON: {error.detail}") from error


def _object(value: JsonValue) -> dict[str, JsonValue]:
    if not isinstance(value, dict):
        raise Malformed("the peer's answer is not an object")
    return value


def _list(value: JsonValue) -> list[JsonValue]:
    if not isinstance(value, list) or len(value) > MAX_DISCLOSURES:
        raise Malformed(f"disclosures and erased parts are lists of at most {MAX_DISCLOSURES}")
    return value


def _whole(value: JsonValue) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= MAX_INT:
        raise Malformed("an index or a size is a whole number from 0 to 2^53-1")
    return value


def _ascii(value: JsonValue) -> str:
    if not isinstance(value, str) or not value.isascii():
        raise Malformed("disclosures are ASCII texts")
    return value


def _text(body: bytes) -> str:
    try:
        return body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Malformed("the peer's answer is not UTF-8 text") from error
