"""An agency signs a listing of three wallets, sends it, keeps the receipt and checks it offline.

python examples/agency_submits.py http://127.0.0.1:8000 zz.police var/demo/keys/zz.police.jwk var/demo/root
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from cordon_client.domain.address import read_wallet
from cordon_client.domain.canonical import JsonValue
from cordon_client.sdk.client import Client
from cordon_client.sdk.drafts import Draft, Terms, read_key
from cordon_client.sdk.verify import read_roots, verify

WALLETS = ("0x00000000000000000000000000000000c0de1001", "0x00000000000000000000000000000000c0de1002", "TMVQGm1qAQYVdetCeGRRkTWYYrLXuHK2HC")
DAY_S = 86_400


def main(url: str, member: str, key_file: str, root: str) -> None:
    """Sign, submit, verify."""
    judgement: dict[str, JsonValue] = {
        "typologies": ["fraud.investment"],
        "roles": ["collection"],
        "severity": 3,
        "basis": "authority_data",
        "reliability": "B",
        "credibility": 2,
        "status": "suspected",
        "action": "review",
    }
    items = tuple({"type": "wallet", "id": read_wallet(address).id, **judgement} for address in WALLETS)
    context: dict[str, JsonValue] = {
        "purpose": "fraud_prevention",
        "legal_basis": {"instrument": "criminal_investigation"},
        "assertion": "assessment",
        "evidence_standard": "reasonable_grounds",
        "evidence": [{"sha256": "0" * 64, "kind": "victim_statement", "held_by": "issuer"}],
        "redress": {"contact": "desk@police.zz.example", "route": "direct"},
        "neutrality": True,
    }
    now = int(time.time())
    with Client(url) as node:
        draft = Draft(Terms(member, node.origin(), "GREEN", valid_s=365 * DAY_S), items, context)
        review_by = time.strftime("%Y-%m-%d", time.gmtime(now + 180 * DAY_S))
        wire = draft.sign(read_key(Path(key_file)), now=now, day_context={"review_by": review_by})
        submitted = node.submit(wire)
    print(f"{submitted.status}: statement {submitted.sid}, index {submitted.index}")
    assert submitted.receipt is not None, "a held statement has no receipt until a second key approves it"
    proven = verify(submitted.receipt, wire, read_roots(Path(root), now=now))
    print(f"verified offline: index {proven.index} of {proven.size}, accepted at {proven.accepted_ms} ms")


if __name__ == "__main__":
    main(*sys.argv[1:])
