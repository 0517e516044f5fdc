"""Screening in bulk: lists of up to a million rows, of which most are well formed and unknown, through the index file.

A row is looked at by the careful reader and the exact record if it is not plainly a well-formed address of a usual chain, if it names a
chain or a tag, or if the index says that something may be said of it. What remains is `not_listed`, by the index alone. What "plainly
well formed" covers: `index/shapes`. A bad row gets its own typed error and never fails the others (schemas §4.2).

Other callers are let in between two pieces. Only answers to rows that were looked at exist as objects, unless every row is asked for.
"""

from __future__ import annotations

import asyncio
import csv
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from app.domain.address import chains
from app.domain.answer import Match
from app.domain.canonical import JsonValue, read_json
from app.domain.errors import Refused, Schema, TooLarge
from app.domain.labels import Reader
from app.domain.rows import UNJUDGED, Line, Query, line_of
from app.index.bulk import Frame, Lines, count_ends, holds_controls, pieces, to_look_at
from app.index.listed import ListedIds

MOST_ROWS = 1_000_000
MOST_ROW_BYTES = 4_096
LOT_BYTES = 1 << 20
"""So much of a stream is gathered before it is looked at."""
HEADER = b"address,chain,tag,direction,reference"
_SHORT_HEADER = b"address"
_NAMES = ("address", "chain", "tag", "direction", "reference")
_LONGEST = {"address": MOST_ROW_BYTES, "chain": 128, "tag": 128, "direction": 32, "reference": 256}

Words = dict[str, JsonValue]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What of a list is wanted, and by whom. `unlisted`: as JSON, what the caller's policy makes of a row of which nothing is said."""

    reader: Reader
    hits_only: bool
    checksums: bool = False
    unlisted: bytes = UNJUDGED


class Form(StrEnum):
    """How the rows are written; the value is the media type."""

    LINES = "text/plain"
    CSV = "text/csv"
    NDJSON = "application/x-ndjson"


Ask = Callable[[Sequence[Query]], Awaitable[Sequence[Line]]]
"""The careful answer to rows, in their order, hits already recorded."""
Row = tuple[int, Line]
"""The number of a row in its list, and its answer."""


@dataclass(slots=True)
class Tally:
    """What was answered so far."""

    rows: int = 0
    matches: Counter[str] = field(default_factory=Counter)

    def words(self) -> Words:
        """The last line of an NDJSON stream."""
        return {"summary": {"rows": self.rows, "listed": self.matches[Match.LISTED], "invalid": self.matches[Match.INVALID]}}


class Bulk:
    """Over the index file; `is_current` says whether everything logged so far is in it."""

    def __init__(self, listed: ListedIds, *, is_current: Callable[[], bool]) -> None:
        self._listed = listed
        self._is_current = is_current
        self.kept_bytes = 0
        """Bytes of lists that are kept until their answer has left, over all callers."""

    async def screen(self, lots: AsyncIterator[Lot], ask: Ask, tally: Tally, wanted: Wanted) -> AsyncIterator[list[Row]]:
        """The answers, lot by lot in the order of the rows; `hits_only` leaves out `not_listed`."""
        async for lot in lots:
            answers = self._plain if lot.is_plain else self._others
            async for some in answers(lot, ask, tally, wanted):
                yield some

    async def _plain(self, lot: Lot, ask: Ask, tally: Tally, wanted: Wanted) -> AsyncIterator[list[Row]]:
        lines = lot.lines or Lines.of(lot.text)
        for piece in pieces(lines):
            chosen = to_look_at(self._listed, lines, piece, reader=wanted.reader, checksums=wanted.checksums, is_current=self._is_current())
            await asyncio.sleep(0)  # both halves of the work are long enough for others to wait behind
            answers = await _look(_plain_rows(lines.some(chosen)), ask)
            first = tally.rows - piece.start
            tally.rows += len(piece)
            tally.matches.update([line.match for line in answers])
            tally.matches[Match.NOT_LISTED] += len(piece) - len(answers)
            if wanted.hits_only:
                yield _hits([(first + number, line) for number, line in zip(chosen, answers, strict=True)])
            else:
                seen = dict(zip(chosen, answers, strict=True))
                yield [
                    (first + number, seen[number] if number in seen else _nothing(lines.line(number).decode("ascii"), wanted.unlisted))
                    for number in piece
                ]
            await asyncio.sleep(0)

    async def _others(self, lot: Lot, ask: Ask, tally: Tally, wanted: Wanted) -> AsyncIterator[list[Row]]:
        """Rows that say more than an address; the careful reader checks every checksum anyway."""
        read = _csv_row if lot.form is Form.CSV else _json_row
        rows = lot.text.split(b"\n")
        for start in range(0, len(rows), 250):
            answers = await _look([read(row) for row in rows[start : start + 250]], ask)
            numbered = list(enumerate(answers, tally.rows))
            tally.rows += len(answers)
            tally.matches.update([line.match for line in answers])
            yield _hits(numbered) if wanted.hits_only else numbered
            await asyncio.sleep(0)


