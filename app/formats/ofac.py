"""OFAC digital-currency addresses as one plain list for each asset symbol: `sanctioned_addresses_<SYMBOL>.txt`.

The symbol is OFAC's, not the exchange's (XBT is Bitcoin), and names the asset, not always the chain: the USDT list mixes
Ethereum, Tron and Omni (Bitcoin) addresses, the Bitcoin Cash list mixes CashAddr and the old form, the Monero list holds a
payment id. So each line is read as an address of the symbol's chain, or by its form where the symbol has none. The list gives
neither entry nor date; the entry is the text under which OFAC's search finds it, the date is the state of the list.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from app.domain.canonical import JsonValue
from app.domain.errors import Refused, Schema
from app.domain.vocabulary import OFAC

from .files import decode
from .interface import Context, Item, Options, Row, Source
from .judgement import admiralty, context_of, finished, judged, reason_of, wallet_of_symbol, warnings_of
from .tabular import REPAIRED

LIST = "OFAC SDN"
TICKERS = {"XBT": "BTC"}
# An official list is as good a source as there is; blocking is what it orders.
OFFICIAL: Mapping[str, JsonValue] = {
    "typologies": [*OFAC.typologies], "roles": [*OFAC.roles], "severity": 4, "basis": "authority_data", **admiralty(100),
    "status": "confirmed", "action": "block",
}  # fmt: skip

_named = re.compile(r"(?:.*[/\\])?sanctioned_addresses_([A-Z0-9]{2,10})\.txt").fullmatch


@dataclass(frozen=True, slots=True)
class Mirror:
    """A sanctions list as it is being mirrored: what every row of it has in common. `date`: the state of the list."""

    source: Source
    options: Options
    context: Context
    date: str

    def row(self, number: int, address: str, symbol: str, *, entry: str, entity: str | None = None, warnings: tuple[str, ...] = ()) -> Row:
        """The row of one sanctioned address; `entity` is the id of its holder where that is no natural person."""
        said: Item = {
            "typologies": [*OFAC.typologies],
            "designation": {"list": LIST, "entry": entry, "date": self.date},
            "assets": [TICKERS.get(symbol, symbol)],
        }
        if entity is not None:
            said["entity"] = entity
        try:
            wallet = wallet_of_symbol(address, symbol)
            item = judged(wallet, said=said, options=self.options, otherwise=OFFICIAL)
        except Refused as error:
            return Row(self.source.name, number, fault=reason_of(error), warnings=warnings)
        return finished(self.source, number, item, self.context, warnings + warnings_of(wallet))


def mirror(source: Source, options: Options) -> Mirror:
    """The list itself is the instrument and the evidence. Raises Schema without the date of the list, which no form of it says."""
    if options.list_date is None:
        raise Schema("a sanctions entry needs the date of its list: give the day it was fetched")
    context = context_of(
        source,
        options,
        purpose="sanctions_compliance",
        instrument="sanctions",
        reference=LIST,
        assertion="fact",
        evidence_standard="adjudicated",
        evidence_kind="sanctions_entry",
    )
    return Mirror(source, options, context, options.list_date)


def read_ofac(source: Source, options: Options) -> Iterator[Row]:
    """A row for each line of one list. Raises Schema if the name tells no symbol or the caller no date."""
    name = _named(source.name)
    if name is None:
        raise Schema(f"{source.name} does not name its asset: keep the name sanctioned_addresses_<SYMBOL>.txt")
    return _rows(mirror(source, options), name[1])


def _rows(of: Mirror, symbol: str) -> Iterator[Row]:
    text = decode(of.source)
    for number, line in enumerate(text.lines, 1):
        address = line.strip()
        if address:
            warnings = (REPAIRED,) if number in text.repaired else ()
            yield of.row(number, address, symbol, entry=f"Digital Currency Address - {symbol} {address}", warnings=warnings)
