"""Views over HTTP: heads, buckets, segments and deltas, who may have which tier, and what their form gives away (it should be nothing)."""

from __future__ import annotations

from hashlib import sha256

import pytest

from app.domain.canonical import b64u_encode
from app.domain.identifiers import bucket_of, id_key
from app.domain.view import BucketTree, ViewHead, bucket_text, verify_answer, verify_segment
from app.domain.view_wire import STEP, read_bucket, read_delta, read_segment
from app.seal.notes import read_view_head, read_vkeys
from tests.api.front import Front, problem
from tests.factories import accept, sid_in, wallet, wallet_id

KEY = id_key(wallet_id(1))
HHHH = bucket_text(bucket_of(KEY))


def opened(front: Front, note: str) -> ViewHead:
    return read_view_head(note, read_vkeys(front.node.documents[-1].view_vkeys))


async def test_listed_and_not_listed_are_proved_offline(both_fronts: Front) -> None:
    """A bucket with its path and head proves an id listed, and another one of the same bucket not listed, with nothing but the root document."""
    front = both_fronts
    await accept(front.node, front.town.signer("de.bka#1").listing(wallet(1)))
    await front.node.views.refresh()
    client = front.at(await front.key())
    answer = await client.get(f"/v1/view/green/bucket/{HHHH}")
    assert len(answer.content) % STEP == 0
    said = read_bucket(answer.content)
    head = opened(front, said.head)
    assert said.tier == "green"
    assert verify_answer(KEY, said.answer, root=head.root) is not None
    assert verify_answer(KEY[:2] + bytes(30), said.answer, root=head.root) is None
    assert (await client.get("/v1/view/green/head")).text == said.head
    policy = await front.at().get("/v1/view/policy")
    assert sha256(policy.content).digest() == head.policy


async def test_the_public_view_waits_for_the_delay(front: Front) -> None:
    """CLEAR is for all, without what is younger than the delay; GREEN items never stand in it."""
    bka = front.town.signer("de.bka#1")
    await accept(front.node, bka.listing(wallet(1), tlp="CLEAR"), bka.listing(wallet(2)))
    for hours, expected in ((0, False), (72, True)):
        front.town.clock.advance(hours=hours)
        await front.node.views.refresh()
        said = read_bucket((await front.at().get(f"/v1/view/clear/bucket/{HHHH}")).content)
        assert (verify_answer(KEY, said.answer, root=opened(front, said.head).root) is not None) == expected
    assert (await front.node.views.current("clear")).sealed.entries == 1
    assert (await front.node.views.current("green")).sealed.entries == 2


async def test_each_tier_is_for_those_who_may_read_it(front: Front) -> None:
    """Without a key 401, with a key of the clear tier 403, another tier 404; agencies say why they read."""
    poor = front.at(await front.key(tier="clear"))
    agency = await front.key("de.bka", "agency")
    for path in (f"bucket/{HHHH}", "head", "segment/00", f"delta/{'A' * 43}"):
        assert problem(await front.at().get(f"/v1/view/green/{path}")) == (401, "unauthenticated")
        assert problem(await poor.get(f"/v1/view/green/{path}")) == (403, "forbidden")
        assert problem(await poor.get(f"/v1/view/amber/{path}")) == (404, "not_found")
        assert (await front.at(agency).get(f"/v1/view/green/{path}")).status_code in (200, 410)
        assert problem(await front.at(agency, why=False).get(f"/v1/view/green/{path}")) == (422, "schema")


@pytest.mark.parametrize(
    "path", ["bucket/3D56", "bucket/3d5", "bucket/3d560", "bucket/g000", "segment/3D", "segment/3d5", "delta/AAAA", "delta/-"]
)
async def test_a_number_has_one_spelling(front: Front, path: str) -> None:
    """Four lower-case hex digits name a bucket, two a segment, 43 characters a root: any other text names nothing."""
    assert problem(await front.at().get(f"/v1/view/clear/{path}")) == (404, "not_found")


