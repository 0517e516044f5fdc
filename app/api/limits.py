"""How often a caller may ask: fixed windows in memory, and the header fields that say what is left (trust-and-ops §4, S-12, S-13).

A window begins with its first request. Each worker process counts for itself. A caller without a key is counted by its address
(IPv6: by its /64); the address is used for nothing else and stands in no log.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache

from app.domain.errors import Quota

MINUTE_S = 60
HOUR_S = 3_600
DAY_S = 86_400
MOST_WINDOWS = 100_000

Header = tuple[bytes, bytes]
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class OverQuota(Quota):
    """429 that names the policy which was violated."""

    def __init__(self, left: Left, detail: str) -> None:
        super().__init__(detail, retry_after_s=left[2])
        self.left = left


class Policy:
    """So many units in so many seconds; `name` stands in the header fields. Make them with `policy`: one value is one object."""

    __slots__ = ("length_ms", "name", "quota", "stated", "telling", "window_s")

    def __init__(self, name: str, quota: int, window_s: int) -> None:
        self.name = name
        self.quota = quota
        self.window_s = window_s
        self.length_ms = window_s * 1000
        quoted = b'"%s"' % name.encode("ascii")
        self.stated = b"%s;q=%d;w=%d" % (quoted, quota, window_s)
        self.telling = quoted + b";r=%d;t=%d"


@lru_cache(1024)
def policy(name: str, quota: int, window_s: int = MINUTE_S) -> Policy:
    """The policy of these terms."""
    return Policy(name, quota, window_s)


Left = tuple[Policy, int, int]
"""What is left of a policy: units, and seconds until they are given anew."""


def rate_headers(lefts: Sequence[Left]) -> tuple[Header, ...]:
    """`RateLimit-Policy` and `RateLimit`, a member for each policy that was asked; none if none was."""
    if len(lefts) == 2:  # of a key, the requests of the minute and the addresses of the day
        (minute, left, seconds), (day, day_left, day_seconds) = lefts
        stated, telling = _terms(minute, day)
        return stated, (b"ratelimit", telling % (left, seconds, day_left, day_seconds))
    if not lefts:
        return ()
    stated, telling = _terms(*[asked for asked, _, _ in lefts])
    return stated, (b"ratelimit", telling % tuple([number for one in lefts for number in one[1:]]))


def rate_lines(lefts: Sequence[Left]) -> bytes:
    """`rate_headers` as they stand in an answer, each with its line end."""
    if len(lefts) == 2:
        (minute, left, seconds), (day, day_left, day_seconds) = lefts
        return _lines(minute, day) % (left, seconds, day_left, day_seconds)
    return b"".join([b"%b: %b\r\n" % header for header in rate_headers(lefts)])


@lru_cache(1024)
def _lines(*policies: Policy) -> bytes:
    """The form of both lines."""
    (name, stated), telling = _terms(*policies)
    return b"%b: %b\r\nratelimit: %b\r\n" % (name, stated, telling)


@lru_cache(1024)
def _terms(*policies: Policy) -> tuple[Header, bytes]:
    """What is the same in the headers of all who are held to these policies: the first field, and the form of the second."""
    return (b"ratelimit-policy", b", ".join([one.stated for one in policies])), b", ".join([one.telling for one in policies])


class Limiter:
    """Counts per caller and policy. `clock` gives milliseconds."""

    def __init__(self, clock: Callable[[], int]) -> None:
        self._clock = clock
        self._windows: dict[tuple[str, str], list[int]] = {}
        """By policy and caller: when it began and how long it is, in milliseconds, and the units taken."""

    def spend(self, who: str, asked: Policy, amount: int = 1) -> Left:
        """Take `amount` units and say what is left; OverQuota if there are not so many, then nothing is taken."""
        now = self._clock()
        window = self._windows.get((asked.name, who))
        if window is None or not 0 <= now - window[0] < asked.length_ms:
            window = self._begin(who, asked, now)
        left = asked.quota - window[2] - amount
        seconds_left = (window[0] + asked.length_ms - now + 999) // 1000
        if left < 0:
            detail = f"more than {asked.quota} units of `{asked.name}` in {asked.window_s} seconds: try again in {seconds_left} seconds"
            raise OverQuota((asked, max(left + amount, 0), seconds_left), detail)
        window[2] += amount
        return asked, left, seconds_left

    def left(self, who: str, asked: Policy) -> int:
        """Units left in the window at hand."""
        now = self._clock()
        window = self._windows.get((asked.name, who))
        if window is None or not 0 <= now - window[0] < asked.length_ms:
            return asked.quota
        return max(asked.quota - window[2], 0)

    def _begin(self, who: str, asked: Policy, now: int) -> list[int]:
        if len(self._windows) >= MOST_WINDOWS:
            self._forget(now)
        window = self._windows[asked.name, who] = [now, asked.length_ms, 0]
        return window

    def _forget(self, now: int) -> None:
        """Drop windows that have passed; a flood from more addresses than fit starts everybody anew."""
        kept = {key: window for key, window in self._windows.items() if now - window[0] < window[1]}
        self._windows = kept if len(kept) < MOST_WINDOWS else {}


class Callsigns:
    """From a connection to the name under which a caller without a key is counted; believes forwarding headers of named proxies only."""

    def __init__(self, trusted_proxies: str) -> None:
        self._trusted: Sequence[Network] = [ipaddress.ip_network(one.strip()) for one in trusted_proxies.split(",") if one.strip()]
        self._known: dict[str, str] = {}

    def of(self, peer: str, headers: Mapping[bytes, bytes]) -> str:
        """The caller's address, IPv6 cut to its /64; the peer's own where no trusted proxy speaks for another."""
        if not self._trusted:
            return self._short(peer)
        address = peer
        for hop in reversed(headers.get(b"x-forwarded-for", b"").decode("latin-1").split(",")):
            if not self._is_trusted(address) or not hop.strip():
                break
            address = hop.strip()
        return self._short(address)

    def _is_trusted(self, text: str) -> bool:
        try:
            address = ipaddress.ip_address(text)
        except ValueError:
            return False
        return any(address in network for network in self._trusted)

    def _short(self, text: str) -> str:
        known = self._known.get(text)
        if known is None:
            if len(self._known) >= MOST_WINDOWS:
                self._known.clear()
            known = self._known[text] = _short(text)
        return known


def _short(text: str) -> str:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return "unknown"
    if address.version == 4:
        return str(address)
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(ipaddress.ip_network((address, 64), strict=False))


def is_loopback(peer: str) -> bool:
    """Whether a connection comes from this host."""
    try:
        return ipaddress.ip_address(peer).is_loopback
    except ValueError:
        return False
