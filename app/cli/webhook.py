"""`cordon webhook create|list|show|test|dead|replay|enable|rotate|end`: where events are sent, and what did not arrive there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from app.cli.console import DEFAULT_DATA_DIR, DONE, REFUSED, ApiKey, Console, DataDir, JsonFlag, NodeUrl, UsageFault, counted, plain
from app.cli.watching import Record, list_id, watching
from app.domain.errors import NotFound

if TYPE_CHECKING:
    from app.sdk.watching import Watch

commands = typer.Typer(help="Addresses that events are sent to, at a running node.", no_args_is_help=True)

COLUMNS = ("id", "url", "events", "watchlists", "state", "reason")

HookId = Annotated[str, typer.Argument(metavar="ID", help="A webhook, as `cordon webhook list` shows it: wh_…")]


@commands.command()
def create(
    url: Annotated[str, typer.Argument(metavar="URL", help="https, port 443 or 8443.")],
    event: Annotated[list[str] | None, typer.Option("--event", help="A type, listing.* or *; repeat. Default: listing.*")] = None,
    lists: Annotated[list[str] | None, typer.Option("--list", help="Only of this watchlist, by id or name; repeat. Default: all.")] = None,
    api_key: ApiKey = None,
    node: NodeUrl = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    as_json: JsonFlag = False,
) -> int:
    """Send events there; its secret is shown once."""
    with watching(data_dir, node, api_key) as watch:
        made = watch.create_hook(url, events=event or ["listing.*"], watchlists=[list_id(watch, one) for one in lists or ()])
    _tell_secret(Console(as_json), made)
    return DONE


def _tell_secret(console: Console, hook: Record) -> None:
    console.document(hook)
    console.say(f"{hook['id']}\nsecret      {hook['secret']}\npublic key  {hook['public_key']}")
    console.note(
        "The secret is shown once. Verify what comes with either (cordon_client.sdk.webhook.verify, or any Standard Webhooks library)."
    )


@commands.command("list")
def list_hooks(api_key: ApiKey = None, node: NodeUrl = None, data_dir: DataDir = DEFAULT_DATA_DIR, as_json: JsonFlag = False) -> int:
    """Your webhooks, oldest first; of a disabled one, why."""
    with watching(data_dir, node, api_key) as watch:
        Console(as_json).rows(watch.hooks(), COLUMNS)
    return DONE


@commands.command()
def show(
    hook_id: HookId, api_key: ApiKey = None, node: NodeUrl = None, data_dir: DataDir = DEFAULT_DATA_DIR, as_json: JsonFlag = False
) -> int:
    """One webhook, how many events are on their way to it, and how many are dead letters."""
    with watching(data_dir, node, api_key) as watch:
        found = watch.hook(hook_id)
        counts = {"waiting": watch.waiting(hook_id), "dead": sum(1 for _ in watch.dead_letters(hook_id))}
    console = Console(as_json)
    console.document({**found, **counts})
    for name, value in {**found, **counts}.items():
        console.say(f"{name:11} {plain(', '.join(map(str, value)) if isinstance(value, list) else value)}".rstrip())
    return DONE


@commands.command("test")
def send_test(
    hook_id: HookId, api_key: ApiKey = None, node: NodeUrl = None, data_dir: DataDir = DEFAULT_DATA_DIR, as_json: JsonFlag = False
) -> int:
    """Send a test event now, signed like all; exit 1 if it was not taken."""
    with watching(data_dir, node, api_key) as watch:
        outcome = watch.test_hook(hook_id)
    console = Console(as_json)
    console.document(outcome)
    console.say(f"{'taken' if outcome['delivered'] else 'NOT taken'}: {plain(outcome['note'])}")
    return DONE if outcome["delivered"] else REFUSED


@commands.command()
def dead(
    hook_id: HookId, api_key: ApiKey = None, node: NodeUrl = None, data_dir: DataDir = DEFAULT_DATA_DIR, as_json: JsonFlag = False
) -> int:
    """Events that could not be delivered, and how their last attempt ended."""
    with watching(data_dir, node, api_key) as watch:
        letters = list(watch.dead_letters(hook_id))
    console = Console(as_json)
    console.rows(letters, ("id", "attempts", "note"))
    console.note(
        f"send them again: cordon webhook replay {hook_id}" if letters else "no dead letters: everything arrived, or is on its way"
    )
    return DONE


@commands.command()
def replay(
    hook_id: HookId,
    cursor: Annotated[
        str | None, typer.Option(metavar="ID", help="Everything after this event. Default: from the first dead letter on.")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Everything that is kept.")] = False,
    api_key: ApiKey = None,
    node: NodeUrl = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    as_json: JsonFlag = False,
) -> int:
    """Send events again under their old ids, so that who acts once for each id acts on none twice."""
    if cursor is not None and everything:
        raise UsageFault("give --cursor ID or --all")
    with watching(data_dir, node, api_key) as watch:
        after = cursor or _before_first(watch, hook_id, everything)
        count = watch.replay(hook_id, after)
        state = watch.hook(hook_id)["state"]
    console = Console(as_json)
    console.document({"id": hook_id, "after": after, "events": count})
    console.say(f"{counted(count, 'event')} after {after} on the way to {hook_id}")
    if state != "active":
        console.note(f"{hook_id} is {state}: they go out after cordon webhook enable {hook_id}")
    return DONE


def _before_first(watch: Watch, hook_id: str, everything: bool) -> str:
    """The cursor before the first event, or before the first dead letter."""
    first = next(watch.events() if everything else watch.dead_letters(hook_id), None)
    if first is None:
        raise NotFound(
            "nothing has happened yet" if everything else f"{hook_id} has no dead letters: name an event with --cursor, or --all"
        )
    tag, _, number = str(first["id"]).rpartition("-")
    return f"{tag}-{int(number) - 1}"


@commands.command()
def enable(
    hook_id: HookId, api_key: ApiKey = None, node: NodeUrl = None, data_dir: DataDir = DEFAULT_DATA_DIR, as_json: JsonFlag = False
) -> int:
    """Send to a disabled webhook again: what waited goes out, dead letters with `cordon webhook replay`."""
    with watching(data_dir, node, api_key) as watch:
        hook = watch.change_hook(hook_id, state="active")
    console = Console(as_json)
    console.document(hook)
    console.say(f"{hook_id} is active; dead letters go out with: cordon webhook replay {hook_id}")
    return DONE


@commands.command()
def rotate(
    hook_id: HookId, api_key: ApiKey = None, node: NodeUrl = None, data_dir: DataDir = DEFAULT_DATA_DIR, as_json: JsonFlag = False
) -> int:
    """A new secret, shown once; for a day the old one signs beside it."""
    with watching(data_dir, node, api_key) as watch:
        hook = watch.rotate_secret(hook_id)
    _tell_secret(Console(as_json), hook)
    return DONE


@commands.command()
def end(
    hook_id: HookId, api_key: ApiKey = None, node: NodeUrl = None, data_dir: DataDir = DEFAULT_DATA_DIR, as_json: JsonFlag = False
) -> int:
    """Send nothing there any more; the events stay."""
    with watching(data_dir, node, api_key) as watch:
        watch.end_hook(hook_id)
    console = Console(as_json)
    console.document({"id": hook_id, "ended": True})
    console.say(f"{hook_id} is gone")
    return DONE
