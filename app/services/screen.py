"""Screening: one address or many against the live listings; hits of known callers are recorded before they are told.

What may be known of an id is asked of the index first: of one of which the reader may know nothing no database is asked.

Nothing here knows HTTP. A bad row gets its own typed error and never fails the others (schemas §4.2). The text asked for is never
logged; of a hit the access log keeps the id, since that is what it is for (trust-and-ops §1.7).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple, Protocol

import orjson

from app.domain.address import Wallet
from app.domain.answer import (
    NOTHING,
    Finding,
    Match,
    Moment,
    Related,
    Relation,
    Scope,
    find,
    finding_words,
    instant_text,
    is_guard,
    is_public,
    makes_listed,
    max_tlp,
    sees_link,
)
from app.domain.canonical import JsonValue
from app.domain.errors import InvalidAddress
from app.domain.identifiers import Indicator, read_subject
from app.domain.labels import PUBLIC, Reader
from app.domain.phrases import DAY_S, Phrase, Phrases
from app.domain.policy_rules import Policy, evaluate
from app.domain.rows import UNJUDGED, Line, Query, line_of
from app.domain.screening_receipt import Told
from app.domain.sources import Source, is_degraded
from app.domain.watching import Word, told_word
from app.index.known import NOTHING_KNOWN, Knowing, Known, ends_of
from app.storage.audit import AuditEntry, Note, as_one
from app.storage.database import Transaction

__all__ = ["Answer", "Caller", "Query", "Screened", "Screening", "find_in"]

_SERIOUS = (Match.LISTED, Match.RELATED)
BREATH = 250
"""Rows of a list between two chances for other callers."""
MOST_TOLD = 8_192
"""Texts of hits of which is kept what was told: lists come again, and the same rows of them are listed."""

# What a declared link makes of its two ends in an answer; the other relations (controls, hosts, advertises …) are for records.
_LINK_RELATIONS = {
    "same_cluster": Relation.SAME_CLUSTER,
    "transfers_to": Relation.COUNTERPARTY,
    "deposits_at": Relation.COUNTERPARTY,
    "cashes_out_at": Relation.COUNTERPARTY,
}


_WHOLE = Scope()


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks, as far as an answer and the access log need to know; `actor` is empty for the public.

    `owner`: under whose name the told-index keeps what he is told; empty: it keeps nothing.
    """

    reader: Reader
    actor: str = ""
    purpose: str = ""
    case: str = ""
    owner: str = ""


class Answer(NamedTuple):
    """The answer to a single question as JSON, with what the floor above has to know of it."""

    body: bytes
    match: str
    tlps: tuple[str, ...]
    """The labels of the statements that it tells."""


Tell = Callable[[Answer], object]


@dataclass(frozen=True, slots=True)
class Screened:
    """Rows that were answered in one step: their words, what must be recorded first, and what a receipt says of them."""

    frame: dict[str, JsonValue]
    results: list[dict[str, JsonValue]]
    entries: list[AuditEntry]
    rows: list[Told]
    moment: Moment


class Record(Protocol):
    """Who makes durable what is about to be told (`services/audit`)."""

    def __call__(self, entries: Sequence[AuditEntry], *, then: Callable[[], object] | None = None) -> Awaitable[None]:
        """`then` is called as soon as they are durable, before what is given is done."""
        ...


_Read = Wallet | Indicator | InvalidAddress
"""What a row asks for, or why it cannot be read."""


@dataclass(frozen=True, slots=True)
class _Asking:
    """What all rows of one question have in common."""

    known: Known
    caller: Caller
    moment: Moment
    policy: Policy | None = None


class _Row(NamedTuple):
    """One row: its words, what a receipt says of it, and what has to be recorded before it is told."""

    words: dict[str, JsonValue]
    told: Told
    entry: AuditEntry | None = None


class _Hit(NamedTuple):
    """A plain hit, as a text that was asked for alone was told of it. True for as long as what was read of the id stands, on the same day."""

    id: str
    known: Known
    phrase: Phrase
    head: bytes
    """The members of the result up to the words of the phrase."""
    line: Line
    """The whole, judged by nobody."""
    expires_at: int
    origin: str
    sid: str


