"""`cordon keys new|list|revoke|rotate`: signing keys of members."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Annotated

import typer

from app.cli.console import DEFAULT_DATA_DIR, DONE, Console, DataDir, JsonFlag, NodeUrl, UsageFault
from app.cli.control import say_as_registrar
from app.cli.doors import open_door
from app.domain.canonical import JsonValue

commands = typer.Typer(help="Signing keys of members.", no_args_is_help=True)

RegistrarKey = Annotated[
    Path | None, typer.Option("--key", metavar="FILE", help="Registrar key; default: keys/registrar-1.jwk of the data directory.")
]


@commands.command()
def new(
    member: Annotated[str, typer.Argument(metavar="MEMBER", help="Member id, such as de.bka.")],
    out: Annotated[Path, typer.Option(metavar="FILE", help="Where the private key goes, with mode 0600.")],
    label: Annotated[str, typer.Option(help="Tells the member's keys apart; never used twice.")] = "",
    as_json: JsonFlag = False,
) -> int:
    """Make a private key (JWK file, 0600) and print its public half."""
    from app.seal.jws import SigningKey
    from app.services.enroll import write_key

    key = SigningKey.generate(f"{member}#{label or time.strftime('%Y%m%d-%H%M%S', time.gmtime())}")
    write_key(out, key)
    public: dict[str, JsonValue] = {"kid": key.kid, **key.public_jwk}
    console = Console(as_json)
    console.document({**public, "file": str(out)})
    console.say(json.dumps(public))
    console.note(
        f"The private key is in {out}: keep it there. The registrar enters it with: cordon member add {member} --key {out} (the line above, saved as a file, does too)"
    )
    return DONE


@commands.command("list")
def list_keys(
    member: Annotated[str, typer.Argument(metavar="MEMBER")],
    node: NodeUrl = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    as_json: JsonFlag = False,
) -> int:
    """The keys of a member as its node has them."""
    console = Console(as_json)
    with open_door(data_dir, node) as door:
        console.rows(door.member_keys(member), ("kid", "not_before", "expires", "revoked_from_index", "revocation_reason"))
    return DONE


@commands.command()
def revoke(
    kid: Annotated[str, typer.Argument(metavar="KID", help="The key, such as de.bka#1.")],
    reason: Annotated[str, typer.Option(help="compromised, superseded or unspecified.")],
    from_index: Annotated[int | None, typer.Option(min=0, help="First log index whose statements by this key no longer count.")] = None,
    key: RegistrarKey = None,
    node: NodeUrl = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    as_json: JsonFlag = False,
) -> int:
    """End a key. What it signed at --from-index and above becomes inert; `reaffirm` brings genuine statements back."""
    if from_index is None and reason != "superseded":
        raise UsageFault("say from which log index on the key is not to be trusted: --from-index N (0 for everything it ever signed)")
    return say_as_registrar(
        Console(as_json),
        data_dir,
        node,
        key,
        words=lambda registrar, _door: registrar.revoke(kid, reason=reason, from_index=from_index or 0),
        done=f"{kid} is revoked ({reason})",
    )


@commands.command()
def rotate(
    member: Annotated[str, typer.Argument(metavar="MEMBER")],
    new_key: Annotated[Path, typer.Option("--new-key", metavar="FILE", help="The member's new key (private or public JWK).")],
    retire: Annotated[str | None, typer.Option(metavar="KID", help="Also revoke this older key as superseded.")] = None,
    key: RegistrarKey = None,
    node: NodeUrl = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    as_json: JsonFlag = False,
) -> int:
    """Give a member a further key; the old one stays good until it is retired or expires."""
    from dataclasses import replace

    from app.cli.doors import Door
    from app.cli.member import public_key_of, stored_member
    from app.services.enroll import Registrar, member_key

    def words(registrar: Registrar, door: Door) -> str:
        found = stored_member(door, member)
        kid, jwk = public_key_of(new_key, member)
        return registrar.member(replace(found, keys=(*found.keys, member_key(kid, jwk, now=registrar.now))))

    console = Console(as_json)
    code = say_as_registrar(console, data_dir, node, key, words=words, done=f"{member} has a further key")
    if retire is None or code:
        return code
    return say_as_registrar(
        console,
        data_dir,
        node,
        key,
        words=lambda registrar, _door: registrar.revoke(retire, reason="superseded", from_index=0),
        done=f"{retire} is retired",
    )
