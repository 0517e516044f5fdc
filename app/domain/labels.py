"""TLP 2.0 labels and who may read what (protocol §3.9, trust-and-ops §2.1): the one table, pure.

A `Label` is a TLP word with its audience. A `Reader` is somebody who asks. `can_read` is the whole rule of visibility;
the gate, the fold, the log routes and the answers all ask it and nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Tlp(StrEnum):
    """TLP 2.0, from the widest to the narrowest."""

    CLEAR = "CLEAR"
    GREEN = "GREEN"
    AMBER = "AMBER"
    AMBER_STRICT = "AMBER+STRICT"
    RED = "RED"


RANK: dict[Tlp, int] = {tlp: rank for rank, tlp in enumerate(Tlp)}


@dataclass(frozen=True, slots=True)
class Label:
    """A TLP word and, from AMBER up, the ids (nodes, groups, members) that it is for."""

    tlp: Tlp
    aud: frozenset[str] = frozenset()


class ReaderClass(StrEnum):
    """Who asks: decides what GREEN and AMBER mean for them."""

    PUBLIC = "public"
    VASP = "vasp"
    NODE = "node"  # a node, or an agency user of it: reads what its node may read
    ALL = "all"  # the node itself, for its own bookkeeping: sees everything it holds


@dataclass(frozen=True, slots=True)
class Membership:
    """A group of the log `origin` names the reader (`through_node`: his node) in its newest version, and did so from log index
    `first` to before `end`; without an `end` it does so to this day without a break.
    """

    origin: str
    group: str
    first: int
    end: int | None = None
    through_node: bool = False

    def counts_for(self, origin: str, index: int) -> bool:
        """Whether it opens the statement at this place. A place in another log than the group's has no index to compare: there
        it counts if it names the reader today.
        """
        if origin != self.origin:
            return self.end is None
        return self.first <= index and (self.end is None or index < self.end)


@dataclass(frozen=True, slots=True)
class Reader:
    """`id`: own member or node id. `ids`: every further id the reader stands for (groups; for an agency user his node).

    `node_ids`: for a VASP, the nodes (and their groups) whose client it is: AMBER reaches the clients of a recipient.
    `memberships`: groups that count for some places only (a reader belongs to a group if both its version at the statement's
    index and its newest name him); `at` puts those in force into `ids` and `node_ids`.
    """

    reader_class: ReaderClass
    id: str = ""
    ids: frozenset[str] = frozenset()
    node_ids: frozenset[str] = frozenset()
    memberships: tuple[Membership, ...] = ()

    def at(self, origin: str, index: int) -> Reader:
        """The reader as he counts for the statement at this place."""
        if not self.memberships:
            return self
        now = [m for m in self.memberships if m.counts_for(origin, index)]
        own = frozenset(m.group for m in now if not m.through_node)
        of_node = frozenset(m.group for m in now if m.through_node)
        if self.reader_class is ReaderClass.VASP:
            return Reader(self.reader_class, self.id, self.ids | own, self.node_ids | of_node)
        return Reader(self.reader_class, self.id, self.ids | own | of_node, self.node_ids)


PUBLIC = Reader(ReaderClass.PUBLIC)
EVERYTHING = Reader(ReaderClass.ALL)


def can_read(label: Label, reader: Reader) -> bool:
    """Whether `reader` may see what carries `label`.

    CLEAR everybody; GREEN every authenticated reader; AMBER the audience and the VASPs that are clients of it;
    AMBER+STRICT the audience; RED only ids named themselves, never through a group.
    """
    if reader.reader_class is ReaderClass.ALL or label.tlp is Tlp.CLEAR:
        return True
    if reader.reader_class is ReaderClass.PUBLIC:
        return False
    if label.tlp is Tlp.GREEN:
        return True
    if label.tlp is Tlp.RED:
        return bool(reader.id) and reader.id in label.aud
    named = reader.id in label.aud or not label.aud.isdisjoint(reader.ids)
    if reader.reader_class is ReaderClass.VASP:
        # A VASP is reached by AMBER through the node it is a client of; by AMBER+STRICT not at all unless named.
        through_node = label.tlp is Tlp.AMBER and not label.aud.isdisjoint(reader.node_ids)
        return named or through_node
    return named


def at_least_as_visible(edge: Label, target: Label) -> bool:
    """Whether everybody who sees `target` sees `edge`, judged on labels alone (protocol §3.5 `edge_visibility`)."""
    if RANK[edge.tlp] > RANK[target.tlp]:
        return False
    if RANK[edge.tlp] >= RANK[Tlp.AMBER]:
        return edge.aud >= target.aud
    return True
