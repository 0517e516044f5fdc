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
from app.index.bulk import Lines, holds_controls, pieces, to_look_at
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


class Form(StrEnum):
    """How the rows are written; the value is the media type."""

    LINES = "text/plain"
    CSV = "text/csv"
    NDJSON = "application/x-ndjson"


@dataclass(frozen=True, slots=True)
class Asked:
    """One row that is looked at."""

    address: str
    chain: str | None = None
    tag: str | None = None
    reference: str | None = None


Ask = Callable[[Sequence[Asked]], Awaitable[Sequence[Words]]]
"""The careful answer to rows, in their order: each a `results` object, hits already recorded."""


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

    async def screen(
        self, lots: AsyncIterator[Lot], ask: Ask, tally: Tally, *, hits_only: bool, checksums: bool = False
    ) -> AsyncIterator[list[Words]]:
        """The answers, lot by lot in the order of the rows; `hits_only` leaves out `not_listed`."""
        async for lot in lots:
            answers = self._plain if lot.is_plain else self._others
            async for some in answers(lot, ask, tally, hits_only=hits_only, checksums=checksums):
                yield some

    async def _plain(self, lot: Lot, ask: Ask, tally: Tally, *, hits_only: bool, checksums: bool) -> AsyncIterator[list[Words]]:
        lines = Lines.of(lot.text)
        for piece in pieces(lines):
            chosen = to_look_at(self._listed, lines, piece, checksums=checksums, is_current=self._is_current())
            seen = await _look([(number, _plain_row(lines.line(number))) for number in chosen], ask)
            first = tally.rows - piece.start
            for number, words in seen.items():
                words["row"] = first + number
            tally.rows += len(piece)
            tally.matches.update([str(words["match"]) for words in seen.values()])
            tally.matches[Match.NOT_LISTED] += len(piece) - len(seen)
            if hits_only:
                yield [words for words in seen.values() if words["match"] != Match.NOT_LISTED]
            else:
                yield [seen[number] if number in seen else _nothing(first + number, lines.line(number).decode("ascii")) for number in piece]
            await asyncio.sleep(0)

    async def _others(self, lot: Lot, ask: Ask, tally: Tally, *, hits_only: bool, checksums: bool) -> AsyncIterator[list[Words]]:
        """Rows that say more than an address; the careful reader checks every checksum anyway."""
        del checksums
        read = _csv_row if lot.form is Form.CSV else _json_row
        rows = lot.text.split(b"\n")
        for start in range(0, len(rows), 250):
            seen = await _look([(number, read(row)) for number, row in enumerate(rows[start : start + 250])], ask)
            for number, words in seen.items():
                words["row"] = tally.rows + number
            tally.rows += len(seen)
            tally.matches.update([str(words["match"]) for words in seen.values()])
            yield [words for words in seen.values() if not hits_only or words["match"] != Match.NOT_LISTED]
            await asyncio.sleep(0)


async def _look(rows: Sequence[tuple[int, Asked | Refused]], ask: Ask) -> dict[int, Words]:
    """The careful answers by number, in the order of the numbers."""
    askable = [(number, row) for number, row in rows if isinstance(row, Asked)]
    answers = await ask([row for _, row in askable]) if askable else ()
    found = {number: words for (number, _), words in zip(askable, answers, strict=True)}
    return {number: found[number] if isinstance(row, Asked) else _unreadable(row) for number, row in rows}


def _unreadable(fault: Refused) -> Words:
    code = getattr(fault, "code", fault.slug)
    return {**_frame(None, "", None), "match": str(Match.INVALID), "error": {"code": str(code), "detail": fault.detail}}


def _frame(reference: str | None, query: str, id_: str | None) -> Words:
    said: Words = {"statements": [], "related": [], "policy": None, "human_review": None, "error": None}
    return {"row": 0, "reference": reference, "query": query, "id": id_, "match": str(Match.NOT_LISTED), "severity": None, **said}


_BY_FIRST = {"0": chains.EVM, "T": chains.TRON, "1": chains.BITCOIN, "3": chains.BITCOIN, "b": chains.BITCOIN}


def _nothing(row: int, text: str) -> Words:
    """The answer to a row that was not looked at; the shapes that are read fast are told apart by length and first letter."""
    chain = chains.SOLANA if len(text) in (43, 44) else _BY_FIRST[text[0]]
    words = _frame(None, text, f"{chain}:{text.lower() if chain == chains.EVM else text}")
    words["row"] = row
    return words


# --- rows ------------------------------------------------------------------------------------------------------------


