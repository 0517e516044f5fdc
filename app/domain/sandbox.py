"""The sandbox: fixed addresses that give each answer to holders of a `test` key, and texts that give each address error (schemas §6).

The addresses are `sandbox` in ASCII followed by a small number, so nobody has a key to them. What is said of them stands here and in no
log: a live key is told nothing of it, and a receipt never speaks of it. The errors are those of every key.
"""

from __future__ import annotations

from .answer import Link, Listing, Match
from .canonical import b64u_encode
from .labels import Label, Tlp
from .sources import Source

ORIGIN = "sandbox.example/log"
DEGRADED = "degraded"
_NUMBERS = {Match.LISTED: 1, Match.RELATED: 2, Match.PROTECTED: 3, Match.NOT_LISTED: 4}
_LISTED_MS = 1_767_225_600_000  # 2026-01-01
_FOREVER_S = 4_102_444_800  # 2100-01-01


def address(number: int) -> str:
    """The EVM address of a small number."""
    return "0x" + b"sandbox".hex() + f"{number:026x}"


ADDRESSES: dict[str, str] = {**{str(match): address(number) for match, number in _NUMBERS.items()}, DEGRADED: address(5)}
"""What a `test` key asks for each answer; `degraded` is also not_listed. `invalid` is any of ERRORS."""

ERRORS: dict[str, str] = {
    "checksum": "TMVQGm1qAQYVdetCeGRRkTWYYrLXuHK2HD",
    "mixed_case": "bc1QW508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4",
    "unknown_chain": "cosmos:other:abc",
    "length": "0x123",
    "alphabet": "T0VQGm1qAQYVdetCeGRRkTWYYrLXuHK2HC",
    "confusable": "0x7E5F4552091A69125d5DfCb7b8C2659029395Bd\uff26",
    "transaction_hash": "0x" + "5c" * 32,
    "name_not_address": "entity:zz.police:golden-sun",
    "uri": "ethereum:pay",
    "private_key": "5HpHagT65TZzG1PH3CSu63k8DbpvD8s5ip4nEB3kEsreAnchuDf",  # of the number 1
    "testnet": "tb1qw508d6qejxtdg4y5r3zarvary0c5xw7kxpjzsx",
}

AMBIGUOUS = (ADDRESSES["not_listed"], "bitcoin")
"""An address and a chain that it is not of: the error `ambiguous_chain`."""

_IDS = {name: f"eip155:0:{text}" for name, text in ADDRESSES.items()}
IDS = frozenset(_IDS.values())
_SID = b64u_encode(b"cordon sandbox, listed by nobody")
_CLEAR = Label(Tlp.CLEAR)

LISTING = Listing(
    origin=ORIGIN,
    index=0,
    sid=_SID,
    number=0,
    subject=_IDS[Match.LISTED],
    item={
        "type": "wallet",
        "id": _IDS[Match.LISTED],
        "typologies": ["fraud.investment"],
        "roles": ["collection"],
        "severity": 3,
        "basis": "authority_data",
        "reliability": "B",
        "credibility": 2,
        "status": "confirmed",
        "action": "review",
        "embargo_until": "2026-01-01T00:00:00Z",
    },
    context={"type": "context", "assertion": "assessment", "evidence_standard": "reasonable_grounds"},
    issuer="sandbox.agency",
    issuer_name="Sandbox agency",
    country=None,
    label=_CLEAR,
    core_label=_CLEAR,
    handling=(),
    accepted_ms=_LISTED_MS,
    expires_at=_FOREVER_S,
    state="active",
)
LINK = Link(
    origin=ORIGIN,
    index=0,
    number=1,
    sid=_SID,
    issuer=LISTING.issuer,
    label=_CLEAR,
    core_label=_CLEAR,
    accepted_ms=_LISTED_MS,
    expires_at=_FOREVER_S,
    state="active",
    item={"from": _IDS[Match.RELATED], "to": _IDS[Match.LISTED], "relation": "transfers_to", "embargo_until": "2026-01-01T00:00:00Z"},
)
PROTECTED = _IDS[Match.PROTECTED]
DEGRADED_ID = _IDS[DEGRADED]
SILENT = Source(ORIGIN, "suspect", 0)
"""The log that cannot be relied on, in an answer to `degraded`."""
