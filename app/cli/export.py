"""`cordon export FILE`: what is listed now, as CSV, NDJSON or a plain list. Labels travel with the rows and never widen (trust-and-ops H-2, S-22)."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator, Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TextIO

import typer

from app.cli.console import DEFAULT_DATA_DIR, DONE, Console, DataDir, JsonFlag, UsageFault
from app.domain.canonical import JsonValue
from app.domain.labels import RANK, Tlp

if TYPE_CHECKING:
    from app.domain.answer import Listing

HEADER = (
    "id", "type", "issuer", "typologies", "roles", "severity", "basis", "reliability", "credibility", "status", "action", "first_seen",
    "last_seen", "purpose", "instrument", "assertion", "evidence_standard", "review_by", "tlp", "handling", "listed_at", "expires_at", "origin", "sid",
)  # fmt: skip


class ExportFormat(StrEnum):
    """How rows are written."""

    CSV = "csv"
    NDJSON = "ndjson"
    LIST = "list"


def export(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Where to write; `-` is stdout. Not overwritten.")],
    file_format: Annotated[ExportFormat, typer.Option("--format", help="csv, ndjson, or list (ids alone).")] = ExportFormat.CSV,
    tlp: Annotated[str, typer.Option("--tlp", help="Widest trust you export for: CLEAR or GREEN. Narrower rows are left out.")] = "CLEAR",
    issuer: Annotated[str | None, typer.Option(help="Only listings of this member.")] = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    as_json: JsonFlag = False,
) -> int:
    """Write what is listed now. Rows from AMBER up have an audience, which a file cannot keep: they are not exported."""
    if tlp not in (Tlp.CLEAR, Tlp.GREEN):
        raise UsageFault("--tlp is CLEAR or GREEN: rows from AMBER up go to their audience, through the node")
    rows = _rows(data_dir, Tlp(tlp), issuer)
    console = Console(as_json)
    if str(file) == "-":
        _write(sys.stdout, rows, file_format)
        return DONE
    handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8", newline="") as out:
        _write(out, rows, file_format)
    console.document({"rows": len(rows), "file": str(file), "tlp": tlp})
    console.say(f"{len(rows)} rows up to {tlp} are in {file}.")
    return DONE


def _rows(data_dir: Path, tlp: Tlp, issuer: str | None) -> list[dict[str, JsonValue]]:
    from app.cli.local import with_rows
    from app.domain.answer import epoch_ms
    from app.storage.database import Transaction

    now = int(time.time())

    async def work(tx: Transaction) -> list[dict[str, JsonValue]]:
        rows: list[dict[str, JsonValue]] = []
        async for listing in tx.subjects.live_listings():
            widest = max(RANK[listing.label.tlp], RANK[listing.core_label.tlp])
            embargo = listing.item.get("embargo_until")
            held_back = isinstance(embargo, str) and epoch_ms(embargo) > now * 1000
            if widest <= RANK[tlp] and listing.expires_at > now and not held_back and issuer in (None, listing.issuer):
                rows.append(_row(listing))
        return rows

    return with_rows(data_dir, work, write=False)


def _row(listing: Listing) -> dict[str, JsonValue]:
    from app.domain.answer import instant_text

    item, context = listing.item, listing.context
    basis = context.get("legal_basis")
    anonymous = "NO-ATTRIBUTION" in listing.handling
    said: dict[str, JsonValue] = {name: item.get(name) for name in HEADER if name in item}
    return {
        **said,
        "id": listing.subject,
        "issuer": None if anonymous else listing.issuer,
        "purpose": context.get("purpose"),
        "instrument": basis.get("instrument") if isinstance(basis, dict) else None,
        "assertion": context.get("assertion"),
        "evidence_standard": context.get("evidence_standard"),
        "review_by": context.get("review_by"),
        "tlp": str(listing.core_label.tlp),
        "handling": list(listing.handling),
        "listed_at": instant_text(listing.accepted_ms),
        "expires_at": instant_text(listing.expires_at * 1000),
        "origin": listing.origin,
        "sid": listing.sid,
    }


def _write(out: TextIO, rows: Sequence[dict[str, JsonValue]], file_format: ExportFormat) -> None:
    match file_format:
        case ExportFormat.CSV:
            from app.formats.csv_export import csv_lines

            out.writelines(csv_lines(HEADER, ([_cell(row.get(name)) for name in HEADER] for row in rows)))
        case ExportFormat.NDJSON:
            out.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        case ExportFormat.LIST:
            out.writelines(f"{identifier}\n" for identifier in _unique(rows))


def _unique(rows: Sequence[dict[str, JsonValue]]) -> Iterator[str]:
    yield from dict.fromkeys(str(row["id"]) for row in rows)


def _cell(value: JsonValue) -> str | int | float | bool | None:
    if isinstance(value, list):
        return ";".join(str(one) for one in value)
    return json.dumps(value) if isinstance(value, dict) else value
