"""CSV that goes out, RFC 4180, with no cell a spreadsheet would run (trust-and-ops S-22).

Listed values come from strangers: a handle may begin with `=`. A text that begins with one of `= + - @`, tab, carriage return
or a full-width form of the signs gets a `'` in front, which spreadsheets show as text; numbers are written as they are.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence

FORMULA_STARTS = frozenset("=+-@\t\r\n\uff1d\uff0b\uff0d\uff20")
Cell = str | int | float | bool | None


def escape_cell(value: Cell) -> str:
    """One cell as text: None is empty, true and false are words, a text that could be a formula is defused."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if not isinstance(value, str):
        return str(value)
    # A reader may strip leading blanks, and NUL, before it looks for a formula.
    first = value.lstrip(" \u00a0\x00\ufeff")[:1]
    return f"'{value}" if first in FORMULA_STARTS and first else value


def csv_lines(header: Sequence[str], rows: Iterable[Sequence[Cell]]) -> Iterator[str]:
    """The header and each row as a line ended by CR LF, fit for streaming."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\r\n")
    writer.writerow(header)
    yield _drained(buffer)
    for row in rows:
        writer.writerow([escape_cell(cell) for cell in row])
        yield _drained(buffer)


def _drained(buffer: io.StringIO) -> str:
    text = buffer.getvalue()
    buffer.seek(0)
    buffer.truncate()
    return text