def _hits(rows: list[Row]) -> list[Row]:
    return [row for row in rows if row[1].match != Match.NOT_LISTED]


async def _look(rows: Sequence[Query | Refused], ask: Ask) -> Sequence[Line]:
    """The careful answers, in the order of the rows."""
    askable = [row for row in rows if isinstance(row, Query)]
    answers = await ask(askable) if askable else ()
    if len(askable) == len(rows):
        return answers
    following = iter(answers)
    return [next(following) if isinstance(row, Query) else _unreadable(row) for row in rows]


def _unreadable(fault: Refused) -> Line:
    code = getattr(fault, "code", fault.slug)
    head: Words = {"reference": None, "query": "", "id": None, "match": str(Match.INVALID), "severity": None, "statements": []}
    error: JsonValue = {"code": str(code), "detail": fault.detail}
    return line_of({**head, "related": [], "policy": None, "human_review": None, "error": error})


_BY_FIRST = {"0": chains.EVM, "T": chains.TRON, "1": chains.BITCOIN, "3": chains.BITCOIN, "b": chains.BITCOIN}
_SAID_NOTHING = b'"match":"not_listed","severity":null,"statements":[],"related":[]'


def _nothing(text: str, judged: bytes) -> Line:
    """The answer to a row that was not looked at; the shapes that are read fast are told apart by length and first letter."""
    chain = chains.SOLANA if len(text) in (43, 44) else _BY_FIRST[text[0]]
    id_ = f"{chain}:{text.lower() if chain == chains.EVM else text}"
    body = b'"reference":null,"query":"%b","id":"%b",%b,"policy":%b,"human_review":null,"error":null}'
    return Line(str(Match.NOT_LISTED), body % (text.encode("ascii"), id_.encode("ascii"), _SAID_NOTHING, judged))


# --- rows ------------------------------------------------------------------------------------------------------------


def _text(row: bytes) -> str:
    """A row as text; Refused if it is too long or not UTF-8."""
    if len(row) > MOST_ROW_BYTES:
        raise TooLarge(f"a row has at most {MOST_ROW_BYTES} bytes: this one is longer")
    try:
        return row.decode("utf-8")
    except UnicodeDecodeError:
        raise Schema("the row is not UTF-8: write the list anew in that encoding") from None


def _plain_rows(rows: Sequence[bytes]) -> Sequence[Query | Refused]:
    """Each row as the address that it is; nearly all can be read in one go."""
    joined = b"\n".join(rows)
    if rows and joined.isascii() and max(map(len, rows)) <= MOST_ROW_BYTES:
        return list(map(Query, joined.decode("ascii").split("\n")))
    return [_plain_row(row) for row in rows]


def _plain_row(row: bytes) -> Query | Refused:
    try:
        return Query(_text(row))
    except Refused as fault:
        return fault


def _csv_row(row: bytes) -> Query | Refused:
    try:
        cells = next(csv.reader([_text(row)], strict=True), [])
        if len(cells) not in (1, len(_NAMES)):
            raise Schema(f"the row has {len(cells)} cells: five are wanted, as the first line says, or the address alone")
        return _asked(zip(_NAMES, [cell or None for cell in cells], strict=False))
    except csv.Error:
        return Schema("the quotes of the row do not match, or a cell goes over several lines")
    except Refused as fault:
        return fault


def _json_row(row: bytes) -> Query | Refused:
    try:
        value = read_json(_text(row).encode("utf-8"), max_depth=2, max_tokens=40, controls=False)
        if not isinstance(value, dict) or not value.keys() <= set(_NAMES):
            raise Schema(f"a row is one object with {', '.join(_NAMES)}, of which the address must be there")
        return _asked(value.items())
    except Refused as fault:
        return fault


def _asked(members: Iterable[tuple[str, JsonValue]]) -> Query:
    said: dict[str, str] = {}
    for name, value in members:
        if value is None:
            continue
        if not isinstance(value, str) or len(value) > _LONGEST[name]:
            raise Schema(f"`{name}` is a text of at most {_LONGEST[name]} characters")
        said[name] = value
    return Query(said.get("address", ""), said.get("chain"), said.get("tag"), said.get("reference"))


