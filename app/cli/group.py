"""`cordon group set`: sharing groups."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from app.cli.console import DEFAULT_DATA_DIR, Console, DataDir, JsonFlag, NodeUrl
from app.cli.control import say_as_registrar
from app.domain.canonical import JsonValue

commands = typer.Typer(help="Sharing groups, named in --aud.", no_args_is_help=True)


@commands.command("set")
def set_group(
    group_id: Annotated[str, typer.Argument(metavar="ID", help="group:<jurisdiction>.<slug>, such as group:de.north.")],
    member: Annotated[list[str], typer.Option("--member", help="A node or member id; repeat for each.")],
    owner: Annotated[str, typer.Option(help="Member id of the owner.")],
    name: Annotated[str, typer.Option(help="Name of the group.")] = "",
    releasability: Annotated[str | None, typer.Option(help="Words on who may be told.")] = None,
    tlp: Annotated[str, typer.Option("--tlp", help="Who may know that the group exists: CLEAR or GREEN.")] = "GREEN",
    key: Annotated[Path | None, typer.Option("--key", metavar="FILE", help="Registrar key; default: the data directory's first.")] = None,
    node: NodeUrl = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    as_json: JsonFlag = False,
) -> int:
    """Make a group or replace it: the newest statement of an id counts."""
    claims: dict[str, JsonValue] = {"id": group_id, "name": name or group_id, "owner": owner, "members": list(member)}
    if releasability:
        claims["releasability"] = releasability
    return say_as_registrar(
        Console(as_json),
        data_dir,
        node,
        key,
        words=lambda registrar, _door: registrar.group(claims, tlp=tlp),
        done=f"{group_id} has {len(member)} members",
    )
