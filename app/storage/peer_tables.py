"""The tables that federation adds: whom we mirror and how far, what we lack, what we were shown, who has seen what.

The statements of mirrors stand in the tables of the own log (storage/tables), by origin: `log_entry` and `statement` of a mirror
have holes where a peer withholds an entry, `log_tile` has none and may reach beyond `log_head`. Rules as there (protocol §3.6-3.9).
"""

from __future__ import annotations

from sqlalchemy import CheckConstraint, Index, PrimaryKeyConstraint, Table, text

from app.storage.columns import bytes_column as _bytes
from app.storage.columns import int_column as _int
from app.storage.columns import key_column as _key
from app.storage.columns import metadata
from app.storage.columns import text_column as _text

# One row a node of another jurisdiction; `pin`: hex SHA-256 of its root document 1, given by a human.
peer = Table(
    "peer",
    metadata,
    _key("node"),
    _key("jurisdiction"),
    _text("url"),
    _key("pin"),
    _int("paused"),
    _int("added_ms"),
    PrimaryKeyConstraint("node"),
    CheckConstraint("paused = 0 OR paused = 1", name="paused"),
    Index("ix_peer_jurisdiction", "jurisdiction", unique=True),
)

# `tree_*`: the verified tree, all tiles of which are stored; `log_head` says how many of its entries are processed.
mirror = Table(
    "mirror",
    metadata,
    _key("origin"),
    _key("node"),
    _int("tree_size"),
    _bytes("tree_root"),
    _text("tree_note"),
    _key("state"),
    _text("reason"),
    _int("common", null=True),
    _int("final_size", null=True),
    _int("quarantined"),
    _int("added_per_hour"),
    _int("total"),
    _int("weight"),
    _text("transfer_basis"),
    _int("seen_ms"),
    _int("note_ms"),
    _int("heard", null=True),
    PrimaryKeyConstraint("origin"),
    CheckConstraint("state = 'live' OR state = 'stale' OR state = 'suspect' OR state = 'forked' OR state = 'retired'", name="state"),
    CheckConstraint("quarantined = 0 OR quarantined = 1", name="quarantined"),
    CheckConstraint("weight >= 0 AND weight <= 100", name="weight"),
    Index("ix_mirror_node", "node"),
)

# Entries of which only the hash is held (`stub`), or not all parts (`parts`).
withheld = Table(
    "withheld",
    metadata,
    _key("origin"),
    _int("idx"),
    _key("what"),
    _int("asked_ms"),
    PrimaryKeyConstraint("origin", "idx"),
    CheckConstraint("what = 'stub' OR what = 'parts'", name="what"),
    Index("ix_withheld_asked", "origin", "what", "asked_ms", "idx"),
)

# Entries with the right hash and wrong contents: carried inert.
poison = Table(
    "poison",
    metadata,
    _key("origin"),
    _int("idx"),
    _text("reason"),
    _bytes("entry", null=True),
    _int("found_ms"),
    _int("reported"),
    PrimaryKeyConstraint("origin", "idx"),
    CheckConstraint("reported = 0 OR reported = 1", name="reported"),
)

evidence = Table(
    "evidence",
    metadata,
    _key("sha256"),
    _key("form"),
    _key("origin"),
    _text("text"),
    _int("found_ms"),
    _int("logged"),
    PrimaryKeyConstraint("sha256"),
    CheckConstraint("logged = 0 OR logged = 1", name="logged"),
)

# Lines of witnesses (C2SP 0x04) over checkpoints, our own and others'.
cosignature = Table(
    "cosignature",
    metadata,
    _key("origin"),
    _int("size"),
    _key("name"),
    _text("line"),
    _int("time_s"),
    PrimaryKeyConstraint("origin", "size", "name"),
)

# What peers' requests were signed with, until it has run out by itself.
token = Table(
    "token",
    metadata,
    _key("kid"),
    _key("jti"),
    _int("until_s"),
    PrimaryKeyConstraint("kid", "jti"),
    Index("ix_token_until", "until_s"),
    sqlite_with_rowid=False,
)

# Listings that are mirrored and do not count here, as their origin said too many at once.
dormant = Table(
    "dormant",
    metadata,
    _key("origin"),
    _int("idx"),
    _key("reason"),
    _int("since_ms"),
    PrimaryKeyConstraint("origin", "idx"),
    sqlite_with_rowid=False,
)

# How many items of an origin came into force in which hour (since 1970).
valve = Table("valve", metadata, _key("origin"), _int("hour"), _int("added"), PrimaryKeyConstraint("origin", "hour"))

# Which peer was asked to carry out which erasure, and its signed word that it has.
acknowledgement = Table(
    "acknowledgement",
    metadata,
    _key("node"),
    _key("origin"),
    _key("sid"),
    _int("asked_ms"),
    _int("done_ms", null=True),
    _text("token", null=True),
    PrimaryKeyConstraint("node", "origin", "sid"),
    Index("ix_acknowledgement_sid", "sid"),
    Index("ix_acknowledgement_open", "asked_ms", sqlite_where=text("done_ms IS NULL"), postgresql_where=text("done_ms IS NULL")),
)