class Screening:
    """Answers from the index at the moment the clock tells."""

    def __init__(self, index: Knowing, *, moment: Callable[[], Moment], record: Record) -> None:
        self._index = index
        self._moment = moment
        self._record = record
        self._phrases = Phrases()
        self._told: dict[Query, _Hit] = {}
        self._told_day = -1
        self._opening: tuple[int, tuple[Source, ...], bytes] = (-1, (), b"")

    async def screen_one(self, query: Query, caller: Caller) -> dict[str, JsonValue]:
        """The single form: `result` in place of `results`."""
        (subject,) = _read([query])
        known = await self._known([subject], caller.reader)
        moment = self._moment()
        done = _row(0, query, subject, _Asking(known, caller, moment))
        if done.entry is not None:
            await self._record([done.entry])
        return {**self.frame(moment), "result": done.words}

    async def answer_one(self, query: Query, caller: Caller) -> Answer:
        """`screen_one` as JSON, byte for byte."""
        told: list[Answer] = []
        rest = self.answer_at_once(query, caller, told.append)
        if rest is not None:
            await rest
        return told[0]

    def answer_at_once(self, query: Query, caller: Caller, tell: Tell) -> Awaitable[None] | None:
        """`answer_one` for the hot path: `tell` is given the answer in the very moment in which it may leave.

        For nearly all that nothing is said of that is now: then None. Else what is left to be awaited, for a look into the database or
        for the disk that has to have the entry of a hit.
        """
        try:
            subject = read_subject(query.address, chain=query.chain, tag=query.tag)
        except InvalidAddress as error:
            tell(Answer(self._open(self._moment()) + orjson.dumps(_unread(0, query, error)) + b"}", "invalid", ()))
            return None
        known = self._index.at_hand(subject, caller.reader)
        if known is NOTHING_KNOWN:
            moment = self._moment()
            if query.reference is None and not moment.protected(subject.id):
                tell(self._miss(query, subject.id, moment))
                return None
        return self._tell_looked_up(subject, query, caller, tell) if known is None else self._tell(known, subject, query, caller, tell)

    async def _tell_looked_up(self, subject: Wallet | Indicator, query: Query, caller: Caller, tell: Tell) -> None:
        rest = self._tell(await self._index.known((subject,), caller.reader), subject, query, caller, tell)
        if rest is not None:
            await rest

    def _tell(self, known: Known, subject: Wallet | Indicator, query: Query, caller: Caller, tell: Tell) -> Awaitable[None] | None:
        answer, entry = self._answer(known, subject, query, caller)
        if entry is None:
            tell(answer)
            return None
        return self._record([entry], then=partial(tell, answer))

    def _answer(self, known: Known, subject: Wallet | Indicator, query: Query, caller: Caller) -> tuple[Answer, AuditEntry | None]:
        """What is told, written from what many answers have in common, and what has to be recorded first."""
        moment = self._moment()
        phrase = self._plain(known, subject, caller.reader, moment)
        if phrase is not None and query.reference is None:
            line = _plain_line(_head(query, subject.id), phrase, None)
            answer = Answer(b'%b{"row":0,%b}' % (self._open(moment), line.body), line.match, phrase.tlps)
            return answer, _plain_entry(subject.id, phrase, caller, moment)
        finding = find_in(known, subject, caller.reader, moment)
        if finding is NOTHING and query.reference is None:
            return self._miss(query, subject.id, moment), None
        words = _words(0, query, subject.id, finding, finding_words(finding, caller.reader, moment, say=self._phrases.say))
        body = self._open(moment) + orjson.dumps(words) + b"}"
        answer = Answer(body, str(finding.match), tuple([max_tlp(listing) for listing in finding.statements]))
        return answer, _audit_entry(subject.id, finding, caller, moment)

    def _miss(self, query: Query, subject: str, moment: Moment) -> Answer:
        return Answer(self._open(moment) + _MISS % (orjson.dumps(query.address), orjson.dumps(subject)), "not_listed", ())

    def _open(self, moment: Moment) -> bytes:
        """`frame` up to the result: the same for a second, for as long as the sources are the same object."""
        second, sources, opening = self._opening
        if second != moment.now_s or sources is not moment.sources:
            opening = orjson.dumps(self.frame(moment))[:-1] + b',"result":'
            self._opening = (moment.now_s, moment.sources, opening)
        return opening

    async def screen_many(
        self, queries: Sequence[Query], caller: Caller, *, hits_only: bool, policy: Policy | None = None
    ) -> dict[str, JsonValue]:
        """All rows at one moment, in their order; `hits_only` leaves out `not_listed`; each with what `policy` makes of it."""
        moment = self._moment()
        results: list[JsonValue] = []
        entries: list[AuditEntry] = []
        for start in range(0, len(queries), BREATH):
            some = queries[start : start + BREATH]
            subjects = _read(some)
            asking = _Asking(await self._known(subjects, caller.reader), caller, moment, policy)
            for row, (query, subject) in enumerate(zip(some, subjects, strict=True), start):
                done = _row(row, query, subject, asking)
                if done.entry is not None:
                    entries.append(done.entry)
                if not hits_only or done.words["match"] != Match.NOT_LISTED:
                    results.append(done.words)
            if len(some) == BREATH:
                await asyncio.sleep(0)  # a long list must not keep single lookups waiting
        await self._record(entries)
        return {**self.frame(moment), "results": results}

    async def lines(self, queries: Sequence[Query], caller: Caller, *, policy: Policy | None = None) -> list[Line]:
        """`screen_many` of all rows, each as JSON, byte for byte, with one entry of the access log a hit and one wait for all of them."""
        moment = self._moment()
        found: list[Line] = []
        notes: list[Note] = []
        for start in range(0, len(queries), BREATH):
            some = queries[start : start + BREATH]
            told = self._told_before(some, caller, moment, policy)
            rest = [query for query, one in zip(some, told, strict=True) if one is None]
            subjects = _read(rest)
            asking = _Asking(await self._known(subjects, caller.reader) if rest else NOTHING_KNOWN, caller, moment, policy)
            following = zip(rest, subjects, strict=True)
            for one in told:
                line, note = one or self._line(*next(following), asking)
                found.append(line)
                if note is not None:
                    notes.append(note)
            if len(some) == BREATH:
                await asyncio.sleep(0)
        await self._record(as_one(AuditEntry(moment.now_ms, caller.actor, "screen", "", caller.purpose, caller.case), notes))
        return found

    def _told_before(
        self, queries: Sequence[Query], caller: Caller, moment: Moment, policy: Policy | None
    ) -> list[tuple[Line, Note | None] | None]:
        """What `_line` would say, of those rows that are plain hits, were told before and are what they were; None for the others."""
        if is_public(caller.reader):
            return [None] * len(queries)
        standing, told, protected = self._index.standing(), self._told, moment.protected
        now_s, weightless, actor, owner = moment.now_s, moment.weightless, caller.actor, caller.owner
        if now_s // DAY_S != self._told_day:
            told.clear()
        found: list[tuple[Line, Note | None] | None] = []
        for query, hit in zip(queries, map(told.get, queries), strict=True):
            if hit is None:
                found.append(None)
                continue
            id_, known, phrase, head, line, expires_at, origin, sid = hit
            if standing.get(id_) is not known or expires_at <= now_s or origin in weightless:
                del told[query]  # what was erased must not stay for its sake
                found.append(None)
            elif protected(id_):
                found.append(None)
            else:
                note = (id_, (sid,), ((owner, origin, sid, id_, _ACTIVE),) if owner else ()) if actor else None
                found.append((line if policy is None else _plain_line(head, phrase, policy), note))
        return found

    def _keep_told(self, query: Query, subject: str, phrase: Phrase, line: Line, moment: Moment) -> None:
        """Remember what was told, for as long as the index still has what it was told from; of texts that came alone."""
        known, one = self._index.standing().get(subject), phrase.listing
        if known is None or known.links_of or known.kin or query[1:] != _ALONE or tuple(known.find(subject)) != (one,):
            return
        day = moment.now_s // DAY_S
        if day != self._told_day or len(self._told) >= MOST_TOLD:
            self._told, self._told_day = {}, day
        self._told[query] = _Hit(subject, known, phrase, _head(query, subject), line, one.expires_at, one.origin, one.sid)

    def _line(self, query: Query, subject: _Read, asking: _Asking) -> tuple[Line, Note | None]:
        if isinstance(subject, InvalidAddress):
            return line_of(_unread(0, query, subject)), None
        known, caller, moment, policy = asking.known, asking.caller, asking.moment, asking.policy
        phrase = self._plain(known, subject, caller.reader, moment) if query.reference is None else None
        if phrase is not None:
            head = _head(query, subject.id)
            line = _plain_line(head, phrase, None)
            self._keep_told(query, subject.id, phrase, line, moment)
            entry = _plain_entry(subject.id, phrase, caller, moment)
            return line if policy is None else _plain_line(head, phrase, policy), None if entry is None else _note_of(entry)
        finding = find_in(known, subject, caller.reader, moment)
        words = _words(0, query, subject.id, finding, finding_words(finding, caller.reader, moment, say=self._phrases.say))
        if policy is not None:
            words["policy"] = _judged(policy, finding, caller.reader, moment)
        line = line_of(words, tuple([max_tlp(listing) for listing in finding.statements]))
        entry = _audit_entry(subject.id, finding, caller, moment)
        return line, None if entry is None else _note_of(entry)

    def _plain(self, known: Known, subject: Wallet | Indicator, reader: Reader, moment: Moment) -> Phrase | None:
        """The words of a hit that takes no thought (`domain/phrases`); None for every other subject, hit or miss."""
        phrase = self._phrases.plain(known.find(subject.id), reader, moment)
        if phrase is None or moment.protected(subject.id) or _related(known, subject, reader, moment):
            return None
        return phrase

    async def screen_in(
        self, tx: Transaction, queries: Sequence[Query], caller: Caller, *, policy: Policy | None = None
    ) -> Callable[[Moment], Screened]:
        """All rows as a snapshot has them, for a receipt: what is answered at a moment, without giving up the turn.

        What is told has yet to be recorded.
        """
        subjects = _read(queries)
        known = await self._index.known_in(tx, [one for one in subjects if not isinstance(one, InvalidAddress)], caller.reader)
        return lambda moment: self._screened(queries, subjects, _Asking(known, caller, moment, policy))

    def _screened(self, queries: Sequence[Query], subjects: Sequence[_Read], asking: _Asking) -> Screened:
        done = [_row(row, query, subject, asking) for row, (query, subject) in enumerate(zip(queries, subjects, strict=True))]
        entries = [one.entry for one in done if one.entry is not None]
        return Screened(self.frame(asking.moment), [one.words for one in done], entries, [one.told for one in done], asking.moment)

    async def _known(self, read: Sequence[_Read], reader: Reader) -> Known:
        return await self._index.known([one for one in read if not isinstance(one, InvalidAddress)], reader)

    def frame(self, moment: Moment) -> dict[str, JsonValue]:
        """What every answer says of its sources. The node's own log is never stale to itself: `age_s` must not tell of hidden entries."""
        own: JsonValue = {"origin": moment.own_origin, "state": "live", "age_s": 0, "stale": False}
        followed = [source.words(moment.now_s) for source in moment.sources]
        return {"as_of": instant_text(moment.now_ms), "degraded": is_degraded(moment.sources, moment.now_s), "sources": [own, *followed]}


