"""Examples for `openapi.json`, one an operation. The tests hold each to its model."""

from __future__ import annotations

import json
from typing import Any

_SID = "6Z8e2nLPrA0Tq5mRrDsrE8CSbLzQJSuW2rTSPMmUUu4"
_OTHER = "pX1uFoq8nmLHkc1Ux4mPvlTPIcTXyWHGmYsbK3KuZPw"
_WALLET = "eip155:0:0x7e5f4552091a69125d5dfcb7b8c2659029395bdf"
_AS_OF = "2026-11-22T08:00:00Z"
_ORIGIN = "de.example/log"

WIRE = "eyJhbGciOiJFUzI1NiIsImtpZCI6ImRlLmJrYSMxIiwidHlwIjoi….eyJ2IjoxLCJpc3MiOiJkZS5ia2EiLCJv….MEUCIQ…~WyJSb0…"
RECEIPT = "c2sp.org/tlog-proof@v1\nextra MTc5MDAwMDAwMDEyMyA2WjhlMm5MUHJBMFRx…\nindex 41\nJ8C5…\n\nde.example/log\n42\n7Cn0…\n\n— de.example/log 6GKbVg…\n"
CHECKPOINT = "de.example/log\n42\n7Cn0h2cNdC3hQ3Wl1xSgq6FhE8pBqU3b8gZ2yV0m3sI=\n\n— de.example/log 6GKbVg…\n"

SUBMISSION: dict[str, Any] = {"sid": _SID, "status": "accepted", "index": 41, "accepted_ms": 1790000000123, "receipt": RECEIPT}
SUBMISSION_ROWS = '{"row":1,"sid":"6Z8e2nLPrA0T…","status":"accepted","index":41,"accepted_ms":1790000000123,"receipt":"…"}\n{"row":2,"error":{"type":"/problems/schema",…}}\n'

_BRIEF: dict[str, Any] = {
    "sid": _SID,
    "origin": _ORIGIN,
    "index": 41,
    "kind": "listing",
    "issuer": "de.bka",
    "tlp": "GREEN",
    "accepted_at": _AS_OF,
    "state": "active",
    "effective_until": "2027-11-22T08:00:00Z",
    "superseded_by": None,
}
STATEMENTS: dict[str, Any] = {"items": [_BRIEF], "next": "/v1/statements?kind=listing&cursor=WzE3OTAw…"}
_ITEM: dict[str, Any] = {
    "type": "wallet",
    "id": _WALLET,
    "typologies": ["fraud.investment.pig_butchering"],
    "roles": ["collection"],
    "severity": 3,
    "basis": "authority_data",
    "reliability": "B",
    "credibility": 2,
    "status": "suspected",
    "action": "review",
}
STATEMENT: dict[str, Any] = {
    "sid": _SID,
    "origin": _ORIGIN,
    "index": 41,
    "accepted_at": _AS_OF,
    "stub": {"v": 1, "iss": "de.bka", "org": _ORIGIN, "knd": "listing", "iat": 1790000000, "exp": 1821536000, "tlp": "GREEN"},
    "jws": "eyJhbGciOiJFUzI1NiIs….eyJ2IjoxLCJpc3MiOi….MEUCIQ…",
    "parts": {"core": [_ITEM], "pii": "withheld"},
    "disclosures": ["WyJSb0…"],
    "state": "active",
    "effective_until": "2027-11-22T08:00:00Z",
    "edges": [{"kind": "endorse", "sid": _OTHER, "origin": _ORIGIN, "issuer": "de.fiu"}],
    "contested": False,
}
HELD: dict[str, Any] = {
    "items": [{"sid": _SID, "issuer": "de.bka", "kid": "de.bka#1", "kind": "listing", "reason": "four_eyes", "received_at": _AS_OF}],
    "next": None,
}

