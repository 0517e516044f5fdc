"""${message}"""

from __future__ import annotations

from typing import NoReturn

import sqlalchemy as sa
from alembic import op
from alembic.util.exc import CommandError
${imports if imports else ""}
revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}
branch_labels = ${repr(branch_labels)}
depends_on = ${repr(depends_on)}


def upgrade() -> None:
    """Additive: the release before must be able to run on what this leaves."""
    ${upgrades if upgrades else "pass"}


def downgrade() -> NoReturn:
    """Refused: going back would lose what was written since."""
    raise CommandError("Cordon's schema only goes forward: restore the backup made before the upgrade")
