"""The guard of S-14 at work: the address that was checked is the one that is called, and what an answer may cost."""

from __future__ import annotations

import asyncio
import gzip
import ssl
import time
from collections.abc import AsyncIterator, Sequence

import httpcore
import httpx
import pytest

from app.domain.errors import BadRequest, Malformed, Refused, TooLarge, Unavailable
from app.sdk.outbound import LIMITS, GuardedTransport, Limits, make_client, resolve_by_system
from tests.sdk.inside import INSIDE, PUBLIC
from tests.sdk.misbehaving import Peer, misbehaving, plain
from tests.waiting import within

# --- connections -----------------------------------------------------------------------------------------------------


class Wire(httpcore.AsyncNetworkBackend):
    """The network of these tests: writes down who was called, and answers what a node would; `dead` addresses take nobody."""

    def __init__(self, dead: Sequence[str] = ()) -> None:
        self.called: list[tuple[str, int]] = []
        self.names: list[str | None] = []
        self.sent: list[bytes] = []
        self._dead = dead

    async def connect_tcp(self, host: str, port: int, *_: object, **__: object) -> httpcore.AsyncNetworkStream:
        self.called.append((host, port))
        if host in self._dead:
            raise httpcore.ConnectError("nobody there")
        return _Line(self)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class _Line(httpcore.AsyncNetworkStream):
    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._answers: list[bytes] = []

    async def read(self, *_: object, **__: object) -> bytes:
        return self._answers.pop(0) if self._answers else b""

    async def write(self, buffer: bytes, *_: object, **__: object) -> None:
        self._wire.sent.append(buffer)
        if buffer.endswith(b"\r\n\r\n"):
            self._answers.append(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")

    async def start_tls(self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, **_: object) -> httpcore.AsyncNetworkStream:
        assert ssl_context.verify_mode == ssl.CERT_REQUIRED
        assert ssl_context.check_hostname
        assert ssl_context.minimum_version == ssl.TLSVersion.TLSv1_3
        self._wire.names.append(server_hostname)
        return self

    async def aclose(self) -> None:
        """Nothing to give back."""

    def get_extra_info(self, info: str) -> object:
        return None if info != "is_readable" else False


class Names:
    """A resolver of this process: each name has a list of answers, one a question, the last for good."""

    def __init__(self, **answers: list[list[str]]) -> None:
        self.answers = {name.replace("_", "."): list(given) for name, given in answers.items()}
        self.asked: list[str] = []

    async def __call__(self, host: str) -> Sequence[str]:
        self.asked.append(host)
        given = self.answers[host]
        return given.pop(0) if len(given) > 1 else given[0]


def client_of(names: Names, wire: Wire) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=GuardedTransport(resolve=names, sockets=wire), trust_env=False)


async def test_the_checked_address_is_called_and_the_name_is_kept():
    """The socket goes to the IP; the certificate is checked for the name, and Host says the name; one question for many requests."""
    names, wire = Names(de_example=[[PUBLIC], ["127.0.0.1"]]), Wire()
    async with client_of(names, wire) as http:
        for _ in range(3):
            assert (await http.get("https://de.example/log/checkpoint")).text == "hi"
    assert names.asked == ["de.example"]
    assert wire.called == [(PUBLIC, 443)]
    assert wire.names == ["de.example"]
    assert b"".join(wire.sent).lower().count(b"\r\nhost: de.example\r\n") == 3


async def test_a_name_whose_answer_changes_is_checked_at_each_connection():
    """Rebinding: the first answer is public, the next is not; no socket is opened for that."""
    names, wire = Names(de_example=[[PUBLIC], ["169.254.169.254"]]), Wire()
    async with client_of(names, wire) as http:
        await http.get("https://de.example/")
        with pytest.raises(BadRequest):
            await http.get("https://de.example:8443/")
    assert wire.called == [(PUBLIC, 443)]
    assert names.asked == ["de.example"] * 2


@pytest.mark.parametrize("address", INSIDE)
async def test_no_socket_is_opened_to_what_is_not_public(address: str):
    """Through the whole client, also where the bad address stands beside a good one."""
    names, wire = Names(de_example=[[PUBLIC, address]]), Wire()
    async with client_of(names, wire) as http:
        with pytest.raises(BadRequest):
            await http.get("https://de.example/")
    assert wire.called == []


