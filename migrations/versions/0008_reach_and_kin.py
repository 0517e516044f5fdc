"""For whom a listing could be, as a column; keys of kin whose ids cannot be written from the other side. Frozen: later changes are later revisions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NoReturn

import orjson
import sqlalchemy as sa
from alembic import op
from alembic.util.exc import CommandError

from app.domain.address import far_keys, read_canonical_wallet  # what an address shares with its kin does not change
from app.domain.errors import InvalidAddress
from app.domain.labels import Label, Tlp
from app.domain.reach import reach_of, write_reach

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

_STRIDE = 512


def _key(name: str, *, null: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.Text().with_variant(sa.TEXT(collation="C"), "postgresql"), nullable=null)


def _int(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger(), nullable=False, autoincrement=False)


def upgrade() -> None:
    """A column and a table, filled from what is there."""
    op.add_column("statement", _key("reach", null=True))
    kin = op.create_table(
        "kin",
        _key("key"),
        _key("origin"),
        _int("idx"),
        _int("number"),
        sa.PrimaryKeyConstraint("key", "origin", "idx", "number", name="pk_kin"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_kin_statement", "kin", ["origin", "idx"])
    connection = op.get_bind()
    for where in _stretches(connection):
        listings = connection.execute(sa.text(f"SELECT idx, issuer, event FROM statement WHERE {_HERE} AND kind = 'listing'"), where)  # noqa: S608
        reaches = [{"origin": where["origin"], "idx": idx, "reach": _reach(issuer, event)} for idx, issuer, event in listings]
        if reaches:
            connection.execute(sa.text("UPDATE statement SET reach = :reach WHERE origin = :origin AND idx = :idx"), reaches)
        items = connection.execute(sa.text(f"SELECT idx, number, subject FROM item WHERE {_HERE} AND ({_HAS_FAR_KEYS})"), where)  # noqa: S608
        rows = [
            {"key": key.hex(), "origin": where["origin"], "idx": idx, "number": number}
            for idx, number, subject in items
            for key in _far_keys(subject)
        ]
        if rows:
            connection.execute(sa.insert(kin), rows)


_HERE = "origin = :origin AND idx >= :first AND idx < :last"
_HAS_FAR_KEYS = "subject LIKE 'bip122:%' OR subject LIKE 'monero:%'"


def _stretches(connection: sa.Connection) -> Iterator[dict[str, Any]]:
    last = connection.execute(sa.text("SELECT origin, max(idx) FROM statement GROUP BY origin ORDER BY origin")).all()
    for origin, end in last:
        for first in range(0, end + 1, _STRIDE):
            yield {"origin": origin, "first": first, "last": first + _STRIDE}


def _reach(issuer: str, event: bytes) -> str:
    packed = orjson.loads(bytes(event))
    label = _label(packed["l"])
    core = packed.get("p", {}).get("core")
    return write_reach(reach_of(label, label if core is None else _label(core), issuer)).replace("\0", "\ufffd")


def _label(packed: list[str]) -> Label:
    return Label(Tlp(packed[0]), frozenset(packed[1:]))


def _far_keys(subject: str) -> tuple[bytes, ...]:
    try:
        return far_keys(read_canonical_wallet(subject))
    except InvalidAddress:
        return ()


def downgrade() -> NoReturn:
    """Refused: going back would lose what was written since."""
    raise CommandError("Cordon's schema only goes forward: restore the backup made before the upgrade")
