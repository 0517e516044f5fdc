"""Rows for the storage suite: small, plain, and as the gate would make them."""

from __future__ import annotations

from base64 import urlsafe_b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import orjson

from app.domain.canonical import JsonValue, b64u_encode
from app.domain.folding import Event
from app.domain.labels import Label, Tlp
from app.domain.merkle import leaf_hash
from app.seal.disclosure import new_disclosure
from app.storage.database import Transaction
from app.storage.log import LogEntry
from app.storage.part_rows import part_rows_of
from app.storage.records import PartRow, StatementRow
from app.storage.subjects import ItemRow

ORIGIN = "de.example/log"
FAR = "fr.example/log"
NOW_MS = 1_790_000_000_000
EXPIRES_S = 1_800_000_000
WALLET = "tron:0x2b6653dc:TQrZ9wBzTRNKXYxkkkvVYjiMqbqNEd2qVq"
GREEN = Label(Tlp.GREEN)
CLEAR = Label(Tlp.CLEAR)
AMBER = Label(Tlp.AMBER, frozenset({"de.example", "group:de.banks"}))
CONTEXT = {"type": "context", "purpose": "fraud_prevention", "review_by": "2027-03-01"}


def sid_at(origin: str, index: int) -> str:
    """A sid of the right form, by place."""
    return b64u_encode(sha256(f"{origin} {index}".encode()).digest())


def event(index: int, kind: str = "listing", *, origin: str = ORIGIN, **changes: Any) -> Event:
    """An event of a member of the origin's jurisdiction; a listing has a part `core` and an expiry."""
    issuer = changes.pop("issuer", f"{origin[:2]}.bka")
    usual: dict[str, Any] = {"label": GREEN, "sid": sid_at(origin, index), "kid": f"{issuer}#1"}
    if kind == "listing":
        usual |= {"parts": {"core": GREEN}, "expires_at": EXPIRES_S}
    return Event(origin=origin, index=index, kind=kind, issuer=issuer, **(usual | changes))


def row(one: Event, **changes: Any) -> StatementRow:
    """The statement row of an event, accepted a second after the one before it."""
    usual: dict[str, Any] = {"accepted_ms": NOW_MS + 1000 * one.index, "issued_at": NOW_MS // 1000}
    if one.kind == "listing":
        usual["context"] = orjson.dumps(CONTEXT)
    return StatementRow(one, **(usual | changes))


def entry_of(one: Event, claims: dict[str, Any] | None = None) -> LogEntry:
    """The log entry of an event; its JWS holds `claims`, its signature is none."""
    payload = urlsafe_b64encode(orjson.dumps(claims or {"knd": one.kind})).rstrip(b"=")
    entry = b"%d aGVhZA.%s.c2ln" % (NOW_MS + 1000 * one.index, payload)
    return LogEntry(one.origin, one.index, one.sid, entry, leaf_hash(entry))


def part(one: Event, number: int, name: str, disclosure: str | None = None) -> PartRow:
    """A disclosure of an event, in a row of its own."""
    text = disclosure if disclosure is not None else f"disclosure-{one.index}-{name}"
    return PartRow(one.origin, one.index, number, name.split(".", maxsplit=1)[0], f"{text}~")


@dataclass(frozen=True, slots=True)
class Item:
    """An item with the row that it is read from."""

    row: ItemRow
    part: PartRow

    @property
    def subject(self) -> str:
        """Its id."""
        return self.row.subject


def item(one: Event, number: int, value: Mapping[str, JsonValue]) -> Item:
    """An item of an event as `core.<number>`, disclosed at a place where no other part of a test stands."""
    parts, spots = part_rows_of(one.origin, one.index, [new_disclosure(f"core.{number}", dict(value))], first=1000 + number)
    return Item(ItemRow.of(one.origin, one.index, number, value, spots[number]), parts[0])


def wallet(one: Event, subject: str = WALLET, *, number: int = 0, **members: Any) -> Item:
    """A wallet item of an event."""
    return item(one, number, {"type": "wallet", "id": subject, "severity": 3, **members})


async def put(tx: Transaction, statements: Sequence[StatementRow], items: Sequence[Item | ItemRow] = ()) -> None:
    """Log, statements and items, as the gate writes them."""
    await tx.log.append([entry_of(one.event) for one in statements])
    await tx.statements.put(statements)
    await tx.statements.put_parts([one.part for one in items if isinstance(one, Item)])
    await tx.subjects.put_items([one.row if isinstance(one, Item) else one for one in items])
