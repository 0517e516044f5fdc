"""`cordon peer add|list|show|pause|resume|verify|remove|trust`: whom this node follows, and how much of what they say counts here."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated

import typer

from app.cli.console import DEFAULT_DATA_DIR, DONE, REFUSED, Console, DataDir, JsonFlag, UsageFault, plain
from app.domain.canonical import JsonValue

if TYPE_CHECKING:
    from app.cli.relations import Relations

commands = typer.Typer(help="Nodes of other jurisdictions.", no_args_is_help=True)

NodeId = Annotated[str, typer.Argument(metavar="NODE", help="Node id of the peer, such as node.de.example.")]
Origin = Annotated[str, typer.Argument(metavar="ORIGIN", help="The log, such as node.de.example/log; `peer show` names it.")]
Basis = Annotated[
    str | None, typer.Option("--transfer-basis", help="On what ground personal data comes from there, in the words of the agreement.")
]


@commands.command()
def add(
    url: Annotated[str, typer.Argument(metavar="URL", help="How the peer's node is reached: https://node.de.example.")],
    root_sha256: Annotated[
        str, typer.Option("--root-sha256", metavar="HEX", help="SHA-256 of the peer's root document 1, as agreed out of band.")
    ],
    transfer_basis: Basis = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    as_json: JsonFlag = False,
) -> int:
    """Pin a jurisdiction: fetch its root documents, verify them against the pin, and follow its logs from now on."""
    from app.cli.relations import peer_words, with_relations
    from app.services.trust import Terms

    async def work(own: Relations) -> dict[str, JsonValue]:
        terms = Terms(transfer_basis=transfer_basis) if transfer_basis is not None else None
        peer = await own.trust.add(url, root_sha256, terms)
        _, mirrors = await own.trust.show(peer.node)
        return {**peer_words(peer, list(mirrors)), "federation": own.settings.federation}

    console = Console(as_json)
    found = with_relations(data_dir, work)
    console.document(found)
    console.say(f"{found['node']} ({found['jurisdiction']}) is a peer; its root documents lead back to the pin.")
    if not found["federation"]:
        console.note(
            "This node does not follow anybody yet: set CORDON_FEDERATION=true and the four settings it needs, then start it again."
        )
    return DONE


@commands.command("list")
def list_peers(data_dir: DataDir = DEFAULT_DATA_DIR, as_json: JsonFlag = False) -> int:
    """Every peer with the logs that are followed of it."""
    from app.cli.relations import peer_words, with_relations

    async def work(own: Relations) -> list[dict[str, JsonValue]]:
        return [peer_words(peer, list(mirrors)) for peer, mirrors in await own.trust.peers()]

    console = Console(as_json)
    found = with_relations(data_dir, work)
    if as_json:
        console.rows(found, ())
        return DONE
    lines: list[dict[str, JsonValue]] = []
    for peer in found:
        logs = peer["logs"] if isinstance(peer["logs"], list) else []
        lines += [{**peer, **log, "state": _shown_state(peer, log)} for log in logs if isinstance(log, dict)]
    console.rows(lines, ("node", "jurisdiction", "origin", "size", "state", "vouched_at", "url"))
    return DONE


def _shown_state(peer: dict[str, JsonValue], log: dict[str, JsonValue]) -> str:
    words = [str(log["state"])]
    words += ["quarantined"] if log["quarantined"] else []
    words += ["paused"] if peer["paused"] else []
    return ", ".join(words)


@commands.command()
def show(node: NodeId, data_dir: DataDir = DEFAULT_DATA_DIR, as_json: JsonFlag = False) -> int:
    """One peer: its logs, their states and terms, what is withheld from us, what waits, which erasures it has not acknowledged."""
    from app.cli.relations import peer_words, with_relations

    async def work(own: Relations) -> dict[str, JsonValue]:
        peer, mirrors = await own.trust.show(node)
        words = peer_words(peer, list(mirrors))
        async with own.database.reading() as tx:
            logs = words["logs"]
            for log in logs if isinstance(logs, list) else []:
                if isinstance(log, dict):
                    origin = str(log["origin"])
                    log["withheld"] = dict(await tx.withheld.counts(origin))
                    log["dormant"] = await tx.valve.count(origin)
                    log["carried_inert"] = await tx.evidence.count_poison(origin)
            overdue = await tx.acks.overdue(2**53)
        missing: list[JsonValue] = [one.sid for one in overdue if one.node == node]
        return {**words, "erasures_not_acknowledged": missing}

    console = Console(as_json)
    found = with_relations(data_dir, work)
    console.document(found)
    if not as_json:
        _tell(console, found)
    return DONE


def _tell(console: Console, record: dict[str, JsonValue], indent: str = "") -> None:
    for name, value in record.items():
        if isinstance(value, list) and any(isinstance(one, dict) for one in value):
            for one in value:
                console.say(f"{indent}{name}:")
                _tell(console, one if isinstance(one, dict) else {}, indent + "  ")
        elif isinstance(value, dict):
            console.say(f"{indent}{name}: " + (", ".join(f"{key} {count}" for key, count in value.items()) or "-"))
        else:
            shown = ", ".join(map(str, value)) if isinstance(value, list) else value
            console.say(f"{indent}{name}: {'-' if shown in (None, '') else plain(shown)}")


@commands.command()
def pause(node: NodeId, data_dir: DataDir = DEFAULT_DATA_DIR, as_json: JsonFlag = False) -> int:
    """Stop following a peer for a while; what was mirrored goes on answering, and grows stale."""
    return _decide(data_dir, Console(as_json), node, lambda own: own.trust.pause(node), done=f"{node} is not followed until `peer resume`")


@commands.command()
def resume(node: NodeId, data_dir: DataDir = DEFAULT_DATA_DIR, as_json: JsonFlag = False) -> int:
    """Follow a paused peer again."""
    return _decide(data_dir, Console(as_json), node, lambda own: own.trust.pause(node, paused=False), done=f"{node} is followed again")


@commands.command()
def remove(node: NodeId, data_dir: DataDir = DEFAULT_DATA_DIR, as_json: JsonFlag = False) -> int:
    """End a relation: nothing of its logs answers any more; what was mirrored stays as evidence."""
    return _decide(data_dir, Console(as_json), node, lambda own: own.trust.remove(node), done=f"{node} is no peer any more")


def _decide(data_dir: DataDir, console: Console, subject: str, decision: Callable[[Relations], Awaitable[None]], *, done: str) -> int:
    from app.cli.relations import with_relations

    with_relations(data_dir, decision)
    console.document({"subject": subject, "done": True})
    console.say(f"{done}. A running node takes it up within a second.")
    return DONE


@commands.command()
def trust(
    origin: Origin,
    added_per_hour: Annotated[
        int | None, typer.Option("--added-per-hour", min=0, help="Listed ids an hour before the rest waits (the valve).")
    ] = None,
    total: Annotated[int | None, typer.Option("--total", min=0, help="Listed ids in all before the rest waits.")] = None,
    weight: Annotated[int | None, typer.Option("--weight", min=0, max=100, help="0: shown and never decisive; 100: as our own.")] = None,
    transfer_basis: Basis = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    as_json: JsonFlag = False,
) -> int:
    """Say how much of a log may come into force here, and how much it weighs; what is not named stays."""
    from dataclasses import replace

    from app.cli.relations import mirror_words, with_relations
    from app.domain.errors import NotFound
    from app.domain.registry import node_of_origin
    from app.services.trust import Terms

    given = {"added_per_hour": added_per_hour, "total": total, "weight": weight, "transfer_basis": transfer_basis}
    changes = {name: value for name, value in given.items() if value is not None}
    if not changes:
        raise UsageFault("say what shall change: --added-per-hour, --total, --weight or --transfer-basis")

    async def work(own: Relations) -> dict[str, JsonValue]:
        _, mirrors = await own.trust.show(node_of_origin(origin))
        now = next((one for one in mirrors if one.origin == origin), None)
        if now is None:
            raise NotFound(f"no log {origin} is followed: cordon peer show {node_of_origin(origin)} names them")
        terms = replace(Terms(now.added_per_hour, now.total, now.weight, now.transfer_basis), **changes)  # type: ignore[arg-type]
        await own.trust.set_terms(origin, terms)
        _, after = await own.trust.show(node_of_origin(origin))
        return next(mirror_words(one) for one in after if one.origin == origin)

    console = Console(as_json)
    found = with_relations(data_dir, work)
    console.document(found)
    console.say(
        f"{origin}: {found['added_per_hour']} ids an hour, {found['total']} in all, weight {found['weight']}. "
        "A running node takes it up within a second; what waits already is let in with cordon quarantine release."
    )
    return DONE


@commands.command()
def verify(
    node: NodeId,
    full: Annotated[bool, typer.Option("--full", help="Also re-hash every mirrored entry and tile.")] = False,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    as_json: JsonFlag = False,
) -> int:
    """Fetch a peer's checkpoint and hold it against our mirror; with --full re-hash the mirror. What does not fit is named, exit 1."""
    from app.cli.peer_checks import Verdict, verify_peer
    from app.cli.relations import with_relations

    async def work(own: Relations) -> list[Verdict]:
        return await verify_peer(own, node, full=full)

    console = Console(as_json)
    verdicts = with_relations(data_dir, work)
    console.document([one.words() for one in verdicts])
    for one in verdicts:
        console.say(f"{'ok   ' if one.sound else 'WRONG'} {one.origin}: {plain(one.detail)}")
    return DONE if all(one.sound for one in verdicts) else REFUSED
