"""The table of screening policies: what clients make of an answer, by their own words (schemas §4.2)."""

from __future__ import annotations

from sqlalchemy import PrimaryKeyConstraint, Table

from app.storage.columns import bytes_column as _bytes
from app.storage.columns import key_column as _key
from app.storage.columns import metadata

screening_policy = Table("screening_policy", metadata, _key("owner"), _key("name"), _bytes("body"), PrimaryKeyConstraint("owner", "name"))
