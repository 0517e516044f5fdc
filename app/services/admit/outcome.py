"""What the gate says of one statement, and the line that ties a receipt to its time."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Status(StrEnum):
    """`accepted` is new, `known` was logged before, `held` waits for a second key (schemas §4.1)."""

    ACCEPTED = "accepted"
    KNOWN = "known"
    HELD = "held"


class HeldReason(StrEnum):
    """Why a statement waits. The first two are kept outside the log, `needs2` is logged and inert."""

    PROTECTED = "protected"
    FOUR_EYES = "four_eyes"
    NEEDS2 = "needs2"


@dataclass(frozen=True, slots=True)
class Admitted:
    """`index`, `accepted_ms` and `receipt` (tlog-proof text) are there unless the statement is held outside the log."""

    sid: str
    status: Status
    reason: HeldReason | None = None
    index: int | None = None
    accepted_ms: int | None = None
    receipt: str | None = None


def receipt_extra(accepted_ms: int, sid: str) -> bytes:
    """The `extra` line of a receipt: with the statement it gives back the leaf, offline (schemas §4.1)."""
    return f"{accepted_ms} {sid}".encode("ascii")


def entry_bytes(accepted_ms: int, jws: str) -> bytes:
    """The leaf data of protocol §3.6."""
    return f"{accepted_ms} {jws}".encode("ascii")
