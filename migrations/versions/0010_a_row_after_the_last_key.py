"""A row after the last API key: who asks for an id that nobody has finds the next one, and there always is one. Frozen."""

from __future__ import annotations

from typing import NoReturn

import sqlalchemy as sa
from alembic import op
from alembic.util.exc import CommandError

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """A row that belongs to nobody and has ended: no id of a key comes after a tilde."""
    texts = ("id", "environment", "member", "class", "name", "scopes", "tier")
    client = sa.table(
        "client",
        *(sa.column(name, sa.Text) for name in texts),
        *(sa.column(name, sa.LargeBinary) for name in ("secret_sha256", "quota")),
        *(sa.column(name, sa.BigInteger) for name in ("created_ms", "expires_ms", "revoked_ms")),
    )
    nobody = dict.fromkeys(texts, "") | {"id": "~", "environment": "live", "class": "nobody"}
    op.bulk_insert(client, [{**nobody, "secret_sha256": bytes(32), "quota": b"{}", "created_ms": 0, "expires_ms": 0, "revoked_ms": 0}])


def downgrade() -> NoReturn:
    """Refused: going back would lose what was written since."""
    raise CommandError("Cordon's schema only goes forward: restore the backup made before the upgrade")