_SAID: dict[str, Any] = {
    "sid": _SID,
    "origin": _ORIGIN,
    "issuer": "de.bka",
    "issuer_name": "Bundeskriminalamt",
    "country": "DE",
    "listed_at": _AS_OF,
    "expires_at": "2027-11-22T08:00:00Z",
    "typologies": ["fraud.investment.pig_butchering"],
    "roles": ["collection"],
    "severity": 3,
    "basis": "authority_data",
    "reliability": "B",
    "credibility": 2,
    "status": "suspected",
    "suggested_action": "review",
    "assertion": "assessment",
    "evidence_standard": "reasonable_grounds",
    "instrument": "criminal_investigation",
    "tlp": "GREEN",
    "handling": [],
    "state": "active",
    "disputed_since": None,
    "disputed_by": [],
    "endorsed_by": [],
    "review_by": "2027-03-01",
    "review_overdue": False,
    "redress": {"contact": "redress@zz.example", "route": "direct"},
}
_RELATED: dict[str, Any] = {"id": "tron:0x2b6653dc:TMVQGm1qAQYVdetCeGRRkTWYYrLXuHK2HC", "relation": "same_key", "listed": True}
_RESULT: dict[str, Any] = {
    "row": 0,
    "reference": "row-17",
    "query": "0x7E5F4552091A69125d5DfCb7b8C2659029395Bdf",
    "id": _WALLET,
    "match": "listed",
    "severity": 3,
    "statements": [_SAID],
    "related": [_RELATED],
    "policy": None,
    "human_review": "required",
    "error": None,
}
_FRAME: dict[str, Any] = {
    "as_of": _AS_OF,
    "degraded": False,
    "sources": [{"origin": _ORIGIN, "state": "live", "age_s": 0, "stale": False}],
}
SCREEN_REQUEST: dict[str, Any] = {
    "items": [{"address": "0x7E5F4552091A69125d5DfCb7b8C2659029395Bdf", "chain": "ethereum", "reference": "row-17"}],
    "include": "all",
}
SCREEN_ONE: dict[str, Any] = {**_FRAME, "result": {**_RESULT, "reference": None}}
SCREEN_MANY: dict[str, Any] = {**_FRAME, "results": [_RESULT]}

_EVM, _TRON = "0x7E5F4552091A69125d5DfCb7b8C2659029395Bdf", "TMVQGm1qAQYVdetCeGRRkTWYYrLXuHK2HC"
SCREEN_STREAMS = {
    "application/x-ndjson": f'{{"address":"{_EVM}","chain":"ethereum","reference":"row-17"}}\n{{"address":"{_TRON}"}}\n',
    "text/csv": f"address,chain,tag,direction,reference\n{_EVM},ethereum,,deposit,row-17\n{_TRON},,,,\n",
    "text/plain": f"{_EVM}\n{_TRON}\n",
}
SCREENED_STREAMS = {
    "application/x-ndjson": json.dumps(_RESULT) + '\n{"summary":{"rows":2,"listed":1,"invalid":0}}\n',
    "text/csv": "row,reference,query,id,match,severity,policy,human_review,error\r\n"
    f"0,row-17,{_EVM},eip155:0:{_EVM.lower()},listed,3,,required,\r\n",
    "text/plain": json.dumps(_RESULT) + "\n",
}

_IN_FULL: dict[str, Any] = {
    **_SAID,
    "scope": None,
    "embargo_until": None,
    "context": {"purpose": "fraud_prevention", "assertion": "assessment", "review_by": "2027-03-01"},
}
_SUBJECT: dict[str, Any] = {
    "match": "listed",
    "protected": None,
    "statements": [_IN_FULL],
    "related": [_RELATED],
    "links": [],
    "history": [{"at": _AS_OF, "event": "listed", "sid": _SID}],
    "as_of": _AS_OF,
    "degraded": False,
}
WALLET: dict[str, Any] = {
    "id": _WALLET,
    "family": "evm",
    "chain": "eip155:0",
    "address": "0x7E5F4552091A69125d5DfCb7b8C2659029395Bdf",
    **_SUBJECT,
    "siblings": [{"id": _RELATED["id"], "relation": "same_key", "match": "listed"}],
}
INDICATOR: dict[str, Any] = {"id": "domain:golden-sun.example", "kind": "domain", **_SUBJECT, "related": []}
ENTITY: dict[str, Any] = {
    "id": "entity:de.bka:golden-sun",
    "claims": [
        {
            "sid": _SID,
            "issuer": "de.bka",
            "names": [{"name": "Golden Sun", "lang": "en", "kind": "primary"}],
            "kind": "company",
            "jurisdictions": ["KH"],
            "designations": None,
            "identifiers": None,
            "summary": None,
            "state": "active",
        }
    ],
    "same_as": [],
    "disagreements": [],
    "links": [],
    "as_of": _AS_OF,
    "degraded": False,
}
_HIT: dict[str, Any] = {
    "type": "entity",
    "id": "entity:de.bka:golden-sun",
    "label": "Golden Sun",
    "match": None,
    "score": 100,
    "why": "name",
}
HITS: dict[str, Any] = {"items": [_HIT], "next": None}
SEARCH: dict[str, Any] = {"read_as": "name", "items": [_HIT], "as_of": _AS_OF, "degraded": False}