async def test_the_next_address_is_tried_when_one_takes_nobody():
    """A node with two addresses is reached while one of them is down, and is unreachable when both are."""
    names, wire = Names(de_example=[["2606:4700:4700::1111", PUBLIC]]), Wire(dead=["2606:4700:4700::1111"])
    async with client_of(names, wire) as http:
        assert (await http.get("https://de.example/")).text == "hi"
    assert wire.called == [("2606:4700:4700::1111", 443), (PUBLIC, 443)]
    async with client_of(Names(de_example=[[PUBLIC]]), Wire(dead=[PUBLIC])) as http:
        with pytest.raises(httpx.TransportError):
            await http.get("https://de.example/")


@pytest.mark.parametrize(
    "url", ["http://de.example/", "https://de.example:22/", "https://localhost./", "https://a@de.example/", "https://127.1/"]
)
async def test_the_client_itself_refuses_a_bad_url(url: str):
    """Whoever builds a request past check_url meets it again."""
    wire = Wire()
    async with client_of(Names(de_example=[[PUBLIC]]), wire) as http:
        with pytest.raises(BadRequest):
            await http.get(url)
    assert wire.called == []


async def test_a_name_beyond_ascii_is_called_in_its_ascii_form():
    """Whichever way it is written."""
    names, wire = Names(**{"xn--bro-hoa.example": [[PUBLIC]]}), Wire()
    async with client_of(names, wire) as http:
        for url in ("https://b\u00fcro.example/", "https://xn--bro-hoa.example/"):
            assert (await http.get(url)).text == "hi"
    assert wire.names == ["xn--bro-hoa.example"]


