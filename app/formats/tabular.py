"""Lists of our users' own making: CSV, NDJSON, a JSON array, or plain lines, one subject a row.

The first character that means something tells them apart (`[` an array, `{` NDJSON); the caller says whether the rest is a table
with a header or bare lines. A header that is a member name needs no mapping. Rows are judged one by one; a row with more or
fewer cells than the header, or in bytes that are no text, is a fault and never half a record.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Mapping

from app.domain.canonical import JsonValue, read_json
from app.domain.errors import Malformed, Refused, Schema
from app.domain.identifiers import read_id
from app.domain.item_listing import ITEM_CHECKS

from .files import MAX_ROW_CHARS, MAX_ROWS, Text, decode
from .interface import Item, Options, Reason, Row, Source
from .judgement import context_of, finished, judged, reason_of, subject_of, warnings_of
from .members import COLUMNS, JUDGEMENT, LINK, SUBJECT, bad_member, read_members

Record = tuple[int, Mapping[str, JsonValue] | Reason, tuple[str, ...]]
"""Line number from 1, the values by member name or why there are none, warnings."""

REPAIRED = "not UTF-8: read as Windows-1252"
_BROKEN = Reason("encoding", "the row is neither UTF-8 nor Windows-1252: save the file as UTF-8")
_LONG = Reason("too_large", f"the row is longer than {MAX_ROW_CHARS:,} characters")
_JSON_TOKENS = 40 * MAX_ROWS


def read_csv(source: Source, options: Options) -> Iterator[Row]:
    """A table with a header (comma, semicolon or tab), or what its first character shows it to be instead."""
    records = _json_records(source)
    return _rows(_table_records(source, options.columns) if records is None else records, source, options)


def read_list(source: Source, options: Options) -> Iterator[Row]:
    """One subject a line, `#` for remarks; or what its first character shows it to be instead."""
    records = _json_records(source)
    return _rows(_line_records(decode(source)) if records is None else records, source, options)


def _rows(records: Iterable[Record], source: Source, options: Options) -> Iterator[Row]:
    context = context_of(source, options)
    for number, values, warnings in records:
        if isinstance(values, Reason):
            yield Row(source.name, number, fault=values, warnings=warnings)
            continue
        try:
            item, more = _item(values, options)
        except Refused as error:
            yield Row(source.name, number, fault=reason_of(error), warnings=warnings)
        else:
            yield finished(source, number, item, context, warnings + more)


# --- the four forms ---------------------------------------------------------------------------------------------------


def _line_records(text: Text) -> Iterator[Record]:
    for number, line in enumerate(text.lines, 1):
        value = line.strip()
        if value and not value.startswith("#"):
            yield _judged_bytes(text, number, number, {"address": value}, len(value))


def _judged_bytes(text: Text, first: int, last: int, values: Mapping[str, JsonValue], length: int) -> Record:
    """The record of lines `first` to `last`, unless their bytes or their length forbid it."""
    span = range(first, last + 1)
    if text.broken and not text.broken.isdisjoint(span):
        return first, _BROKEN, ()
    if length > MAX_ROW_CHARS:
        return first, _LONG, ()
    return first, values, (REPAIRED,) if text.repaired and not text.repaired.isdisjoint(span) else ()


def _json_records(source: Source) -> Iterator[Record] | None:
    start = source.data.removeprefix(b"\xef\xbb\xbf").lstrip(b" \t\r\n")[:1]
    if start == b"[":
        return iter(_array_records(source))
    return _ndjson_records(source) if start == b"{" else None


def _array_records(source: Source) -> list[Record]:
    """The array as a whole must be sound JSON; Malformed else, before any row."""
    try:
        array = read_json(source.data.removeprefix(b"\xef\xbb\xbf"), max_depth=8, max_tokens=_JSON_TOKENS)
    except Refused as error:
        raise Malformed(f"{source.name} begins like a JSON array and is none: {error.detail}") from error
    assert isinstance(array, list)
    return [(number, _json_values(value), ()) for number, value in enumerate(array, 1)]


def _json_values(value: JsonValue) -> Mapping[str, JsonValue] | Reason:
    if isinstance(value, str):
        return {"address": value}
    return value if isinstance(value, dict) else Reason("schema", "each value is a text or an object")


def _ndjson_records(source: Source) -> Iterator[Record]:
    for number, line in enumerate(source.data.removeprefix(b"\xef\xbb\xbf").split(b"\n"), 1):
        if not line.strip():
            continue
        if len(line) > MAX_ROW_CHARS:
            yield number, _LONG, ()
            continue
        try:
            yield number, _json_values(read_json(line.strip(), max_depth=8, max_tokens=4_096)), ()
        except Refused as error:
            yield number, Reason("bad_json", error.detail), ()


def _table_records(source: Source, mapping: Mapping[str, str]) -> Iterator[Record]:
    text = decode(source)
    reader = csv.reader(iter(text.lines), delimiter=_delimiter(text), strict=True)
    header = read_header(reader, source)
    columns = _columns(header, mapping, source.name)
    return _cells(reader, text, len(header), columns)


def _delimiter(text: Text) -> str:
    """The one of comma, semicolon and tab that the header has most of: spreadsheets of half of Europe write semicolons."""
    first = text.lines[0] if text.lines else ""
    return max(",;\t", key=first.count)


def read_header(reader: Iterator[list[str]], source: Source) -> list[str]:
    """The first row of a table, trimmed. Raises Malformed or Schema."""
    try:
        header = next(reader, None)
    except csv.Error as exc:
        raise Malformed(f"the header of {source.name} is no CSV: {exc}") from exc
    if not header:
        raise Schema(f"{source.name} has no header: the first row names the columns")
    return [cell.strip() for cell in header]


def _columns(header: list[str], mapping: Mapping[str, str], name: str) -> dict[str, int]:
    """Member name → position. With a mapping only what it names is read; without one, every header that is a member name."""
    places: dict[str, int] = {}
    for number, cell in enumerate(header):
        places.setdefault(cell.casefold(), number)
    wanted = mapping or {member: member for member in COLUMNS}
    columns = {member: places[title.strip().casefold()] for member, title in wanted.items() if title.strip().casefold() in places}
    if mapping and len(columns) < len(mapping):
        missing = next(title for member, title in mapping.items() if member not in columns)
        raise Schema(f"{name} has no column headed `{missing}`: correct `columns` of the mapping file")
    if not columns.keys() & {"address", "id"} and not {"from", "to"} <= columns.keys():
        raise Schema(f"{name} has no column `address` (or `id`, or `from` and `to`): say in a mapping file which column it is")
    return columns


def _cells(reader: Iterator[list[str]], text: Text, width: int, columns: Mapping[str, int]) -> Iterator[Record]:
    last = 1
    while True:
        first = last + 1
        try:
            cells = next(reader, None)
        except csv.Error as exc:
            last = line_of(reader)
            yield first, Reason("malformed", f"no CSV: {exc}"), ()
            continue
        if cells is None:
            return
        last = line_of(reader)
        if not any(cells):
            continue
        if len(cells) != width:
            yield first, Reason("malformed", f"the row has {len(cells)} cells, the header has {width}"), ()
            continue
        values = {member: cells[place] for member, place in columns.items()}
        yield _judged_bytes(text, first, last, values, sum(map(len, cells)))


def line_of(reader: Iterator[list[str]]) -> int:
    number = getattr(reader, "line_num", 0)  # the protocol of iterators hides it, csv.reader has it
    return int(number)


# --- from values to items ---------------------------------------------------------------------------------------------


def _item(values: Mapping[str, JsonValue], options: Options) -> tuple[Item, tuple[str, ...]]:
    """The item of one record and its warnings. Raises Refused."""
    kind = values.get("type")
    if kind not in (None, "", *ITEM_CHECKS):
        raise bad_member("type", "`type` is wallet, indicator, entity or link")
    if kind == "entity":
        return dict(values), ()
    if kind == "link" or (values.get("from") and values.get("to")):
        return _link(values, options), ()
    return _subject(values, options)


def _link(values: Mapping[str, JsonValue], options: Options) -> Item:
    """A link between two subjects in any spelling."""
    members = read_members({**options.constants, **_filled(values)}, LINK)
    link: Item = {"type": "link", "basis": "unknown", "confidence": 5, **members}
    for end in ("from", "to"):
        text = str(members.get(end, ""))
        link[end] = read_id(text).id if text.startswith("entity:") else subject_of(text).id
    return link


def _subject(values: Mapping[str, JsonValue], options: Options) -> tuple[Item, tuple[str, ...]]:
    """A wallet or an indicator. A value that is already an item keeps the members we do not know."""
    about = read_members({**_constants(options, SUBJECT), **_filled(values)}, SUBJECT)
    text = about.get("id", about.get("address"))
    if not isinstance(text, str):
        raise bad_member("address", "the row names no address")
    kind, chain, tag = (about.get(name) for name in ("kind", "chain", "tag"))
    subject = subject_of(text, chain=_str(chain), tag=_str(tag), kind=_str(kind))
    item = judged(subject, said=read_members(values, JUDGEMENT), options=options, otherwise={})
    scope = values.get("scope")
    if isinstance(scope, dict):
        item["scope"] = scope
    return item, warnings_of(subject)


def _filled(values: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    return {name: value for name, value in values.items() if value not in (None, "")}


def _constants(options: Options, names: Iterable[str]) -> dict[str, JsonValue]:
    return {name: options.constants[name] for name in names if name in options.constants}


def _str(value: JsonValue) -> str | None:
    return value if isinstance(value, str) else None
