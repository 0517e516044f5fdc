"""The one way out to addresses that others have named (peers, later webhooks): what keeps such a call from reaching inside.

    name        https, ports 443 and 8443, no user, no fragment, one spelling of the host      check_url
    address     resolved once a connection; every address of the answer must be public, the    check_addresses
                socket goes to an address that was checked, TLS and Host keep the name
    answer      no redirect, no compression, a deadline over the whole exchange, a byte cap    GuardedTransport
                while it streams, a pause within a body only so long

Connections are kept alive: a pooled one stays with the address that was checked when it was made. No proxy or certificate path is read
from the environment. Loopback only where the caller says so (development), and plain http only there. Trust-and-ops S-14.
"""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network
from ssl import SSLContext, TLSVersion
from typing import Final

import httpcore
import httpx

from ..domain.errors import BadRequest, InvalidAddress, Malformed, Refused, TooLarge, Unavailable
from ..domain.hosts import read_domain

Resolve = Callable[[str], Awaitable[Sequence[str]]]

LIMITS: Final = "cordon.limits"
"""The request extension that carries `Limits`; without it the defaults hold."""

PORTS: Final = frozenset({443, 8443})
_CONNECT_S: Final = 3.0
_CONNECTIONS: Final = 256
_KEPT_S: Final = 90.0
_MAX_ADDRESSES: Final = 16

_URL: Final = re.compile(r"(https?)://(\[[0-9A-Fa-f:.]{2,45}\]|[^\s\[\]:/?#@\\%\x00-\x20\x7f]{1,253})(?::([1-9][0-9]{0,4}))?(/[!-~]*)?")
_V4_DENIED: Final = tuple(
    ip_network(text)
    for text in (
        "0.0.0.0/8 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 169.254.0.0/16 172.16.0.0/12 192.0.0.0/24 192.0.2.0/24 192.88.99.0/24 "
        "192.168.0.0/16 198.18.0.0/15 198.51.100.0/24 203.0.113.0/24 224.0.0.0/4 240.0.0.0/4 168.63.129.16/32"  # the last: a cloud's inside
    ).split()
)
_V6_ALLOWED: Final = IPv6Network("2000::/3")
_V6_DENIED: Final = tuple(IPv6Network(text) for text in "2001::/23 2001:db8::/32 2002::/16 3fff::/20".split())
_NAT64: Final = IPv6Network("64:ff9b::/96")


Transport = httpx.AsyncBaseTransport
"""What requests go through, for floors that must not know httpx."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What one exchange may cost: seconds in all (None: no end, for streams), bytes of the body, seconds between two pieces of it."""

    deadline_s: float | None = 10.0
    max_bytes: int | None = 1024 * 1024
    idle_s: float = 10.0


@dataclass(frozen=True, slots=True)
class Target:
    """A checked address of the web: `url` is its one spelling, without a slash at the end."""

    scheme: str
    host: str
    port: int
    url: str


# --- names -----------------------------------------------------------------------------------------------------------


def check_url(url: str, allow_loopback: bool = False, *, ports: frozenset[int] = PORTS) -> Target:
    """The target of a URL that somebody else has named; BadRequest says what is wrong with it. No name is resolved here."""
    found = _URL.fullmatch(url)
    if found is None:
        raise BadRequest("the address is https://host[:port][/path]: no user name, no fragment, no blank, no zone")
    scheme, host_text, port_text, path = found.groups()
    host = _read_host(host_text, allow_loopback)
    port = int(port_text) if port_text else {"https": 443, "http": 80}[scheme]
    inside = _is_loopback_host(host)
    if scheme == "http" and not inside:
        raise BadRequest("a node is addressed by https: plain http is for loopback in development only")
    if port > 65535 or not (inside or port in ports):
        raise BadRequest(f"port {port} is not open for peers: use one of {', '.join(map(str, sorted(ports)))}")
    shown = host if port == {"https": 443, "http": 80}[scheme] else f"{host}:{port}"
    return Target(scheme, host, port, f"{scheme}://{shown}{(path or '').rstrip('/')}")


