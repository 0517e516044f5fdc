"""After a fork: the old log ends, the next begins with what the registry said (protocol §3.2.6, "Fork recovery").

The order is one that can be broken off anywhere and gone through again by `cordon root publish` with the same document: what the
registry said is read from the old log first and kept in a file; then the document is kept, the anchor of the old log put aside, the old
log marked as ended, and node.json names the new one; last come the first statements of the new log. Members and groups stand before the
policy, which may ask for a second key: the root key holders have signed the new log into being.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

from app.cli.local import LocalDoor, now_ms, settings_of, with_rows
from app.domain.canonical import JsonValue
from app.domain.errors import CordonError
from app.services.enroll import Registrar, read_node_file
from app.storage.anchor import AnchorFile
from app.storage.mirrors import RETIRED, MirrorRow

if TYPE_CHECKING:
    from app.domain.registry import Group, Policy
    from app.seal.jws import SigningKey
    from app.seal.keyring import Keyring
    from app.seal.roots import RootDocument, RootLog
    from app.storage.database import Transaction

PLAN = "succession.json"


def write_whole(path: Path, data: bytes) -> None:
    """Write a file whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(path.name + ".new")
    with temporary.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def successor_of(data_dir: Path, document: RootDocument) -> RootLog | None:
    """The log that the document begins after the one of this directory; also when an earlier run was broken off in the middle."""
    origin = read_node_file(data_dir).origin
    begun = (data_dir / PLAN).exists()
    return next(
        (log for log in document.logs if log.predecessor is not None and (log.predecessor == origin or (begun and log.origin == origin))),
        None,
    )


def succeed(data_dir: Path, data: bytes, document: RootDocument, log: RootLog, signing: SigningKey) -> list[str]:
    """End the log of the directory and begin `log`; the sids of its first statements. The caller holds the lock."""
    assert log.predecessor is not None, "`successor_of` chose it by that"
    plan = data_dir / PLAN
    if not plan.exists():
        with LocalDoor(data_dir) as door:
            wires = list(first_words(door.node.keyring, document, Registrar(log.origin, signing, int(time.time()))))
        write_whole(plan, json.dumps(wires).encode("ascii"))
    write_whole(data_dir / "root" / f"{document.version}.json", data)
    _put_anchor_aside(data_dir, log.predecessor)
    _retire(data_dir, document, log.predecessor)
    node = replace(read_node_file(data_dir), origin=log.origin)
    write_whole(data_dir / "node.json", (json.dumps(asdict(node), indent=2) + "\n").encode("utf-8"))
    sids = list(_log(data_dir, json.loads(plan.read_text("ascii"))))
    plan.unlink()
    return sids


def first_words(keyring: Keyring, document: RootDocument, registrar: Registrar) -> Iterator[str]:
    """What the registrar says to a new log: the root document, then all that the old registry holds, the policy last."""
    yield registrar.root(document)
    for member in keyring.members():
        yield registrar.member(member)
    for group in keyring.groups():
        yield registrar.group(_group_claims(group))
    if keyring.stated_policy is not None:
        yield registrar.policy(_policy_claims(keyring.stated_policy))


def _group_claims(group: Group) -> dict[str, JsonValue]:
    claims: dict[str, JsonValue] = {"id": group.id, "name": group.name, "owner": group.owner, "members": [*group.members]}
    return claims if group.releasability is None else {**claims, "releasability": group.releasability}


def _policy_claims(policy: Policy) -> dict[str, JsonValue]:
    return {
        "needs2": [*sorted(policy.needs2)],
        "four_eyes": [*sorted(policy.four_eyes)],
        "public_delay_h": policy.public_delay_h,
        "review_months": policy.review_months,
        "freeze_days": dict(policy.freeze_days),
        "neutrality": policy.neutrality,
    }


def _put_anchor_aside(data_dir: Path, origin: str) -> None:
    """The anchor says which tree of the old log was signed last; it stays as evidence beside the new log's."""
    path = settings_of(data_dir).resolved_anchor
    anchored = AnchorFile(path).read()
    if anchored is not None and anchored.origin == origin:
        path.replace(path.with_name(f"{path.name}.{origin.replace('/', '_')}"))


def _retire(data_dir: Path, document: RootDocument, origin: str) -> None:
    """The old log stands here from now on like a mirror that has ended: its common prefix goes on answering."""
    ended = document.find_log(origin)
    assert ended is not None
    assert ended.final is not None, "a log with a successor has an end"
    size, root = ended.final

    async def work(tx: Transaction) -> None:
        head = await tx.log.head(origin)
        reason = f"ended by root document {document.version}"
        row = MirrorRow(origin, read_node_file(data_dir).node, size, root, head.note if head is not None else "", seen_ms=now_ms())
        await tx.mirrors.create(row)
        await tx.mirrors.set_state(origin, RETIRED, reason, final_size=size)

    with_rows(data_dir, work)


def _log(data_dir: Path, wires: list[str]) -> Iterator[str]:
    """Through the gate, one after the other: each is judged by what the ones before it said."""
    with LocalDoor(data_dir) as door:
        for wire in wires:
            (outcome,) = door.submit([wire])
            if isinstance(outcome, CordonError):
                raise outcome
            yield outcome.sid
