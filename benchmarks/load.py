"""A small keep-alive load generator for loopback, in a process of its own: `python -m benchmarks.load PORT SECONDS CONNECTIONS < requests`.

Reads requests as base64 lines, sends them round robin over its connections, one in flight on each, bounded in time; prints JSON with
the count and the latencies. Only 127.0.0.1 is ever a target.

It must cost less than the cheapest answer that is measured, else it is itself the ceiling: what it has of CPU a request is told, too.
"""

from __future__ import annotations

import base64
import json
import select
import socket
import sys
import time

_PIECE = 65_536
"""Bytes that are read at a time: more than malloc keeps at hand would be mapped and given back for each answer."""


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
        data = self.socket.recv(_PIECE)
        if not data:
            raise ConnectionError("the server closed the connection")
        if self.buffer:
            data = self.buffer + data
        end = data.find(b"\r\n\r\n")
        at = data.find(b"\r\ncontent-length: ", 0, end)
        if end < 0 or len(data) < end + 4 + int(data[at + 18 : data.find(b"\r\n", at + 18)]):
            self.buffer = data
            return None
        self.buffer = b""
        return int(data[9:12])


def main() -> None:
    """Run for the given time and print what was seen."""
    port, seconds, connections = int(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3])
    requests = [base64.b64decode(line) for line in sys.stdin if line.strip()]
    once = len(sys.argv) > 4 and sys.argv[4] == "once"
    ready = select.epoll()
    opened: dict[int, Connection] = {}
    number = 0
    for _ in range(connections):
        connection = Connection(port)
        ready.register(connection.socket, select.EPOLLIN)
        opened[connection.socket.fileno()] = connection
        connection.send(requests[number % len(requests)])
        number += 1
    latencies: list[float] = []
    statuses: dict[int, int] = {}
    begun, spent = time.perf_counter(), time.process_time()
    stop = begun + seconds
    while time.perf_counter() < stop and not (once and len(latencies) >= len(requests)):
        for handle, _ in ready.poll(1):
            connection = opened[handle]
            status = connection.receive()
            if status is None:
                continue
            latencies.append(time.perf_counter() - connection.sent_at)
            statuses[status] = statuses.get(status, 0) + 1
            if not once or number < len(requests):
                connection.send(requests[number % len(requests)])
                number += 1
    took, spent = time.perf_counter() - begun, time.process_time() - spent
    latencies.sort()
    print(
        json.dumps(
            {
                "count": len(latencies),
                "seconds": took,
                "own_us": spent / len(latencies) * 1e6,
                "p50_ms": latencies[len(latencies) // 2] * 1000,
                "p99_ms": latencies[int(len(latencies) * 0.99)] * 1000,
                "statuses": statuses,
            }
        )
    )


if __name__ == "__main__":
    main()