def _read_host(text: str, allow_loopback: bool) -> str:
    """The host in its one spelling: an IP address as it is written, else a domain in ASCII and small letters."""
    if text.startswith("[") or re.fullmatch(r"[0-9.]+", text):
        check_addresses([text.strip("[]")], allow_loopback)
        address = ip_address(text.strip("[]"))
        return f"[{address}]" if address.version == 6 else str(address)
    name = text.lower()
    if name == "localhost" and allow_loopback:
        return name
    if name.rstrip(".").rpartition(".")[2] in ("localhost", "local", "internal", "onion") or text.endswith("."):
        raise BadRequest("the host is a name inside of something, or ends in a dot: give the public name of the node")
    try:
        domain = read_domain(text)
    except InvalidAddress as error:
        raise BadRequest(f"the host is no public name: {error.detail}") from error
    if domain.startswith("*") or "_" in domain or (text.isascii() and domain != name):
        raise BadRequest("the host is a pattern, or written so that nobody opens it: give the public name of the node")
    return domain


def _is_loopback_host(host: str) -> bool:
    """Whether the name itself says so; only possible where `_read_host` let it through."""
    return host == "localhost" or (host[0] in "[0123456789" and _is_ip_loopback(host.strip("[]")))


def _is_ip_loopback(text: str) -> bool:
    try:
        address = ip_address(text)
    except ValueError:
        return False
    return all(one.is_loopback for one in _unwrapped(address))


# --- addresses -------------------------------------------------------------------------------------------------------


def check_addresses(addresses: Iterable[str], allow_loopback: bool = False) -> tuple[str, ...]:
    """All the addresses of one answer, if every one is public (or loopback where allowed); BadRequest otherwise, also for none."""
    checked = tuple(addresses)
    if not 0 < len(checked) <= _MAX_ADDRESSES:
        raise BadRequest(f"the host has {len(checked)} addresses: from 1 to {_MAX_ADDRESSES} are taken")
    for text in checked:
        if not _is_allowed(text, allow_loopback):
            raise BadRequest("the host leads to an address that is not public: nothing inside a network is called")
    return checked


def _is_allowed(text: str, allow_loopback: bool) -> bool:
    try:
        address = ip_address(text)
    except ValueError:
        return False
    if "%" in text:
        return False
    if allow_loopback and _is_ip_loopback(text):
        return True
    return all(_is_public(one) for one in _unwrapped(address))


def _unwrapped(address: IPv4Address | IPv6Address) -> tuple[IPv4Address | IPv6Address, ...]:
    """The IPv4 addresses that an IPv6 address stands for (mapped, NAT64, 6to4, Teredo: server and client), else the address itself."""
    if isinstance(address, IPv4Address):
        return (address,)
    if address.ipv4_mapped is not None:
        return (address.ipv4_mapped,)
    if address in _NAT64:
        return (IPv4Address(int(address) & 0xFFFFFFFF),)
    if address.sixtofour is not None:
        return (address.sixtofour,)
    return address.teredo or (address,)


def _is_public(address: IPv4Address | IPv6Address) -> bool:
    """`is_global` and our own table: what Python calls global changes from version to version, and it counts multicast in."""
    if not address.is_global or address.is_multicast or address.is_reserved or address.is_unspecified:
        return False
    if isinstance(address, IPv4Address):
        return not any(address in network for network in _V4_DENIED)
    return address in _V6_ALLOWED and not any(address in network for network in _V6_DENIED)


async def resolve_by_system(host: str) -> Sequence[str]:
    """The addresses of a host as the machine's resolver tells them; Unavailable if it tells none."""
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except OSError as error:
        raise Unavailable(f"the name {host} cannot be resolved now: is it right, does the resolver answer?") from error
    return tuple(dict.fromkeys(str(one[4][0]) for one in found))


# --- connections -----------------------------------------------------------------------------------------------------


