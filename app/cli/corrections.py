"""`cordon corrections list|acknowledge`: what this client was told and what holds no longer (trust-and-ops CP-2)."""

from __future__ import annotations

from typing import Annotated

import typer

from app.cli.console import DEFAULT_DATA_DIR, DONE, ApiKey, Console, DataDir, JsonFlag, NodeUrl
from app.cli.watching import show_event, watching

commands = typer.Typer(help="Corrections of what a lookup told you, at a running node.", no_args_is_help=True)


@commands.command("list")
def list_corrections(
    everything: Annotated[bool, typer.Option("--all", help="Those too that are acknowledged.")] = False,
    api_key: ApiKey = None,
    node: NodeUrl = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    as_json: JsonFlag = False,
) -> int:
    """Corrections that you have not acknowledged, oldest first."""
    console, last = Console(as_json), ""
    with watching(data_dir, node, api_key) as watch:
        for event in watch.corrections(None if everything else watch.acknowledged()):
            show_event(console, event)
            last = str(event["id"])
    console.note(f"acted on? cordon corrections acknowledge {last}" if last else "nothing to correct")
    return DONE


@commands.command()
def acknowledge(
    cursor: Annotated[str, typer.Argument(metavar="ID", help="The last correction that you acted on.")],
    api_key: ApiKey = None,
    node: NodeUrl = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    as_json: JsonFlag = False,
) -> int:
    """Say that corrections up to this one have been acted on; what is not acknowledged within a day is an operator's matter."""
    with watching(data_dir, node, api_key) as watch:
        seen = watch.acknowledge(cursor)
    console = Console(as_json)
    console.document({"acknowledged": seen})
    console.say(f"acknowledged up to {seen}")
    return DONE
