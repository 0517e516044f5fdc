"""Screening receipts, and the view heads that they name. Additive, frozen: later changes are later revisions."""

from __future__ import annotations

from typing import NoReturn

import sqlalchemy as sa
from alembic import op
from alembic.util.exc import CommandError

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def _key(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.Text().with_variant(sa.TEXT(collation="C"), "postgresql"), nullable=False)


def _text(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.Text(), nullable=False)


def _int(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger(), nullable=False, autoincrement=False)


def upgrade() -> None:
    """New tables only: nothing that the release before reads or writes is touched."""
    op.create_table(
        "view_note",
        _key("digest"),
        _key("tier"),
        _int("as_of"),
        _text("note"),
        sa.PrimaryKeyConstraint("digest", name="pk_view_note"),
    )
    op.create_table(
        "screening_receipt",
        _key("rid"),
        _key("owner"),
        _int("created_ms"),
        _key("view"),
        _text("token"),
        sa.PrimaryKeyConstraint("rid", name="pk_screening_receipt"),
    )
    op.create_index("ix_screening_receipt_owner_created_ms", "screening_receipt", ["owner", "created_ms"])


def downgrade() -> NoReturn:
    """Refused: going back would lose what was written since."""
    raise CommandError("Cordon's schema only goes forward: restore the backup made before the upgrade")
