"""`cordon`: the command line, one file a noun (schemas §5).

`main()` runs one command and turns every error into a sentence and an exit code. `app` is the whole tree, for those who document it.
What a command needs is imported when it runs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import typer

    app: typer.Typer

__all__ = ["app", "main"]


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and leave with its exit code."""
    from app.cli.tree import main as run

    run(arguments)


def __getattr__(name: str) -> typer.Typer:
    if name != "app":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from app.cli.tree import build

    return build()
