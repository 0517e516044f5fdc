"""`cordon log verify`: the whole log from its tiles, under the keys of the root document."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from app.cli.console import DEFAULT_DATA_DIR, DONE, ApiKey, Console, DataDir, JsonFlag, NodeUrl
from app.cli.doors import url_of

commands = typer.Typer(help="The append-only log.", no_args_is_help=True)


@commands.callback()
def group() -> None:
    """The append-only log."""


@commands.command()
def verify(
    root: Annotated[Path | None, typer.Option(help="Root document, or a folder with every version; default: the data directory's.")] = None,
    pin: Annotated[str | None, typer.Option(help="SHA-256 of root document 1, as agreed out of band.")] = None,
    api_key: ApiKey = None,
    node: NodeUrl = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    as_json: JsonFlag = False,
) -> int:
    """Fetch checkpoint and hash tiles of a running node and recompute the signed root; what does not fit is named, exit 1."""
    from app.domain.errors import InvalidProof
    from app.domain.merkle import root_of
    from app.domain.tiles import tile_path
    from app.sdk.client import Client, Options
    from app.sdk.verify import read_roots
    from app.seal.notes import read_checkpoint, read_freshness, read_vkeys

    console = Console(as_json)
    document = read_roots(root or data_dir / "root", now=int(time.time()), pin=pin)
    with Client(url_of(data_dir, node), Options(api_key=api_key)) as client:
        origin = client.origin()
        log = document.find_log(origin)
        if log is None:
            raise InvalidProof(
                f"the root document of {document.jurisdiction} names no log {origin}: this is another node, or another root document"
            )
        keys = read_vkeys(log.vkeys)
        note = client.checkpoint()
        checkpoint = read_checkpoint(note, origin, verifiers=keys)
        hashes: list[bytes] = []
        with console.progress("reading tiles", checkpoint.size) as bar:
            for first in range(0, checkpoint.size, 256):
                width = min(256, checkpoint.size - first)
                tile = client.tile(tile_path(0, first // 256, width))
                if len(tile) != 32 * width:
                    raise InvalidProof(f"the tile with entry {first} has {len(tile)} bytes, not {32 * width}: the node's log is damaged")
                hashes += [tile[at : at + 32] for at in range(0, len(tile), 32)]
                bar.advance(width)
        if root_of(hashes) != checkpoint.root:
            raise InvalidProof(f"the {checkpoint.size} leaves of {origin} do not give the signed root: keep the checkpoint, it is evidence")
    freshness = read_freshness(note, keys, now=int(time.time()))
    console.document(
        {"origin": origin, "size": checkpoint.size, "root": checkpoint.root.hex(), "age_s": freshness.age_s, "stale": freshness.stale}
    )
    age = "of unknown age" if freshness.age_s is None else f"{freshness.age_s} s old"
    console.say(f"{origin}: {checkpoint.size} leaves give the signed root {checkpoint.root.hex()}; the checkpoint is {age}.")
    return DONE