# --- a stream of bytes to lots of rows -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Lot:
    """Whole rows parted by line feeds; `is_plain`: each is an address and nothing else. `lines`: the same, where they were found already."""

    form: Form
    text: bytes
    is_plain: bool
    rows: int
    lines: Lines | None = None

    @classmethod
    def of(cls, form: Form, text: bytes) -> Lot:
        """The rows of a text, of which each may say more than an address."""
        return cls(form, text, is_plain=False, rows=count_ends(text) + 1)

    @classmethod
    def plain(cls, form: Form, text: bytes, lines: Lines) -> Lot:
        """Addresses and nothing else."""
        return cls(form, text, is_plain=True, rows=len(lines), lines=lines)


async def lots_of(form: Form, chunks: AsyncIterator[bytes], *, spend: Callable[[int], None]) -> AsyncIterator[Lot]:
    """Rows as they arrive; `spend` is told their number before they are looked at. TooLarge beyond MOST_ROWS.

    A row that is too long keeps its first bytes only, so that it is refused as such and takes no memory.
    """
    rows, is_short, is_first = 0, False, True
    async for text in _whole_rows(chunks):
        body = text
        if is_first and form is Form.CSV:
            header, _, body = text.partition(b"\n")
            is_short = _check_header(header)
            is_first = False
            if not body and b"\n" not in text:
                continue
        lot = _lot(form, body, is_short=is_short)
        rows += lot.rows
        if rows > MOST_ROWS:
            raise TooLarge(f"more than {MOST_ROWS} rows in one request: send the list in parts")
        spend(lot.rows)
        yield lot


def _check_header(header: bytes) -> bool:
    if header not in (HEADER, _SHORT_HEADER):
        raise Schema(f"the first line of the CSV is not `{HEADER.decode('ascii')}`, nor `address` alone")
    return header == _SHORT_HEADER


def _lot(form: Form, text: bytes, *, is_short: bool) -> Lot:
    if form is Form.LINES:
        return Lot.plain(form, text, Lines.of(text))
    if form is Form.NDJSON:
        lines = Lines.framed(text, _OBJECTS)
        return Lot.of(form, text) if lines is None else Lot.plain(form, text, lines)
    bare = text if is_short else _without_commas(text)
    if b'"' in bare or b"," in bare or holds_controls(bare):
        return Lot.of(form, text)
    return Lot.plain(form, bare, Lines.of(bare))


def _without_commas(text: bytes) -> bytes:
    """The addresses, if every row has the commas of four empty cells behind one; else the text as it is, which will look strange."""
    bare = text.removesuffix(_EMPTY_CELLS).replace(_EMPTY_CELLS + b"\n", b"\n")
    return bare if len(text) - len(bare) == len(_EMPTY_CELLS) * (count_ends(text) + 1) else text


async def _whole_rows(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Texts that end where a row ends, about LOT_BYTES each; the line end of the last row may be missing."""
    waiting: list[bytes] = []
    size = 0
    async for chunk in chunks:
        waiting.append(chunk)
        size += len(chunk)
        if size < LOT_BYTES:
            continue
        text, end, rest = b"".join(waiting).rpartition(b"\n")
        if end:
            yield _with_one_end(text).removesuffix(b"\r")
        # More than a row may have and no end yet: its first bytes will do to refuse it.
        rest = rest[: MOST_ROW_BYTES + 1]
        waiting, size = [rest], len(rest)
    text = _with_one_end(b"".join(waiting))
    if text:
        yield text.removesuffix(b"\n")


def _with_one_end(text: bytes) -> bytes:
    """CR LF as LF; looking for one byte is much faster than for two."""
    return text.replace(b"\r\n", b"\n") if b"\r" in text else text


_EMPTY_CELLS = b",,,,"
_OBJECTS = Frame(b'{"address":"', b'"}\n{"address":"', b'"}')
_ENDINGS = {b'"}],"include":"hits"}': True, b'"}],"include":"all"}': False, b'"}]}': False}
_ITEMS = {ending: Frame(b'{"items":[{"address":"', b'"},{"address":"', ending) for ending in _ENDINGS}


def compact_items(body: bytes) -> tuple[Lot, bool] | None:
    """The rows of a JSON request that has exactly the form `{"items":[{"address":"…"},…],"include":"hits"}` (or `"all"`, or nothing
    behind the list), and whether only hits are asked for. None for any other, which goes to the JSON reader.
    """
    ending = next((one for one in _ENDINGS if body.endswith(one)), None)
    lines = Lines.framed(body, _ITEMS[ending]) if ending is not None and body.isascii() else None
    if ending is None or lines is None:
        return None
    return Lot.plain(Form.LINES, body, lines), _ENDINGS[ending]
