"""Slices of OFAC's SDN list as CSV: organisations as entities with their names, programmes and websites, and their wallets.

Quirks of the form: the column headed `Country` (or `Programs`) holds the programmes, several joined by `] [`; `-0- ` means
empty; addresses, aliases and websites sit in `Details`, parted by `; `, a further one prefixed `alt. `; OFAC cuts remarks at
about 1,000 characters, in the middle of a word, so the last piece of a full remark is never trusted. Natural persons are
not put into `core`: of an `individual` row only the addresses are listed, without a name, and the report says so.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace

from app.domain.canonical import JsonValue
from app.domain.errors import Malformed, Schema

from .files import Text, decode
from .interface import Item, Options, Reason, Row, Source
from .judgement import finished
from .ofac import LIST, Mirror, mirror
from .slugs import entity_id
from .tabular import REPAIRED, line_of, read_header

CUT_AT = 1_000
NO_NAMES = Reason("natural_person", "an individual: name and particulars are left out, only the addresses are listed")
_UNSUPPORTED = Reason("unsupported", "a vessel or an aircraft: neither wallet nor organisation")
_CUT = Reason("truncated", "OFAC cut the remark: take what follows from the address list of each asset")
_EMPTY = "-0-"

_address = re.compile(r"(?:alt\. )?Digital Currency Address - ([A-Z0-9]{2,10}) (\S+?)\.?").fullmatch
_alias = re.compile(r"[a-z]\.k\.a\. '(.*)'\.?").fullmatch
_website = re.compile(r"(?:alt\. )?Website (\S+?)\.?").fullmatch
_programmes = re.compile(r"\]\s*\[").split


def read_sdn(source: Source, options: Options) -> Iterator[Row]:
    """Rows of one SDN slice: per line an entity and its wallets, or only wallets. Raises Schema for another table or without a date."""
    text = decode(source)
    reader = csv.reader(iter(text.lines), strict=True)
    header = read_header(reader, source)
    if not {"ID", "Name", "Type"} <= set(header) or not {"Country", "Programs"} & set(header):
        raise Schema(f"{source.name} is no slice of the SDN list: its header has ID, Name, Type and Country or Programs")
    of = mirror(source, options)
    return (_marked(row, text) for number, cells in _lines(reader, source) for row in _entry(of, number, header, cells))


def _lines(reader: Iterator[list[str]], source: Source) -> Iterator[tuple[int, list[str]]]:
    """(line number, cells) of each entry. Raises Malformed: a quote that never closes would swallow the entries after it."""
    last = 1
    try:
        for cells in reader:
            yield last + 1, cells
            last = line_of(reader)
    except csv.Error as exc:
        raise Malformed(f"{source.name}, line {last + 1}: no CSV: {exc}") from exc


def _marked(row: Row, text: Text) -> Row:
    return replace(row, warnings=(REPAIRED, *row.warnings)) if row.number in text.repaired else row


def _entry(of: Mirror, number: int, header: list[str], cells: list[str]) -> Iterator[Row]:
    """One SDN entry. An empty type is an organisation."""
    file = of.source.name
    if len(cells) != len(header):
        yield Row(file, number, fault=Reason("malformed", f"the row has {len(cells)} cells, the header has {len(header)}"))
        return
    record = {name: "" if cell.strip() == _EMPTY else cell for name, cell in zip(header, cells, strict=True)}
    pieces, cut = _pieces(record.get("Details", ""))
    entry = f"SDN {record['ID']}"
    holder: str | None = None
    if record["Type"] == "individual":
        yield Row(file, number, left_out=NO_NAMES)
    elif record["Type"]:
        yield Row(file, number, left_out=_UNSUPPORTED)
    else:
        organisation = _organisation(record, pieces, of, entry)
        holder = str(organisation["id"])
        yield finished(of.source, number, organisation, of.context)
    for piece in pieces:
        found = _address(piece)
        if found is not None:
            yield of.row(number, found[2], found[1], entry=entry, entity=holder)
    if cut:
        yield Row(file, number, fault=_CUT)


def _pieces(details: str) -> tuple[list[str], bool]:
    """The pieces of a remark, without the last one where OFAC's limit cut through it; whether it did."""
    pieces = details.split("; ")
    cut = len(details) >= CUT_AT and not details.endswith(".")
    return (pieces[:-1] if cut else pieces), cut


def _organisation(record: Mapping[str, str], pieces: list[str], of: Mirror, entry: str) -> Item:
    name = record["Name"].strip()
    programmes = [one.strip(" []") for one in _programmes(record.get("Country") or record.get("Programs") or "")]
    aliases = [found[1] for piece in pieces if (found := _alias(piece)) and found[1] != name]
    websites = [found[1] for piece in pieces if (found := _website(piece))]
    names: list[JsonValue] = [{"name": name, "kind": "primary"}]
    names.extend({"name": alias, "kind": "alias"} for alias in dict.fromkeys(aliases))
    designations: list[JsonValue] = [
        {"authority": "US Treasury", "programme": programme, "measure": "asset_freeze", "date": of.date, "reference": entry}
        for programme in programmes
        if programme
    ]
    item: Item = {
        "type": "entity",
        "id": entity_id(of.options.member, f"{LIST}-{record['ID']}"),
        "kind": str(of.options.constants.get("kind", "company")),  # the list says no more than that it is no individual
        "names": names,
        "designations": designations,
    }
    if websites:
        item["identifiers"] = [{"scheme": "website", "value": website} for website in dict.fromkeys(websites)]
    return item
