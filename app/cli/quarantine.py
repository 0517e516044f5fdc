"""`cordon quarantine list|add|release`: what of other jurisdictions is held here and does not count, and why (trust-and-ops S-17).

Three kinds: a whole log that a human or evidence of a fork set aside; listings beyond the valve of their log; entries that break a rule
and are carried inert for ever, because their log has them.
"""

from __future__ import annotations

from typing import Annotated

import typer

from app.cli.console import DEFAULT_DATA_DIR, DONE, Console, DataDir, JsonFlag, UsageFault
from app.domain.canonical import JsonValue

commands = typer.Typer(help="What of other jurisdictions is set aside here.", no_args_is_help=True)

Origin = Annotated[str, typer.Argument(metavar="ORIGIN", help="The log, such as node.de.example/log.")]


@commands.command("list")
def list_quarantine(
    origin: Annotated[str | None, typer.Option(help="Only this log.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="Most rows of each kind and log.")] = 100,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    as_json: JsonFlag = False,
) -> int:
    """Logs, listings and entries that are set aside, each with its reason."""
    from app.cli.relations import Relations, instant, with_relations

    async def work(own: Relations) -> list[dict[str, JsonValue]]:
        rows: list[dict[str, JsonValue]] = []
        async with own.database.reading() as tx:
            for mirror in await tx.mirrors.all():
                if origin not in (None, mirror.origin):
                    continue
                if mirror.quarantined:
                    reason = mirror.reason or "set aside by the operator"
                    rows.append({"what": "log", "origin": mirror.origin, "index": None, "reason": reason, "since": None})
                waiting = await tx.valve.page(mirror.origin, limit=limit)
                rows += [_row("listing", mirror.origin, one.index, one.reason, instant(one.since_ms)) for one in waiting]
                inert = await tx.evidence.poison_page(mirror.origin, limit=limit)
                rows += [_row("entry", mirror.origin, one.index, one.reason, instant(one.found_ms)) for one in inert]
        return rows

    Console(as_json).rows(with_relations(data_dir, work), ("what", "origin", "index", "reason", "since"))
    return DONE


def _row(what: str, origin: str, index: int, reason: str, since: str | None) -> dict[str, JsonValue]:
    return {"what": what, "origin": origin, "index": index, "reason": reason, "since": since}


@commands.command()
def add(origin: Origin, data_dir: DataDir = DEFAULT_DATA_DIR, as_json: JsonFlag = False) -> int:
    """Set a whole log aside: it goes on being mirrored, and nothing of it counts."""
    from app.cli.relations import Relations, with_relations

    async def work(own: Relations) -> None:
        await own.trust.quarantine(origin)

    with_relations(data_dir, work)
    console = Console(as_json)
    console.document({"origin": origin, "quarantined": True})
    console.say(f"Nothing of {origin} counts here any more; a running node takes it up within a second. cordon quarantine release ends it.")
    return DONE


@commands.command()
def release(
    origin: Origin,
    index: Annotated[list[int] | None, typer.Option("--index", min=0, help="Only the listing at this log index; repeat.")] = None,
    log: Annotated[bool, typer.Option("--log", help="Let the whole log answer again that was set aside.")] = False,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    as_json: JsonFlag = False,
) -> int:
    """Let what waits behind the valve of a log count, all of it or single listings; with --log the log itself."""
    from app.cli.relations import Relations, with_relations

    if log and index:
        raise UsageFault("--log lets the whole log answer again, --index single listings of it: give one of the two")

    async def work(own: Relations) -> int:
        if log:
            await own.trust.quarantine(origin, on=False)
            return 0
        return await own.trust.release(origin, index or None)

    woken = with_relations(data_dir, work)
    console = Console(as_json)
    console.document({"origin": origin, "quarantined": False if log else None, "released": woken})
    what = "answers again" if log else f"{woken} listings that waited count now"
    console.say(f"{origin}: {what}. A running node takes it up within a second.")
    return DONE
