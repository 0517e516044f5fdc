"""What listings say about ids: items, links, and the listings put together from them with state and annotations.

The node's own view, whoever may see it: `domain/answer` filters for the reader. Erasing a `core` part deletes its rows here; the
statement and its edges stay.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Sequence

from sqlalchemy import Table, bindparam, delete, or_, select, tuple_, update

from app.domain.address import far_keys, read_canonical_wallet
from app.domain.answer import Link, Listing
from app.domain.errors import InvalidAddress
from app.domain.folding import State
from app.storage.holding import HELD
from app.storage.item_rows import FREEZE, LINK, ItemRow
from app.storage.listing_rows import ANNOTATIONS, LINKS, LISTINGS, annotations_by_target, read_link, read_listing
from app.storage.session import Session
from app.storage.sql import Query, Row, insertion_if_absent, one_of
from app.storage.tables import entity_word, frozen, item, kin, link, statement

__all__ = ["ItemRow", "SubjectShelf", "far_keys_of", "read_listings"]

_I, _K, _S, _F = item.c, link.c, statement.c, frozen.c
_INDICES = select(_S.idx).where(_S.origin == bindparam("origin"), one_of(_S.sid, "sids"))
_IN_ORDER = (_S.accepted_ms, _I.origin, _I.idx, _I.number)
_AFTER = tuple_(_I.origin, _I.idx, _I.number) > tuple_(bindparam("after"), bindparam("index"), bindparam("number"))
_IS_ACTIVE = _S.state == State.ACTIVE.value
_IS_LIVE = _IS_ACTIVE & ~HELD
_BY_PLACE = (_I.origin, _I.idx, _I.number)
_OF_SUBJECTS = Query(LISTINGS.where(one_of(_I.subject, "subjects")).order_by(*_IN_ORDER))
_OF_SUBJECT = Query(LISTINGS.where(_I.subject == bindparam("subject")).order_by(*_IN_ORDER))
_OF_SIDS = Query(LISTINGS.where(_I.origin == bindparam("origin"), _I.idx.in_(_INDICES)).order_by(*_IN_ORDER))
_LIVE = Query(LISTINGS.where(_AFTER, _IS_LIVE).order_by(*_BY_PLACE).limit(bindparam("page")))
_FROM = Query(LINKS.where(_K.from_id == bindparam("id")))
_TO = Query(LINKS.where(_K.to_id == bindparam("id")))
_LINK_PLACE = (_K.origin, _K.idx, _K.number)
_LINKS_OF_SIDS = Query(LINKS.where(_K.origin == bindparam("origin"), _K.idx.in_(_INDICES)).order_by(*_LINK_PLACE))
# Few freezes are open at a time, an issuer's statements are many: the issuer is compared last, by us.
_OPEN_FREEZES = Query(
    select(_F.subject, _S.issuer)
    .select_from(frozen.join(statement, (_S.origin == _F.origin) & (_S.idx == _F.idx)))
    .where(_F.until_s > bindparam("now"), _IS_ACTIVE)
    .where(or_(_S.until_s.is_(None), _S.until_s > bindparam("now")))
)
_HAS_FAR_KEYS = ("bip122:", "monero:")
_PUT_FREEZES = insertion_if_absent(frozen)
_PUT_WORDS = insertion_if_absent(entity_word)


async def read_listings(session: Session, rows: Sequence[Row]) -> list[Listing]:
    """Rows of LISTINGS as listings, with their annotations."""
    annotated = {row[6] for row in rows if row[-1]}
    notes = annotations_by_target(await session.rows(ANNOTATIONS, sids=sorted(annotated))) if annotated else {}
    return [read_listing(row, notes) for row in rows]


def far_keys_of(subject: str) -> list[str]:
    """The keys under which a wallet is kept in `kin`; none for what is no wallet."""
    try:
        return [key.hex() for key in far_keys(read_canonical_wallet(subject))]
    except InvalidAddress:
        return []


def _erasure(table: Table) -> Query:
    return Query(delete(table).where(table.c.origin == bindparam("origin"), table.c.idx.in_(_INDICES)))


_ERASE = tuple(_erasure(table) for table in (item, link, frozen, entity_word, kin))
_ERASE_CONTEXT = Query(update(statement).where(_S.origin == bindparam("of"), one_of(_S.sid, "sids")).values(context=None))


class SubjectShelf:
    """Ids and what is said of them."""

    __slots__ = ("_session",)

    def __init__(self, session: Session) -> None:
        self._session = session

    async def put_items(self, rows: Sequence[ItemRow]) -> None:
        """Keep items, links, names, far keys and freeze requests.

        Their statements must be there, with the context in `StatementRow.context` and their disclosures in rows of `part`.
        """
        items, links, freezes, words, far = [], [], [], [], []
        for r in rows:
            if r.type == LINK:
                links.append((r.origin, r.index, r.number, r.subject, r.other, r.body))
            elif r.type == FREEZE:
                freezes.append((r.origin, r.index, r.subject, r.until_s))
            else:
                items.append(r[:10])
                if r.words:
                    words += [(word, r.subject, r.origin, r.index) for word in r.words]
                elif r.subject.startswith(_HAS_FAR_KEYS):
                    far += [(key, r.origin, r.index, r.number) for key in far_keys_of(r.subject)]
        if items:
            await self._session.load(item, items)
        if links:
            await self._session.load(link, links)
        if far:
            await self._session.load(kin, far)
        await self._session.run_many(_PUT_FREEZES, freezes)
        await self._session.run_many(_PUT_WORDS, words)

    async def listings(self, subjects: Collection[str]) -> list[Listing]:
        """Every listing of the ids, in any state, oldest first, with its annotations; `held`: it does not count here."""
        if len(subjects) == 1:
            (subject,) = subjects
            return await read_listings(self._session, await self._session.rows(_OF_SUBJECT, subject=subject))
        return await read_listings(self._session, await self._session.rows(_OF_SUBJECTS, subjects=subjects)) if subjects else []

    async def listings_of_sids(self, origin: str, sids: Collection[str]) -> list[Listing]:
        """Every item of the statements, as listings."""
        return await read_listings(self._session, await self._session.rows(_OF_SIDS, origin=origin, sids=sids)) if sids else []

    async def live_listings(self, *, page: int = 2000) -> AsyncIterator[Listing]:
        """Every listing that is active and counts here, by place; memory for one page. Expiry is for the reader to judge."""
        async for rows in self._live(_LIVE, page):
            for listing in await read_listings(self._session, rows):
                yield listing

    async def links_of(self, id_: str) -> list[Link]:
        """Declared links from or to an id, in any state, oldest first."""
        rows = {row[:3]: row for query in (_FROM, _TO) for row in await self._session.rows(query, id=id_)}
        return [read_link(row) for row in sorted(rows.values(), key=lambda row: (row[5], *row[:3]))]

    async def links_of_sids(self, origin: str, sids: Collection[str]) -> list[Link]:
        """Every link that the statements declare, in any state."""
        return [read_link(row) for row in await self._session.rows(_LINKS_OF_SIDS, origin=origin, sids=sids)] if sids else []

    async def open_freezes(self, issuer: str, now_s: int) -> frozenset[str]:
        """The ids that freeze requests of an issuer name which are still open."""
        rows = await self._session.rows(_OPEN_FREEZES, now=now_s)
        return frozenset(subject for subject, asked_by in rows if asked_by == issuer)

    async def erase_items(self, origin: str, sids: Collection[str]) -> int:
        """Delete all that the `core` parts of statements said here, contexts too; the number of rows. Afterwards: `Database.forget`."""
        if not sids:
            return 0
        erased = sum([await self._session.run(query, origin=origin, sids=sids) for query in _ERASE])
        await self._session.run(_ERASE_CONTEXT, of=origin, sids=sids)
        return erased

    async def _live(self, query: Query, page: int) -> AsyncIterator[list[Row]]:
        after, index, number = "", -1, -1
        while True:
            rows = await self._session.rows(query, after=after, index=index, number=number, page=page)
            yield rows
            if len(rows) < page:
                return
            after, index, number = rows[-1][:3]