def _text(row: bytes) -> str:
    """A row as text; Refused if it is too long or not UTF-8."""
    if len(row) > MOST_ROW_BYTES:
        raise TooLarge(f"a row has at most {MOST_ROW_BYTES} bytes: this one is longer")
    try:
        return row.decode("utf-8")
    except UnicodeDecodeError:
        raise Schema("the row is not UTF-8: write the list anew in that encoding") from None


def _plain_row(row: bytes) -> Asked | Refused:
    try:
        return Asked(_text(row))
    except Refused as fault:
        return fault


def _csv_row(row: bytes) -> Asked | Refused:
    try:
        cells = next(csv.reader([_text(row)], strict=True), [])
        if len(cells) not in (1, len(_NAMES)):
            raise Schema(f"the row has {len(cells)} cells: five are wanted, as the first line says, or the address alone")
        return _asked(zip(_NAMES, [cell or None for cell in cells], strict=False))
    except csv.Error:
        return Schema("the quotes of the row do not match, or a cell goes over several lines")
    except Refused as fault:
        return fault


def _json_row(row: bytes) -> Asked | Refused:
    try:
        value = read_json(_text(row).encode("utf-8"), max_depth=2, max_tokens=40, controls=False)
        if not isinstance(value, dict) or not value.keys() <= set(_NAMES):
            raise Schema(f"a row is one object with {', '.join(_NAMES)}, of which the address must be there")
        return _asked(value.items())
    except Refused as fault:
        return fault


def _asked(members: Iterable[tuple[str, JsonValue]]) -> Asked:
    said: dict[str, str] = {}
    for name, value in members:
        if value is None:
            continue
        if not isinstance(value, str) or len(value) > _LONGEST[name]:
            raise Schema(f"`{name}` is a text of at most {_LONGEST[name]} characters")
        said[name] = value
    return Asked(said.get("address", ""), said.get("chain"), said.get("tag"), said.get("reference"))


# --- a stream of bytes to lots of rows -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Lot:
    """Whole rows parted by line feeds; `is_plain`: each is an address and nothing else."""

    form: Form
    text: bytes
    is_plain: bool

    @property
    def rows(self) -> int:
        """How many."""
        return self.text.count(b"\n") + 1


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
        return Lot(form, text, is_plain=True)
    bare = text
    if form is Form.CSV and not is_short:
        bare = _without(text, b"", b",,,,\n", b",,,,")
    elif form is Form.NDJSON:
        bare = _without(text, b'{"address":"', b'"}\n{"address":"', b'"}')
    strange = b'"' in bare or b"\\" in bare or b"{" in bare or (b"," in bare and form is Form.CSV)
    if strange or holds_controls(bare) or bare.count(b"\n") != text.count(b"\n"):
        return Lot(form, text, is_plain=False)
    return Lot(form, bare, is_plain=True)


def _without(text: bytes, opening: bytes, between: bytes, closing: bytes) -> bytes:
    """What stands between the rows' fixed parts, if every row has them; else the text as it is, which will look strange."""
    if not text.startswith(opening) or not text.endswith(closing):
        return text
    inner = text[len(opening) : len(text) - len(closing)]
    bare = inner.replace(between, b"\n")
    return bare if len(inner) - len(bare) == (len(between) - 1) * text.count(b"\n") else text


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
            yield text.replace(b"\r\n", b"\n").removesuffix(b"\r")
        # More than a row may have and no end yet: its first bytes will do to refuse it.
        rest = rest[: MOST_ROW_BYTES + 1]
        waiting, size = [rest], len(rest)
    text = b"".join(waiting).replace(b"\r\n", b"\n")
    if text:
        yield text.removesuffix(b"\n")


_ITEMS = b'{"items":[{"address":"'
_ENDINGS = {b'"}],"include":"hits"}': True, b'"}],"include":"all"}': False, b'"}]}': False}


def compact_items(body: bytes) -> tuple[Lot, bool] | None:
    """The rows of a JSON request that has exactly the form `{"items":[{"address":"…"},…],"include":"hits"}` (or `"all"`, or nothing
    behind the list), and whether only hits are asked for. None for any other, which goes to the JSON reader.
    """
    ending = next((one for one in _ENDINGS if body.endswith(one)), None)
    if ending is None or not body.startswith(_ITEMS) or not body.isascii():
        return None
    text = body[len(_ITEMS) : len(body) - len(ending)].replace(b'"},{"address":"', b"\n")
    if b'"' in text or b"\\" in text or holds_controls(text) or b"\n" in body:
        return None
    return Lot(Form.LINES, text, is_plain=True), _ENDINGS[ending]
