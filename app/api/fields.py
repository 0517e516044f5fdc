"""The header fields of requests, which a client sends in the same form again and again: read and checked once, known by their bytes then.

What is kept is in order: it was checked, and says nothing that holds for one request only. A head is also known by the bytes in which it
stood, so that a request which brings them again need not be taken apart (`Edge.at_once`, ADR 0018); those are kept only where they
are one whole request for whoever reads them, and tell the server nothing about the connection.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from app.api.limits import Header
from app.domain.errors import BadRequest, TooLarge

MOST_HEADERS = 100
MOST_HEADER_BYTES = 16 * 1024
MOST_KEPT = 1024
LONGEST_KEPT = 2048
_REQUEST_ID = re.compile(rb"[A-Za-z0-9-]{8,64}")
_HOST = re.compile(rb"[A-Za-z0-9._-]{1,255}(?::[0-9]{1,5})?|\[[0-9A-Fa-f:.]{2,45}\](?::[0-9]{1,5})?")
_SINGLE = (
    b"authorization",
    b"content-length",
    b"content-type",
    b"host",
    b"idempotency-key",
    b"if-match",
    b"x-api-key",
    b"cordon-purpose",
    b"cordon-case",
)
_FOR_THE_SERVER = frozenset({b"upgrade", b"expect", b"te", b"trailer", b"keep-alive", b"proxy-connection", b"http2-settings"})
_KEEP = b"keep-alive"
LINE_END = b" HTTP/1.1\r\n"
"""Between the path of a request and its fields."""


class Head:
    """The header fields of a request by name. A client sends the same ones with every request, so what they say is worked out once."""

    __slots__ = ("asked_id", "brings_body", "fields", "is_kept", "key_text")

    def __init__(self, fields: Sequence[Header]) -> None:
        self.fields: dict[bytes, bytes] = dict(fields)
        asked = self.fields.get(b"x-request-id", b"")
        self.asked_id = asked.decode("ascii") if _REQUEST_ID.fullmatch(asked) else ""
        self.brings_body = b"content-length" in self.fields or b"transfer-encoding" in self.fields
        authorization = self.fields.get(b"authorization")
        self.key_text = None if authorization is None else bearer_of(authorization)
        """What stands in the Authorization field; None without one."""
        self.is_kept = False


class Heads:
    """The heads that were in order of late, a bounded number: when there are too many, all are forgotten."""

    def __init__(self) -> None:
        self._kept: dict[tuple[Header, ...], Head] = {}
        self._blocks: dict[bytes, Head] = {}

    def of(self, fields: Sequence[Header]) -> Head:
        """The head of these fields: one that is kept is in order, another has to be checked."""
        return self._kept.get(tuple(fields)) or Head(fields)

    def of_block(self, block: bytes) -> Head | None:
        """The head that stands in bytes that were read before."""
        return self._blocks.get(block)

    def keep_block(self, head: Head, block: bytes) -> None:
        """Remember the bytes in which a head that is kept was read (`block_of`): a field a line, none of them for the server itself."""
        if not head.is_kept or block.count(b"\r\n") != len(head.fields) + 1:
            return
        if not _FOR_THE_SERVER.isdisjoint(head.fields) or head.fields.get(b"connection", _KEEP).lower() != _KEEP:
            return
        if len(self._blocks) >= MOST_KEPT:
            self._blocks.clear()
        self._blocks[block] = head

    def keep(self, head: Head, fields: Sequence[Header]) -> None:
        """Remember one that is in order, if it is short and likely to come again: no token made for one request is in it."""
        if (
            head.asked_id
            or head.brings_body
            or "." in (head.key_text or "")
            or sum([len(name) + len(value) for name, value in fields]) > LONGEST_KEPT
        ):
            return
        if len(self._kept) >= MOST_KEPT:
            self._kept.clear()
            self._blocks.clear()
        head.is_kept = True
        self._kept[tuple(fields)] = head


def block_of(data: bytes) -> bytes:
    """All behind the request line of bytes that are one GET without a body, whoever reads them; empty if they are anything else."""
    line, _, block = data.partition(LINE_END)
    ends = block.count(b"\r\n")
    if (
        not line.startswith(b"GET /")
        or line.count(b" ") != 1
        or b"\r" in line
        or b"\n" in line
        or block.find(b"\r\n\r\n") != len(block) - 4
        or (block.count(b"\r"), block.count(b"\n")) != (ends, ends)
    ):
        return b""
    return block


def bearer_of(value: bytes) -> str:
    """The credentials of a Bearer field; a text that opens nothing for any other scheme."""
    scheme, _, credentials = value.partition(b" ")
    if scheme.lower() != b"bearer" or not credentials.isascii():
        return ""
    return credentials.decode("ascii")


def check_fields(head: Head, fields: Sequence[Header]) -> None:
    """TooLarge, BadRequest for what no request may bring."""
    if len(fields) > MOST_HEADERS or sum([len(name) + len(value) + 4 for name, value in fields]) > MOST_HEADER_BYTES:
        raise TooLarge("the header fields are more than 100 or longer than 16 KiB: leave out what is not needed")
    if len(head.fields) != len(fields):
        _refuse_repeated(fields)
    if _HOST.fullmatch(head.fields.get(b"host", b"")) is None:
        raise BadRequest("the request names no host, or not in the form `host` or `host:port`")


def _refuse_repeated(headers: Sequence[Header]) -> None:
    """Two of a kind are read differently by different readers."""
    names = [name for name, _ in headers]
    for name in _SINGLE:
        if names.count(name) > 1:
            raise BadRequest(f"the header field `{name.decode('ascii')}` stands twice: send it once")
