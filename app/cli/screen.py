"""`cordon screen FILE`: addresses and identifiers against what the node lists."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from app.cli.addresses import FileFormat, read_addresses
from app.cli.console import (
    DEFAULT_DATA_DIR,
    DONE,
    ApiKey,
    Case,
    Console,
    DataDir,
    JsonFlag,
    NodeUrl,
    Purpose,
    UsageFault,
    plain,
    print_table,
)
from app.cli.doors import Record, open_door
from app.domain.canonical import JsonValue

_BATCH = 2_000


def screen(
    file: Annotated[
        Path | None,
        typer.Argument(metavar="[FILE]", help="CSV with a header address,chain,tag,reference; NDJSON; or plain lines. `-` is stdin."),
    ] = None,
    address: Annotated[list[str] | None, typer.Option("--address", help="Screen this instead of a file; repeat for more.")] = None,
    chain: Annotated[str | None, typer.Option("--chain", help="For --address: CAIP-2 id or common name.")] = None,
    tag: Annotated[str | None, typer.Option("--tag", help="For --address: destination tag or memo.")] = None,
    file_format: Annotated[FileFormat, typer.Option("--format", help="Form of FILE.")] = FileFormat.AUTO,
    hits: Annotated[bool, typer.Option("--hits", help="Print only what is not `not_listed`.")] = False,
    api_key: ApiKey = None,
    purpose: Purpose = None,
    case: Case = None,
    node: NodeUrl = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    as_json: JsonFlag = False,
) -> int:
    """Screen addresses and identifiers in any spelling. One line a row: match, what it was read as, who lists it for what.

    With --json one result a line, as the node gave it. `not_listed` never means safe: no authority has listed it here.
    """
    console = Console(as_json)
    items = _items(file, address, chain, tag, file_format)
    counts: dict[str, int] = {}
    with open_door(data_dir, node, api_key=api_key, purpose=purpose, case=case) as door, console.progress("screening", len(items)) as bar:
        for start in range(0, len(items), _BATCH):
            results = door.screen(items[start : start + _BATCH])
            for offset, result in enumerate(results):
                result["row"] = start + offset
                match = str(result.get("match"))
                counts[match] = counts.get(match, 0) + 1
            _show(console, [one for one in results if not hits or one.get("match") != "not_listed"])
            bar.advance(len(results))
    console.note(", ".join(f"{count} {match}" for match, count in sorted(counts.items())) or "nothing to screen")
    return DONE


def _show(console: Console, results: Sequence[Record]) -> None:
    if console.as_json:
        for result in results:
            print(json.dumps(result, ensure_ascii=False))
    elif results:
        print_table([_line(result) for result in results], ("match", "query", "read as", "by"))


def _line(result: Record) -> list[str]:
    return [str(result.get("match")), plain(result.get("query")), plain(result.get("id") or "-"), plain(_why(result))]


def _why(result: Record) -> str:
    error, statements, related = result.get("error"), result.get("statements"), result.get("related")
    if isinstance(error, dict):
        return f"{error.get('code')}: {error.get('detail')}"
    words: list[str] = []
    for one in statements if isinstance(statements, list) else []:
        if isinstance(one, dict):
            typologies = one.get("typologies")
            said = ", ".join(str(code) for code in typologies) if isinstance(typologies, list) else ""
            words.append(
                f"{one.get('issuer') or one.get('issuer_name')}: {said or one.get('suggested_action')} ({one.get('status')}, {one.get('state')})"
            )
    for one in related if isinstance(related, list) else []:
        if isinstance(one, dict):
            words.append(f"{one.get('relation')} {one.get('id')}")  # noqa: PERF401
    return "; ".join(words) or "-"


def _items(
    file: Path | None, address: Sequence[str] | None, chain: str | None, tag: str | None, file_format: FileFormat
) -> list[dict[str, JsonValue]]:
    if (file is None) == (not address):
        raise UsageFault("give a FILE, or --address TEXT")
    if address:
        said: dict[str, JsonValue] = {name: value for name, value in (("chain", chain), ("tag", tag)) if value is not None}
        return [{"address": text, **said} for text in address]
    assert file is not None
    return list(read_addresses(file, file_format))
