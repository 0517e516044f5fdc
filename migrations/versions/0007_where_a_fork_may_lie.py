"""A mirror keeps the most that the branches of a forked log can share, beside the least. Frozen."""

from __future__ import annotations

from typing import NoReturn

import sqlalchemy as sa
from alembic import op
from alembic.util.exc import CommandError

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """A new column, empty: until now the two were one."""
    # SQLite would write the column behind the constraints: there the table, which has a row a peer, is written anew.
    is_sqlite = op.get_bind().dialect.name == "sqlite"
    with op.batch_alter_table("mirror", recreate="always" if is_sqlite else "never") as batch:
        batch.add_column(sa.Column("heard", sa.BigInteger(), nullable=True, autoincrement=False))


def downgrade() -> NoReturn:
    """Refused: going back would lose what was written since."""
    raise CommandError("Cordon's schema only goes forward: restore the backup made before the upgrade")
