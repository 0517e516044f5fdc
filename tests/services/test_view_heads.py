"""Views of a running node: heads that open under the root document, buckets that say what a lookup says, and what makes a head anew."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from hashlib import sha256

from app.domain.answer import Match, Moment
from app.domain.canonical import read_json
from app.domain.identifiers import bucket_of, id_key
from app.domain.labels import Reader
from app.domain.merkle import EMPTY_ROOT
from app.domain.view import ViewHead, verify_answer
from app.domain.view_wire import STEP, read_bucket
from app.domain.viewing import TIERS
from app.seal.notes import read_view_head, read_vkeys
from app.services.node import Node
from app.services.screen import Caller, Query, Screened
from app.services.view import Published, guards_digest
from app.storage.database import Transaction
from tests.factories import GUARD, Clock, Town, accept, sid_in, wallet, wallet_id


def opened(node: Node, published: Published) -> ViewHead:
    """The head, verified under the keys of the root document."""
    return read_view_head(published.note, read_vkeys(node.documents[-1].view_vkeys))


def is_listed(body: bytes, subject: str, head: ViewHead) -> bool:
    """What the wire form of a bucket answer proves of an id."""
    answer = read_bucket(body).answer
    return verify_answer(id_key(subject), answer, root=head.root) is not None


async def test_bucket_and_lookup_agree_while_statements_come_and_go(node: Node, town: Town, clock: Clock) -> None:
    """Listed, narrowed, guarded, withheld, embargoed, retracted, expired: after each step both tiers prove what their reader is told."""
    bka = town.signer("de.bka#1")
    fleeting, kept = (
        bka.listing(wallet(1), tlp="CLEAR"),
        bka.listing(wallet(2), wallet(3, embargo_until="2026-09-20T00:00:00Z"), tlp="CLEAR"),
    )
    steps = [
        [fleeting, kept],
        [bka.listing(wallet(4)), bka.listing(wallet(5), tlp="AMBER", aud=["de.example"]), bka.listing(wallet(2, **GUARD))],
        [bka.listing(wallet(6), wallet(7, scope={"tag": "12"}), days=2)],
        [bka.retract(sid_in(fleeting), tlp="CLEAR")],
    ]
    for step in steps:
        await accept(node, *step)
        await agree(node)
        clock.advance(hours=1)
    for hours in (24, 72):
        clock.advance(hours=hours)
        await agree(node)


def asking(node: Node, reader: Reader, *numbers: int) -> Callable[[Transaction], Awaitable[Callable[[Moment], Screened]]]:
    """What `answer_under` asks: lookups of wallets by this reader."""
    return lambda tx: node.screening.screen_in(tx, [Query(wallet_id(n)) for n in numbers], Caller(reader))


async def agree(node: Node) -> None:
    """Each tier lists what a lookup by its reader calls listed."""
    for tier, reader in TIERS.items():
        published, screened = await node.views.answer_under(tier, asking(node, reader, *range(9)))
        direct = [Match(str(words["match"])) for words in screened.results]
        head = opened(node, published)
        for number, match in enumerate(direct):
            body = published.bucket(bucket_of(id_key(wallet_id(number))))
            assert len(body) % STEP == 0
            assert is_listed(body, wallet_id(number), head) == (match is Match.LISTED), (tier, number, match)


async def test_what_was_read_all_at_once_moves_with_time(node: Node, town: Town, clock: Clock) -> None:
    """As after a start: of listings that stand already, what ends and what the public is told later moves the tiers at its second; so does
    what is disputed, guarded or said of an id twice.
    """
    bka, lka = town.signer("de.bka#1"), town.signer("de.lka#1")
    doubted = lka.listing(wallet(5), wallet(6, severity=4), tlp="CLEAR")
    await accept(
        node,
        bka.listing(wallet(1), wallet(2, embargo_until="2026-09-24T00:00:00Z"), tlp="CLEAR"),
        bka.listing(wallet(3), wallet(4), days=2, tlp="CLEAR"),
        doubted,
        bka.listing(wallet(6), days=3, tlp="CLEAR"),
        bka.listing(wallet(7, **GUARD)),
        lka.listing(wallet(7), wallet(8, scope={"tag": "1"})),
    )
    await accept(node, town.signer("de.ombud#1").dispute(sid_in(doubted), stage="upheld"))
    await node.views.refresh()
    moved = {tier: (await node.views.current(tier)).head.root for tier in TIERS}
    node.index.move(None)
    await agree(node)
    assert {tier: (await node.views.current(tier)).head.root for tier in TIERS} == moved
    for hours in (1, 30, 20, 30, 300 * 24):
        clock.advance(hours=hours)
        await agree(node)
    assert (await node.views.current("green")).sealed.entries == 0


async def test_a_head_names_log_policy_and_moment(node: Node, clock: Clock) -> None:
    """Its vector is the log as far as it was read, its policy the document that is served, its key the one of the tier."""
    await node.views.refresh()
    published = await node.views.current("green")
    head = opened(node, published)
    assert head.name == "de.example/view/green"
    assert head.as_of == clock() // 1000
    assert [(one.origin, one.size, one.root) for one in head.origins] == [
        (node.own_log.origin, node.own_log.size, await node.own_log.root_at(node.own_log.size))
    ]
    assert head.origins[0].root != EMPTY_ROOT
    policy = await node.views.policy()
    assert head.policy == sha256(policy).digest()
    words = read_json(policy)
    assert isinstance(words, dict)
    assert words["public_delay_h"] == 72
    assert words["guards_sha256"] == guards_digest(frozenset())
    assert published.digest == sha256(published.note.encode()).hexdigest()


async def test_a_head_is_made_anew_by_change_by_time_and_not_otherwise(node: Node, town: Town, clock: Clock) -> None:
    """A statement, the interval or a new guard make a new head; a tick without a reason makes none."""
    await node.views.refresh()
    first = await node.views.current("green")
    await node.views.tick()
    assert await node.views.current("green") is first
    await accept(node, town.signer("de.bka#1").listing(wallet(1)))
    await node.views.tick()
    second = await node.views.current("green")
    assert second.sealed.entries == first.sealed.entries + 1
    clock.advance(s=59)
    await node.views.tick()
    assert await node.views.current("green") is second
    clock.advance(s=1)
    await node.views.tick()
    third = await node.views.current("green")
    assert (third.head.as_of, third.head.root) == (second.head.as_of + 60, second.head.root)
    async with node.database.transaction() as tx:
        await tx.protected.add([(wallet_id(1), "exchange", "test")])
    await node.guards.load()
    await node.views.tick()
    assert (await node.views.current("green")).sealed.entries == 0


async def test_all_buckets_of_a_tier_look_alike_in_length(node: Node, town: Town) -> None:
    """A bucket with one entry and one with none have the same length on the wire."""
    await accept(node, town.signer("de.bka#1").listing(wallet(1)))
    await node.views.refresh()
    published = await node.views.current("green")
    number = bucket_of(id_key(wallet_id(1)))
    assert len(published.bucket(number)) == len(published.bucket(number ^ 1)) != 0


async def test_one_question_asked_in_the_middle_of_a_change_is_answered_after_it(node: Node, town: Town) -> None:
    """A direct answer under a head is never older than the head: a listing admitted just before is in both."""
    await node.views.refresh()
    await accept(node, town.signer("de.bka#1").listing(wallet(8)))
    published, said = await node.views.answer_under("green", asking(node, TIERS["green"], 8))
    assert said.results[0]["match"] == "listed"
    assert is_listed(published.bucket(bucket_of(id_key(wallet_id(8)))), wallet_id(8), opened(node, published))
