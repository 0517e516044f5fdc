"""What is mirrored here and does not count: listings that the valve keeps dormant, and all of a quarantined origin (schemas §2).

The fold knows nothing of it: it is this node's own policy, asked for with every row. Both tables are tiny or empty, and are asked
by their primary key.
"""

from __future__ import annotations

from sqlalchemy import exists

from app.domain.folding import State
from app.storage.peer_tables import dormant, mirror
from app.storage.tables import statement

_S = statement.c
IS_QUARANTINED = exists().where(mirror.c.origin == _S.origin, mirror.c.quarantined == 1)
HELD = exists().where(dormant.c.origin == _S.origin, dormant.c.idx == _S.idx) | IS_QUARANTINED
"""Whether a row of `statement` does not count here."""

HELD_STATE = "held"


def state_here(state: str, held: bool) -> str:
    """The state that a listing has here: what is held is not active; what the fold ended stays ended."""
    return HELD_STATE if held and state == State.ACTIVE else state
