"""Short statements straight to the gate: what registrars and approvers say, one sentence a time."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

from app.cli.console import DONE, Console, UsageFault
from app.cli.doors import Door, open_door
from app.domain.errors import BadRequest, CordonError
from app.services.enroll import Registrar, read_key, read_node_file


def say(console: Console, door: Door, wires: Sequence[str], *, done: str) -> int:
    """Bring statements through the door; raises the first that is refused."""
    for outcome in door.submit(list(wires)):
        if isinstance(outcome, CordonError):
            raise outcome
        console.document(
            {"sid": outcome.sid, "status": outcome.status, "reason": outcome.reason, "index": outcome.index, "receipt": outcome.receipt}
        )
        if outcome.status == "held":
            console.say(f"{done}, once a second key approves it: cordon approve {outcome.sid} --as MEMBER --key SECOND-KEY.jwk")
        else:
            console.say(f"{done} (statement {outcome.sid}, index {outcome.index}).")
    return DONE


def say_as_registrar(
    console: Console, data_dir: Path, node: str | None, key: Path | None, *, words: Callable[[Registrar, Door], str], done: str
) -> int:
    """Sign with a registrar key (by default the data directory's first) and bring the statement to its log."""
    signing = read_key(registrar_key(data_dir, key))
    owner = signing.kid.partition("#")[0]
    if not owner.endswith(".registrar"):
        raise BadRequest(f"{signing.kid} is no registrar key: give keys/registrar-1.jwk of the data directory with --key")
    with open_door(data_dir, node) as door:
        wire = words(Registrar(door.origin(), signing, int(time.time())), door)
        return say_registrar(console, door, wire, done=done, registrar=owner)


def say_registrar(console: Console, door: Door, wire: str, *, done: str, registrar: str) -> int:
    """As `say`, with the next step that fits a registrar."""
    (outcome,) = door.submit([wire])
    if isinstance(outcome, CordonError):
        raise outcome
    console.document(
        {"sid": outcome.sid, "status": outcome.status, "reason": outcome.reason, "index": outcome.index, "receipt": outcome.receipt}
    )
    if outcome.reason is not None:
        console.say(
            f"Logged, and inert until a second registrar key approves: cordon approve {outcome.sid} --as {registrar} --key keys/registrar-2.jwk"
        )
    else:
        console.say(f"{done} (statement {outcome.sid}, index {outcome.index}).")
    return DONE


def registrar_key(data_dir: Path, key: Path | None) -> Path:
    """The key file to sign with."""
    if key is not None:
        return key
    read_node_file(data_dir)
    path = data_dir / "keys" / "registrar-1.jwk"
    if not path.exists():
        raise UsageFault(f"{path} is not there: give the registrar's key with --key FILE")
    return path
