"""Screening policies of clients. Additive, frozen: later changes are later revisions."""

from __future__ import annotations

from typing import NoReturn

import sqlalchemy as sa
from alembic import op
from alembic.util.exc import CommandError

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def _key(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.Text().with_variant(sa.TEXT(collation="C"), "postgresql"), nullable=False)


def upgrade() -> None:
    """A new table only: nothing that the release before reads or writes is touched."""
    op.create_table(
        "screening_policy",
        _key("owner"),
        _key("name"),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("owner", "name", name="pk_screening_policy"),
    )


def downgrade() -> NoReturn:
    """Refused: going back would lose what was written since."""
    raise CommandError("Cordon's schema only goes forward: restore the backup made before the upgrade")
