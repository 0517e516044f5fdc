"""Each thing that is watched says since which change: what was logged before somebody began to watch is no news to him. Frozen."""

from __future__ import annotations

from typing import NoReturn

import sqlalchemy as sa
from alembic import op
from alembic.util.exc import CommandError

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """A new column, empty for what is watched already: whatever still waits is told there, as before."""
    # SQLite would write the column behind the constraints: there the table, which has a row a thing that is watched, is written anew.
    is_sqlite = op.get_bind().dialect.name == "sqlite"
    with op.batch_alter_table("watch_item", recreate="always" if is_sqlite else "never") as batch:
        batch.add_column(sa.Column("since", sa.BigInteger(), nullable=True, autoincrement=False))


def downgrade() -> NoReturn:
    """Refused: going back would lose what was written since."""
    raise CommandError("Cordon's schema only goes forward: restore the backup made before the upgrade")