async def test_the_operators_proxy_is_the_way_out():
    """It is asked to connect by name; what the name check refuses does not even reach it."""
    async with (
        misbehaving(plain(raw=b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")) as proxy,
        make_client(proxy=proxy.url) as http,
    ):
        with pytest.raises(httpx.TransportError):
            await http.get("https://de.example/")
        with pytest.raises(BadRequest):
            await http.get("https://10.0.0.1/")
    assert [head.split(b"\r\n")[0] for head in proxy.heard] == [b"CONNECT de.example:443 HTTP/1.1"]


async def test_an_application_in_this_process_takes_the_place_of_the_sockets():
    """With a transport given, names are still checked, and nothing is resolved."""

    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, text=str(request.url))

    async with make_client(transport=httpx.MockTransport(answer)) as http:
        assert (await http.get("https://de.example/x")).text == "https://de.example/x"
        with pytest.raises(BadRequest):
            await http.get("https://127.0.0.1/x")


async def test_the_system_resolver_is_asked_without_a_zone():
    """The resolver of the machine gives the addresses of the machine, each once; a name that is none is unavailable."""
    found = await resolve_by_system("localhost")
    assert set(found) <= {"127.0.0.1", "::1"}
    assert len(found) == len(set(found)) > 0
    with pytest.raises(Unavailable):
        await resolve_by_system("no such name")


async def test_the_environment_names_no_proxy(monkeypatch: pytest.MonkeyPatch):
    """A proxy in the environment is not used."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    async with misbehaving(plain(b"hi")) as peer, make_client(True) as http:
        assert (await http.get(peer.url)).text == "hi"


# --- answers ---------------------------------------------------------------------------------------------------------


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    async with make_client(True) as client:
        yield client


async def test_connections_are_kept_alive(http: httpx.AsyncClient):
    """Many requests, one connection."""
    async with misbehaving(plain(b"hi")) as peer:
        for _ in range(20):
            assert (await http.get(peer.url)).content == b"hi"
    assert peer.connections == 1


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_redirects_are_not_followed(http: httpx.AsyncClient, status: int):
    """Not even by a client that is told to follow; the target hears nothing."""
    async with misbehaving(plain(b"secret")) as inside:
        redirect = b"HTTP/1.1 %d Found\r\nLocation: %s\r\nContent-Length: 0\r\n\r\n" % (status, inside.url.encode())
        async with misbehaving(plain(raw=redirect)) as peer:
            with pytest.raises(Refused, match="redirect"):
                await http.get(peer.url, follow_redirects=True)
    assert inside.connections == 0


@pytest.mark.parametrize("coding", ["gzip", "br", "deflate", "zstd", "identity, gzip", "x"])
async def test_a_compressed_answer_is_not_read(http: httpx.AsyncClient, coding: str):
    """A bomb of a gigabyte costs nothing: no compression is asked for, and none is taken."""
    bomb = gzip.compress(bytes(10_000_000))
    async with misbehaving(plain(bomb, headers=f"Content-Encoding: {coding}\r\n")) as peer:
        with pytest.raises(Malformed):
            await http.get(peer.url)
    assert b"accept-encoding: identity\r\n" in peer.heard[0].lower()


async def test_an_endless_body_is_cut_at_the_cap(http: httpx.AsyncClient):
    """Without a length, a megabyte is read and no more."""

    async def endless(peer: Peer) -> None:
        await peer.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            await peer.send(b"10000\r\n" + bytes(0x10000) + b"\r\n")

    async with misbehaving(endless) as peer:
        with pytest.raises(TooLarge):
            await http.get(peer.url)
    assert peer.sent < 12 * 1024 * 1024


async def test_a_promised_size_is_believed_when_it_is_too_large(http: httpx.AsyncClient):
    """Nothing of the body is waited for."""
    async with misbehaving(plain(raw=b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n")) as peer:
        with pytest.raises(TooLarge):
            await http.get(peer.url)


async def test_the_exact_cap_is_read(http: httpx.AsyncClient):
    """The cap is the largest that passes."""
    for size, passes in ((1000, True), (1001, False)):
        async with misbehaving(plain(bytes(size), headers="Connection: close\r\n", length=False)) as peer:
            request = http.build_request("GET", peer.url, extensions={LIMITS: Limits(max_bytes=1000)})
            if passes:
                assert len((await http.send(request)).content) == 1000
            else:
                with pytest.raises(TooLarge):
                    await http.send(request)


@pytest.mark.parametrize("where", ["head", "body"])
async def test_a_peer_that_drips_is_left_at_the_deadline(http: httpx.AsyncClient, where: str):
    """Each byte comes in time, the answer does not: the deadline is over the whole exchange."""

    async def drip(peer: Peer) -> None:
        await peer.send(b"HTTP/1.1 200 OK\r\n" + (b"Content-Length: 1000\r\n\r\n" if where == "body" else b"X: "))
        while True:
            await peer.send(b"x")
            await asyncio.sleep(0.02)

    async with misbehaving(drip) as peer:
        request = http.build_request("GET", peer.url, extensions={LIMITS: Limits(deadline_s=0.4)})
        began = time.monotonic()
        async with within(3):
            with pytest.raises(httpx.TimeoutException):
                await http.send(request)
        assert time.monotonic() - began > 0.3


@pytest.mark.parametrize("after", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc"])
async def test_a_peer_that_falls_silent_is_left(http: httpx.AsyncClient, after: bytes):
    """Without a deadline (streams) a pause within the answer still ends it."""

    async def silent(peer: Peer) -> None:
        await peer.send(after)
        await asyncio.sleep(30)

    async with misbehaving(silent) as peer:
        request = http.build_request("GET", peer.url, extensions={LIMITS: Limits(deadline_s=None, idle_s=0.3)})
        with pytest.raises(httpx.TimeoutException):
            await http.send(request)


@pytest.mark.parametrize(
    "raw", [b"", b"nonsense\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc", b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 50_000]
)
async def test_a_broken_answer_is_a_transport_error(http: httpx.AsyncClient, raw: bytes):
    """No answer, no HTTP, half a body, headers without end: what httpx calls a transport error, whoever noticed it."""
    async with misbehaving(plain(raw=raw, close=True)) as peer:
        with pytest.raises(httpx.TransportError):
            await http.get(peer.url)


async def test_after_a_fault_the_next_answer_is_whole(http: httpx.AsyncClient):
    """What was left of an answer is not taken for the next one."""
    turns = iter([b"HTTP/1.1 200 OK\r\nContent-Length: 3000000\r\n\r\n" + bytes(100), b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"])

    async def once_bad(peer: Peer) -> None:
        await peer.send(next(turns))

    async with misbehaving(once_bad) as peer:
        with pytest.raises(TooLarge):
            await http.get(peer.url)
        assert (await http.get(peer.url)).content == b"hi"
    assert peer.connections == 2
