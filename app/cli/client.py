"""`cordon client create|list|rotate|quota|revoke`: API keys, kept on the host that runs the node (trust-and-ops S-26)."""

from __future__ import annotations

from dataclasses import replace
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from app.cli.console import DEFAULT_DATA_DIR, DONE, Console, DataDir, JsonFlag, UsageFault
from app.domain.canonical import JsonValue
from app.domain.errors import NotFound

if TYPE_CHECKING:
    from app.storage.clients import Client

commands = typer.Typer(help="API keys of VASPs, agency readers, auditors and operators.", no_args_is_help=True)

KeyId = Annotated[
    str, typer.Argument(metavar="ID", help="The id of the key: the third word of cordon_live_<id>_…, as `client list` shows it.")
]
Quota = Annotated[
    list[str] | None, typer.Option("--quota", metavar="NAME=NUMBER", help="requests_per_minute or addresses_per_day; repeat.")
]

SCOPES = {
    "vasp": "screen watch read request",
    "agency": "screen watch read request",
    "redress": "screen read",
    "auditor": "read audit",
    "operator": "screen read operate audit",
}
QUOTAS = ("requests_per_minute", "addresses_per_day")


class ClientClass(StrEnum):
    """What the caller is."""

    VASP = "vasp"
    AGENCY = "agency"
    REDRESS = "redress"
    AUDITOR = "auditor"
    OPERATOR = "operator"


@commands.command()
def create(
    client_class: Annotated[ClientClass, typer.Option("--class", help="vasp, agency, redress, auditor or operator.")],
    member: Annotated[str, typer.Option(help="The member the key belongs to; empty for an operator.")] = "",
    name: Annotated[str, typer.Option(help="Tells keys of one member apart.")] = "",
    tier: Annotated[str, typer.Option(help="clear or green.")] = "green",
    scopes: Annotated[
        str, typer.Option(help="By comma: screen, watch, read, request, operate, audit. Default: what the class needs.")
    ] = "",
    quota: Quota = None,
    expires_days: Annotated[int | None, typer.Option(min=1, help="Days until the key ends; default: it does not.")] = None,
    environment: Annotated[str, typer.Option(help="live, or test for the sandbox.")] = "live",
    data_dir: DataDir = DEFAULT_DATA_DIR,
    as_json: JsonFlag = False,
) -> int:
    """Make an API key and show it once; only its hash is kept."""
    from app.cli.local import now_ms, with_rows
    from app.services.enroll import new_api_key
    from app.storage.clients import Client
    from app.storage.database import Transaction

    if client_class in (ClientClass.VASP, ClientClass.AGENCY, ClientClass.REDRESS) and not member:
        raise UsageFault(f"a key of class {client_class} belongs to a member: --member ID")
    if tier not in ("clear", "green"):
        raise UsageFault("--tier is clear or green")
    key = new_api_key(environment=environment)
    now = now_ms()
    one = Client(
        id=key.id,
        secret_sha256=key.secret_sha256,
        environment=environment,
        member=member,
        client_class=str(client_class),
        name=name,
        scopes=_scopes(scopes or SCOPES[client_class].replace(" ", ",")),
        tier=tier,
        created_ms=now,
        quota=_quota(quota or []),
        expires_ms=now + expires_days * 86_400_000 if expires_days else None,
    )

    async def work(tx: Transaction) -> None:
        await tx.clients.put(one)

    with_rows(data_dir, work)
    console = Console(as_json)
    console.document({"key": key.text(), **_words(one)})
    console.say(key.text())
    console.note("This key is shown once. Use it as `Authorization: Bearer …`, or as CORDON_API_KEY for this program.")
    return DONE


def _scopes(text: str) -> tuple[str, ...]:
    found = tuple(dict.fromkeys(word.strip() for word in text.split(",") if word.strip()))
    unknown = set(found) - {"screen", "watch", "read", "request", "operate", "audit"}
    if unknown or not found:
        raise UsageFault("--scopes are screen, watch, read, request, operate, audit, by comma")
    return found