def find_in(known: Known, subject: Wallet | Indicator, reader: Reader, moment: Moment) -> Finding:
    """What is known of one subject for one reader; `known` was read for it."""
    related = _related(known, subject, reader, moment)
    scope = Scope(subject.scope_chain, subject.tag) if isinstance(subject, Wallet) else _WHOLE
    return find(subject.id, known.find(subject.id), related, scope=scope, reader=reader, moment=moment)


def _related(known: Known, subject: Wallet | Indicator, reader: Reader, moment: Moment) -> Sequence[Related]:
    links = known.links(subject.id)
    kin = known.same_key(subject) if isinstance(subject, Wallet) else ()
    if not links and not kin:
        return ()
    related = [Related(other, Relation.SAME_KEY, known.find(other)) for other in kin]
    related += [
        Related(other, relation, known.find(other))
        for link in links
        if (relation := _LINK_RELATIONS.get(str(link.item.get("relation")))) and sees_link(link, reader, moment)
        for other in ends_of(link)
        if other != subject.id
    ]
    return related


def _read(queries: Sequence[Query]) -> list[_Read]:
    """What each row asks for, or why it cannot be read."""
    found: list[_Read] = []
    for query in queries:
        try:
            found.append(read_subject(query.address, chain=query.chain, tag=query.tag))
        except InvalidAddress as error:
            found.append(error)
    return found


