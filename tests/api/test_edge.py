"""The edge: what no route ever sees, and what every answer carries."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from starlette.types import Scope

from app.api.edge import BODY_BYTES, BULK_BYTES, STATEMENT_BYTES, Edge, body_bytes
from tests.api.front import Front, open_front, problem
from tests.factories import Town, wallet_id


async def raw(
    front: Front, method: str, path: bytes, *, headers: list[tuple[bytes, bytes]] | None = None, query: bytes = b"", body: bytes = b""
) -> tuple[int, dict[str, str], bytes]:
    """A request as the server would hand it on, whatever its bytes: no client tidies it up."""
    from urllib.parse import unquote_to_bytes

    scope: Scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "path": unquote_to_bytes(path).decode("utf-8", "replace"),
        "raw_path": path,
        "query_string": query,
        "headers": [(b"host", b"127.0.0.1:8000")] if headers is None else headers,
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 8000),
        "scheme": "http",
        "root_path": "",
    }
    sent: list[Any] = []
    parts = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> Any:
        return parts.pop(0) if parts else {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message)

    await front.app(scope, receive, send)
    found = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return sent[0]["status"], found, b"".join(message.get("body", b"") for message in sent[1:])


PATHS = [
    b"/v1/screen/%00", b"/v1/screen/a%00b", b"/v1/screen/%2e%2e/members", b"/v1/screen/..%2fmembers", b"/v1/members%2fde.bka",
    b"/v1/screen/0x1%2Fx", b"/v1/screen/a%2Fproof", b"/v1%5cmembers", b"/v1/members;a=b", b"/v1/members/de.bka;x", b"/v1/members/%3b",
    b"/v1/screen/\xc3\xa9", b"/v1/screen/%C3%A9", b"/v1/screen/%e2%80%8b0x1", b"/v1/screen/%EF%BC%91", b"/v1/screen/%ff", b"/v1/screen/%",
    b"/v1/screen/%zz", b"/v1/screen/a%20b", b"/v1/screen/a%0ab", b"/v1/screen/a%0d%0aSet-Cookie:x", b"/v1/screen/a b", b"/v1/screen/a\tb",
    b"/v1/screen/%41", b"/v1/screen/a%25b", b"/v1/screen/<script>", b'/v1/screen/"x"', b"/v1/screen/{x}", b"/v1/screen/a|b", b"/v1/screen/a\\b",
    b"/v1/screen/a^b", b"/v1/screen/`x`", b"http://other/v1/members", b"*", b"/v1/screen/\x1b[31m", b"/v1/screen/%e2%80%a8",
]  # fmt: skip


@pytest.mark.parametrize("path", PATHS)
async def test_a_path_of_another_spelling_is_refused_before_routing(front: Front, path: bytes) -> None:
    """Encoded separators, NUL, foreign letters, escapes of what stands for itself: never 200, never another route (S-18)."""
    status, headers, body = await raw(front, "GET", path)
    assert status in (400, 404), body
    assert headers["content-type"] == "application/problem+json"
    assert b"\x1b" not in body


async def test_dot_segments_and_double_slashes_lead_nowhere(front: Front) -> None:
    """They are part of no route, and nothing resolves them."""
    for path in (
        b"/v1/screen/../members",
        b"/v1//members",
        b"/v1/./members",
        b"/v1/members/",
        b"//v1/members",
        b"/v1/screen/",
        b"/V1/members",
        b"/v2/members",
        b"",
    ):
        status, _, _ = await raw(front, "GET", path)
        assert status == 404, path


async def test_signs_that_clients_escape_mean_themselves(front: Front) -> None:
    """`:`, `@` and `+` may be written either way; the record is the same."""
    plain = await raw(front, "GET", f"/v1/wallets/{wallet_id(1)}".encode())
    escaped = await raw(front, "GET", f"/v1/wallets/{wallet_id(1)}".replace(":", "%3A").encode())
    assert plain[0] == escaped[0] == 200
    assert plain[2] == escaped[2]


async def test_too_many_or_too_long_headers_are_refused(front: Front) -> None:
    """100 fields and 16 KiB, not more: 413."""
    host = [(b"host", b"x")]
    for headers in ([*host, *[(b"a", b"1")] * 100], [*host, (b"a", b"x" * 16_384)]):
        status, _, body = await raw(front, "GET", b"/v1/members", headers=headers)
        assert status == 413, body
    assert (await raw(front, "GET", b"/v1/members", headers=[*host, *[(b"a", b"1")] * 99]))[0] == 200


@pytest.mark.parametrize("name", [b"authorization", b"content-length", b"content-type", b"host", b"idempotency-key", b"cordon-purpose"])
async def test_a_header_that_means_something_stands_once(front: Front, name: bytes) -> None:
    """Two readers would pick different ones."""
    headers = [(b"host", b"x")] if name != b"host" else []
    status, _, body = await raw(front, "GET", b"/v1/members", headers=[*headers, (name, b"1"), (name, b"1")])
    assert (status, b"stands twice" in body) == (400, True)


async def test_a_host_has_the_form_of_a_host(front: Front) -> None:
    """Names, addresses and loopback are fine; anything else, and none at all, is 400; no answer ever repeats it."""
    for host in (b"127.0.0.1:8000", b"localhost", b"[::1]:8000", b"cordon.de.example", b"testserver"):
        assert (await raw(front, "GET", b"/v1/members", headers=[(b"host", host)]))[0] == 200
    for host in (b"a b", b"evil/", b"x@y", b"", b"a,b", b"\xff", b"x:port"):
        status, headers, body = await raw(front, "GET", b"/v1/members", headers=[(b"host", host)])
        assert status == 400, host
    assert (await raw(front, "GET", b"/v1/members", headers=[]))[0] == 400
    forged = [
        (b"host", b"evil.example"),
        (b"x-forwarded-host", b"evil2.example"),
        (b"x-forwarded-proto", b"https"),
        (b"x-original-url", b"/v1/held"),
    ]
    for path in (b"/.well-known/cordon-node", b"/v1/members", b"/v1/statements", b"/nowhere", b"/v1/members/"):
        _, headers, body = await raw(front, "GET", path, headers=forged)
        assert b"evil" not in body + str(headers).encode()
        assert "location" not in headers


async def test_trace_and_unknown_methods_are_refused_as_problems(front: Front) -> None:
    """405 with `Allow` where there is a route, 404 where there is none."""
    for method in ("TRACE", "CONNECT"):
        status, headers, body = await raw(front, method, b"/v1/members")
        assert (status, headers["content-type"]) == (405, "application/problem+json")
        assert b"host" not in body
    for method in ("PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "BREW"):
        status, headers, _ = await raw(front, method, b"/v1/members")
        assert (status, headers["content-type"], headers["allow"]) == (405, "application/problem+json", "GET"), method
        status, headers, _ = await raw(front, method, f"/v1/screen/{wallet_id(1)}".encode())
        assert (status, headers["allow"]) == (405, "GET"), method


async def test_every_answer_carries_the_same_headers(front: Front) -> None:
    """A snapshot: of success, refusal and unknown route alike. CORS stays off."""
    async with front.at(Origin="https://elsewhere.example") as client:
        for path in ("/v1/members", "/v1/members/de.nobody", "/nowhere", f"/v1/screen/{wallet_id(1)}", "/livez", "/log/checkpoint"):
            headers = (await client.get(path)).headers
            assert headers["x-content-type-options"] == "nosniff"
            assert headers["content-security-policy"] == "default-src 'none'; frame-ancestors 'none'"
            assert headers["vary"] == "Authorization, Accept, Accept-Encoding"
            assert "cache-control" in headers
            assert not [name for name in headers if name.startswith("access-control") or name in ("server", "location", "set-cookie")]


async def test_https_nodes_tell_browsers_to_stay(town: Town, sqlite_migrated_url: str) -> None:
    """Strict-Transport-Security goes with a public URL of https, and not without."""
    async with open_front(town, sqlite_migrated_url, public_url="https://cordon.de.example") as front, front.at() as client:
        assert "strict-transport-security" in (await client.get("/livez")).headers


async def test_request_ids_are_taken_given_and_told(front: Front) -> None:
    """8 to 64 letters, digits and hyphens come back; anything else is replaced by one of ours."""
    async with front.at() as client:
        for given in ("abcdefgh", "a" * 64, "5f2c-9a7b-e01d"):
            assert (await client.get("/livez", headers={"X-Request-Id": given})).headers["x-request-id"] == given
        ours = set()
        for given in ("short", "a" * 65, "with space", "semi;colon", "line%0abreak", ""):
            answer = await client.get("/nowhere", headers={"X-Request-Id": given})
            assert answer.headers["x-request-id"] == answer.json()["request_id"] != given
            ours.add(answer.headers["x-request-id"])
        assert len(ours) == 6


@pytest.mark.parametrize(
    ("path", "kind", "most"),
    [
        ("/v1/statements", "application/sd-jwt", STATEMENT_BYTES),
        ("/v1/statements", "text/plain", BULK_BYTES),
        ("/v1/statements", "application/json", BODY_BYTES),
        ("/v1/screen", "application/json", BULK_BYTES),
        ("/v1/api-keys", "application/json", BODY_BYTES),
        ("/nowhere", "application/json", BODY_BYTES),
    ],
)
async def test_bodies_are_bounded_declared_or_streamed(front: Front, path: str, kind: str, most: int) -> None:
    """One byte more than the route takes is 413, whether the length was said or not; the connection is closed."""
    assert body_bytes("POST", path, kind.encode()) == most

    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(most // 65_536 + 1):
            yield b"x" * 65_536
        yield b"x"

    key = await front.key("", "operator")
    async with front.at(key if path == "/v1/api-keys" else None) as client:
        for content in (b"x" * (most + 1), chunks()):
            answer = await client.post(path, content=content, headers={"Content-Type": kind})
            if path == "/nowhere" and not isinstance(content, bytes):
                assert problem(answer) == (404, "not_found")  # nobody read it
                continue
            assert problem(answer) == (413, "too_large")
            assert answer.headers["connection"] == "close"


async def test_lying_lengths_are_refused(front: Front) -> None:
    """A length that is no number never reaches a route."""
    for length in (b"-1", b"+1", b"0x10", b"1e3", b" 1", b"9" * 30, b""):
        headers = [(b"host", b"x"), (b"content-length", length), (b"content-type", b"application/json")]
        status, _, _ = await raw(front, "POST", b"/v1/screen", headers=headers, body=b"{}")
        assert status == 413, length


async def test_compressed_bodies_are_refused_unread(front: Front) -> None:
    """gzip, nested, unknown: 415 before a byte is expanded (S-10)."""
    import gzip

    bomb = gzip.compress(b" " * 1_000_000)
    async with front.at() as client:
        for encoding in ("gzip", "gzip, gzip", "br", "deflate", "GZIP", "zstd"):
            answer = await client.post(
                "/v1/screen", content=bomb, headers={"Content-Type": "application/json", "Content-Encoding": encoding}
            )
            assert problem(answer) == (415, "unsupported_media_type")
        fine = await client.post(
            "/v1/screen", content=b'{"items":[]}', headers={"Content-Type": "application/json", "Content-Encoding": "identity"}
        )
        assert fine.status_code == 200


async def test_an_unforeseen_error_is_a_problem_without_its_text(front: Front) -> None:
    """500 `internal` with the headers of every answer; what went wrong is for our log."""

    async def broken(scope: Any, receive: Any, send: Any) -> None:
        raise RuntimeError("the secret is 42")

    edge = front.app.middleware_stack or front.app.build_middleware_stack()
    assert isinstance(edge, Edge)
    alone = Edge(broken, requests=edge._requests, callsigns=edge.callsigns, is_https=False)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(alone), base_url="http://127.0.0.1") as client:
        answer = await client.get("/v1/members")
    assert problem(answer) == (500, "internal")
    assert "secret" not in answer.text
    assert answer.headers["x-request-id"]


async def test_documentation_is_off_unless_asked_for(town: Town, sqlite_migrated_url: str) -> None:
    """DOCS=true serves /docs; /redoc there is none."""
    async with open_front(town, sqlite_migrated_url, docs=True) as front, _plain(front) as client:
        assert [(await client.get(path)).status_code for path in ("/docs", "/redoc", "/openapi.json")] == [200, 404, 200]


async def test_no_page_is_served_by_default(front: Front) -> None:
    """No /docs, no /redoc; the description itself is public."""
    async with _plain(front) as client:
        assert [(await client.get(path)).status_code for path in ("/docs", "/redoc", "/openapi.json")] == [404, 404, 200]


def _plain(front: Front) -> httpx.AsyncClient:
    """A client that does not compare with the description."""
    return httpx.AsyncClient(transport=httpx.ASGITransport(front.app), base_url="http://127.0.0.1")
