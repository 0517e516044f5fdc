"""An exchange receives the events of a node: verifies each, acts once on each, and takes down what was corrected first.

WEBHOOK_SECRET=whsec_… python examples/vasp_receives.py 8099     (a proxy in front of it speaks TLS)
"""

from __future__ import annotations

import json
import os
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from cordon_client.domain.errors import InvalidProof
from cordon_client.sdk.webhook import verify

MOST_BYTES = 20_000
seen: set[str] = set()  # in earnest a table: a delivery may come again after a restart


def act(event: dict[str, object]) -> None:
    """What follows from an event here: a human looks at the customer, or an old hold is lifted."""
    data = event["data"]
    assert isinstance(data, dict)
    words = "URGENT " if event["urgent"] else ""
    print(f"{words}{event['type']}: {data.get('reference') or data.get('subject')} by statement {data.get('sid')}", flush=True)


class Receiver(BaseHTTPRequestHandler):
    """204 for what was taken, also the second time; 401 for what the node did not sign."""

    timeout = 10

    def do_POST(self) -> None:
        """Take one event."""
        length = self.headers.get("content-length", "")
        if not length.isdecimal() or int(length) > MOST_BYTES:
            return self.answer(413)
        body = self.rfile.read(int(length))
        try:
            name = verify(dict(self.headers), body, os.environ["WEBHOOK_SECRET"])
        except InvalidProof as error:
            print(f"refused: {error.detail}", flush=True)
            return self.answer(401)
        if name not in seen:
            act(json.loads(body))
            seen.add(name)
        return self.answer(204)

    def answer(self, status: int) -> None:
        """Without a body."""
        self.send_response(status)
        self.end_headers()


if __name__ == "__main__":
    ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Receiver).serve_forever()