class GuardedBackend(httpcore.AsyncNetworkBackend):
    """Makes TCP connections for the pool: resolves once, checks every address, connects to one of those."""

    def __init__(self, *, allow_loopback: bool, resolve: Resolve, sockets: httpcore.AsyncNetworkBackend) -> None:
        self._allow_loopback = allow_loopback
        self._resolve = resolve
        self._sockets = sockets

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - the name is httpcore's
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """A connection to the first address of `host` that takes one."""
        addresses = check_addresses(await self._addresses(host), self._allow_loopback)
        for address in addresses[:-1]:
            try:
                return await self._sockets.connect_tcp(address, port, min(timeout or _CONNECT_S, _CONNECT_S), local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout):
                continue
        return await self._sockets.connect_tcp(addresses[-1], port, timeout, local_address, socket_options)

    async def _addresses(self, host: str) -> Sequence[str]:
        try:
            return (str(ip_address(host.strip("[]"))),)
        except ValueError:
            return await self._resolve(host)

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        await self._sockets.sleep(seconds)


class _Pool(httpx.AsyncBaseTransport):
    """httpx on a pool of httpcore whose connections the guard makes (httpx itself lets nobody choose them)."""

    def __init__(self, backend: httpcore.AsyncNetworkBackend | None, tls: SSLContext, proxy: str | None) -> None:
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=tls,
            proxy=None if proxy is None else httpcore.Proxy(proxy),
            max_connections=_CONNECTIONS,
            max_keepalive_connections=_CONNECTIONS,
            keepalive_expiry=_KEPT_S,
            http1=True,
            http2=False,
            network_backend=backend,
        )

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        url = httpcore.URL(scheme=request.url.raw_scheme, host=request.url.raw_host, port=request.url.port, target=request.url.raw_path)
        sent = httpcore.Request(request.method, url, headers=request.headers.raw, content=request.stream, extensions=request.extensions)
        answer = await self._pool.handle_async_request(sent)
        return httpx.Response(answer.status, headers=answer.headers, stream=_Pieces(answer), extensions=answer.extensions)

    async def aclose(self) -> None:
        await self._pool.aclose()


class _Pieces(httpx.AsyncByteStream):
    """The body of an answer of httpcore."""

    def __init__(self, answer: httpcore.Response) -> None:
        self._answer = answer

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for piece in self._answer.aiter_stream():
            yield piece

    async def aclose(self) -> None:
        await self._answer.aclose()


# --- answers ---------------------------------------------------------------------------------------------------------


class GuardedTransport(httpx.AsyncBaseTransport):
    """The transport of every client that calls others. With `inner` (an application in this process) its sockets are not used.

    `proxy` is the operator's own way out (`http://host:port`): names and ports are checked here, addresses are the proxy's to check.
    """

    def __init__(
        self,
        *,
        allow_loopback: bool = False,
        resolve: Resolve = resolve_by_system,
        ports: frozenset[int] = PORTS,
        inner: httpx.AsyncBaseTransport | None = None,
        sockets: httpcore.AsyncNetworkBackend | None = None,
        proxy: str | None = None,
    ) -> None:
        self._allow_loopback = allow_loopback
        self._ports = ports
        guard = GuardedBackend(allow_loopback=allow_loopback, resolve=resolve, sockets=sockets or httpcore.AnyIOBackend())
        self._inner = inner or _Pool(guard if proxy is None else sockets, _tls(), proxy)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send one request; the answer streams under its limits. Errors: BadRequest (target), Refused (redirect), httpx's own."""
        self._check(request.url)
        limits: Limits = request.extensions.get(LIMITS) or Limits()
        ends = None if limits.deadline_s is None else asyncio.get_running_loop().time() + limits.deadline_s
        request.headers["Accept-Encoding"] = "identity"
        idle = min(limits.idle_s, limits.deadline_s or limits.idle_s)
        request.extensions = {**request.extensions, "timeout": {"connect": _CONNECT_S, "read": idle, "write": idle, "pool": idle}}
        async with _until(ends, request):
            response = await self._inner.handle_async_request(request)
        try:
            _check_head(response, limits)
        except BaseException:
            await response.aclose()
            raise
        if not isinstance(response.stream, httpx.AsyncByteStream):
            raise TypeError("the transport below is not an asynchronous one")
        response.stream = _Metered(response.stream, request, limits, ends)
        return response

    def _check(self, url: httpx.URL) -> None:
        """The URL once more, as it is about to be used: whoever built the request may have joined another one onto the base."""
        host = url.raw_host.decode("ascii")
        shown = f"{url.scheme}://{f'[{host}]' if ':' in host else host}"
        target = check_url(shown if url.port is None else f"{shown}:{url.port}", self._allow_loopback, ports=self._ports)
        if url.userinfo or target.host.strip("[]") != host:
            raise BadRequest("the address is not in its one spelling: use what check_url gives")

    async def aclose(self) -> None:
        """Give the connections back."""
        await self._inner.aclose()


