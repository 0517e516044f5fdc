"""The states of the logs that this node follows, as one value that is replaced, never changed; what every answer takes once."""

from __future__ import annotations

from app.domain.sources import Source

__all__ = ["Source", "SourceBoard"]


class SourceBoard:
    """The followed logs in the order of their names. Readers take `sources` once and keep it for their answer."""

    def __init__(self) -> None:
        self.sources: tuple[Source, ...] = ()
        self.weightless: frozenset[str] = frozenset()
        """Logs whose word is shown here and decides nothing: their weight is 0."""

    def put(self, source: Source) -> None:
        """Set the state of one log."""
        others = [one for one in self.sources if one.origin != source.origin]
        self.sources = tuple(sorted([*others, source], key=lambda one: one.origin))

    def drop(self, origin: str) -> None:
        """A log that is followed no more."""
        self.sources = tuple(one for one in self.sources if one.origin != origin)
