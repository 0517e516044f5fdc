"""An exchange screens the destinations of withdrawals before it signs them, and decides by its own rules.

CORDON_API_KEY=cordon_live_… python examples/vasp_screens.py http://127.0.0.1:8000 TMVQGm1qAQYVdetCeGRRkTWYYrLXuHK2HC …
"""

from __future__ import annotations

import os
import sys

from cordon_client.domain.errors import Unavailable
from cordon_client.sdk.client import Client, Options


def decide(result: dict[str, object], *, degraded: bool) -> str:
    """Our own policy: `listed` holds the withdrawal for a human, `related` is looked at, anything unclear waits.

    `not_listed` never means safe: it means that no authority has listed it here. A degraded answer is not taken for a clear one.
    """
    match result["match"]:
        case "listed":
            return "hold"
        case "related":
            return "review"
        case "protected":
            return "pass"
        case "not_listed":
            return "wait" if degraded else "pass"
        case _:
            return "wait"


def main(url: str, *addresses: str) -> None:
    """One request for all; what cannot be asked is never passed."""
    options = Options(api_key=os.environ.get("CORDON_API_KEY"), timeout_s=2.0, max_wait_s=2.0)
    try:
        with Client(url, options) as node:
            answer = node.screen_many([{"address": address, "reference": f"withdrawal-{n}"} for n, address in enumerate(addresses)])
    except Unavailable as error:
        print(f"wait: {error.detail}")
        return
    results = answer["results"]
    assert isinstance(results, list)
    for result in results:
        assert isinstance(result, dict)
        decision = decide(dict(result), degraded=answer["degraded"] is True)
        print(f"{decision}: {result['reference']} to {result['query']} is {result['match']} (as of {answer['as_of']})")


if __name__ == "__main__":
    main(*sys.argv[1:])
