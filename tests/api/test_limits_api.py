"""How often a caller may ask."""

from __future__ import annotations

import ipaddress

import pytest

from app.api.limits import HOUR_S, Callsigns, Limiter, OverQuota, policy
from tests.api.front import Front, open_front, problem
from tests.factories import Clock, Town, wallet, wallet_id


async def test_what_is_left_stands_in_every_answer(town: Town, sqlite_migrated_url: str) -> None:
    """RateLimit-Policy and RateLimit count down; then 429 with Retry-After and the policy's name; a minute later all is new."""
    async with open_front(town, sqlite_migrated_url, rate_public_per_minute=3) as front, front.at() as client:
        seen = []
        for path in ("/v1/members", f"/v1/screen/{wallet_id(1)}", "/v1/members/de.nobody", "/v1/members", f"/v1/screen/{wallet_id(1)}"):
            answer = await client.get(path)
            assert answer.headers["ratelimit-policy"] == '"lookup";q=3;w=60'
            seen.append((answer.status_code, answer.headers["ratelimit"]))
            town.clock.advance(s=10)
        assert seen == [
            (200, '"lookup";r=2;t=60'),
            (200, '"lookup";r=1;t=50'),
            (404, '"lookup";r=0;t=40'),
            (429, '"lookup";r=0;t=30'),
            (429, '"lookup";r=0;t=20'),
        ]
        answer = await client.get("/v1/members")
        assert problem(answer) == (429, "quota")
        assert answer.headers["retry-after"] == "10"
        assert answer.json()["violated-policies"] == ["lookup"]
        town.clock.advance(s=11)
        assert (await client.get("/v1/members")).headers["ratelimit"] == '"lookup";r=2;t=60'


async def test_callers_are_counted_apart(town: Town, sqlite_migrated_url: str) -> None:
    """By key, or by address without one: one flood does not shut out the others; health is never counted."""
    async with open_front(town, sqlite_migrated_url, rate_public_per_minute=1, rate_client_per_minute=2) as front:
        own = await front.key(quota={"requests_per_minute": 4})
        plain = await front.key()
        async with (
            front.at(peer="203.0.113.1") as one,
            front.at(peer="203.0.113.2") as two,
            front.at(own) as generous,
            front.at(plain) as usual,
        ):
            for client, most in ((one, 1), (two, 1), (generous, 4), (usual, 2)):
                statuses = [(await client.get("/v1/members")).status_code for _ in range(6)]
                assert statuses == [200] * most + [429] * (6 - most)
                assert (await client.get("/livez")).status_code == 200


async def test_addresses_of_a_day_are_counted_too(town: Town, sqlite_migrated_url: str) -> None:
    """Each row of a screening is one; a request that would go beyond is refused whole; both policies are told."""
    async with open_front(town, sqlite_migrated_url) as front:
        key = await front.key(quota={"requests_per_minute": 100, "addresses_per_day": 5})
        async with front.at(key) as client:
            assert (await client.get(f"/v1/screen/{wallet_id(1)}")).status_code == 200
            rows = [{"address": wallet_id(n)} for n in range(4)]
            answer = await client.post("/v1/screen", json={"items": rows})
            assert answer.headers["ratelimit"] == '"lookup";r=98;t=60, "addresses";r=0;t=86400'
            refused = await client.post("/v1/screen", json={"items": rows[:1]})
            assert problem(refused) == (429, "quota")
            assert refused.json()["violated-policies"] == ["addresses"]
            assert (await client.get("/v1/members")).status_code == 200
            town.clock.advance(days=1)
            assert (await client.get(f"/v1/screen/{wallet_id(1)}")).status_code == 200


async def test_a_whole_copy_without_a_key_is_had_in_one_go(town: Town, sqlite_migrated_url: str) -> None:
    """Its segments are counted for themselves, some copies an hour, and nothing of the minute; with a key they are requests as others."""
    async with open_front(town, sqlite_migrated_url, rate_public_per_minute=2, rate_public_copies_per_hour=1) as front:
        key = await front.key(quota={"requests_per_minute": 100})
        async with front.at() as client, front.at(key) as keyed:
            for number in range(256):
                answer = await client.get(f"/v1/view/clear/segment/{number:02x}")
                assert answer.status_code == 200
                assert answer.headers["ratelimit"] == f'"segments";r={255 - number};t=3600'
                assert int(answer.headers["content-length"]) == len(answer.content)
            refused = await client.get("/v1/view/clear/segment/00")
            assert (problem(refused), refused.headers["retry-after"]) == ((429, "quota"), "3600")
            assert (await client.get("/v1/view/policy")).headers["ratelimit"] == '"lookup";r=1;t=60'
            assert (await keyed.get("/v1/view/clear/segment/00")).headers["ratelimit"] == '"lookup";r=99;t=60'
            town.clock.advance(s=3_601)
            assert (await client.get("/v1/view/clear/segment/00")).status_code == 200


