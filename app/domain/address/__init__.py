"""Addresses: every spelling of a wallet to its one canonical id, or a typed refusal (domain.md, decision 2 and §4).

`reading` decides, the modules beside it know one form each, `chains` has the names, `kin` the siblings, `guard` the
refusals. Import from here.
"""

from __future__ import annotations

from .accounts import LEAST_SOLANA, MOST_SOLANA, is_off_curve, is_plain_solana
from .chains import CHAINS, read_chain
from .kin import far_keys, ids_of_key, kin_keys, siblings
from .model import WARNINGS, Chain, Sibling, Wallet, ton_friendly
from .reading import read_canonical_wallet, read_wallet

__all__ = [
    "CHAINS",
    "LEAST_SOLANA",
    "MOST_SOLANA",
    "WARNINGS",
    "Chain",
    "Sibling",
    "Wallet",
    "far_keys",
    "ids_of_key",
    "is_off_curve",
    "is_plain_solana",
    "kin_keys",
    "read_canonical_wallet",
    "read_chain",
    "read_wallet",
    "siblings",
    "ton_friendly",
]
