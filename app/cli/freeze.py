"""`cordon freeze`: the emergency brake. The log takes and signs nothing more; lookups go on."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from app.cli.console import DEFAULT_DATA_DIR, DONE, Console, DataDir, JsonFlag


def freeze(
    reason: Annotated[
        str, typer.Option(help="Why, for those who are refused and for those who come after you.")
    ] = "stopped by the operator",
    lift: Annotated[bool, typer.Option("--lift", help="Take the brake off again.")] = False,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    as_json: JsonFlag = False,
) -> int:
    """Stop all signing, in a running node within a second; `--lift` and a restart end it."""
    from app.cli.local import with_rows
    from app.domain.answer import second_text
    from app.services.node import BRAKE
    from app.storage.database import Transaction

    text = f"{second_text(int(time.time()))} {reason}"

    async def work(tx: Transaction) -> None:
        if lift:
            await tx.meta.drop(BRAKE)
        else:
            await tx.meta.set(BRAKE, text.encode("utf-8"))

    with_rows(data_dir, work)
    console = Console(as_json)
    console.document({"frozen": not lift, "reason": None if lift else reason})
    console.say(
        "The brake is off; a running node signs again after its next start."
        if lift
        else f"The log takes and signs nothing more ({reason}). Lookups go on. cordon freeze --lift ends it."
    )
    return DONE