NODE: dict[str, Any] = {
    "node": "de.example",
    "jurisdiction": "de",
    "name": "Cordon node of Germany",
    "protocol": ["cordon/1"],
    "root": {"ver": 1, "sha256": "5f2c9a7be01d4468a3c15f2c9a7be01d4468a3c15f2c9a7be01d4468a3c15f2c", "url": "/fed/v1/root/1"},
    "logs": [{"origin": _ORIGIN, "url": "https://de.example/log"}],
    "vocabulary": 1,
    "time": _AS_OF,
    "demonstration": False,
    "api": [{"version": "v1", "sunset": None}],
}
ROOT: dict[str, Any] = {
    "payload": "eyJ2IjoxLCJqdXIiOiJkZSIs…",
    "signatures": [{"protected": "eyJhbGciOiJFUzI1NiIs…", "signature": "MEUCIQ…"}],
}
VOCABULARY: dict[str, Any] = {
    "version": 1,
    "typologies": [
        {
            "code": "fraud.investment",
            "number": 1,
            "broader": "fraud",
            "label": "investment fraud",
            "mappings": {"chainabuse": ["OTHER_INVESTMENT_SCAM"]},
        }
    ],
    "roles": [{"code": "collection", "label": "collects payments of many victims"}],
    "basis": [{"code": "authority_data", "confidence": 60}],
    "evidence_standard": ["suspicion", "reasonable_grounds", "clear_and_rigorous", "adjudicated"],
    "lists": {"purpose": ["asset_freezing", "fraud_prevention"]},
}
MEMBER: dict[str, Any] = {
    "id": "de.bka",
    "name": "Bundeskriminalamt",
    "class": "agency",
    "country": "DE",
    "url": None,
    "contact": "desk@de.example",
    "lei": None,
    "mandate": {"kinds": ["listing", "retract"], "categories": ["fraud"], "tlp_max": "AMBER", "quota_per_hour": 2000, "persons": False},
    "since_index": 2,
}
MEMBERS: dict[str, Any] = {"items": [MEMBER], "next": None}
MEMBER_KEYS: dict[str, Any] = {
    "items": [
        {
            "kid": "de.bka#1",
            "jwk": {
                "kty": "EC",
                "crv": "P-256",
                "x": "axfR8uEsQkf4vOblY6RA8ncDfYEt6zOg9KE5RdiYwpY",
                "y": "T-NC4v4af5uO5-tKfA-eFivOM1drMV7Oy7ZAaDe_UfU",
            },
            "registered_index": 2,
            "not_before": _AS_OF,
            "expires": "2028-11-22T08:00:00Z",
            "revoked_from_index": None,
            "revocation_reason": None,
        }
    ],
    "next": None,
}

API_KEY: dict[str, Any] = {
    "id": "0f3c2a91d4e87b65",
    "member": "de.exchange",
    "class": "vasp",
    "name": "screening service",
    "scopes": ["screen"],
    "tier": "green",
    "environment": "live",
    "quota": {"requests_per_minute": 600, "addresses_per_day": 1000000},
    "created_at": _AS_OF,
    "expires_at": None,
    "ended_at": None,
}
API_KEYS: dict[str, Any] = {"items": [API_KEY], "next": None}
NEW_API_KEY: dict[str, Any] = {"key": "cordon_live_0f3c2a91d4e87b65_…", **API_KEY}
NEW_API_KEY_REQUEST: dict[str, Any] = {
    "member": "de.exchange",
    "name": "screening service",
    "scopes": ["screen"],
    "tier": "green",
    "expires_at": None,
    "quota": {"requests_per_minute": 600, "addresses_per_day": 1000000},
}
HEALTH: dict[str, Any] = {"status": "ok", "checks": {"database": "ok"}}

_OHASH = "0d4e8f3f5d2f6c9a7be01d4468a3c15f2c9a7be01d4468a3c15f2c9a7be01d44"
ENTRY_LINES = (
    '{"i":7,"e":"1790000000123 eyJhbGciOiJFUzI1NiIs….eyJ2IjoxLCJpc3MiOi….MEUCIQ…","d":["WyJSb0…"]}\n'
    '{"i":8,"w":"stub"}\n{"i":9,"e":"1790000000456 eyJhbGciOiJFUzI1NiIs….eyJ2IjoxLCJpc3MiOi….MEUCIA…","x":["pii"]}\n'
)
HEADS: dict[str, Any] = {"heads": [{"o": _OHASH, "origin": _ORIGIN, "note": CHECKPOINT}], "next": "9f2c4d1e0a7b6c55.12.5f2c9a7be01d4468"}
HEAD_EVENTS = f': heads\n\nevent: head\ndata: {{"o":"{_OHASH}","size":42}}\n\n:\n\n'
NUDGE: dict[str, Any] = {"o": _OHASH, "size": 42}
ACKNOWLEDGEMENT: dict[str, Any] = {"o": _OHASH, "size": 42, "sids": [_SID]}
FORK_EVIDENCE = "cordon-fork/v1\n" + CHECKPOINT + "\n" + CHECKPOINT
ADD_CHECKPOINT = "old 41\nJ8C5…\n\n" + CHECKPOINT
COSIGNATURES = "— fr.example/witness 6GKbVg…\n"
