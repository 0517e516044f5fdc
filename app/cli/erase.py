"""`cordon erase SID --part NAME --ground GROUND`: what a part said is destroyed, here and at every peer (protocol §3.9).

The statement, its place in the log, proofs and receipts stay good; the parts named, their salts and all that was made of them go.
"""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from app.cli.console import DEFAULT_DATA_DIR, ApiKey, Console, DataDir, JsonFlag, NodeUrl, UsageFault
from app.cli.control import registrar_key, say
from app.cli.doors import Door, open_door
from app.domain.canonical import JsonValue
from app.domain.errors import NotFound

_PART = re.compile(r"[a-z][a-z0-9_]{0,31}")
_GROUND = re.compile(r"[a-z0-9_-]{1,32}")
GROUNDS = "gdpr-17, led-16, court_order, retention_end, error"


def erase(
    sid: Annotated[str, typer.Argument(metavar="SID", help="The statement.")],
    part: Annotated[list[str], typer.Option("--part", help="The part to destroy: core, ctx, pii; repeat for more.")],
    ground: Annotated[str, typer.Option(help=f"Why: {GROUNDS}, or a word of your own.")],
    key: Annotated[
        Path | None,
        typer.Option("--key", metavar="FILE", help="Key of the statement's issuer or of the registrar; default: the registrar's."),
    ] = None,
    tlp: Annotated[str | None, typer.Option(help="Label of the erasure; default: that of the statement.")] = None,
    aud: Annotated[list[str] | None, typer.Option("--aud", help="Audience from AMBER up; default: that of the statement.")] = None,
    api_key: ApiKey = None,
    node: NodeUrl = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    as_json: JsonFlag = False,
) -> int:
    """Destroy parts of a statement for good. There is no way back: what is erased is gone here at once, at peers when they follow."""
    from app.sdk.drafts import read_key
    from app.seal.disclosure import build_statement

    _check(part, ground)
    signing = read_key(key if key is not None else registrar_key(data_dir, None))
    issuer = signing.kid.partition("#")[0]
    with open_door(data_dir, node, api_key=api_key) as door:
        claims: dict[str, JsonValue] = {"v": 1, "iss": issuer, "org": door.origin(), "knd": "erase", "iat": int(time.time())}
        claims |= _label(door, sid, tlp, aud or []) | {"t": [sid], "del": [*sorted(set(part))], "ground": ground}
        done = f"{', '.join(sorted(set(part)))} of {sid}: erased here, peers follow and acknowledge"
        return say(Console(as_json), door, [build_statement(claims, {}, signing)], done=done)


def _label(door: Door, sid: str, tlp: str | None, aud: Sequence[str]) -> dict[str, JsonValue]:
    """The label given, else that of the statement: whoever may see the statement must see that it is erased (protocol §3.5)."""
    if tlp is not None:
        return {"tlp": tlp, "aud": [*aud]} if aud else {"tlp": tlp}
    try:
        stub = door.statement(sid).get("stub")
    except NotFound as error:
        raise NotFound(f"{sid} is not to be seen from here: look at the sid, or give the statement's label with --tlp and --aud") from error
    if not isinstance(stub, dict) or not isinstance(stub.get("tlp"), str):
        raise NotFound(f"the node does not show the label of {sid}: give it with --tlp and --aud")
    return {name: stub[name] for name in ("tlp", "aud") if stub.get(name)}


def _check(parts: list[str], ground: str) -> None:
    wrong = [name for name in parts if _PART.fullmatch(name) is None]
    if wrong:
        raise UsageFault(f"--part {wrong[0]} is no name of a part: core, ctx, pii, or the issuer's own")
    if _GROUND.fullmatch(ground) is None:
        raise UsageFault(f"--ground is one word of small letters, digits, - and _: {GROUNDS}")
