"""`cordon db upgrade`: the schema of this release."""

from __future__ import annotations

import typer

from app.cli.console import DEFAULT_DATA_DIR, DONE, Console, DataDir, JsonFlag

commands = typer.Typer(help="The node's database.", no_args_is_help=True)


@commands.callback()
def group() -> None:
    """The node's database."""


@commands.command()
def upgrade(data_dir: DataDir = DEFAULT_DATA_DIR, as_json: JsonFlag = False) -> int:
    """Bring the database to this release's schema, one process at a time; forward only. Make a backup first."""
    from app.cli.local import settings_of
    from app.storage.upgrade import upgrade as bring_up

    revision = bring_up(settings_of(data_dir).resolved_database_url)
    console = Console(as_json)
    console.document({"revision": revision})
    console.say(f"The database has schema {revision}.")
    return DONE
