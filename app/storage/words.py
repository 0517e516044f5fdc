"""How names are compared in searches: storing and asking fold alike, so case, accents and the order of words do not count."""

from __future__ import annotations

import unicodedata


def words_of(text: str) -> list[str]:
    """The words of a name: compatibility forms, no marks, case folded, letters and digits only."""
    return fold(text).split()


def fold(text: str) -> str:
    """The folded words of a text with single spaces between them."""
    plain = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text).casefold())
    return " ".join("".join(_kept(c) for c in plain).split())


def tag(name: str, value: str) -> str:
    """A search word that is no word of a name: those never begin with `=`."""
    return f"={name}={fold(value)}"


def _kept(character: str) -> str:
    if character.isalnum():
        return character
    return "" if unicodedata.combining(character) else " "
