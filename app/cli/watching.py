"""What `cordon watch`, `watchlist`, `webhook` and `corrections` share: the way to the node, lists by name, events as lines."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from app.cli.console import Console, plain
from app.domain.canonical import JsonValue
from app.domain.errors import NotFound, Refused, Unauthenticated

if TYPE_CHECKING:
    from app.sdk.watching import Watch

Record = dict[str, JsonValue]


@contextmanager
def watching(data_dir: Path, node: str | None, api_key: str | None) -> Iterator[Watch]:
    """The watcher of an API key at a running node."""
    from app.cli.doors import url_of
    from app.sdk.client import Client, Options
    from app.sdk.watching import Watch

    if not api_key:
        raise Unauthenticated(
            "watching needs an API key of scope `watch`: --api-key KEY or CORDON_API_KEY; the operator makes one with "
            "cordon client create --class vasp --member ID"
        )
    with Client(url_of(data_dir, node), Options(api_key=api_key, timeout_s=30.0)) as client:
        yield Watch(client)


def list_id(watch: Watch, said: str) -> str:
    """The id of a watchlist that is named by its id or by its name; NotFound, and Refused for a name that two have."""
    lists = watch.lists()
    found = [str(one["id"]) for one in lists if said in (one["id"], one["name"])]
    if not found:
        raise NotFound(f"there is no watchlist {said}: cordon watchlist list shows yours")
    if len(found) > 1:
        raise Refused(f"{len(found)} watchlists are called {said}: name one by its id, {' or '.join(found)}")
    return found[0]


def show_event(console: Console, event: Record) -> None:
    """One event as it came, or as a line: when, what, of what, whose reference, by which statement."""
    if console.as_json:
        print(json.dumps(event, ensure_ascii=False), flush=True)
        return
    data = event.get("data")
    said = data if isinstance(data, dict) else {}
    kind = str(event.get("type")).removeprefix("listing.").removesuffix(".v1")
    words = [plain(event.get("timestamp")), "URGENT" if event.get("urgent") else "", plain(kind)]
    about = [plain(said[name]) for name in ("subject", "reference", "sid") if said.get(name) is not None]
    print("  ".join([f"{words[0]}  {words[1]:6}  {words[2]:9}", *about]), flush=True)
