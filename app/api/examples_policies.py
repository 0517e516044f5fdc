"""Examples of screening policies for `openapi.json`."""

from __future__ import annotations

from typing import Any

_RULE: dict[str, Any] = {
    "name": "fraud-confirmed",
    "typologies": ["fraud"],
    "status": ["confirmed"],
    "countries": [],
    "roles": [],
    "severity_min": 3,
    "outcome": "review",
}
POLICY: dict[str, Any] = {"name": "default", "rules": [_RULE], "default": "pass"}
POLICY_REQUEST: dict[str, Any] = {
    "rules": [{"name": "fraud-confirmed", "typologies": ["fraud"], "status": ["confirmed"], "severity_min": 3, "outcome": "review"}],
    "default": "pass",
}
POLICIES: dict[str, Any] = {"items": [POLICY], "next": None}
DRY_RUN: dict[str, Any] = {
    "policy": "default",
    "since": "2026-10-23T08:00:00Z",
    "receipts": 40,
    "rows": 4000,
    "outcomes": {"pass": 3990, "review": 8},
    "rules": {"fraud-confirmed": 8},
    "unclear": 2,
    "truncated": False,
}
