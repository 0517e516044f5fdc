"""Disclosures stand side by side in one row of `part`; an item points at its own, with what is asked of it at a glance. Frozen."""

from __future__ import annotations

from base64 import urlsafe_b64decode
from collections.abc import Iterator
from itertools import groupby
from typing import Any, NoReturn

import orjson
import sqlalchemy as sa
from alembic import op
from alembic.util.exc import CommandError

from app.domain.glance import glance  # the numbers of the vocabulary are this release's; a later one that has others writes them anew

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_STRIDE = 512
_RUN_CHARS = 3_800
_Spots = dict[tuple[int, str], tuple[int, int]]
"""By index and name (`core.<n>`): the number of the row and the first character there."""


def _key(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.Text().with_variant(sa.TEXT(collation="C"), "postgresql"), nullable=False)


def _int(name: str, *, null: bool = False) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger(), nullable=null, autoincrement=False)


def upgrade() -> None:
    """Write both tables anew, beside the old ones, statement by statement."""
    connection = op.get_bind()
    _put_aside(connection)
    part = op.create_table(
        "part",
        _key("origin"),
        _int("idx"),
        _int("number"),
        _key("part"),
        sa.Column("disclosures", sa.Text(), nullable=True),
        sa.Column("digests", sa.LargeBinary(), nullable=True),
        sa.PrimaryKeyConstraint("origin", "idx", "number", name="pk_part"),
    )
    item = op.create_table(
        "item",
        _key("origin"),
        _int("idx"),
        _int("number"),
        _key("subject"),
        _int("run"),
        _int("start"),
        _int("severity"),
        _int("category"),
        _int("flags"),
        _int("embargo_ms", null=True),
        sa.PrimaryKeyConstraint("origin", "idx", "number", name="pk_item"),
    )
    for origin, first in _stretches(connection):
        where = {"origin": origin, "first": first, "last": first + _STRIDE}
        old = connection.execute(sa.text(_OLD_PARTS), where).all()
        rows, spots = _side_by_side(origin, [tuple(row) for row in old])
        if rows:
            connection.execute(sa.insert(part), rows)
        items = [_glanced(row, spots) for row in connection.execute(sa.text(_OLD_ITEMS), where).mappings()]
        # An item whose disclosure is gone could not be shown: there is none, as both are erased together.
        kept = [one for one in items if one is not None]
        if kept:
            connection.execute(sa.insert(item), kept)
    op.drop_table("part_before")
    op.drop_table("item_before")
    op.create_index("ix_item_subject", "item", ["subject"])


_OLD_PARTS = (
    "SELECT idx, number, part, name, digest, disclosure FROM part_before "
    "WHERE origin = :origin AND idx >= :first AND idx < :last ORDER BY idx, number"
)
_OLD_ITEMS = (
    "SELECT origin, idx, number, subject, body FROM item_before "
    "WHERE origin = :origin AND idx >= :first AND idx < :last ORDER BY idx, number"
)


def _put_aside(connection: sa.Connection) -> None:
    op.drop_index("ix_item_subject", "item")
    for table in ("part", "item"):
        op.rename_table(table, f"{table}_before")
        if connection.dialect.name == "postgresql":  # where the name of a constraint is taken in the whole schema
            named = sa.text("SELECT conname FROM pg_constraint WHERE conrelid = CAST(:old AS regclass)")
            for name in connection.execute(named, {"old": f"{table}_before"}).scalars().all():
                op.execute(f"ALTER TABLE {table}_before RENAME CONSTRAINT {name} TO {name}_before")


def _stretches(connection: sa.Connection) -> Iterator[tuple[str, int]]:
    last = connection.execute(sa.text("SELECT origin, max(idx) FROM part_before GROUP BY origin ORDER BY origin")).all()
    for origin, end in last:
        for first in range(0, end + 1, _STRIDE):
            yield origin, first


def _side_by_side(origin: str, old: list[tuple[Any, ...]]) -> tuple[list[dict[str, Any]], _Spots]:
    """Rows of at most _RUN_CHARS, each of one part of one statement, erased or not; and where each disclosure stands."""
    rows: list[dict[str, Any]] = []
    spots: _Spots = {}
    for (index, part, is_erased), run in groupby(old, key=lambda row: (row[0], row[2], row[5] is None)):
        length = _RUN_CHARS + 1
        for _, number, _, name, digest, disclosure in run:
            if length + len(disclosure or "") > _RUN_CHARS:
                rows.append({"origin": origin, "idx": index, "number": number, "part": part})
                rows[-1] |= {"disclosures": None, "digests": b""} if is_erased else {"disclosures": "", "digests": None}
                length = 0
            if is_erased:
                rows[-1]["digests"] += urlsafe_b64decode(digest + "=")
            else:
                spots[index, name] = (rows[-1]["number"], length)
                rows[-1]["disclosures"] += disclosure + "~"
                length += len(disclosure) + 1
    return rows, spots


def _glanced(old: sa.RowMapping, spots: _Spots) -> dict[str, Any] | None:
    spot = spots.get((old["idx"], f"core.{old['number']}"))
    if spot is None:
        return None
    seen = glance(orjson.loads(old["body"]))
    kept = {name: old[name] for name in ("origin", "idx", "number", "subject")}
    return {**kept, "run": spot[0], "start": spot[1], **seen._asdict()}


def downgrade() -> NoReturn:
    """Refused: going back would lose what was written since."""
    raise CommandError("Cordon's schema only goes forward: restore the backup made before the upgrade")
