"""Replaying a view: the root that a head should have, worked out anew from the logs that it names (protocol §3.10).

Nothing of the live index is used: the statements up to the sizes in the head are folded from nothing, at the second of the head, under the
policy whose digest it carries and the guards whose digest the policy carries. Content that was erased since cannot be had any more, nor a
dispute that was withdrawn since: `missing` counts listings without content, and only a replay without any is a verdict.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256

from app.domain.answer import Listing, Moment
from app.domain.canonical import JsonValue, read_json
from app.domain.errors import InvalidProof, Malformed
from app.domain.folding import ActiveListing, State, fold
from app.domain.identifiers import bucket_of
from app.domain.labels import EVERYTHING
from app.domain.merkle import root_at
from app.domain.statement import Kind, ohash_of
from app.domain.tiles import TileReader, needed_for_root
from app.domain.view import BucketTree, ViewHead
from app.domain.viewing import TIERS, entry_of
from app.seal.keyrings import Keyrings
from app.services.admit.refold import origin_state, placed
from app.storage.database import Transaction

PAGE = 500


@dataclass(frozen=True, slots=True)
class Replayed:
    """What came out: the root, whether it is the head's, how many ids are listed, and of how many listings the content is gone."""

    root: bytes
    agrees: bool
    entries: int
    missing: int


async def replay(tx: Transaction, head: ViewHead, *, keyrings: Keyrings, policy: bytes, guards: Collection[str]) -> Replayed:
    """Work out the root of a head anew. InvalidProof if policy, guards or a log are not those that the head names."""
    tier = head.name.rpartition("/")[2]
    if tier not in TIERS:
        raise Malformed(f"the head of {head.name} is of no tier that is known here")
    words = _policy_of(head, policy, guards)
    for origin in head.origins:
        await _check_log(tx, origin.origin, origin.size, origin.root)
    listings, missing = await _listings(tx, head, keyrings, words)
    moment = Moment(
        now_ms=head.as_of * 1000,
        public_delay_ms=int(str(words["public_delay_h"])) * 3_600_000,
        own_origin=keyrings.own.origin,
        weightless=_origins_where(words, "weight", 0),
        protected=frozenset(guards).__contains__,
    )
    by_subject: dict[str, list[Listing]] = {}
    for one in listings:
        by_subject.setdefault(one.subject, []).append(one)
    entries = sorted(filter(None, (entry_of(subject, said, TIERS[tier], moment) for subject, said in by_subject.items())))
    buckets: dict[int, bytes] = {}
    for entry in entries:
        buckets[bucket_of(entry)] = buckets.get(bucket_of(entry), b"") + entry
    root = BucketTree.build(buckets).root
    return Replayed(root, root == head.root, len(entries), missing)


def _policy_of(head: ViewHead, policy: bytes, guards: Collection[str]) -> Mapping[str, JsonValue]:
    if sha256(policy).digest() != head.policy:
        raise InvalidProof("the policy is not the one that the head names: take the one of its time")
    words = read_json(policy)
    if not isinstance(words, dict):
        raise Malformed("the policy is no object")
    listed = sha256("".join(f"{one}\n" for one in sorted(guards)).encode("utf-8")).hexdigest()
    if words.get("guards_sha256") != listed:
        raise InvalidProof("the guards are not those that the policy names: take the list of its time")
    return words


def _origins_where(words: Mapping[str, JsonValue], name: str, value: JsonValue) -> frozenset[str]:
    origins = words.get("origins")
    terms = origins.items() if isinstance(origins, dict) else ()
    return frozenset(origin for origin, one in terms if isinstance(one, dict) and one.get(name) == value)


async def _check_log(tx: Transaction, origin: str, size: int, root: bytes) -> None:
    tiles = await tx.log.read_tiles(origin, needed_for_root(size))
    try:
        found = root_at(size, TileReader(lambda level, index: tiles[level, index]))
    except InvalidProof as error:
        raise InvalidProof(f"{origin} is held here up to less than {size} entries") from error
    if found != root:
        raise InvalidProof(f"{origin} had another root at {size} entries than the head says: this is a lie or a fork")


async def _listings(tx: Transaction, head: ViewHead, keyrings: Keyrings, words: Mapping[str, JsonValue]) -> tuple[list[Listing], int]:
    """What was in force for the whole vector, with the annotations that were; and how many listings have lost their content."""
    mirrors = {mirror.origin: mirror for mirror in await tx.mirrors.all()}
    vector = {one.origin: replace(origin_state(mirrors.get(one.origin)), size=one.size) for one in head.origins}
    events = [event for one in head.origins for event in await tx.statements.events_between(one.origin, 0, one.size)]
    folded = fold(
        [placed(event, vector[event.origin]) for event in events],
        vector=vector,
        reader=EVERYTHING,
        as_of=None,
        registrar_kids=keyrings.registrar_kids(),
        needs2=keyrings.needs2,
    )
    in_force = {key for key, state in folded.states.items() if state.state is State.ACTIVE}
    said = {(event.origin, event.sid) for event in events if event.kind == Kind.LISTING and "core" in event.parts}
    excluded = words.get("excluded")
    left_out = frozenset(map(str, excluded)) if isinstance(excluded, list) else frozenset[str]()
    aside = _origins_where(words, "state", "quarantined")
    wanted = [one for one in folded.active if _counts(one, aside, left_out) and (one.origin, one.sid) in said]
    return await _read(tx, wanted, in_force)


def _counts(one: ActiveListing, aside: frozenset[str], left_out: frozenset[str]) -> bool:
    return one.origin not in aside and f"{ohash_of(one.origin)}/{one.sid}" not in left_out


async def _read(tx: Transaction, wanted: Sequence[ActiveListing], in_force: Collection[tuple[str, str]]) -> tuple[list[Listing], int]:
    found: list[Listing] = []
    missing = 0
    for start in range(0, len(wanted), PAGE):
        page = {(one.origin, one.sid): one for one in wanted[start : start + PAGE]}
        for origin in {origin for origin, _ in page}:
            sids = [sid for log, sid in page if log == origin]
            rows = await tx.subjects.listings_of_sids(origin, sids)
            missing += len(set(sids) - {row.sid for row in rows})
            found += [_as_it_was(row, page[row.origin, row.sid], in_force) for row in rows]
    return found, missing


def _as_it_was(row: Listing, then: ActiveListing, in_force: Collection[tuple[str, str]]) -> Listing:
    kept = tuple(note for note in row.annotations if (note.origin, note.sid) in in_force)
    return row._replace(state="active", expires_at=then.expires_at, contested=then.contested, annotations=kept)