@cache
def _tls() -> SSLContext:
    """One for all: reading the authorities takes long, and nobody changes it afterwards."""
    context = httpx.create_ssl_context(trust_env=False)
    context.minimum_version = TLSVersion.TLSv1_3
    return context


def _check_head(response: httpx.Response, limits: Limits) -> None:
    if 300 <= response.status_code < 400:
        raise Refused(f"the node answered with a redirect ({response.status_code}): redirects are not followed, give its own address")
    if response.headers.get("content-encoding", "identity").strip().lower() not in ("", "identity"):
        raise Malformed("the node compressed its answer without being asked: it is not read")
    promised = response.headers.get("content-length", "")
    if limits.max_bytes is not None and promised.isascii() and promised.isdigit() and int(promised[:20]) > limits.max_bytes:
        raise TooLarge(f"the node's answer is larger than the {limits.max_bytes} bytes that are read")


class _until:  # noqa: N801 - used like the function asyncio.timeout_at
    """`asyncio.timeout_at` whose end is told as httpx tells a timeout."""

    def __init__(self, ends: float | None, request: httpx.Request) -> None:
        self._timeout = asyncio.timeout_at(ends)
        self._request = request

    async def __aenter__(self) -> None:
        await self._timeout.__aenter__()

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        try:
            await self._timeout.__aexit__(kind, error, trace)  # type: ignore[arg-type]
        except TimeoutError as late:
            raise httpx.ReadTimeout("no whole answer before the deadline", request=self._request) from late
        if isinstance(error, httpcore.TimeoutException):
            raise httpx.ReadTimeout(str(error) or "no answer in time", request=self._request) from error
        if isinstance(error, _CORE_ERRORS):
            raise httpx.TransportError(str(error) or type(error).__name__, request=self._request) from error


_CORE_ERRORS: Final = (
    httpcore.NetworkError,
    httpcore.ProtocolError,
    httpcore.ProxyError,
    httpcore.UnsupportedProtocol,
    httpcore.ConnectionNotAvailable,
)


class _Metered(httpx.AsyncByteStream):
    """A body that is counted and timed while it comes."""

    def __init__(self, inner: httpx.AsyncByteStream, request: httpx.Request, limits: Limits, ends: float | None) -> None:
        self._inner = inner
        self._request = request
        self._limits = limits
        self._ends = ends

    async def __aiter__(self) -> AsyncIterator[bytes]:
        pieces = aiter(self._inner)
        left = self._limits.max_bytes
        while True:
            async with _until(self._next_end(), self._request):
                piece = await anext(pieces, None)
            if piece is None:
                return
            if left is not None and (left := left - len(piece)) < 0:
                raise TooLarge(f"the node's answer is larger than the {self._limits.max_bytes} bytes that are read")
            yield piece

    def _next_end(self) -> float:
        patience = asyncio.get_running_loop().time() + self._limits.idle_s
        return patience if self._ends is None else min(patience, self._ends)

    async def aclose(self) -> None:
        await self._inner.aclose()


def make_client(
    allow_loopback: bool = False,
    transport: httpx.AsyncBaseTransport | None = None,
    *,
    resolve: Resolve = resolve_by_system,
    ports: frozenset[int] = PORTS,
    proxy: str | None = None,
) -> httpx.AsyncClient:
    """The client that all peers share; with `transport` (an application in this process) names are checked and no socket is used."""
    guarded = GuardedTransport(allow_loopback=allow_loopback, resolve=resolve, ports=ports, inner=transport, proxy=proxy)
    return httpx.AsyncClient(transport=guarded, trust_env=False, follow_redirects=False, headers={"User-Agent": "cordon-node/1"})