async def test_submissions_cost_only_what_is_refused(town: Town, sqlite_migrated_url: str) -> None:
    """The mandate bounds who signs well; who sends rubbish is bounded like any stranger."""
    async with open_front(town, sqlite_migrated_url, rate_public_per_minute=3) as front, front.at() as client:
        bka = town.signer("de.bka#1")
        kind = {"Content-Type": "application/sd-jwt"}
        for n in range(10):
            answer = await client.post("/v1/statements", content=bka.listing(wallet(n)), headers=kind)
            assert answer.status_code == 201
        statuses = [(await client.post("/v1/statements", content="rubbish", headers=kind)).status_code for _ in range(5)]
        assert statuses == [400, 400, 400, 429, 429]
        assert (await client.post("/v1/statements", content=bka.listing(wallet(99)), headers=kind)).status_code == 429
        town.clock.advance(s=60)
        assert (await client.post("/v1/statements", content=bka.listing(wallet(99)), headers=kind)).status_code == 201


async def test_guessing_keys_is_counted_against_the_address(town: Town, sqlite_migrated_url: str) -> None:
    """After the public's quota of wrong keys the answer is 429, whatever the key."""
    async with open_front(town, sqlite_migrated_url, rate_public_per_minute=3) as front, front.at() as client:
        statuses = [(await client.get("/v1/members", headers={"Authorization": f"Bearer guess{n}"})).status_code for n in range(5)]
    assert statuses == [401, 401, 401, 429, 429]


@pytest.mark.parametrize(
    ("trusted", "peer", "forwarded", "expected"),
    [
        ("", "203.0.113.1", "198.51.100.7", "203.0.113.1"),
        ("10.0.0.1", "203.0.113.1", "198.51.100.7", "203.0.113.1"),
        ("10.0.0.1", "10.0.0.1", "198.51.100.7", "198.51.100.7"),
        ("10.0.0.1", "10.0.0.1", "1.2.3.4, 198.51.100.7", "198.51.100.7"),
        ("10.0.0.0/8", "10.0.0.1", "198.51.100.7, 10.9.9.9", "198.51.100.7"),
        ("10.0.0.1", "10.0.0.1", "", "10.0.0.1"),
        ("10.0.0.1", "10.0.0.1", "not an address", "unknown"),
        ("", "2001:db8:1:2:3:4:5:6", "", "2001:db8:1:2::/64"),
        ("", "::ffff:203.0.113.1", "", "203.0.113.1"),
        ("", "", "", "unknown"),
    ],
)
def test_forwarding_headers_of_named_proxies_alone_are_believed(trusted: str, peer: str, forwarded: str, expected: str) -> None:
    """The first address from the right that no trusted proxy stands for; IPv6 by its /64."""
    assert Callsigns(trusted).of(peer, {b"x-forwarded-for": forwarded.encode()} if forwarded else {}) == expected


def test_a_flood_of_addresses_does_not_fill_the_memory() -> None:
    """Windows that have passed are dropped when there are too many."""
    clock = Clock()
    limiter = Limiter(clock)
    asked = policy("lookup", 1)
    for n in range(100_000):
        limiter.spend(str(ipaddress.IPv4Address(n)), asked)
    clock.advance(s=61)
    limiter.spend("one more", asked)
    assert len(limiter._windows) == 1
    limiter.spend("a copy", policy("segments", 1, HOUR_S))
    for n in range(99_998):
        limiter.spend(str(ipaddress.IPv4Address(n)), asked)
    clock.advance(s=61)
    limiter.spend("a stranger", asked)
    assert len(limiter._windows) == 2
    with pytest.raises(OverQuota):  # its window has not passed
        limiter.spend("a copy", policy("segments", 1, HOUR_S))
    limiter.spend("one more", asked)
    with pytest.raises(OverQuota):
        limiter.spend("one more", asked)


def test_a_clock_that_jumps_back_shuts_nobody_out() -> None:
    """A window that begins in the future is begun anew."""
    clock = Clock()
    limiter = Limiter(clock)
    asked = policy("lookup", 1)
    limiter.spend("a", asked)
    clock.advance(hours=-5)
    assert limiter.spend("a", asked) == (asked, 0, 60)


async def test_the_quota_tells_nothing_of_hidden_statements(front: Front) -> None:
    """A hit that the caller may not see costs what a miss costs."""
    await front.node.gate.submit([front.town.signer("de.bka#1").listing(wallet(1), tlp="RED", aud=["de.bka"])])
    async with front.at() as client:
        one = await client.get(f"/v1/screen/{wallet_id(1)}")
        two = await client.get(f"/v1/screen/{wallet_id(2)}")
    left = [int(answer.headers["ratelimit"].split("r=")[1].split(";")[0]) for answer in (one, two)]
    assert left[0] - left[1] == 1
