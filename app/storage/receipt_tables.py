"""The tables of screening receipts: what clients were told with a signature, and the view heads that it rests on (protocol §3.10)."""

from __future__ import annotations

from sqlalchemy import Index, PrimaryKeyConstraint, Table

from app.storage.columns import int_column as _int
from app.storage.columns import key_column as _key
from app.storage.columns import metadata
from app.storage.columns import text_column as _text

# `digest`: hex SHA-256 of the note. Kept as long as a receipt names it, so that it can be checked years later.
view_note = Table(
    "view_note",
    metadata,
    _key("digest"),
    _key("tier"),
    _int("as_of"),
    _text("note"),
    PrimaryKeyConstraint("digest"),
)

# No salts and no ids: what was asked is known to the client alone.
screening_receipt = Table(
    "screening_receipt",
    metadata,
    _key("rid"),
    _key("owner"),
    _int("created_ms"),
    _key("view"),
    _text("token"),
    PrimaryKeyConstraint("rid"),
    Index("ix_screening_receipt_owner_created_ms", "owner", "created_ms"),
)
