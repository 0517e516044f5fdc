"""Cursors: opaque, signed, bound to filter and caller, and not for ever."""

from __future__ import annotations

from tests.api.front import Front, problem
from tests.factories import wallet


async def first_page(front: Front, key: str, query: str = "kind=listing&limit=1") -> str:
    bka = front.town.signer("de.bka#1")
    await front.node.gate.submit([bka.listing(wallet(n)) for n in range(3)])
    async with front.at(key) as client:
        following = (await client.get(f"/v1/statements?{query}")).json()["next"]
    assert following is not None
    return str(following)


async def test_a_cursor_goes_on_where_the_page_ended(front: Front) -> None:
    """`next` is a path of this node, filters included; the limit may change on the way."""
    key = await front.key()
    following = await first_page(front, key)
    assert following.startswith("/v1/statements?kind=listing&limit=1&cursor=")
    async with front.at(key) as client:
        page = (await client.get(following.replace("limit=1", "limit=1000"))).json()
    assert (len(page["items"]), page["next"]) == (2, None)


async def test_a_cursor_is_of_no_use_elsewhere(front: Front) -> None:
    """With another filter, on another route, by another caller, or a day later: 400 invalid_cursor."""
    key = await front.key()
    following = await first_page(front, key)
    cursor = following.partition("cursor=")[2]
    async with front.at(key) as client, front.at(await front.key("de.lka", "agency")) as other, front.at() as public:
        for query in (f"kind=member&cursor={cursor}", f"cursor={cursor}", f"kind=listing&issuer=de.bka&cursor={cursor}"):
            assert problem(await client.get(f"/v1/statements?{query}")) == (400, "invalid_cursor"), query
        assert problem(await client.get(f"/v1/entities?kind=listing&cursor={cursor}")) == (400, "invalid_cursor")
        assert problem(await other.get(following)) == (400, "invalid_cursor")
        assert problem(await public.get(following)) == (400, "invalid_cursor")
        front.town.clock.advance(hours=25)
        assert problem(await client.get(following)) == (400, "invalid_cursor")


async def test_an_altered_cursor_is_refused(front: Front) -> None:
    """Any byte changed, cut, doubled or made up."""
    key = await front.key()
    following = await first_page(front, key)
    head, _, cursor = following.partition("cursor=")
    altered = [cursor[:-1], cursor + "A", cursor * 2, "", "A", "AAAA", cursor.upper(), "%00", "../..", "W10", "x" * 2000]
    altered += [cursor[:n] + ("A" if cursor[n] != "A" else "B") + cursor[n + 1 :] for n in range(0, len(cursor), 5)]
    async with front.at(key) as client:
        for text in altered:
            answer = await client.get(f"{head}cursor={text}")
            assert problem(answer) in ((400, "invalid_cursor"), (400, "bad_request")), text
        assert problem(await client.get(f"{head}cursor={'x' * 3000}")) == (422, "schema")
