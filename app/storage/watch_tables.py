"""The tables of watching: who watches what, what changed, who was sent which event, who was told what (schemas §4.5, trust-and-ops §1.5).

    watch_change      filled in the transaction of the fold; emptied by whoever turns changes into events
    watch_event       what a client may read and is sent; dense by client, numbered by a row of `watch_counter`
    watch_sent, told  what each watcher knows of each statement: so nothing is sent twice as new
    delivery          events on their way to one address of a client

`owner`: `<member>/<tier>`, the keys of one member that see the same.
"""

from __future__ import annotations

from sqlalchemy import CheckConstraint, Index, PrimaryKeyConstraint, Table, text

from app.storage.columns import bytes_column as _bytes
from app.storage.columns import int_column as _int
from app.storage.columns import key_column as _key
from app.storage.columns import metadata
from app.storage.columns import text_column as _text

watchlist = Table(
    "watchlist",
    metadata,
    _key("id"),
    _key("owner"),
    _text("name"),
    _int("created_ms"),
    PrimaryKeyConstraint("id"),
    Index("ix_watchlist_owner", "owner"),
)

# `watched`: the id of a wallet or indicator, or four hex digits for a bucket of `domain/view`. `since`: the number of the newest change when
# that began, null where an older release wrote it.
watch_item = Table(
    "watch_item",
    metadata,
    _key("watchlist"),
    _key("watched"),
    _text("reference", null=True),
    _int("since", null=True),
    PrimaryKeyConstraint("watchlist", "watched"),
)

# By what a change finds its watchers: `=id`, `#bucket`, or `~` and the hex of a key that kin wallets share.
watch_key = Table(
    "watch_key",
    metadata,
    _key("key"),
    _key("watchlist"),
    _key("watched"),
    PrimaryKeyConstraint("key", "watchlist", "watched"),
    Index("ix_watch_key_watchlist", "watchlist", "watched"),
    sqlite_with_rowid=False,
)

webhook = Table(
    "webhook",
    metadata,
    _key("id"),
    _key("owner"),
    _text("url"),
    _bytes("filter"),
    _bytes("secrets"),
    _key("state"),
    _text("reason"),
    _int("resting_ms"),
    _int("created_ms"),
    PrimaryKeyConstraint("id"),
    CheckConstraint("state = 'active' OR state = 'disabled'", name="state"),
    Index("ix_webhook_owner", "owner"),
)

# `before`: the state of the statement before the change; empty if it was not there.
watch_change = Table(
    "watch_change",
    metadata,
    _int("seq"),
    _int("at_ms"),
    _key("origin"),
    _key("sid"),
    _key("before"),
    PrimaryKeyConstraint("seq"),
    Index("ix_watch_change_sid", "sid"),
    Index("ix_watch_change_moved", "seq", sqlite_where=text("before <> ''"), postgresql_where=text("before <> ''")),
)

# Statements that look otherwise from a moment on although nobody says anything: expiry, end of the public delay.
watch_due = Table(
    "watch_due",
    metadata,
    _int("due_ms"),
    _key("origin"),
    _key("sid"),
    _key("before"),
    PrimaryKeyConstraint("due_ms", "origin", "sid", "before"),
    sqlite_with_rowid=False,
)

watch_counter = Table("watch_counter", metadata, _key("name"), _int("value"), PrimaryKeyConstraint("name"))

watch_event = Table(
    "watch_event",
    metadata,
    _key("owner"),
    _int("seq"),
    _int("at_ms"),
    _key("type"),
    _int("urgent"),
    _key("watchlist"),
    _bytes("data"),
    PrimaryKeyConstraint("owner", "seq"),
    CheckConstraint("urgent = 0 OR urgent = 1", name="urgent"),
    Index("ix_watch_event_urgent", "owner", "urgent", "seq"),
)

watch_sent = Table(
    "watch_sent",
    metadata,
    _key("watchlist"),
    _key("watched"),
    _key("origin"),
    _key("sid"),
    _key("word"),
    _int("at_ms"),
    PrimaryKeyConstraint("watchlist", "watched", "origin", "sid"),
    Index("ix_watch_sent_sid", "sid", "origin"),
    sqlite_with_rowid=False,
)

delivery = Table(
    "delivery",
    metadata,
    _key("webhook"),
    _int("seq"),
    _int("urgent"),
    _int("due_ms"),
    _int("attempts"),
    _key("state"),
    _text("note"),
    PrimaryKeyConstraint("webhook", "seq"),
    CheckConstraint("state = 'waiting' OR state = 'dead'", name="state"),
    CheckConstraint("urgent = 0 OR urgent = 1", name="urgent"),
    Index("ix_delivery_due", "state", "due_ms"),
)

# Hits only, ids only (trust-and-ops CP-1, ER-6). `subject`: the id that was asked for.
told = Table(
    "told",
    metadata,
    _key("owner"),
    _key("origin"),
    _key("sid"),
    _key("subject"),
    _key("word"),
    _int("first_ms"),
    _int("last_ms"),
    PrimaryKeyConstraint("owner", "origin", "sid", "subject"),
    Index("ix_told_sid", "sid", "origin"),
    sqlite_with_rowid=False,
)

# Up to which of its events a client says that it has acted on the corrections.
correction_ack = Table("correction_ack", metadata, _key("owner"), _int("seq"), _int("at_ms"), PrimaryKeyConstraint("owner"))
