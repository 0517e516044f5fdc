"""Who may do what: one function over (caller, action, row), default deny (trust-and-ops S-01).

Every route names its action; `permit` is asked with the row that was loaded, never with an id that is looked up again later.
What a caller may *see* of content is not decided here but by labels (`domain/labels`).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from .errors import Forbidden, NotFound, Unauthenticated
from .labels import PUBLIC, Reader


class CallerClass(StrEnum):
    """Classes of API callers (schemas §1)."""

    PUBLIC = "public"
    AGENCY = "agency"
    VASP = "vasp"
    REDRESS = "redress"
    NODE = "node"
    AUDITOR = "auditor"
    OPERATOR = "operator"


class Action(StrEnum):
    """What a route does."""

    PUBLISHED = "published"
    SCREEN = "screen"
    READ = "read"
    SUBMIT = "submit"
    FOLLOW = "follow"
    GOSSIP = "gossip"
    WITNESS = "witness"
    READ_HELD = "read_held"
    READ_RECEIPTS = "read_receipts"
    OWN_POLICIES = "own_policies"
    READ_KEYS = "read_keys"
    WATCH = "watch"
    MANAGE_KEYS = "manage_keys"
    READ_AUDIT = "read_audit"
    OPERATE = "operate"


@dataclass(frozen=True, slots=True)
class Caller:
    """Somebody who asks: what the key says of him, and the reader that he is. `actor` is empty for the public."""

    caller_class: CallerClass
    reader: Reader
    actor: str = ""
    member: str = ""
    scopes: frozenset[str] = frozenset()
    tier: str = "clear"
    requests_per_minute: int | None = None
    addresses_per_day: int | None = None
    is_test: bool = False

    @property
    def owner(self) -> str:
        """Under whose name watchlists, events and what was told are kept: the keys of one member that see the same share them."""
        return f"{self.member or self.actor}/{self.tier}{'/test' if self.is_test else ''}"


PUBLIC_CALLER = Caller(CallerClass.PUBLIC, PUBLIC)

_EVERYBODY = frozenset(CallerClass)
_READERS = _EVERYBODY - {CallerClass.AUDITOR, CallerClass.OPERATOR}
_KEYED = _EVERYBODY - {CallerClass.PUBLIC}

PEER_SCOPE = "peer"
"""Of a request token of another node; no API key has it."""

# Action -> (classes that may, scope that a key must carry; None: any key, or none at all). A peer does not READ: an answer would
# hand on what a third node has logged for it, and from AMBER up only the origin does that (protocol §3.8).
_TABLE: dict[Action, tuple[frozenset[CallerClass], str | None]] = {
    Action.PUBLISHED: (_EVERYBODY, None),
    Action.SCREEN: (_READERS, "screen"),
    Action.READ: (_READERS, "read"),
    Action.SUBMIT: (_EVERYBODY, None),
    Action.FOLLOW: (_READERS - {CallerClass.PUBLIC}, "read"),
    Action.GOSSIP: (frozenset({CallerClass.NODE}), PEER_SCOPE),
    Action.WITNESS: (_EVERYBODY, None),
    Action.READ_HELD: (frozenset({CallerClass.AGENCY, CallerClass.REDRESS}), "read"),
    Action.READ_RECEIPTS: (frozenset({CallerClass.VASP, CallerClass.AGENCY, CallerClass.REDRESS}), "screen"),
    Action.OWN_POLICIES: (frozenset({CallerClass.VASP, CallerClass.AGENCY}), "screen"),
    Action.READ_KEYS: (_KEYED, None),
    Action.WATCH: (frozenset({CallerClass.VASP, CallerClass.AGENCY}), "watch"),
    Action.MANAGE_KEYS: (frozenset({CallerClass.OPERATOR}), "operate"),
    Action.READ_AUDIT: (frozenset({CallerClass.AUDITOR}), "audit"),
    Action.OPERATE: (frozenset({CallerClass.OPERATOR}), "operate"),
}


def permit(caller: Caller, action: Action, *, owner: str | None = None) -> None:
    """Return if `caller` may do `action`, to a row of member `owner` where one is named.

    Raises Unauthenticated (no key, and a key would help), Forbidden (the key does not allow it), NotFound (another's row: whether
    it exists is not told).
    """
    classes, scope = _TABLE[action]
    if caller.caller_class not in classes:
        if caller.caller_class is CallerClass.PUBLIC:
            raise Unauthenticated("this needs an API key, or the token of a peer: send `Authorization: Bearer …`")
        raise Forbidden(f"a key of class {caller.caller_class} may not do this")
    if action is Action.FOLLOW and PEER_SCOPE in caller.scopes:
        return
    if scope is not None and caller.caller_class is not CallerClass.PUBLIC and scope not in caller.scopes:
        raise Forbidden(f"this key lacks the scope `{scope}`: ask the operator for one that has it")
    if owner is not None and caller.caller_class is not CallerClass.OPERATOR and owner != caller.member:
        raise NotFound("no such thing for this caller")