async def test_the_shortcut_and_the_route_give_the_same(front: Front) -> None:
    """The bucket as the edge answers it is byte for byte the one of the documented route, with the same tag and caching, and 304."""
    client = front.at(await front.key())
    await front.node.views.refresh()
    short = await client.get("/v1/view/green/bucket/3d56")
    long = await client.get("/v1/view/green/bucket/3d56/")
    assert long.status_code == 404
    again = await client.get("/v1/view/green/bucket/3d56", headers={"If-None-Match": short.headers["etag"]})
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", short.headers["etag"])
    assert short.headers["cache-control"] == "private, max-age=60"
    assert (await front.at().get("/v1/view/clear/bucket/3d56")).headers["cache-control"] == "public, max-age=60"
    assert problem(await client.get("/v1/view/green/bucket/3d56?x=1")) == (422, "schema")
    shortcuts = front.app.middleware_stack._shortcuts
    shortcut = shortcuts.pop("/v1/view/green/bucket")
    try:
        behind = await client.get("/v1/view/green/bucket/3d56")
    finally:
        shortcuts["/v1/view/green/bucket"] = shortcut
    same = ("content-type", "content-length", "cache-control", "etag")
    assert (behind.content, [behind.headers[name] for name in same]) == (short.content, [short.headers[name] for name in same])


async def test_a_mirror_is_made_of_segments_and_kept_by_deltas(front: Front) -> None:
    """Each segment proves itself; a delta turns the tree of one root into that of the next; an unknown root is gone."""
    bka = front.town.signer("de.bka#1")
    first = bka.listing(wallet(1), wallet(2))
    await accept(front.node, first)
    await front.node.views.refresh()
    client = front.at(await front.key())
    buckets: dict[int, bytes] = {}
    for number in {bucket_of(id_key(wallet_id(n))) >> 8 for n in (1, 2)}:
        segment = read_segment((await client.get(f"/v1/view/green/segment/{number:02x}")).content)
        head = opened(front, segment.head)
        verify_segment(number, segment.buckets, segment.path, root=head.root)
        buckets |= {number << 8 | place: data for place, data in enumerate(segment.buckets)}
    assert BucketTree.build(buckets).root == head.root
    await accept(front.node, bka.retract(sid_in(first)), bka.listing(wallet(3)))
    await front.node.views.refresh()
    note, changed = read_delta((await client.get(f"/v1/view/green/delta/{b64u_encode(head.root)}")).content)
    assert set(changed) == {bucket_of(id_key(wallet_id(n))) for n in (1, 2, 3)}
    assert BucketTree.build(buckets | changed).root == opened(front, note).root
    assert problem(await client.get(f"/v1/view/green/delta/{'A' * 43}")) == (410, "gone")


async def test_what_a_reader_may_not_see_changes_nothing_in_his_buckets(front: Front) -> None:
    """Non-interference: a hidden listing on an id changes neither bytes nor length nor path of any answer of a tier, only the head's log line."""
    client = front.at(await front.key())
    await front.node.views.refresh()
    before = read_bucket((await client.get(f"/v1/view/green/bucket/{HHHH}")).content)
    await accept(front.node, front.town.signer("de.bka#1").listing(wallet(1), tlp="AMBER", aud=["de.example"]))
    await front.node.views.refresh()
    after = read_bucket((await client.get(f"/v1/view/green/bucket/{HHHH}")).content)
    assert after.answer == before.answer
    assert opened(front, after.head).root == opened(front, before.head).root


async def test_a_segment_at_hand_is_not_sent_again(front: Front) -> None:
    """Under the same head; another segment, or the same under another head, has another entity tag."""
    async with front.at() as client:
        one = await client.get("/v1/view/clear/segment/00")
        again = await client.get("/v1/view/clear/segment/00", headers={"If-None-Match": one.headers["etag"]})
        other = await client.get("/v1/view/clear/segment/01", headers={"If-None-Match": one.headers["etag"]})
        front.town.clock.advance(s=61)
        await front.node.views.refresh()
        later = await client.get("/v1/view/clear/segment/00", headers={"If-None-Match": one.headers["etag"]})
    assert [answer.status_code for answer in (one, again, other, later)] == [200, 304, 200, 200]
    assert again.headers["etag"] == one.headers["etag"]
    assert len({answer.headers["etag"] for answer in (one, other, later)}) == 3
