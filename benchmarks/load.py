"""A small keep-alive load generator for loopback, in a process of its own: `python -m benchmarks.load PORT SECONDS CONNECTIONS < requests`.

Reads requests as base64 lines, sends them round robin over its connections, one in flight on each, bounded in time; prints JSON with
the count and the latencies. Only 127.0.0.1 is ever a target.
"""

from __future__ import annotations

import base64
import json
import selectors
import socket
import sys
import time


class Connection:
    """One keep-alive connection with one request in flight."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sent_at = 0.0
        self.buffer = b""

    def send(self, request: bytes) -> None:
        """Send the next request."""
        self.sent_at = time.perf_counter()
        self.socket.sendall(request)

    def receive(self) -> int | None:
        """The status once the whole answer has arrived."""
        data = self.socket.recv(262_144)
        if not data:
            raise ConnectionError("the server closed the connection")
        self.buffer = self.buffer + data if self.buffer else data
        end = self.buffer.find(b"\r\n\r\n")
        if end < 0:
            return None
        head = self.buffer[:end].lower()
        at = head.find(b"content-length:")
        length = int(head[at + 15 : head.find(b"\r\n", at) if head.find(b"\r\n", at) > 0 else end])
        if len(self.buffer) < end + 4 + length:
            return None
        status = int(self.buffer[9:12])
        self.buffer = b""
        return status


def main() -> None:
    """Run for the given time and print what was seen."""
    port, seconds, connections = int(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3])
    requests = [base64.b64decode(line) for line in sys.stdin if line.strip()]
    once = len(sys.argv) > 4 and sys.argv[4] == "once"
    selector = selectors.DefaultSelector()
    number = 0
    for _ in range(connections):
        connection = Connection(port)
        selector.register(connection.socket, selectors.EVENT_READ, connection)
        connection.send(requests[number % len(requests)])
        number += 1
    latencies: list[float] = []
    statuses: dict[int, int] = {}
    begun = time.perf_counter()
    stop = begun + seconds
    while time.perf_counter() < stop and not (once and len(latencies) >= len(requests)):
        for key, _ in selector.select(timeout=1):
            connection = key.data
            status = connection.receive()
            if status is None:
                continue
            latencies.append(time.perf_counter() - connection.sent_at)
            statuses[status] = statuses.get(status, 0) + 1
            if not once or number < len(requests):
                connection.send(requests[number % len(requests)])
                number += 1
    took = time.perf_counter() - begun
    latencies.sort()
    print(
        json.dumps(
            {
                "count": len(latencies),
                "seconds": took,
                "p50_ms": latencies[len(latencies) // 2] * 1000,
                "p99_ms": latencies[int(len(latencies) * 0.99)] * 1000,
                "statuses": statuses,
            }
        )
    )


if __name__ == "__main__":
    main()
