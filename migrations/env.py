"""How alembic reaches the database: through our lock, on the connection of `app.storage.upgrade`, forward only.

Programs call `upgrade(url)`. `alembic …` on the command line takes the URL from `-x url=…` or CORDON_DATABASE_URL.
"""

from __future__ import annotations

import os

from alembic import context
from alembic.util.exc import CommandError
from sqlalchemy.engine import Connection

from app.storage.tables import metadata
from app.storage.upgrade import locked
from app.storage.urls import read_url


def main() -> None:
    """Run what alembic was asked for."""
    if context.is_offline_mode():
        raise CommandError("Cordon upgrades a live database under a lock: there is no offline mode")
    connection = context.config.attributes.get("connection")
    if connection is not None:
        run(connection)
        return
    url = context.get_x_argument(as_dictionary=True).get("url") or os.environ.get("CORDON_DATABASE_URL")
    if not url:
        raise CommandError("name the database: alembic -x url=sqlite+aiosqlite:////path/to/file … or CORDON_DATABASE_URL")
    with locked(read_url(url)) as own:
        run(own)


def run(connection: Connection) -> None:
    """Migrate on `connection`, in the transaction that its owner has opened."""
    context.configure(
        connection=connection,
        target_metadata=metadata,
        render_as_batch=connection.dialect.name == "sqlite",  # SQLite cannot alter a table: copy and rename
        transaction_per_migration=False,
        compare_type=True,
    )
    with context.begin_transaction():
        context.run_migrations()


main()
