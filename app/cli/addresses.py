"""Files of addresses and identifiers, in every form that a desk has them: CSV with a header, NDJSON, plain lines."""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path

from app.domain.canonical import JsonValue
from app.domain.errors import BadJson, Malformed

COLUMNS = ("address", "chain", "tag", "direction", "reference")


class FileFormat(StrEnum):
    """What FILE is; `auto` goes by its name and first line."""

    AUTO = "auto"
    CSV = "csv"
    NDJSON = "ndjson"
    LINES = "lines"


def read_addresses(file: Path, form: FileFormat = FileFormat.AUTO) -> Iterator[dict[str, JsonValue]]:
    """One record a row, {address, chain?, tag?, direction?, reference?}; `-` is stdin. Malformed for a file that cannot be read."""
    data = sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes()
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Malformed(f"{file} is not UTF-8: save it as UTF-8") from error
    return _rows(text, _format_of(text, file, form), file)


def _format_of(text: str, file: Path, said: FileFormat) -> FileFormat:
    if said is not FileFormat.AUTO:
        return said
    first = text.lstrip()[:1]
    if first == "{" or file.suffix in (".ndjson", ".jsonl"):
        return FileFormat.NDJSON
    header = {cell.strip().strip('"').lower() for cell in text.partition("\n")[0].split(",")}
    return FileFormat.CSV if "address" in header else FileFormat.LINES


def _rows(text: str, form: FileFormat, file: Path) -> Iterator[dict[str, JsonValue]]:
    match form:
        case FileFormat.CSV:
            reader = csv.DictReader(text.splitlines())
            if "address" not in (reader.fieldnames or []):
                raise Malformed(f"{file} has no column `address`: its header is address,chain,tag,direction,reference")
            for record in reader:
                yield {name: value for name in COLUMNS if (value := record.get(name))} | {"address": record["address"] or ""}
        case FileFormat.NDJSON:
            for number, line in enumerate(text.splitlines(), 1):
                if line.strip():
                    yield _item(line, number, file)
        case _:
            for line in text.splitlines():
                if line.strip():
                    yield {"address": line.strip()}


def _item(line: str, number: int, file: Path) -> dict[str, JsonValue]:
    from app.domain.canonical import read_json

    try:
        record = read_json(line.encode())
    except BadJson as error:
        raise Malformed(f"{file}:{number} is not JSON: {error.detail}") from error
    if not isinstance(record, dict) or not isinstance(record.get("address"), str):
        raise Malformed(f"{file}:{number} is not an object with `address`")
    return {name: value for name in COLUMNS if (value := record.get(name)) is not None}
