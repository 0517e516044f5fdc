"""The digest of a key's secret stands beside its id in an index: who has an id and who has none is read by the same steps. Frozen."""

from __future__ import annotations

from typing import NoReturn

from alembic import op
from alembic.util.exc import CommandError

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """A new index; a client is a row a key, so there are few."""
    op.create_index("ix_client_secret", "client", ["id", "secret_sha256"])


def downgrade() -> NoReturn:
    """Refused: going back would lose what was written since."""
    raise CommandError("Cordon's schema only goes forward: restore the backup made before the upgrade")
