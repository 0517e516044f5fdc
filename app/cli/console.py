"""How every command speaks: options that all share, results for people or as JSON, progress, exit codes.

stdout carries the result (one JSON document, or one per line, with `--json`); stderr carries notes, progress and errors. Exit codes
(schemas §5): 0 done, 1 refused or found wrong, 2 usage, 3 unavailable. An error says what is wrong and what to do next.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import traceback
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Protocol

import typer

from app.domain.canonical import JsonValue
from app.domain.errors import CordonError, Unavailable

DONE, REFUSED, USAGE, UNAVAILABLE = 0, 1, 2, 3

JsonFlag = Annotated[bool, typer.Option("--json", help="Print one JSON document (or one a line) instead of text.")]
DataDir = Annotated[Path, typer.Option("--data-dir", envvar="CORDON_DATA_DIR", help="Directory of a node: keys, database, root documents.")]
NodeUrl = Annotated[
    str | None,
    typer.Option(
        "--node", envvar="CORDON_NODE", metavar="URL", help="Address of a running node; without it the node of the data directory."
    ),
]
ApiKey = Annotated[str | None, typer.Option("--api-key", envvar="CORDON_API_KEY", help="API key of the caller (screening, reading).")]
Purpose = Annotated[str | None, typer.Option(help="Why: a purpose of the closed list, asked of agency readers.")]
Case = Annotated[str | None, typer.Option(help="Your case reference, asked of agency readers.")]
Signer = Annotated[str, typer.Option("--as", metavar="MEMBER", help="The member who signs.")]
KeyFile = Annotated[Path, typer.Option("--key", metavar="FILE", help="The private key (JWK) of the member, mode 0600.")]

DEFAULT_DATA_DIR = Path("var")


class UsageFault(Exception):
    """The command line itself is wrong: exit 2."""


class Console:
    """Where one command writes. `as_json`: stdout holds JSON only."""

    def __init__(self, as_json: bool = False) -> None:
        self.as_json = as_json

    def say(self, text: str) -> None:
        """A line for people; nothing with `--json`."""
        if not self.as_json:
            print(text, flush=True)

    def note(self, text: str) -> None:
        """A line beside the result, on stderr."""
        print(text, file=sys.stderr, flush=True)

    def document(self, value: Mapping[str, JsonValue] | Sequence[JsonValue]) -> None:
        """The result as one JSON document; nothing without `--json`."""
        if self.as_json:
            print(json.dumps(value, ensure_ascii=False), flush=True)

    def rows(self, records: Iterable[Mapping[str, JsonValue]], columns: Sequence[str]) -> None:
        """Many records: one JSON document a line, or a table of `columns`."""
        if self.as_json:
            for record in records:
                print(json.dumps(record, ensure_ascii=False))
            return
        print_table([[_cell(record.get(column)) for column in columns] for record in records], columns)

    @contextmanager
    def progress(self, what: str, total: int | None) -> Iterator[Tick]:
        """A bar on stderr, only on a terminal; `advance` moves it."""
        if not sys.stderr.isatty() or not total:
            yield _Silent()
            return
        from rich.console import Console as Terminal
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Progress(*columns, console=Terminal(stderr=True), transient=True) as bar:
            task = bar.add_task(what, total=total)
            yield _Bar(lambda step: bar.update(task, advance=step))


class Tick(Protocol):
    """Moves a progress bar."""

    def advance(self, step: int = 1) -> None: ...


class _Silent:
    def advance(self, step: int = 1) -> None:
        """No terminal, no bar."""


class _Bar:
    def __init__(self, move: Mover) -> None:
        self._move = move

    def advance(self, step: int = 1) -> None:
        self._move(step)


class Mover(Protocol):
    """Advances a task by steps."""

    def __call__(self, step: int, /) -> None: ...


def print_table(rows: Sequence[Sequence[str]], columns: Sequence[str]) -> None:
    """Columns padded with spaces: reads well, and cuts well in a pipe."""
    widths = [max([len(column), *(len(row[i]) for row in rows)]) for i, column in enumerate(columns)]
    for line in ([column.upper() for column in columns], *rows):
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def _cell(value: JsonValue) -> str:
    if value is None:
        return "-"
    if isinstance(value, list):
        return ",".join(_cell(one) for one in value) or "-"
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    # What others wrote must not steer the terminal.
    return "".join(character if character.isprintable() else "\ufffd" for character in text)


def counted(number: int, noun: str) -> str:
    """`1 item`, `3,000 items`."""
    return f"{number} {noun}" if number == 1 else f"{number:,} {noun}s"


def plain(text: object) -> str:
    """A text of others, fit for a terminal."""
    return _cell(str(text))


# --- errors -----------------------------------------------------------------------------------------------------------


def report_error(error: CordonError, *, as_json: bool) -> int:
    """Print an error of ours and give its exit code."""
    code = UNAVAILABLE if isinstance(error, Unavailable) else REFUSED
    print(f"cordon: {error.slug}: {plain(error.detail or type(error).__name__)}", file=sys.stderr)
    for fault in error.faults:
        if fault.pointer or fault.detail != error.detail:
            print(
                f"  {plain(fault.pointer) if fault.pointer else '-'}: {plain(fault.code)} {plain(fault.detail)}".rstrip(), file=sys.stderr
            )
    if as_json:
        print(json.dumps({"error": error_record(error)}, ensure_ascii=False))
    return code


def error_record(error: CordonError) -> dict[str, JsonValue]:
    """The error as a JSON object, shaped like a problem document."""
    faults: list[JsonValue] = [{"pointer": fault.pointer, "code": fault.code, "detail": fault.detail} for fault in error.faults]
    return {"code": error.slug, "detail": error.detail, "errors": faults}


def report_plain(code: str, detail: str, *, exit_code: int, as_json: bool) -> int:
    """Print an error that is not of our tree."""
    print(f"cordon: {code}: {plain(detail)}", file=sys.stderr)
    if as_json:
        print(json.dumps({"error": {"code": code, "detail": detail, "errors": []}}, ensure_ascii=False))
    return exit_code


def report_bug(error: BaseException, *, as_json: bool) -> int:
    """A fault of the program: no traceback on the screen, but one in a file that can be sent to us."""
    handle, name = tempfile.mkstemp(prefix="cordon-error-", suffix=".txt")
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write("".join(traceback.format_exception(error)))
    detail = f"unexpected {type(error).__name__}: {error}. This is a fault of the program: please report it with the file {name}"
    return report_plain("internal", detail, exit_code=REFUSED, as_json=as_json)