def _row(row: int, query: Query, subject: _Read, asking: _Asking) -> _Row:
    if isinstance(subject, InvalidAddress):
        return _Row(_unread(row, query, subject), Told(query.address, Match.INVALID))
    caller, moment = asking.caller, asking.moment
    finding = find_in(asking.known, subject, caller.reader, moment)
    words = _words(row, query, subject.id, finding, finding_words(finding, caller.reader, moment))
    if asking.policy is not None:
        words["policy"] = _judged(asking.policy, finding, caller.reader, moment)
    told = Told(subject.id, finding.match, tuple([(x.origin, x.index, x.sid) for x in finding.statements]))
    return _Row(words, told, _audit_entry(subject.id, finding, caller, moment))


def _words(row: int, query: Query, subject: str, finding: Finding, words: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    """One result; `words` are those of the finding."""
    head: dict[str, JsonValue] = {"row": row, "reference": query.reference, "query": query.address, "id": subject}
    return {**head, **words, "policy": None, "human_review": "required" if finding.match in _SERIOUS else None, "error": None}


def _judged(policy: Policy, finding: Finding, reader: Reader, moment: Moment) -> JsonValue:
    """What the caller's own policy makes of a finding: its rules see the listings that make the id listed, and no others."""
    listings = [one for one in finding.statements if finding.match is Match.LISTED and makes_listed(one, reader, moment)]
    return evaluate(policy, listings).words(policy)


def _unread(row: int, query: Query, error: InvalidAddress) -> dict[str, JsonValue]:
    """The result for a text that nobody can read."""
    head: dict[str, JsonValue] = {"row": row, "reference": query.reference, "query": query.address, "id": None}
    nothing: dict[str, JsonValue] = {"match": str(Match.INVALID), "severity": None, "statements": [], "related": []}
    return {**head, **nothing, "policy": None, "human_review": None, "error": {"code": error.code, "detail": error.detail}}


def _written_miss() -> bytes:
    """The end of an answer that found nothing, with two places left open: the query and the id."""
    words = _words(0, Query("?"), "?", NOTHING, finding_words(NOTHING, PUBLIC, Moment(now_ms=0)))
    assert b"%" not in orjson.dumps(words)
    return orjson.dumps(words).replace(b'"?"', b"%b") + b"}"


_MISS = _written_miss()
_ACTIVE = str(Word.ACTIVE)
_LISTED = str(Match.LISTED)
_ALONE = Query("")[1:]
"""What a query says beside its text if it says nothing."""


def _head(query: Query, subject: str) -> bytes:
    return b'"reference":null,"query":%b,"id":%b,' % (orjson.dumps(query.address), orjson.dumps(subject))


def _plain_line(head: bytes, phrase: Phrase, policy: Policy | None) -> Line:
    judged = UNJUDGED if policy is None else orjson.dumps(evaluate(policy, [phrase.listing]).words(policy))
    return Line(_LISTED, b'%b%b,"policy":%b,"human_review":"required","error":null}' % (head, phrase.told, judged), phrase.tlps)


def _plain_entry(subject: str, phrase: Phrase, caller: Caller, moment: Moment) -> AuditEntry | None:
    """`_audit_entry` of a plain hit."""
    if not caller.actor:
        return None
    one = phrase.listing
    told = ((caller.owner, one.origin, one.sid, subject, _ACTIVE),) if caller.owner else ()
    return AuditEntry(moment.now_ms, caller.actor, "screen", subject, caller.purpose, caller.case, (one.sid,), told)


def _note_of(entry: AuditEntry) -> Note:
    """What of an entry is not the same for all hits of one list."""
    return entry.subject, entry.sids, entry.told


def _audit_entry(subject: str, finding: Finding, caller: Caller, moment: Moment) -> AuditEntry | None:
    """What a known caller is about to be told, if it is anything."""
    if not caller.actor or not (finding.statements or finding.match in _SERIOUS):
        return None
    sids = tuple(dict.fromkeys([listing.sid for listing in finding.statements]))
    return AuditEntry(
        moment.now_ms, caller.actor, "screen", subject, caller.purpose, caller.case, sids, _told(subject, finding, caller, moment)
    )


def _told(subject: str, finding: Finding, caller: Caller, moment: Moment) -> tuple[tuple[str, str, str, str, str], ...]:
    """What he must be told of when it ends: the statements that he learns of now (trust-and-ops CP-1)."""
    if not caller.owner:
        return ()
    return tuple(
        [
            (caller.owner, one.origin, one.sid, subject, str(told_word([one], caller.reader, moment)))
            for one in finding.statements
            if not is_guard(one.item)
        ]
    )
