"""Examples of watching for `openapi.json`."""

from __future__ import annotations

from typing import Any

_ID = "5f2c9a7be01d-41"
_SID = "6Z8e2nLPrA0Tq5mRrDsrE8CSbLzQJSuW2rTSPMmUUu4"
_WALLET = "eip155:0:0x7e5f4552091a69125d5dfcb7b8c2659029395bdf"
_AT = "2026-11-22T08:00:00Z"

NEW_WATCHLIST: dict[str, Any] = {"name": "deposits", "items": [{"id": _WALLET, "reference": "customer-17"}], "prefixes": ["3d56"]}
WATCHLIST: dict[str, Any] = {"id": "wl_Zk3vJv2oV0m3sI8pBqU3", "name": "deposits", "created_at": _AT}
WATCHLISTS: dict[str, Any] = {"items": [WATCHLIST], "next": None}
WATCHLIST_CHANGE: dict[str, Any] = {"add": [{"id": "scam.example", "reference": None}], "prefixes": [], "remove": [_WALLET]}
WATCHED: dict[str, Any] = {"items": [{"id": "3d56", "reference": None}, {"id": _WALLET, "reference": "customer-17"}], "next": None}
NEW_WEBHOOK: dict[str, Any] = {"url": "https://hooks.example/cordon", "events": ["listing.*"], "watchlists": []}
WEBHOOK: dict[str, Any] = {
    "id": "wh_Zk3vJv2oV0m3sI8pBqU3",
    **NEW_WEBHOOK,
    "state": "active",
    "reason": "",
    "public_key": "whpk_…",
    "created_at": _AT,
}
WEBHOOK_ONCE: dict[str, Any] = {**WEBHOOK, "secret": "whsec_…"}
WEBHOOKS: dict[str, Any] = {"items": [WEBHOOK], "next": None}
WEBHOOK_CHANGE: dict[str, Any] = {"state": "active"}
TEST: dict[str, Any] = {"id": "test-9b1c", "delivered": True, "note": "answered 204"}
FROM: dict[str, Any] = {"cursor": _ID}
REPLAYED: dict[str, Any] = {"events": 12}
EVENT: dict[str, Any] = {
    "id": _ID,
    "type": "listing.added.v1",
    "timestamp": _AT,
    "urgent": False,
    "data": {
        "sid": _SID,
        "origin": "de.example/log",
        "subject": _WALLET,
        "watchlist": "wl_Zk3vJv2oV0m3sI8pBqU3",
        "reference": "customer-17",
        "previous_sid": None,
        "url": f"/v1/statements/{_SID}",
    },
}
EVENTS: dict[str, Any] = {"items": [EVENT], "next": None}
STREAM = f"id: 5f2c9a7be01d-40\n: events\n\nid: {_ID}\nevent: listing.added.v1\ndata: {{…}}\n\n"
_CORRECTION: dict[str, Any] = {**EVENT["data"], "watchlist": None, "reference": None}
CORRECTIONS: dict[str, Any] = {
    "items": [{**EVENT, "type": "listing.corrected.v1", "urgent": True, "data": _CORRECTION}],
    "next": None,
    "acknowledged": None,
}
ACKNOWLEDGED: dict[str, Any] = {"acknowledged": _ID}
DEAD_LETTERS: dict[str, Any] = {"items": [{"id": _ID, "attempts": 10, "note": "answered 500"}], "next": None, "waiting": 0}
