"""Watching: watchlists, webhooks, the outbox, the told-index. Additive, frozen: later changes are later revisions."""

from __future__ import annotations

from typing import NoReturn

import sqlalchemy as sa
from alembic import op
from alembic.util.exc import CommandError

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def _key(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.Text().with_variant(sa.TEXT(collation="C"), "postgresql"), nullable=False)


def _text(name: str, *, null: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.Text(), nullable=null)


def _int(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger(), nullable=False, autoincrement=False)


def _bytes(name: str) -> sa.Column[bytes]:
    return sa.Column(name, sa.LargeBinary(), nullable=False)


def _pk(table: str, *columns: str) -> sa.PrimaryKeyConstraint:
    return sa.PrimaryKeyConstraint(*columns, name=f"pk_{table}")


def _ck(name: str, rule: str) -> sa.CheckConstraint:
    return sa.CheckConstraint(rule, name=name)  # its table comes in front of it by the naming convention


def upgrade() -> None:
    """New tables only: nothing that the release before reads or writes is touched."""
    _who_watches()
    _what_changed()
    _who_knows()


def _who_watches() -> None:
    op.create_table("watchlist", _key("id"), _key("owner"), _text("name"), _int("created_ms"), _pk("watchlist", "id"))
    op.create_index("ix_watchlist_owner", "watchlist", ["owner"])
    op.create_table(
        "watch_item", _key("watchlist"), _key("watched"), _text("reference", null=True), _pk("watch_item", "watchlist", "watched")
    )
    op.create_table(
        "watch_key",
        _key("key"),
        _key("watchlist"),
        _key("watched"),
        _pk("watch_key", "key", "watchlist", "watched"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_watch_key_watchlist", "watch_key", ["watchlist", "watched"])
    op.create_table(
        "webhook",
        _key("id"),
        _key("owner"),
        _text("url"),
        _bytes("filter"),
        _bytes("secrets"),
        _key("state"),
        _text("reason"),
        _int("resting_ms"),
        _int("created_ms"),
        _pk("webhook", "id"),
        _ck("state", "state = 'active' OR state = 'disabled'"),
    )
    op.create_index("ix_webhook_owner", "webhook", ["owner"])


def _what_changed() -> None:
    op.create_table("watch_change", _int("seq"), _int("at_ms"), _key("origin"), _key("sid"), _key("before"), _pk("watch_change", "seq"))
    op.create_index("ix_watch_change_sid", "watch_change", ["sid"])
    moved = sa.text("before <> ''")
    op.create_index("ix_watch_change_moved", "watch_change", ["seq"], sqlite_where=moved, postgresql_where=moved)
    op.create_table(
        "watch_due",
        _int("due_ms"),
        _key("origin"),
        _key("sid"),
        _key("before"),
        _pk("watch_due", "due_ms", "origin", "sid", "before"),
        sqlite_with_rowid=False,
    )
    op.create_table("watch_counter", _key("name"), _int("value"), _pk("watch_counter", "name"))
    op.create_table(
        "watch_event",
        _key("owner"),
        _int("seq"),
        _int("at_ms"),
        _key("type"),
        _int("urgent"),
        _key("watchlist"),
        _bytes("data"),
        _pk("watch_event", "owner", "seq"),
        _ck("urgent", "urgent = 0 OR urgent = 1"),
    )
    op.create_index("ix_watch_event_urgent", "watch_event", ["owner", "urgent", "seq"])


def _who_knows() -> None:
    op.create_table(
        "watch_sent",
        _key("watchlist"),
        _key("watched"),
        _key("origin"),
        _key("sid"),
        _key("word"),
        _int("at_ms"),
        _pk("watch_sent", "watchlist", "watched", "origin", "sid"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_watch_sent_sid", "watch_sent", ["sid", "origin"])
    op.create_table(
        "delivery",
        _key("webhook"),
        _int("seq"),
        _int("urgent"),
        _int("due_ms"),
        _int("attempts"),
        _key("state"),
        _text("note"),
        _pk("delivery", "webhook", "seq"),
        _ck("state", "state = 'waiting' OR state = 'dead'"),
        _ck("urgent", "urgent = 0 OR urgent = 1"),
    )
    op.create_index("ix_delivery_due", "delivery", ["state", "due_ms"])
    op.create_table(
        "told",
        _key("owner"),
        _key("origin"),
        _key("sid"),
        _key("subject"),
        _key("word"),
        _int("first_ms"),
        _int("last_ms"),
        _pk("told", "owner", "origin", "sid", "subject"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_told_sid", "told", ["sid", "origin"])
    op.create_table("correction_ack", _key("owner"), _int("seq"), _int("at_ms"), _pk("correction_ack", "owner"))


def downgrade() -> NoReturn:
    """Refused: going back would lose what was written since."""
    raise CommandError("Cordon's schema only goes forward: restore the backup made before the upgrade")
