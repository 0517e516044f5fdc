"""`cordon policy set`: the rules of the jurisdiction's own log."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from app.cli.console import DEFAULT_DATA_DIR, Console, DataDir, JsonFlag, NodeUrl, UsageFault
from app.cli.control import say_as_registrar
from app.domain.canonical import JsonValue

commands = typer.Typer(help="Policy: two-person rules, delays, terms.", no_args_is_help=True)


@commands.command("set")
def set_policy(
    needs2: Annotated[str, typer.Option(help="Kinds inert until a second key approves, by comma; '' for none.")],
    four_eyes: Annotated[str, typer.Option("--four-eyes", help="Of person, hold, clear, by comma; '' for none.")],
    public_delay_h: Annotated[int, typer.Option(min=0, help="Hours before a new row shows to the public.")] = 72,
    review_months: Annotated[int, typer.Option(min=1, max=12, help="Longest time to the next review.")] = 12,
    freeze_days: Annotated[
        list[str] | None, typer.Option("--freeze-days", metavar="ACTION=DAYS", help="Longest freeze by action; repeat.")
    ] = None,
    key: Annotated[Path | None, typer.Option("--key", metavar="FILE", help="Registrar key; default: the data directory's first.")] = None,
    node: NodeUrl = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    as_json: JsonFlag = False,
) -> int:
    """Replace the policy: a statement is judged by the last policy before it."""
    claims: dict[str, JsonValue] = {
        "needs2": [word for word in needs2.split(",") if word],
        "four_eyes": [word for word in four_eyes.split(",") if word],
        "public_delay_h": public_delay_h,
        "review_months": review_months,
        "freeze_days": _days(freeze_days or []),
        "neutrality": True,
    }
    return say_as_registrar(
        Console(as_json), data_dir, node, key, words=lambda registrar, _door: registrar.policy(claims), done="The policy is replaced"
    )


def _days(words: list[str]) -> dict[str, JsonValue]:
    days: dict[str, JsonValue] = {}
    for word in words:
        action, equals, number = word.partition("=")
        if not equals or not (number.isascii() and number.isdigit()):
            raise UsageFault(f"--freeze-days is ACTION=DAYS, such as freeze=10: {word}")
        days[action] = int(number)
    return days
