"""`cordon mirror DIR`: a verified copy of what a node lists, kept up to date, for screening without a network."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from app.cli.console import DEFAULT_DATA_DIR, DONE, ApiKey, Case, Console, DataDir, JsonFlag, NodeUrl, Purpose, UsageFault, counted

WAIT_S = 900.0
"""How long the quota of a caller may make a whole snapshot last."""


def mirror(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Where the copy is kept; what is there is brought up to date.")],
    tier: Annotated[str, typer.Option(help="green (with an API key), or clear.")] = "green",
    every: Annotated[int | None, typer.Option(min=1, help="Stay, and bring it up to date every so many seconds.")] = None,
    root: Annotated[Path | None, typer.Option(help="Root document, or a folder with every version; default: the data directory's.")] = None,
    pin: Annotated[str | None, typer.Option(help="SHA-256 of root document 1, as agreed out of band.")] = None,
    api_key: ApiKey = None,
    purpose: Purpose = None,
    case: Case = None,
    node: NodeUrl = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    as_json: JsonFlag = False,
) -> int:
    """Fetch a snapshot, or what has changed since; every byte is checked against the signed head. Broken off, it goes on from there."""
    from app.cli.doors import url_of
    from app.domain.answer import second_text
    from app.domain.viewing import TIERS
    from app.sdk.client import Client, Options
    from app.sdk.verify import read_roots
    from app.sdk.view_store import Store
    from app.sdk.view_sync import sync_view
    from app.seal.notes import read_vkeys

    if tier not in TIERS:
        raise UsageFault(f"--tier is {' or '.join(sorted(TIERS))}")
    console = Console(as_json)
    document = read_roots(root or data_dir / "root", now=int(time.time()), pin=pin)
    store, keys = Store(folder, tier), read_vkeys(document.view_vkeys)
    with Client(url_of(data_dir, node), Options(api_key=api_key, purpose=purpose, case=case, timeout_s=60.0, max_wait_s=WAIT_S)) as client:
        while True:
            with console.progress("fetching", 256) as bar:
                synced = sync_view(client, store, keys, progress=lambda _done, _of: bar.advance(1))
            head = synced.copy.head
            what = "a whole copy" if synced.whole else "what changed"
            console.say(
                f"{tier} view of {second_text(head.as_of)}: {what}, {counted(synced.added, 'id')} added, {synced.removed:,} removed, "
                f"good until {second_text(synced.copy.not_after)}"
            )
            console.document(
                {
                    "tier": tier,
                    "as_of": head.as_of,
                    "not_after": synced.copy.not_after,
                    "whole": synced.whole,
                    "added": synced.added,
                    "removed": synced.removed,
                }
            )
            if every is None:
                return DONE
            time.sleep(every)
