"""What goes over the wire to a node and what comes back, without any network: requests as values, answers as values or our errors.

A problem document (RFC 9457) becomes the class of `domain/errors` whose slug is its `code`; a code this client does not know becomes
Refused (4xx) or Unavailable (5xx). Schemas §3, §4.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import quote

from ..domain.canonical import JsonValue, read_json, write_json
from ..domain.errors import (
    BadJson,
    Betrayed,
    CordonError,
    Fault,
    InvalidAddress,
    Malformed,
    Quota,
    Refused,
    SizeConflict,
    TooLarge,
    Unavailable,
)

BATCH_MAX = 500
BATCH_BYTES = 8 * 1024 * 1024
STATEMENT_BYTES = 1024 * 1024
SCREEN_MAX = 10_000
ANSWER_BYTES = 256 * 1024 * 1024
SEGMENT = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._:@+-")

_MAX_DEPTH = 16
_MAX_TOKENS = 20_000_000


@dataclass(frozen=True, slots=True)
class Call:
    """One request. `path` starts with a slash; `content` is sent as it is."""

    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    content: bytes | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """One response, read whole. Header names are lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Submitted:
    """What the node says of one statement (schemas §4.1). `receipt` is tlog-proof text; all but sid and status may be None.

    `reason` is there when it is held: protected, four_eyes, needs2.
    """

    sid: str
    status: str
    reason: str | None = None
    index: int | None = None
    accepted_ms: int | None = None
    receipt: str | None = None


# --- requests --------------------------------------------------------------------------------------------------------


def submit_one(wire: str) -> Call:
    """One statement, byte for byte."""
    headers = {"Content-Type": "application/sd-jwt", "Accept": "application/json"}
    return Call("POST", "/v1/statements", headers=headers, content=wire.encode("ascii"))


def submit_batch(wires: Sequence[str]) -> Call:
    """Up to 500 statements, one a line, at most 8 MiB."""
    headers = {"Content-Type": "text/plain", "Accept": "application/x-ndjson"}
    return Call("POST", "/v1/statements", headers=headers, content="\n".join(wires).encode("ascii"))


