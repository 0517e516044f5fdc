"""Entities by name: an inverted index of the words of their names and of their kind, countries and programmes.

A hit is a candidate: the caller reads its listings and shows what its reader may see. Rows come and go with the items
(`subjects.put_items`, `subjects.erase_items`).
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import bindparam, select

from app.storage.session import Session
from app.storage.sql import Query, one_of
from app.storage.tables import entity_word
from app.storage.words import tag, words_of

_W = entity_word.c
_IN_RANGE = (_W.word >= bindparam("word"), _W.word < bindparam("end"))
_OF_WORD = Query(select(_W.subject).distinct().where(*_IN_RANGE).order_by(_W.subject).limit(bindparam("most")))
_NARROW = Query(select(_W.subject).distinct().where(*_IN_RANGE, one_of(_W.subject, "subjects")))
MOST_CANDIDATES = 20_000
_EVERY_KIND = tag("kind", "")
_ANY_ENDING = "\U0010ffff"


class EntityShelf:
    """Entities of all listings, whatever their state."""

    __slots__ = ("_session",)

    def __init__(self, session: Session) -> None:
        self._session = session

    async def search(
        self,
        text: str = "",
        *,
        kind: str | None = None,
        country: str | None = None,
        programme: str | None = None,
        after: str = "",
        limit: int = 100,
    ) -> list[str]:
        """Subjects whose names hold every word of `text` (the last one may be unfinished), in order of the id, after `after`.

        Asked for nothing in particular it gives all. A search that starts from more than 20,000 candidates looks at the first of them.
        """
        exact = [tag(name, value) for name, value in (("kind", kind), ("country", country), ("programme", programme)) if value]
        *whole, last = words_of(text) or [""]
        # No word holds a space, so [word, word + space) is the word alone.
        ranges = [(word, word + " ") for word in (*exact, *whole)]
        if last:
            ranges.append((last, last + _ANY_ENDING))
        if not ranges and text:
            return []  # signs without a letter or a digit
        found = await self._subjects(ranges or [(_EVERY_KIND, _EVERY_KIND + _ANY_ENDING)])
        return sorted(subject for subject in found if subject > after)[:limit]

    async def _subjects(self, ranges: Sequence[tuple[str, str]]) -> set[str]:
        # The longest word is the rarest, as far as one can tell without statistics.
        (word, end), *others = sorted(ranges, key=lambda one: (one[0].startswith("="), -len(one[0])))
        rows = await self._session.rows(_OF_WORD, word=word, end=end, most=MOST_CANDIDATES)
        found = {subject for (subject,) in rows}
        for word, end in others:
            if not found:
                break
            rows = await self._session.rows(_NARROW, word=word, end=end, subjects=sorted(found))
            found = {subject for (subject,) in rows}
        return found
