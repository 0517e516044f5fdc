"""Examples of the answers in other systems' shapes for `openapi.json`."""

from __future__ import annotations

from typing import Any

_EVM = "0x7e5f4552091a69125d5dfcb7b8c2659029395bdf"
_MIXED = "0x7E5F4552091A69125d5DfCb7b8C2659029395Bdf"
_ID = f"eip155:0:{_EVM}"
_SID = "6Z8e2nLPrA0Tq5mRrDsrE8CSbLzQJSuW2rTSPMmUUu4"
_URL = "https://node.de.example"
_SCAM = "investment fraud built on a feigned relationship"

CHAINALYSIS: dict[str, Any] = {
    "identifications": [
        {
            "category": "scam",
            "name": "SCAM: Bundeskriminalamt : 2026-11-22",
            "description": f"Bundeskriminalamt (DE): {_SCAM}; confirmed",
            "url": f"{_URL}/v1/statements/{_SID}",
        }
    ]
}
TRM_SANCTION_QUERIES: list[Any] = [{"address": _MIXED}]
TRM_SANCTIONS: list[Any] = [{"address": _MIXED, "isSanctioned": True}]
TRM_WALLET_QUERIES: list[Any] = [{"address": _MIXED, "chain": "ethereum", "accountExternalId": "customer-17"}]
TRM_WALLETS: list[Any] = [
    {
        "accountExternalId": "customer-17",
        "address": _EVM,
        "addressSubmitted": _MIXED,
        "addressIncomingVolumeUsd": "0",
        "addressOutgoingVolumeUsd": "0",
        "addressTotalVolumeUsd": "0",
        "addressRiskIndicators": [
            {
                "category": "Scam",
                "categoryId": "cordon-54",
                "categoryRiskScoreLevel": 10,
                "categoryRiskScoreLevelLabel": "High",
                "incomingVolumeUsd": "0",
                "outgoingVolumeUsd": "0",
                "totalVolumeUsd": "0",
                "riskType": "OWNERSHIP",
            }
        ],
        "chain": "ethereum",
        "entities": [
            {
                "category": "Scam",
                "categoryId": "cordon-54",
                "entity": None,
                "riskScoreLevel": 10,
                "riskScoreLevelLabel": "High",
                "trmAppUrl": f"{_URL}/v1/statements/{_SID}",
                "trmUrn": f"/statement/{_SID}",
            }
        ],
        "externalId": None,
        "trmAppUrl": f"{_URL}/v1/wallets/{_ID}",
    }
]
YENTE_ENTITY: dict[str, Any] = {
    "id": _ID,
    "caption": _EVM,
    "schema": "CryptoWallet",
    "properties": {"publicKey": [_EVM, _MIXED], "blockchain": ["evm"], "topics": ["crime.fraud"], "publisher": ["Bundeskriminalamt"]},
    "datasets": ["de_example_log"],
    "referents": [],
    "target": True,
    "first_seen": "2026-11-22T08:00:00",
    "last_seen": "2026-11-22T09:00:00",
    "last_change": "2026-11-22T08:00:00",
}
_QUERY: dict[str, Any] = {"schema": "CryptoWallet", "properties": {"publicKey": [_MIXED]}}
YENTE_QUERIES: dict[str, Any] = {"queries": {"q1": _QUERY}}
YENTE_MATCHES: dict[str, Any] = {
    "responses": {
        "q1": {
            "status": 200,
            "results": [
                {
                    **YENTE_ENTITY,
                    "score": 1.0,
                    "explanations": {"crypto_wallet_address": {"score": 1.0, "detail": "the same address"}},
                    "match": True,
                }
            ],
            "total": {"value": 1, "relation": "eq"},
            "query": _QUERY,
        }
    },
    "limit": 5,
}
YENTE_FOUND: dict[str, Any] = {
    "results": [YENTE_ENTITY],
    "facets": {
        "countries": {"label": "Countries", "values": []},
        "topics": {"label": "Topics", "values": [{"name": "crime.fraud", "label": "crime.fraud", "count": 1}]},
        "datasets": {"label": "Datasets", "values": [{"name": "de_example_log", "label": "de_example_log", "count": 1}]},
    },
    "total": {"value": 1, "relation": "eq"},
    "limit": 10,
    "offset": 0,
}
_DATASET: dict[str, Any] = {
    "version": "20261122090000-crd",
    "updated_at": "2026-11-22T09:00:00",
    "entities_url": None,
    "delta_url": None,
    "index_version": "20261122090000-crd",
    "index_current": True,
}
YENTE_CATALOG: dict[str, Any] = {
    "datasets": [
        {"name": "default", "title": "Statements of status confirmed, of all logs", **_DATASET, "children": ["de_example_log"]},
        {"name": "de_example_log", "title": "The log de.example/log", **_DATASET, "children": []},
    ],
    "current": ["default", "de_example_log"],
    "outdated": [],
    "index_stale": False,
}
HIBP = "0A1F2C3D4E5F60718293A4B5C6D7E8F90A1B2C3D4E5F60718293A4B5C6D7:1\r\n2B4D6F8193A5B7C9DBEDF0112335476798A9BACBDCEDFE0F1021324354657:0"
