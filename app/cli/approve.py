"""`cordon approve SID`: the second key says yes."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from app.cli.console import DEFAULT_DATA_DIR, Console, DataDir, JsonFlag, KeyFile, NodeUrl, Signer
from app.cli.control import say
from app.cli.doors import open_door
from app.cli.listing import check_key


def approve(
    sid: Annotated[str, typer.Argument(metavar="SID", help="The statement that is held or inert.")],
    member: Signer,
    key: KeyFile,
    tlp: Annotated[str, typer.Option(help="Label of the approval: that of the statement, or wider.")] = "CLEAR",
    aud: Annotated[list[str] | None, typer.Option("--aud", help="Audience from AMBER up: that of the statement, or wider.")] = None,
    node: NodeUrl = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    as_json: JsonFlag = False,
) -> int:
    """Approve a statement of the same member with another key than the one that signed it."""
    from app.domain.canonical import JsonValue
    from app.sdk.drafts import read_key
    from app.seal.disclosure import build_statement

    signing = read_key(key)
    check_key(signing, member)
    with open_door(data_dir, node) as door:
        claims: dict[str, JsonValue] = {"v": 1, "iss": member, "org": door.origin(), "knd": "approve", "iat": int(time.time()), "tlp": tlp}
        if aud:
            claims["aud"] = list(aud)
        claims["t"] = [sid]
        return say(Console(as_json), door, [build_statement(claims, {}, signing)], done=f"{sid} is approved")
