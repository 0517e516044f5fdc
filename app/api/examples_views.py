"""Examples of views and screening receipts for `openapi.json`."""

from __future__ import annotations

from typing import Any

HEAD = (
    "cordon-view/v1\nde.example/view/green\n1790000060\n7Cn0h2cNdC3hQ3Wl1xSgq6FhE8pBqU3b8gZ2yV0m3sI=\n"
    "policy 2kU0cVnTn0C0l5Jx9J2k1mKJH3W7eYp5o0Zc8d1qVbA=\nde.example/log 42 J8C5h2cNdC3hQ3Wl1xSgq6FhE8pBqU3b8gZ2yV0m3sI= 2\n\n"
    "— de.example/view/green 6GKbVg…\n"
)
BUCKET: dict[str, Any] = {"tier": "green", "bucket": "3d56", "bytes": "", "path": "7Cn0", "head": HEAD, "pad": "..."}
RECEIPT: dict[str, Any] = {
    "receipt_id": "Zb0cVnTn0C0l5Jx9J2k1mA",
    "receipt": "eyJhbGciOiJFUzI1NiIsImtpZCI6ImRlLmV4YW1wbGUjMSIsInR5cCI6ImNvcmRvbi1yZWNlaXB0K2p3dCJ9.eyJpc3Mi….MEUC…",
    "head": HEAD,
}
POLICY: dict[str, Any] = {
    "version": 1,
    "public_delay_h": 72,
    "minimum_status": "suspected",
    "excluded": [],
    "guards_sha256": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "origins": {"de.example/log": {"state": "live", "added_per_hour": None, "total": None, "weight": 100}},
    "valid_s": 86400,
}
