"""Consulting the registry: statements, subjects, members and search, each as one reader may see it (schemas §4.1, §4.3).

Reads rows, filters by labels, words the rest. Nothing here decides who may ask; what a reader may not see does not exist for him,
and everything that tells of it (edges, history, counts, order) is computed after the filter.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from app.domain.address import Wallet, siblings
from app.domain.answer import (
    Finding,
    Link,
    Listing,
    Match,
    Moment,
    finding_words,
    instant_text,
    is_held_back,
    is_own,
    is_public,
    sees_link,
    shown_state,
    statement_words,
    visible,
)
from app.domain.canonical import JsonValue, b64u_decode, read_json
from app.domain.errors import InvalidAddress, NotFound
from app.domain.folding import Event
from app.domain.identifiers import Indicator, describe, read_id, read_subject
from app.domain.labels import Label, Reader, can_read
from app.domain.permission import Caller
from app.domain.sources import is_degraded
from app.index.known import Knowing, Known
from app.seal.keyring import KeyRecord, Keyring
from app.services.admit.valve import AHEAD_MS
from app.storage.database import Database, Transaction
from app.storage.entities import MOST_CANDIDATES
from app.storage.records import PartRow, StatementRecord, Stored
from app.storage.words import words_of

_STATE_WORDS = {"inert": "inert", "waiting": "held"}


Find = Callable[[Known, Wallet | Indicator, Reader, Moment], Finding]


class Consultation:
    """Records for one reader at the moment the clock tells."""

    def __init__(self, database: Database, keyring: Keyring, index: Knowing, *, find: Find, moment: Callable[[], Moment]) -> None:
        """`find`: what screening says of a subject by what is known of it, so that a record and a lookup never disagree."""
        self._database = database
        self._keyring = keyring
        self._index = index
        self._find = find
        self._moment = moment

    # --- statements ----------------------------------------------------------------------------------------------

    async def statement(self, sid: str, reader: Reader) -> dict[str, JsonValue]:
        """The record of one statement: stub, parts the reader may have, state, edges he may see."""
        async with self._database.reading() as tx:
            record = await tx.statements.record(sid)
            if record is None or not await self._seen(tx, [record.stored], reader):
                raise NotFound("no such statement for this caller")
        return self._record_words(record, reader)

    async def statements(
        self,
        reader: Reader,
        *,
        issuer: str | None,
        kind: str | None,
        since_ms: int,
        after: tuple[int, str, int] | None,
        limit: int,
    ) -> tuple[list[JsonValue], tuple[int, str, int] | None]:
        """A page of what the reader may see, and the place after which the next begins (None: the end). Hidden rows leave no gap."""
        found: list[Stored] = []
        place = after
        latest_ms = self._moment().now_ms + AHEAD_MS  # beyond it a peer's clock speaks: who reads on from there would miss all that comes
        async with self._database.reading() as tx:
            while len(found) <= limit:
                rows = await tx.statements.page(issuer=issuer, kind=kind, since_ms=since_ms, after=place, limit=1000)
                come = [row for row in rows if row.accepted_ms <= latest_ms]
                found += await self._seen(tx, come, reader)
                if len(come) < 1000:
                    break
                place = (rows[-1].accepted_ms, rows[-1].origin, rows[-1].index)
        items: list[JsonValue] = [self._brief_words(row, reader) for row in found[:limit]]
        if len(found) <= limit:
            return items, None
        last = found[limit - 1]
        return items, (last.accepted_ms, last.origin, last.index)

    async def held(self, member: str, *, after: tuple[int, str], limit: int) -> tuple[list[JsonValue], tuple[int, str] | None]:
        """What waits outside the log for a second key of this member."""
        async with self._database.reading() as tx:
            rows = await tx.held.page(member, after=after, limit=limit + 1)
        items: list[JsonValue] = [
            {"sid": h.sid, "issuer": h.issuer, "kid": h.kid, "kind": h.kind, "reason": h.reason, "received_at": instant_text(h.received_ms)}
            for h in rows[:limit]
        ]
        more = len(rows) > limit
        return items, (rows[limit - 1].received_ms, rows[limit - 1].sid) if more else None

    async def _seen(self, tx: Transaction, rows: Sequence[Stored], reader: Reader) -> list[Stored]:
        """Those of `rows` that exist for the reader. The public learns of a listing once none of its items is held back."""
        seen = [row for row in rows if is_own(row.issuer, reader) or can_read(row.label, reader.at(row.origin, row.index))]
        fresh: dict[str, list[str]] = {}
        for row in seen:
            if is_public(reader) and row.kind == "listing":
                fresh.setdefault(row.origin, []).append(row.sid)
        if not fresh:
            return seen
        moment = self._moment()
        items = [listing for origin, sids in fresh.items() for listing in await tx.subjects.listings_of_sids(origin, sids)]
        hidden = {(x.origin, x.sid) for x in items if is_held_back(x.item, x.accepted_ms, reader, moment)}
        return [row for row in seen if (row.origin, row.sid) not in hidden]

    def _brief_words(self, stored: Stored, reader: Reader) -> dict[str, JsonValue]:
        until = stored.state.expires_at
        return {
            "sid": stored.sid,
            "origin": stored.origin,
            "index": stored.index,
            "kind": stored.kind,
            "issuer": None if "NO-ATTRIBUTION" in stored.handling and reader.id != stored.issuer else stored.issuer,
            "tlp": str(stored.label.tlp),
            "accepted_at": instant_text(stored.accepted_ms),
            "state": self._state_word(stored),
            "effective_until": instant_text(until * 1000) if until is not None else None,
            "superseded_by": stored.state.superseded_by,
        }

    def _state_word(self, stored: Stored) -> str:
        word = stored.state.state.value
        until = stored.state.expires_at
        if word == "active" and until is not None and until <= self._moment().now_s:
            return "expired"
        return _STATE_WORDS.get(word, word)

    def _record_words(self, record: StatementRecord, reader: Reader) -> dict[str, JsonValue]:
        stored = record.stored
        entry = record.entry.decode("ascii")
        jws = entry.partition(" ")[2]
        until = stored.state.expires_at
        return {
            "sid": stored.sid,
            "origin": stored.origin,
            "index": stored.index,
            "accepted_at": instant_text(stored.accepted_ms),
            "stub": read_json(b64u_decode(jws.split(".")[1])),
            "jws": jws,
            "parts": self._parts(stored, record.parts, reader),
            "disclosures": [text for row in record.parts if self._reads_part(stored, row.part, reader) for text in row.texts],
            "state": self._state_word(stored),
            "effective_until": instant_text(until * 1000) if until is not None else None,
            "edges": [_edge_words(edge) for edge in record.edges if self._sees_edge(edge, reader)],
            "contested": stored.state.contested,
        }

    def _parts(self, stored: Stored, rows: Sequence[PartRow], reader: Reader) -> dict[str, JsonValue]:
        """Each part is its list of values, `withheld` or `erased`."""
        words: dict[str, JsonValue] = {}
        for part in stored.event.parts:
            own = [row for row in rows if row.part == part]
            if not self._reads_part(stored, part, reader):
                words[part] = "withheld"
            elif any(row.is_erased for row in own):
                words[part] = "erased"
            else:
                words[part] = [_value_of(text) for row in own for text in row.texts]
        return words

    def _reads_part(self, stored: Stored, part: str, reader: Reader) -> bool:
        label: Label | None = stored.event.parts.get(part)
        return label is not None and (can_read(label, reader.at(stored.origin, stored.index)) or is_own(stored.issuer, reader))

    def _sees_edge(self, edge: Event, reader: Reader) -> bool:
        return can_read(edge.label, reader.at(edge.origin, edge.index)) or is_own(edge.issuer, reader)

    # --- subjects ------------------------------------------------------------------------------------------------

    async def wallet(self, text: str, reader: Reader) -> dict[str, JsonValue]:
        """The record of a wallet, in any spelling; `not_listed` if nothing is known of it (schemas §4.3)."""
        subject = read_subject(text)
        if not isinstance(subject, Wallet):
            raise InvalidAddress("unknown_chain", f"this is a {describe(subject)}, not a wallet: ask /v1/indicators")
        others = [(sibling, read_subject(sibling.id)) for sibling in siblings(subject)]
        known = await self._index.known([subject, *(other for _, other in others)], reader)
        moment = self._moment()
        siblings_words: list[JsonValue] = [
            {"id": sibling.id, "relation": str(sibling.relation), "match": str(self._find(known, other, reader, moment).match)}
            for sibling, other in others
        ]
        head: dict[str, JsonValue] = {"id": subject.id, "family": subject.family, "chain": subject.chain, "address": subject.display}
        return {**head, **await self._subject_words(subject, reader, moment), "siblings": siblings_words}

    async def indicator(self, text: str, reader: Reader) -> dict[str, JsonValue]:
        """The record of an indicator: a canonical id, or a text that reads as one."""
        subject = _read_indicator(text)
        head: dict[str, JsonValue] = {"id": subject.id, "kind": subject.kind}
        return {**head, **await self._subject_words(subject, reader, self._moment())}

    async def _subject_words(self, subject: Wallet | Indicator, reader: Reader, moment: Moment) -> dict[str, JsonValue]:
        finding = self._find(await self._index.known([subject], reader), subject, reader, moment)
        async with self._database.reading() as tx:
            listings = visible(await tx.subjects.listings([subject.id]), reader, moment)
            links = await tx.subjects.links_of(subject.id)
        words = finding_words(finding, reader, moment)
        return {
            "match": words["match"],
            "protected": "local policy" if finding.match is Match.PROTECTED else None,
            "statements": [_long_words(listing, reader, moment) for listing in listings],
            "related": words["related"],
            "links": [_link_words(link) for link in links if sees_link(link, reader, moment)],
            "history": _history(listings, reader, moment),
            "as_of": instant_text(moment.now_ms),
            "degraded": is_degraded(moment.sources, moment.now_s),
        }

    # --- entities and search -------------------------------------------------------------------------------------

    async def entity(self, entity_id: str, reader: Reader) -> dict[str, JsonValue]:
        """What each agency says of an entity, side by side, never merged; not found if the reader may see nothing of it."""
        moment = self._moment()
        async with self._database.reading() as tx:
            listings = visible(await tx.subjects.listings([entity_id]), reader, moment)
            links = [link for link in await tx.subjects.links_of(entity_id) if sees_link(link, reader, moment)]
        if not listings:
            raise NotFound("no such entity for this caller: search with /v1/entities?q=")
        claims = [_claim(listing, reader, moment) for listing in listings]
        same = [link for link in links if link.item.get("relation") == "same_as"]
        return {
            "id": entity_id,
            "claims": [*claims],
            "same_as": [{"id": _other_end(link, entity_id), "sid": link.sid, "issuer": link.issuer} for link in same],
            "disagreements": _disagreements(listings),
            "links": [_link_words(link) for link in links],
            "as_of": instant_text(moment.now_ms),
            "degraded": is_degraded(moment.sources, moment.now_s),
        }

    async def entities(
        self, reader: Reader, *, text: str, kind: str | None, country: str | None, programme: str | None, after: str, limit: int
    ) -> tuple[list[JsonValue], str | None]:
        """Entities by name, kind, country and programme, by id; hidden ones leave no gap in a page."""
        moment = self._moment()
        items: list[JsonValue] = []
        async with self._database.reading() as tx:
            wanted = await tx.entities.search(text, kind=kind, country=country, programme=programme, after=after, limit=MOST_CANDIDATES)
            for start in range(0, len(wanted), 200):
                chunk = wanted[start : start + 200]
                by_id: dict[str, list[Listing]] = {}
                for listing in visible(await tx.subjects.listings(chunk), reader, moment):
                    by_id.setdefault(listing.subject, []).append(listing)
                for entity_id in chunk:
                    found = [x for x in by_id.get(entity_id, []) if x.state == "active" and _says(x, text, kind, country, programme)]
                    if not found:
                        continue
                    if len(items) == limit:
                        return items, str(_id_of(items[-1]))
                    items.append(_hit(found, entity_id, text))
        return items, None

    async def search(self, text: str, caller: Caller, *, limit: int) -> dict[str, JsonValue]:
        """Free search: says first what it took the text for, then what is known of that, then entities of that name."""
        reader, moment = caller.reader, self._moment()
        read_as, items = "name", list[JsonValue]()
        try:
            subject = read_subject(text)
        except InvalidAddress as error:
            read_as = "name" if error.code in ("alphabet", "length", "unknown_chain") else f"not readable: {error.code}"
        else:
            read_as = describe(subject)
            match = self._find(await self._index.known([subject], reader), subject, reader, moment).match
            kind = "wallet" if isinstance(subject, Wallet) else "indicator"
            items.append({"type": kind, "id": subject.id, "label": subject.display, "match": str(match), "score": 100, "why": "exact"})
        if not items:
            found, _ = await self.entities(reader, text=text, kind=None, country=None, programme=None, after="", limit=limit)
            items.extend(found)
        return {
            "read_as": read_as,
            "items": items[:limit],
            "as_of": instant_text(moment.now_ms),
            "degraded": is_degraded(moment.sources, moment.now_s),
        }

    # --- members -------------------------------------------------------------------------------------------------

    def members(self) -> list[JsonValue]:
        """Members with mandate, as the registry stands."""
        return [self.member(member.id) for member in self._keyring.members()]

    def member(self, member_id: str) -> dict[str, JsonValue]:
        """One member; not found for an unknown id."""
        member = self._keyring.member(member_id)
        if member is None:
            raise NotFound("no such member: /v1/members lists them")
        mandate = member.mandate
        return {
            "id": member.id,
            "name": member.name,
            "class": str(member.member_class),
            "country": member.country,
            "url": member.url,
            "contact": member.contact,
            "lei": member.lei,
            "mandate": {
                "kinds": [*sorted(mandate.kinds)],
                "categories": [*mandate.categories],
                "tlp_max": str(mandate.tlp_max),
                "quota_per_hour": mandate.quota_per_hour,
                "persons": mandate.persons,
            },
            "since_index": member.index,
        }

    def member_keys(self, member_id: str) -> list[JsonValue]:
        """Every key a member ever had, with its validity by log index and time; keys are never removed from history."""
        self.member(member_id)
        return [_key_words(record) for record in self._keyring.keys_of(member_id)]


def _read_indicator(text: str) -> Indicator:
    try:
        subject = read_id(text)
    except InvalidAddress:
        subject = read_subject(text)
    if not isinstance(subject, Indicator):
        raise InvalidAddress("unknown_chain", "this is no indicator: wallets are under /v1/wallets, entities under /v1/entities")
    return subject


def _value_of(disclosure: str) -> JsonValue:
    content = read_json(b64u_decode(disclosure))
    assert isinstance(content, list)
    return content[2]


def _edge_words(edge: Event) -> dict[str, JsonValue]:
    return {"kind": edge.kind, "sid": edge.sid, "origin": edge.origin, "issuer": edge.issuer}


def _link_words(link: Link) -> dict[str, JsonValue]:
    return {**link.item, "sid": link.sid, "issuer": link.issuer}


def _other_end(link: Link, here: str) -> JsonValue:
    return link.item.get("to") if link.item.get("from") == here else link.item.get("from")


def _long_words(listing: Listing, reader: Reader, moment: Moment) -> dict[str, JsonValue]:
    """A statement in a record: as in an answer, plus scope, embargo and context."""
    return {
        **statement_words(listing, reader, moment),
        "scope": listing.item.get("scope"),
        "embargo_until": listing.item.get("embargo_until"),
        "context": {k: v for k, v in listing.context.items() if k != "type"},
    }


def _history(listings: Sequence[Listing], reader: Reader, moment: Moment) -> list[JsonValue]:
    events: list[tuple[int, str, str]] = []
    for listing in listings:
        events.append((listing.accepted_ms, "listed", listing.sid))
        events.extend(
            (note.accepted_ms, "disputed" if note.kind == "dispute" else "endorsed", listing.sid)
            for note in listing.annotations
            if can_read(note.label, reader)
        )
        state = shown_state(listing, reader, moment)
        if state == "expired":
            events.append((listing.expires_at * 1000, "expired", listing.sid))
    return [{"at": instant_text(at), "event": event, "sid": sid} for at, event, sid in sorted(events)]


def _claim(listing: Listing, reader: Reader, moment: Moment) -> dict[str, JsonValue]:
    anonymous = "NO-ATTRIBUTION" in listing.handling
    names = ("names", "kind", "jurisdictions", "designations", "identifiers", "summary")
    said = {name: listing.item.get(name) for name in names}
    issuer = None if anonymous else listing.issuer
    return {"sid": listing.sid, "issuer": issuer, **said, "state": shown_state(listing, reader, moment)}


def _disagreements(listings: Sequence[Listing]) -> list[JsonValue]:
    """Members of the item in which live claims differ, with what each says."""
    live = [listing for listing in listings if listing.state == "active"]
    found: list[JsonValue] = []
    for name in ("kind", "jurisdictions"):
        values = [listing.item.get(name) for listing in live if listing.item.get(name) is not None]
        if any(value != values[0] for value in values):
            found.append({"member": name, "values": values})
    return found


def _says(listing: Listing, text: str, kind: str | None, country: str | None, programme: str | None) -> bool:
    """The candidate index may match through a claim that the reader does not see: judge again on what he does see."""
    item = listing.item
    names = " ".join(str(n.get("name", "")) for n in _objects(item.get("names")))
    programmes = {str(d.get("programme", "")).casefold() for d in _objects(item.get("designations"))}
    countries = item.get("jurisdictions")
    return (
        all(any(have.startswith(word) for have in words_of(names)) for word in words_of(text))
        and (kind is None or item.get("kind") == kind)
        and (country is None or (isinstance(countries, list) and country in countries))
        and (programme is None or programme.casefold() in programmes)
    )


def _objects(value: JsonValue) -> list[Mapping[str, JsonValue]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _hit(found: Sequence[Listing], entity_id: str, text: str) -> dict[str, JsonValue]:
    names = _objects(found[0].item.get("names"))
    label = str(names[0].get("name", entity_id)) if names else entity_id
    exact = words_of(label) == words_of(text)
    return {
        "type": "entity",
        "id": entity_id,
        "label": label,
        "match": None,
        "score": 100 if exact else 60,
        "why": "name" if text else "filter",
    }


def _id_of(item: JsonValue) -> JsonValue:
    return item["id"] if isinstance(item, dict) else None


def _key_words(record: KeyRecord) -> dict[str, JsonValue]:
    return {
        "kid": record.kid,
        "jwk": dict(record.public_key.jwk),
        "registered_index": record.registered_index,
        "not_before": instant_text(record.not_before * 1000),
        "expires": instant_text(record.expires * 1000),
        "revoked_from_index": record.revoked_from,
        "revocation_reason": str(record.reason) if record.reason else None,
    }