def _quota(words: list[str]) -> dict[str, int]:
    quota: dict[str, int] = {}
    for word in words:
        name, equals, number = word.partition("=")
        if name not in QUOTAS or not equals or not (number.isascii() and number.isdigit()):
            raise UsageFault(f"--quota is NAME=NUMBER with a name of {', '.join(QUOTAS)}")
        quota[name] = int(number)
    return quota


def _words(one: Client) -> dict[str, JsonValue]:
    return {
        "id": one.id,
        "class": one.client_class,
        "member": one.member,
        "name": one.name,
        "tier": one.tier,
        "scopes": list(one.scopes),
        "quota": dict(one.quota),
        "environment": one.environment,
        "created_at": _instant(one.created_ms),
        "expires_at": _instant(one.expires_ms),
        "revoked_at": _instant(one.revoked_ms),
    }


def _instant(ms: int | None) -> str | None:
    from app.domain.answer import instant_text

    return instant_text(ms) if ms is not None else None


@commands.command("list")
def list_clients(
    member: Annotated[str | None, typer.Option(help="Only keys of this member.")] = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    as_json: JsonFlag = False,
) -> int:
    """Every key, without its secret."""
    from app.cli.local import with_rows
    from app.storage.database import Transaction

    async def work(tx: Transaction) -> list[Client]:
        return await tx.clients.list(member)

    found = with_rows(data_dir, work, write=False)
    Console(as_json).rows([_words(one) for one in found], ("id", "class", "member", "name", "tier", "scopes", "expires_at", "revoked_at"))
    return DONE


@commands.command()
def rotate(client_id: KeyId, data_dir: DataDir = DEFAULT_DATA_DIR, as_json: JsonFlag = False) -> int:
    """Make a new key with the rights of an old one; the old one works on until `client revoke`."""
    from app.cli.local import now_ms, with_rows
    from app.services.enroll import new_api_key
    from app.storage.database import Transaction

    async def work(tx: Transaction) -> tuple[str, Client]:
        old = await _get(tx, client_id)
        key = new_api_key(environment=old.environment)
        one = replace(old, id=key.id, secret_sha256=key.secret_sha256, created_ms=now_ms(), revoked_ms=None)
        await tx.clients.put(one)
        return key.text(), one

    text, one = with_rows(data_dir, work)
    console = Console(as_json)
    console.document({"key": text, **_words(one), "replaces": client_id})
    console.say(text)
    console.note(f"This key is shown once. When the client uses it, end the old one: cordon client revoke {client_id}")
    return DONE


async def _get(tx: object, client_id: str) -> Client:
    from app.storage.database import Transaction

    assert isinstance(tx, Transaction)
    found = await tx.clients.get(client_id)
    if found is None:
        raise NotFound(f"there is no API key {client_id}: cordon client list shows them")
    return found


@commands.command()
def quota(
    client_id: KeyId,
    numbers: Annotated[list[str], typer.Argument(metavar="NAME=NUMBER…", help="requests_per_minute, addresses_per_day.")],
    data_dir: DataDir = DEFAULT_DATA_DIR,
    as_json: JsonFlag = False,
) -> int:
    """Change how much a key may ask."""
    from app.cli.local import with_rows
    from app.storage.database import Transaction

    changed = _quota(numbers)

    async def work(tx: Transaction) -> Client:
        old = await _get(tx, client_id)
        one = replace(old, quota={**old.quota, **changed})
        await tx.clients.put(one)
        return one

    one = with_rows(data_dir, work)
    console = Console(as_json)
    console.document(_words(one))
    console.say(f"{client_id}: {', '.join(f'{name} {number}' for name, number in one.quota.items())}")
    return DONE


@commands.command()
def revoke(client_id: KeyId, data_dir: DataDir = DEFAULT_DATA_DIR, as_json: JsonFlag = False) -> int:
    """End a key at once."""
    from app.cli.local import now_ms, with_rows
    from app.storage.database import Transaction

    async def work(tx: Transaction) -> bool:
        await _get(tx, client_id)
        return await tx.clients.end(client_id, now_ms())

    ended = with_rows(data_dir, work)
    console = Console(as_json)
    console.document({"id": client_id, "revoked": True})
    console.say(f"{client_id} is revoked." if ended else f"{client_id} was revoked before.")
    return DONE
