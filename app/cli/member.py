"""`cordon member add|show|list`: who may speak, entered by the registrar."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from app.cli.console import DEFAULT_DATA_DIR, DONE, Console, DataDir, JsonFlag, NodeUrl
from app.cli.control import say_as_registrar
from app.cli.doors import Door, open_door
from app.domain.canonical import JsonValue
from app.domain.errors import BadRequest, Malformed, NotFound
from app.domain.labels import Tlp
from app.domain.registry import Mandate, Member, MemberClass, MemberKey, read_member
from app.services.enroll import Registrar, default_kinds, member_key

commands = typer.Typer(help="Members of the jurisdiction: agencies, VASPs, redress bodies.", no_args_is_help=True)

RegistrarKey = Annotated[
    Path | None, typer.Option("--registrar-key", metavar="FILE", help="Default: keys/registrar-1.jwk of the data directory.")
]


@commands.command()
def add(
    member_id: Annotated[str, typer.Argument(metavar="ID", help="Member id: jurisdiction, dot, name, such as de.bka.")],
    key: Annotated[
        list[Path], typer.Option("--key", metavar="FILE", help="The member's key (private or public JWK with kid); repeat for more.")
    ],
    member_class: Annotated[MemberClass, typer.Option("--class", help="agency, vasp or redress.")] = MemberClass.AGENCY,
    name: Annotated[str, typer.Option(help="Full name.")] = "",
    kinds: Annotated[str, typer.Option(help="Kinds of statements, by comma; default: all that the class may hold.")] = "",
    categories: Annotated[str, typer.Option(help="Typologies, by comma; a code covers its narrower ones. Default: all.")] = "",
    tlp_max: Annotated[Tlp, typer.Option(help="Narrowest label the member may use.")] = Tlp.RED,
    quota: Annotated[int, typer.Option(min=0, help="Statements an hour.")] = 1000,
    persons: Annotated[bool, typer.Option("--persons", help="May name natural persons (competent authorities).")] = False,
    country: Annotated[str | None, typer.Option(help="ISO 3166-1 alpha-2, upper case.")] = None,
    contact: Annotated[str | None, typer.Option(help="Where the member is reached; also where persons concerned can turn.")] = None,
    url: Annotated[str | None, typer.Option(help="Web site.")] = None,
    lei: Annotated[str | None, typer.Option(help="Legal entity identifier.")] = None,
    registrar_key: RegistrarKey = None,
    node: NodeUrl = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    as_json: JsonFlag = False,
) -> int:
    """Enter a member, or change one: the newest statement of an id replaces the one before; keys it had stay."""
    mandate = Mandate(
        kinds=frozenset(_words(kinds)) or default_kinds(member_class),
        categories=tuple(_words(categories)) or all_categories(),
        tlp_max=tlp_max,
        quota_per_hour=quota,
        persons=persons,
    )

    def words(registrar: Registrar, door: Door) -> str:
        keys = tuple(member_key(*public_key_of(path, member_id), now=registrar.now) for path in key)
        kept = _keys_before(door, member_id, {one.kid for one in keys})
        jurisdiction = member_id[:2].upper()
        member = Member(
            member_id, name or member_id, member_class, mandate, (*kept, *keys), country or jurisdiction, url=url, contact=contact, lei=lei
        )
        _check_no_node(member_id, door)
        read_member(_claims(member))  # our own reader refuses here what the gate would refuse there
        return registrar.member(member)

    return say_as_registrar(Console(as_json), data_dir, node, registrar_key, words=words, done=f"{member_id} is a member")


def _check_no_node(member_id: str, door: Door) -> None:
    """An audience names nodes and members alike: one id must not mean both (schemas §0)."""
    if member_id == door.origin().partition("/")[0]:
        raise BadRequest(f"{member_id} is the id of the node itself: a member needs another one")


def _claims(member: Member) -> dict[str, JsonValue]:
    from app.services.enroll import member_claims

    return member_claims(member)


def _words(text: str) -> list[str]:
    return [word for word in (part.strip() for part in text.split(",")) if word]


def all_categories() -> tuple[str, ...]:
    """The parents of the vocabulary: together they cover every typology."""
    return ("fraud", "extortion", "trafficking", "laundering", "theft", "enabling", "sanctions", "other")


def _keys_before(door: Door, member_id: str, replaced: set[str]) -> tuple[MemberKey, ...]:
    """Keys that the registrar entered earlier: they are never dropped from a member."""
    try:
        found = stored_member(door, member_id)
    except NotFound:
        return ()
    return tuple(replace(one) for one in found.keys if one.kid not in replaced)


def stored_member(door: Door, member_id: str) -> Member:
    """The member as its node has it; NotFound if it is none."""
    record = door.member_claims(member_id)
    names = ("id", "name", "class", "mandate", "keys", "country", "url", "contact", "lei", "licence")
    claims: dict[str, JsonValue] = {name: record[name] for name in names if record.get(name) is not None}
    keys = claims.get("keys")
    if isinstance(keys, list):
        claims["keys"] = [{name: one.get(name) for name in ("kid", "jwk", "nbf", "exp")} for one in keys if isinstance(one, dict)]
    return read_member(claims, lenient=True)


def public_key_of(path: Path, member_id: str) -> tuple[str, dict[str, str]]:
    """(kid, public JWK) of a key file, private or public."""
    try:
        record = json.loads(path.read_text("utf-8"))
    except (ValueError, UnicodeDecodeError) as error:
        raise Malformed(f"{path} is not a JWK file: give what `cordon keys new` wrote or printed") from error
    if not isinstance(record, dict) or not isinstance(record.get("kid"), str):
        raise Malformed(f"{path} is not a JWK with a kid: give what `cordon keys new` wrote or printed")
    kid: str = record["kid"]
    if kid.partition("#")[0] != member_id:
        raise BadRequest(f"{path} holds the key {kid}: a key of {member_id} has a kid {member_id}#<label>")
    try:
        return kid, {name: str(record[name]) for name in ("kty", "crv", "x", "y")}
    except KeyError as error:
        raise Malformed(f"{path} lacks {error.args[0]}: a key is an EC JWK on P-256") from error


@commands.command()
def show(
    member_id: Annotated[str, typer.Argument(metavar="ID")],
    node: NodeUrl = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    as_json: JsonFlag = False,
) -> int:
    """One member with mandate and keys."""
    console = Console(as_json)
    with open_door(data_dir, node) as door:
        record = door.member(member_id)
    console.document(record)
    console.say(json.dumps(record, indent=2, ensure_ascii=False))
    return DONE


@commands.command("list")
def list_members(node: NodeUrl = None, data_dir: DataDir = DEFAULT_DATA_DIR, as_json: JsonFlag = False) -> int:
    """Every member."""
    console = Console(as_json)
    with open_door(data_dir, node) as door:
        console.rows(door.members(), ("id", "class", "name", "country"))
    return DONE
