"""The index as holders of `test` keys see it: the live one, and before it the fixed addresses of the sandbox (`domain/sandbox`)."""

from __future__ import annotations

from app.domain.address import Wallet
from app.domain.answer import Link, Listing
from app.domain.sandbox import IDS, LINK, LISTING
from app.index.listings import ListingIndex


class SandboxIndex(ListingIndex):
    """Looks the sandbox's ids up in what is fixed, every other in the live index; holds nothing itself."""

    def __init__(self, live: ListingIndex) -> None:
        super().__init__()
        self._live = live

    def find(self, subject: str) -> tuple[Listing, ...]:
        """Live listings on an id; of the sandbox's ids what is fixed."""
        if subject in IDS:
            return (LISTING,) if subject == LISTING.subject else ()
        return self._live.find(subject)

    def same_key(self, wallet: Wallet) -> list[str]:
        """As in the live index."""
        return [] if wallet.id in IDS else self._live.same_key(wallet)

    def links(self, subject: str) -> tuple[Link, ...]:
        """Live links of an id; of the sandbox's ids what is fixed."""
        if subject in IDS:
            return (LINK,) if subject == LINK.item["from"] else ()
        return self._live.links(subject)
