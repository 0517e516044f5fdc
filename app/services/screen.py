"""Screening: one address or many against the live listings, in memory; hits of known callers are recorded before they are told.

Nothing here knows HTTP. A bad row gets its own typed error and never fails the others (schemas §4.2). The text asked for is never
logged; of a hit the access log keeps the id, since that is what it is for (trust-and-ops §1.7).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from app.domain.address import Wallet
from app.domain.answer import (
    Finding,
    Listing,
    Match,
    Moment,
    Related,
    Relation,
    Scope,
    find,
    finding_words,
    instant_text,
    sees_link,
)
from app.domain.canonical import JsonValue
from app.domain.errors import InvalidAddress
from app.domain.identifiers import Indicator, read_subject
from app.domain.labels import Reader
from app.domain.sources import is_degraded
from app.index.listings import ListingIndex
from app.storage.audit import AuditEntry

BREATH = 250
"""Rows of a list between two chances for other callers."""

# What a declared link makes of its two ends in an answer; the other relations (controls, hosts, advertises …) are for records.
_LINK_RELATIONS = {
    "same_cluster": Relation.SAME_CLUSTER,
    "transfers_to": Relation.COUNTERPARTY,
    "deposits_at": Relation.COUNTERPARTY,
    "cashes_out_at": Relation.COUNTERPARTY,
}


@dataclass(frozen=True, slots=True)
class Query:
    """One row to screen, as the caller wrote it."""

    address: str
    chain: str | None = None
    tag: str | None = None
    reference: str | None = None


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks, as far as an answer and the access log need to know; `actor` is empty for the public."""

    reader: Reader
    actor: str = ""
    purpose: str = ""
    case: str = ""


class Screening:
    """Answers from the index at the moment the clock tells."""

    def __init__(
        self, index: ListingIndex, *, moment: Callable[[], Moment], record: Callable[[Sequence[AuditEntry]], Awaitable[None]]
    ) -> None:
        self._index = index
        self._moment = moment
        self._record = record

    async def screen_one(self, query: Query, caller: Caller) -> dict[str, JsonValue]:
        """The single form: `result` in place of `results`."""
        moment = self._moment()
        words, entry = self._row(0, query, caller, moment)
        if entry is not None:
            await self._record([entry])
        return {**self.frame(moment), "result": words}

    async def screen_many(self, queries: Sequence[Query], caller: Caller, *, hits_only: bool) -> dict[str, JsonValue]:
        """All rows at one moment, in their order; `hits_only` leaves out `not_listed`."""
        moment = self._moment()
        results: list[JsonValue] = []
        entries: list[AuditEntry] = []
        for row, query in enumerate(queries):
            words, entry = self._row(row, query, caller, moment)
            if entry is not None:
                entries.append(entry)
            if not hits_only or words["match"] != Match.NOT_LISTED:
                results.append(words)
            if row % BREATH == BREATH - 1:
                await asyncio.sleep(0)  # a long list must not keep single lookups waiting
        await self._record(entries)
        return {**self.frame(moment), "results": results}

    def frame(self, moment: Moment) -> dict[str, JsonValue]:
        """What every answer says of its sources. The node's own log is never stale to itself: `age_s` must not tell of hidden entries."""
        own: JsonValue = {"origin": moment.own_origin, "state": "live", "age_s": 0, "stale": False}
        followed = [source.words(moment.now_s) for source in moment.sources]
        return {"as_of": instant_text(moment.now_ms), "degraded": is_degraded(moment.sources, moment.now_s), "sources": [own, *followed]}

    def find(self, subject: Wallet | Indicator, reader: Reader, moment: Moment) -> Finding:
        """What is known of one subject for one reader."""
        listings = self._index.find(subject.id)
        related = self._related(subject, reader, moment)
        scope = Scope(subject.scope_chain, subject.tag) if isinstance(subject, Wallet) else Scope()
        return find(subject.id, listings, related, scope=scope, reader=reader, moment=moment)

    def _row(self, row: int, query: Query, caller: Caller, moment: Moment) -> tuple[dict[str, JsonValue], AuditEntry | None]:
        head: dict[str, JsonValue] = {"row": row, "reference": query.reference, "query": query.address}
        try:
            subject = read_subject(query.address, chain=query.chain, tag=query.tag)
        except InvalidAddress as error:
            fault: JsonValue = {"code": error.code, "detail": error.detail}
            return {**head, "id": None, **_invalid(), "policy": None, "human_review": None, "error": fault}, None
        finding = self.find(subject, caller.reader, moment)
        words = finding_words(finding, caller.reader, moment)
        hit = finding.match in (Match.LISTED, Match.RELATED) or bool(finding.statements)
        review = "required" if finding.match in (Match.LISTED, Match.RELATED) else None
        entry = _audit_entry(subject.id, finding, caller, moment) if hit and caller.actor else None
        return {**head, "id": subject.id, **words, "policy": None, "human_review": review, "error": None}, entry

    def _related(self, subject: Wallet | Indicator, reader: Reader, moment: Moment) -> list[Related]:
        related = [
            Related(other, relation, self._index.find(other))
            for link in self._index.links(subject.id)
            if (relation := _LINK_RELATIONS.get(str(link.item.get("relation")))) and sees_link(link, reader, moment)
            for other in (str(link.item["from"]), str(link.item["to"]))
            if other != subject.id
        ]
        if not isinstance(subject, Wallet):
            return related
        return [Related(i, Relation.SAME_KEY, self._index.find(i)) for i in self._index.same_key(subject)] + related


def _invalid() -> dict[str, JsonValue]:
    return {"match": str(Match.INVALID), "severity": None, "statements": [], "related": []}


def _audit_entry(subject: str, finding: Finding, caller: Caller, moment: Moment) -> AuditEntry:
    told: list[Listing] = list(finding.statements)
    return AuditEntry(
        at_ms=moment.now_ms,
        actor=caller.actor,
        action="screen",
        subject=subject,
        purpose=caller.purpose,
        case=caller.case,
        sids=tuple(dict.fromkeys(listing.sid for listing in told)),
    )
