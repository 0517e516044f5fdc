"""`cordon init`: found a jurisdiction and its node."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from app.cli.console import DEFAULT_DATA_DIR, Console, DataDir, JsonFlag


def init(
    jurisdiction: Annotated[str, typer.Option(help="Two lower-case letters, ISO 3166-1: de.")],
    node: Annotated[str, typer.Option(help="Node id: the host name under which others reach the node, such as node.de.example.")],
    name: Annotated[str, typer.Option(help="What people call this node.")] = "",
    public_url: Annotated[str, typer.Option(help="How others reach it.")] = "http://127.0.0.1:8000",
    root_keys: Annotated[int, typer.Option(help="How many root keys; each belongs to another person, offline.")] = 3,
    threshold: Annotated[int, typer.Option(help="How many of them must sign a root document.")] = 2,
    registrar_keys: Annotated[int, typer.Option(help="With two or more, registrar acts need a second person.")] = 1,
    contact: Annotated[str | None, typer.Option(help="Contact of the jurisdiction, in the root document.")] = None,
    licence: Annotated[str | None, typer.Option(help="Licence of the data, in the root document.")] = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    as_json: JsonFlag = False,
) -> None:
    """Make keys, root document 1, database and the first statements of a new node."""
    from app.services.enroll import Founding, found

    console = Console(as_json)
    data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    founding = Founding(
        jurisdiction=jurisdiction,
        node=node,
        name=name or node,
        public_url=public_url.rstrip("/"),
        root_keys=root_keys,
        threshold=threshold,
        registrar_keys=registrar_keys,
        contact=contact,
        licence=licence,
    )
    founded = found(data_dir, founding, now=int(time.time()))
    logged = first_statements(data_dir)
    console.document(
        {
            "node": node,
            "jurisdiction": jurisdiction,
            "origin": founded.node.origin,
            "root_sha256": founded.pin,
            "keys": [str(path) for path in founded.key_files],
            "statements": list(logged),
        }
    )
    console.say(f"{founded.node.name} ({founded.node.origin}) is founded in {data_dir}.")
    console.say(f"Root document 1 has SHA-256 {founded.pin}: peers compare this out of band.")
    console.say(f"Move {data_dir}/keys/root-*.jwk offline now, each to another person; the node does not need them.")
    console.say(
        f"Next: cordon keys new {jurisdiction}.agency --out agency.jwk; cordon member add {jurisdiction}.agency --class agency --name NAME --key agency.jwk"
    )


def first_statements(data_dir: Path) -> list[str]:
    """Make the database and log the founding statements through the gate; their sids."""
    from app.cli.doors import open_door
    from app.cli.local import upgrade
    from app.domain.errors import CordonError
    from app.services.enroll import founding_statements

    upgrade(data_dir)
    sids: list[str] = []
    with open_door(data_dir, None) as door:
        for outcome in door.submit(founding_statements(data_dir, now=int(time.time()))):
            if isinstance(outcome, CordonError):
                raise outcome
            sids.append(outcome.sid)
    return sids
