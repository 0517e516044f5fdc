"""`cordon watch`: what happens to what is watched, as it happens, on the terminal or down a pipe."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from app.cli.console import DEFAULT_DATA_DIR, DONE, ApiKey, Console, DataDir, JsonFlag, NodeUrl, UsageFault
from app.cli.watching import Record, list_id, show_event, watching
from app.domain.errors import CordonError

if TYPE_CHECKING:
    from app.sdk.watching import Watch

INTERRUPTED = 130


def watch(
    lists: Annotated[
        list[str] | None, typer.Option("--list", metavar="LIST", help="Only of this watchlist, by id or name; repeat for more.")
    ] = None,
    cursor: Annotated[
        str | None, typer.Option(metavar="ID", help="Begin after this event; default: with what happens from now on.")
    ] = None,
    state: Annotated[Path | None, typer.Option(metavar="FILE", help="Keep the cursor here, and go on from it the next time.")] = None,
    once: Annotated[bool, typer.Option("--once", help="Print what has happened up to now, and end.")] = False,
    api_key: ApiKey = None,
    node: NodeUrl = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    as_json: JsonFlag = False,
) -> int:
    """Follow the events of your watchlists: one a line, with --json as the node sends them. Ctrl-C ends it and says where to go on.

    A connection that breaks is made anew, and nothing is missed. With --state a line may come twice after a crash, and none is lost:
    act once for each `id`.
    """
    console = Console(as_json)
    if cursor is not None and state is not None and state.exists():
        raise UsageFault(f"{state} has a cursor already: give --cursor or --state")
    place = _Place(cursor, state)
    with watching(data_dir, node, api_key) as watcher:
        chosen = {list_id(watcher, one) for one in lists or ()}
        try:
            if once:
                for event in watcher.events(place.cursor):
                    place.take(console, event, chosen)
            else:
                _follow(console, watcher, place, chosen)
        except KeyboardInterrupt:
            console.note("" if place.cursor is None else f"go on with: cordon watch {place.words()}")
            return INTERRUPTED
    return DONE


def _follow(console: Console, watcher: Watch, place: _Place, chosen: set[str]) -> None:
    def broken(error: CordonError, pause_s: float) -> None:
        console.note(f"{error.detail}; again in {pause_s:.0f} s")

    def placed(cursor: str) -> None:
        console.note(f"watching, after {cursor}: Ctrl-C ends it")
        place.keep(cursor)

    for event in watcher.follow(place.cursor, on_place=placed, on_break=broken):
        place.take(console, event, chosen)


class _Place:
    """How far events were printed."""

    def __init__(self, cursor: str | None, state: Path | None) -> None:
        self._state = state
        kept = state.read_text("ascii").strip() if state is not None and state.exists() else ""
        self.cursor = cursor or kept or None

    def take(self, console: Console, event: Record, chosen: set[str]) -> None:
        """Print an event of the lists that were chosen (a correction belongs to none, and concerns everybody), then keep the place."""
        data = event.get("data")
        of_list = data.get("watchlist") if isinstance(data, dict) else None
        if not chosen or of_list is None or of_list in chosen:
            show_event(console, event)
        self.keep(str(event["id"]))

    def keep(self, cursor: str) -> None:
        """So far. A crash between a line and this prints the line again."""
        self.cursor = cursor
        if self._state is not None:
            fresh = self._state.with_name(f".{self._state.name}.new")
            fresh.write_text(f"{cursor}\n", "ascii")
            fresh.replace(self._state)

    def words(self) -> str:
        """The options that go on from here."""
        return f"--state {self._state}" if self._state is not None else f"--cursor {self.cursor}"
