"""The metadata that all tables share, and the five forms a column may have (storage/tables says why)."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, LargeBinary, MetaData, Text
from sqlalchemy.dialects import postgresql

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)

_KEY = Text().with_variant(postgresql.TEXT(collation="C"), "postgresql")


def key_column(name: str, *, null: bool = False) -> Column[str]:
    """Text that is compared byte by byte."""
    return Column(name, _KEY, nullable=null)


def text_column(name: str, *, null: bool = False) -> Column[str]:
    """Text that is only kept."""
    return Column(name, Text, nullable=null)


def int_column(name: str, *, null: bool = False) -> Column[int]:
    """An integer below 2^63; the application numbers, no engine does."""
    return Column(name, BigInteger, nullable=null, autoincrement=False)


def bytes_column(name: str, *, null: bool = False) -> Column[bytes]:
    """Bytes as they are."""
    return Column(name, LargeBinary, nullable=null)
