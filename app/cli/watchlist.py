"""`cordon watchlist create|list|show|add|remove|end`: whose movements are watched; at a running node, with an API key of scope `watch`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from app.cli.addresses import FileFormat, read_addresses
from app.cli.console import DEFAULT_DATA_DIR, DONE, ApiKey, Console, DataDir, JsonFlag, NodeUrl, Tick, UsageFault, counted
from app.cli.watching import list_id, watching
from app.domain.errors import Fault, InvalidAddress, Schema

if TYPE_CHECKING:
    from app.sdk.watching import Item, Watch

commands = typer.Typer(help="Lists of wallets and identifiers that are watched.", no_args_is_help=True)

FAULTS_SHOWN = 20

T = TypeVar("T")

ListName = Annotated[str, typer.Argument(metavar="LIST", help="A watchlist, by its id or its name.")]
WatchFile = Annotated[
    Path | None,
    typer.Argument(metavar="[FILE]", help="CSV with a header address,chain,tag,reference; NDJSON; or plain lines. `-` is stdin."),
]
Addresses = Annotated[list[str] | None, typer.Option("--address", help="This address or identifier, in any spelling; repeat for more.")]
Buckets = Annotated[list[str] | None, typer.Option("--bucket", metavar="HHHH", help="This bucket, four hex digits; repeat for more.")]
Blind = Annotated[
    bool, typer.Option("--blind", help="Send only the bucket of each, worked out here: the node never learns whom you watch.")
]


@commands.command()
def create(
    name: Annotated[str, typer.Argument(help="What you call it.")],
    file: WatchFile = None,
    address: Addresses = None,
    bucket: Buckets = None,
    blind: Blind = False,
    api_key: ApiKey = None,
    node: NodeUrl = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    as_json: JsonFlag = False,
) -> int:
    """Make a list and put into it what FILE holds. What is listed already is no news to it: screen it first."""
    console = Console(as_json)
    subjects = _read(file, address, bucket, blind)
    with watching(data_dir, node, api_key) as watch:
        made = watch.create_list(name)
        _put(console, watch, str(made["id"]), subjects)
    console.document({**made, "watched": len(subjects)})
    console.say(f"{made['id']} watches {subjects or 'nothing yet'}")
    return DONE


@commands.command("list")
def list_lists(api_key: ApiKey = None, node: NodeUrl = None, data_dir: DataDir = DEFAULT_DATA_DIR, as_json: JsonFlag = False) -> int:
    """Your lists, oldest first."""
    with watching(data_dir, node, api_key) as watch:
        Console(as_json).rows(watch.lists(), ("id", "name", "created_at"))
    return DONE


@commands.command()
def show(
    name: ListName, api_key: ApiKey = None, node: NodeUrl = None, data_dir: DataDir = DEFAULT_DATA_DIR, as_json: JsonFlag = False
) -> int:
    """What a list holds."""
    with watching(data_dir, node, api_key) as watch:
        Console(as_json).rows(list(watch.items(list_id(watch, name))), ("id", "reference"))
    return DONE


@commands.command()
def add(
    name: ListName,
    file: WatchFile = None,
    address: Addresses = None,
    bucket: Buckets = None,
    blind: Blind = False,
    api_key: ApiKey = None,
    node: NodeUrl = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    as_json: JsonFlag = False,
) -> int:
    """Put more into a list; what it holds already stays. Broken off, the same command again does the rest."""
    console = Console(as_json)
    subjects = _read(file, address, bucket, blind, least=1)
    with watching(data_dir, node, api_key) as watch:
        which = list_id(watch, name)
        _put(console, watch, which, subjects)
    console.document({"id": which, "watched": len(subjects)})
    console.say(f"{which} watches {subjects} more, or did before")
    return DONE


@commands.command()
def remove(
    name: ListName,
    file: WatchFile = None,
    address: Addresses = None,
    bucket: Buckets = None,
    blind: Blind = False,
    api_key: ApiKey = None,
    node: NodeUrl = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    as_json: JsonFlag = False,
) -> int:
    """Take something out of a list."""
    console = Console(as_json)
    subjects = _read(file, address, bucket, blind, least=1)
    with watching(data_dir, node, api_key) as watch, console.progress("taking out", len(subjects)) as bar:
        which = list_id(watch, name)
        for some in _pages([*(one for one, _ in subjects.items), *subjects.buckets], bar):
            watch.remove(which, some)
    console.document({"id": which, "removed": len(subjects)})
    console.say(f"{which} watches {subjects} no more")
    return DONE


@commands.command()
def end(
    name: ListName, api_key: ApiKey = None, node: NodeUrl = None, data_dir: DataDir = DEFAULT_DATA_DIR, as_json: JsonFlag = False
) -> int:
    """Drop a list; its events stay."""
    with watching(data_dir, node, api_key) as watch:
        which = list_id(watch, name)
        watch.end_list(which)
    console = Console(as_json)
    console.document({"id": which, "ended": True})
    console.say(f"{which} is gone; what happened until now stays in cordon watch --once")
    return DONE


# --- what to watch -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Subjects:
    """What a command is about: ids in their one spelling, each with what the caller calls it, and buckets."""

    items: Sequence[Item]
    buckets: Sequence[str]

    def __len__(self) -> int:
        return len(self.items) + len(self.buckets)

    def __str__(self) -> str:
        return " and ".join(counted(len(found), noun) for found, noun in ((self.items, "id"), (self.buckets, "bucket")) if found)


def _read(file: Path | None, address: Sequence[str] | None, bucket: Sequence[str] | None, blind: bool, *, least: int = 0) -> Subjects:
    """What the options name; with `blind` buckets alone. Every row that cannot be read is named, and then nothing is sent."""
    from app.domain.identifiers import id_key, read_subject
    from app.domain.view import bucket_number, bucket_text

    rows = [*({"address": text} for text in address or ()), *(read_addresses(file, FileFormat.AUTO) if file is not None else ())]
    items: dict[str, str | None] = {}
    faults: list[Fault] = []
    for number, row in enumerate(rows, 1):
        chain, tag, reference = (str(value) if (value := row.get(name)) else None for name in ("chain", "tag", "reference"))
        try:
            items[read_subject(str(row["address"]), chain=chain, tag=tag).id] = reference
        except InvalidAddress as error:
            faults.append(Fault(f"row {number}", error.code, error.detail))
    if faults:
        more = f"; the first {FAULTS_SHOWN}:" if len(faults) > FAULTS_SHOWN else ""
        raise Schema(f"{len(faults)} of {len(rows)} rows cannot be read, nothing was sent{more}", faults=tuple(faults[:FAULTS_SHOWN]))
    if len(items) + len(bucket or ()) < least:
        raise UsageFault("give a FILE, --address TEXT or --bucket HHHH")
    buckets = dict.fromkeys(bucket or ())
    if blind:
        return Subjects((), [*(buckets | dict.fromkeys(bucket_text(bucket_number(id_key(one))) for one in items))])
    return Subjects([*items.items()], [*buckets])


def _put(console: Console, watch: Watch, which: str, subjects: Subjects) -> None:
    with console.progress("putting in", len(subjects)) as bar:
        for items in _pages(subjects.items, bar):
            watch.add(which, items)
        for buckets in _pages(subjects.buckets, bar):
            watch.add(which, prefixes=buckets)


def _pages(whole: Sequence[T], bar: Tick) -> Iterator[Sequence[T]]:
    """As many at a time as one request may carry; the bar moves on when each is done."""
    from app.sdk.watching import ITEMS_MAX

    for start in range(0, len(whole), ITEMS_MAX):
        page = whole[start : start + ITEMS_MAX]
        yield page
        bar.advance(len(page))
