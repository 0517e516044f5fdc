"""The receipt of a screening: what a node told one client at one moment, without naming what was asked (protocol §3.10).

Claims: `iss` node, `sub` client, `iat` and `as_of` in seconds, `rid`, `view` (hex SHA-256 of the head note of the client's tier),
`degraded`, `q` (hex `SHA-256(salt ‖ text)` each), `r` (the match word of each), `hits` ({q: position, o: origin, i: index, sid}). The text
is the canonical id, or what was sent where it cannot be read. The salts go to the client alone: without them nobody can guess.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256

from .answer import Match
from .canonical import JsonValue
from .errors import Malformed

SALT_BYTES = 16
MOST_ITEMS = 500
MOST_HITS = 900
_MEMBERS = frozenset({"iss", "sub", "iat", "rid", "as_of", "view", "degraded", "q", "r", "hits"})
_HIT = frozenset({"q", "o", "i", "sid"})
_HEX = re.compile(r"[0-9a-f]{64}")
_RID = re.compile(r"[A-Za-z0-9_-]{22}")
_WORDS = frozenset(map(str, Match))


@dataclass(frozen=True, slots=True)
class Hit:
    """A statement that was told for the question at `question`: where it stands in which log."""

    question: int
    origin: str
    index: int
    sid: str


@dataclass(frozen=True, slots=True)
class Told:
    """One row as it was answered: the text that is hashed, the word, and (origin, index, sid) of the statements told."""

    text: str
    match: str
    statements: tuple[tuple[str, int, str], ...] = ()


@dataclass(frozen=True, slots=True)
class ScreeningReceipt:
    """The claims of a receipt, read."""

    issuer: str
    subject: str
    issued_at: int
    rid: str
    as_of: int
    view: str
    degraded: bool
    questions: tuple[str, ...]
    matches: tuple[str, ...]
    hits: tuple[Hit, ...]

    def claims(self) -> dict[str, JsonValue]:
        """As they are signed."""
        return {
            "iss": self.issuer,
            "sub": self.subject,
            "iat": self.issued_at,
            "rid": self.rid,
            "as_of": self.as_of,
            "view": self.view,
            "degraded": self.degraded,
            "q": [*self.questions],
            "r": [*self.matches],
            "hits": [{"q": hit.question, "o": hit.origin, "i": hit.index, "sid": hit.sid} for hit in self.hits],
        }

    def find(self, salt: bytes, text: str) -> int | None:
        """The position of a question, or None if it is not one of these."""
        asked = question(salt, text)
        return self.questions.index(asked) if asked in self.questions else None


def question(salt: bytes, text: str) -> str:
    """How a question stands in a receipt."""
    return sha256(salt + text.encode("utf-8", "surrogatepass")).hexdigest()


def hits_of(rows: Sequence[Told]) -> tuple[Hit, ...]:
    """The statements told, by row."""
    return tuple(Hit(place, *one) for place, row in enumerate(rows) for one in dict.fromkeys(row.statements))


def read_claims(claims: Mapping[str, JsonValue]) -> ScreeningReceipt:
    """The claims of an opened token; Malformed for any other form."""
    if claims.keys() != _MEMBERS:
        raise Malformed("a screening receipt has exactly iss, sub, iat, rid, as_of, view, degraded, q, r and hits")
    questions, matches = _texts(claims, "q"), _texts(claims, "r")
    hits = claims["hits"]
    if len(questions) != len(matches) or not all(map(_HEX.fullmatch, questions)) or not _WORDS.issuperset(matches):
        raise Malformed("each question of a receipt is a hex SHA-256 with one match word")
    if not isinstance(hits, list) or not isinstance(claims["degraded"], bool):
        raise Malformed("`hits` of a receipt is a list, `degraded` true or false")
    receipt = ScreeningReceipt(
        _text(claims, "iss"),
        _text(claims, "sub"),
        _whole(claims, "iat"),
        _text(claims, "rid"),
        _whole(claims, "as_of"),
        _text(claims, "view"),
        claims["degraded"],
        questions,
        matches,
        tuple(_hit(hit, len(questions)) for hit in hits),
    )
    if not _RID.fullmatch(receipt.rid) or not _HEX.fullmatch(receipt.view):
        raise Malformed("`rid` of a receipt has 22 characters, `view` is a hex SHA-256")
    return receipt


def _hit(value: JsonValue, questions: int) -> Hit:
    if not isinstance(value, dict) or value.keys() != _HIT:
        raise Malformed("a hit of a receipt has q, o, i and sid")
    hit = Hit(_whole(value, "q"), _text(value, "o"), _whole(value, "i"), _text(value, "sid"))
    if hit.question >= questions:
        raise Malformed("a hit of a receipt belongs to none of its questions")
    return hit


def _text(claims: Mapping[str, JsonValue], name: str) -> str:
    value = claims[name]
    if not isinstance(value, str):
        raise Malformed(f"`{name}` of a receipt is text")
    return value


def _whole(claims: Mapping[str, JsonValue], name: str) -> int:
    value = claims[name]
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise Malformed(f"`{name}` of a receipt is a number from 0 on")
    return value


def _texts(claims: Mapping[str, JsonValue], name: str) -> tuple[str, ...]:
    value = claims[name]
    if not isinstance(value, list):
        raise Malformed(f"`{name}` of a receipt is a list of texts")
    found = tuple(one for one in value if isinstance(one, str))
    if len(found) != len(value):
        raise Malformed(f"`{name}` of a receipt is a list of texts")
    return found