def batches(wires: Iterable[str], *, most: int = BATCH_MAX) -> Iterator[list[str]]:
    """Cut into batches the node takes; TooLarge for a statement that no batch can hold."""
    batch: list[str] = []
    size = 0
    for wire in wires:
        length = len(wire) + 1
        if length > STATEMENT_BYTES:
            raise TooLarge(f"one statement has {length} bytes, at most {STATEMENT_BYTES} are taken: put fewer items into it")
        if batch and (len(batch) >= most or size + length > BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(wire)
        size += length
    if batch:
        yield batch


def screen(items: Sequence[Mapping[str, JsonValue]], *, include: str = "all", receipt: bool = False) -> Call:
    """Up to 10,000 items {address, chain?, tag?, reference?}."""
    if len(items) > SCREEN_MAX:
        raise TooLarge(f"{len(items)} items in one request: the node takes {SCREEN_MAX}")
    body = write_json({"items": [dict(item) for item in items], "include": include, **({"receipt": True} if receipt else {})})
    return Call("POST", "/v1/screen", headers={"Content-Type": "application/json"}, content=body)


def screen_address(address: str, *, chain: str | None = None, tag: str | None = None) -> Call:
    """One address or indicator in any spelling."""
    query = {name: value for name, value in (("chain", chain), ("tag", tag)) if value is not None}
    return by_id("/v1/screen", address, query)


def view_bucket(tier: str, number: int) -> Call:
    """One bucket of a view."""
    return Call("GET", f"/v1/view/{tier}/bucket/{number:04x}")


def by_id(route: str, identifier: str, query: Mapping[str, str] | None = None) -> Call:
    """`route/{id}`, or `route?id=` for an id that is no path segment (schemas §3)."""
    asked = dict(query or {})
    if identifier and SEGMENT.issuperset(identifier):
        return Call("GET", f"{route}/{quote(identifier, safe=':@+')}", asked)
    return Call("GET", route, {"id": identifier, **asked})


# --- answers ---------------------------------------------------------------------------------------------------------


def read_submitted(value: JsonValue) -> Submitted | CordonError:
    """One line of a batch answer, or the body of a single one."""
    record = as_object(value)
    problem = record.get("error")
    if isinstance(problem, dict):
        return error_of(problem, status=_int(problem.get("status")) or 400)
    sid, status = record.get("sid"), record.get("status")
    if not isinstance(sid, str) or not isinstance(status, str):
        raise Malformed("the node answered a submission without `sid` and `status`: is it a cordon node?")
    return Submitted(
        sid, status, _str(record.get("reason")), _int(record.get("index")), _int(record.get("accepted_ms")), _str(record.get("receipt"))
    )


def read_batch(answer: Answer, expected: int) -> list[Submitted | CordonError]:
    """One outcome per line sent, in order; Malformed if the node answered another number of rows."""
    outcomes = [read_submitted(json_of(line)) for line in answer.body.split(b"\n") if line]
    if len(outcomes) != expected:
        raise Malformed(f"the node answered {len(outcomes)} rows for {expected} statements: send the batch again, it is idempotent")
    return outcomes


def json_of(body: bytes) -> JsonValue:
    """Strict JSON of an answer; Malformed otherwise."""
    try:
        return read_json(body, max_depth=_MAX_DEPTH, max_tokens=_MAX_TOKENS)
    except BadJson as error:
        raise Malformed(f"the node's answer is not JSON ({error.detail}): is this URL a cordon node?") from error


def as_object(value: JsonValue) -> dict[str, JsonValue]:
    """The value, if it is an object; Malformed otherwise."""
    if not isinstance(value, dict):
        raise Malformed("the node's answer is not an object: is this URL a cordon node?")
    return value


def as_objects(value: JsonValue) -> list[dict[str, JsonValue]]:
    """The value, if it is a list of objects; Malformed otherwise."""
    if not isinstance(value, list):
        raise Malformed("the node's answer is not a list: is this URL a cordon node?")
    return [as_object(one) for one in value]


def check(answer: Answer) -> Answer:
    """The answer, if it is a success; else our error for its problem document."""
    if 200 <= answer.status < 300:
        return answer
    if "json" in answer.headers.get("content-type", ""):
        try:
            problem = json_of(answer.body)
        except Malformed:
            problem = None
        if isinstance(problem, dict):
            raise error_of(problem, status=answer.status, retry_after=answer.headers.get("retry-after"))
    if 300 <= answer.status < 400:
        raise Refused(f"the node answered with a redirect ({answer.status}): give the address it redirects to, redirects are not followed")
    if answer.status >= 500:
        raise Unavailable(f"the node answered {answer.status}: try again later")
    raise Refused(f"the node answered {answer.status}: is this URL a cordon node?")


def retry_after_s(answer: Answer) -> float | None:
    """Seconds the node asks to wait on 429 and 503, None if it does not say (dates are not read)."""
    text = answer.headers.get("retry-after", "")
    if answer.status not in (429, 503) or not (text.isascii() and text.isdigit() and len(text) < 8):
        return None
    return float(text)


# --- errors ----------------------------------------------------------------------------------------------------------


def error_of(problem: Mapping[str, JsonValue], *, status: int, retry_after: str | None = None) -> CordonError:
    """The error that a problem document stands for."""
    code, detail = _str(problem.get("code")) or "", _str(problem.get("detail")) or _str(problem.get("title")) or ""
    faults = tuple(_faults(problem.get("errors")))
    if code == Quota.slug:
        seconds = int(retry_after) if retry_after and retry_after.isascii() and retry_after.isdigit() else 60
        return Quota(detail, retry_after_s=seconds)
    if code == InvalidAddress.slug:
        return InvalidAddress(faults[0].code if faults else "alphabet", detail)
    known = _by_slug().get(code)
    if known is not None:
        return known(detail, faults=faults)
    if status >= 500:
        return Unavailable(detail or f"the node answered {status}: try again later", faults=faults)
    return Refused(detail or f"the node answered {status} {code}", faults=faults)


def _faults(value: JsonValue) -> Iterator[Fault]:
    for one in value if isinstance(value, list) else []:
        if isinstance(one, dict):
            yield Fault(_str(one.get("pointer")) or "", _str(one.get("code")) or "", _str(one.get("detail")) or "")


def _by_slug() -> dict[str, type[CordonError]]:
    """Classes that a node's word may become: never evidence of misbehaviour, which only own checks can show."""
    if not _SLUGS:
        _SLUGS.update(_walk(Refused))
        _SLUGS.update(_walk(Unavailable))
        for special in (Quota, InvalidAddress, SizeConflict):
            _SLUGS.pop(special.slug, None)
    return _SLUGS


def _walk(branch: type[CordonError]) -> Iterator[tuple[str, type[CordonError]]]:
    for child in branch.__subclasses__():
        # A class without a slug of its own is one that only our own checks raise.
        if "slug" in vars(child) and not issubclass(child, Betrayed):
            yield child.slug, child
        yield from _walk(child)


_SLUGS: dict[str, type[CordonError]] = {}


def _str(value: JsonValue) -> str | None:
    return value if isinstance(value, str) else None


def _int(value: JsonValue) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None
