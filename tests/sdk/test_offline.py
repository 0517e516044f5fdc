"""Screening from a mirror: equal to the node, kept by deltas, resumed after a break, and never from what is damaged, forged or too old."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from app.domain.answer import Match
from app.domain.errors import CordonError, InvalidAddress, InvalidProof, Malformed, NotFound, Unavailable
from app.domain.viewing import TIERS
from app.sdk.offline import Portfolio, Screener
from app.sdk.view_store import COMPACT_AFTER, VALID_S, Store, valid_s
from app.seal.notes import read_vkeys
from app.services.node import Node
from app.services.screen import Caller, Query
from tests.factories import Clock, Town, accept, sid_in, wallet, wallet_id
from tests.sdk.views import keep

pytestmark = pytest.mark.slow

TRON = "tron:0x2b6653dc:TMVQGm1qAQYVdetCeGRRkTWYYrLXuHK2HC"
CHECKSUMMED = "0x7E5F4552091A69125d5DfCb7b8C2659029395Bdf"


def opened(node: Node, folder: Path, clock: Clock, tier: str = "green") -> Screener:
    return Screener.open(folder, node.documents[-1], tier=tier, clock=lambda: clock() / 1000)


@pytest.mark.parametrize("seed", range(2))
async def test_offline_says_what_the_node_says(node: Node, town: Town, clock: Clock, tmp_path: Path, seed: int) -> None:
    """Law: after each sync of a random history with removals, every text in any spelling is listed, not listed or unreadable as online."""
    rng, live = random.Random(seed), list[str]()
    spellings = [*(wallet_id(n) for n in range(8)), *(wallet_id(n).rpartition(":")[2] for n in range(8)), TRON, TRON.rpartition(":")[2]]
    spellings += [
        CHECKSUMMED,
        CHECKSUMMED.lower(),
        CHECKSUMMED.replace("E", "e", 1),
        "nonsense",
        "https://scam.example/x",
        wallet_id(0).upper(),
    ]
    listable = [*(wallet_id(n) for n in range(8)), TRON, "eip155:0:" + CHECKSUMMED.lower()]
    kept: dict[str, Screener] = {}
    for _ in range(3):
        bka = town.signer("de.bka#1")
        for _ in range(3):
            if live and rng.random() < 0.4:
                await accept(node, bka.retract(live.pop(rng.randrange(len(live))), tlp="CLEAR"))
            else:
                wire = bka.listing(*[wallet(one) for one in rng.sample(listable, 2)], tlp=rng.choice(("CLEAR", "GREEN")))
                await accept(node, wire)
                live.append(sid_in(wire))
        clock.advance(hours=rng.choice((1, 30, 73)))
        for tier, reader in TIERS.items():
            await keep(node, tmp_path, tier)
            screener = opened(node, tmp_path, clock, tier)
            for text in spellings:
                online = (await node.screening.screen_many([Query(text)], Caller(reader), hits_only=False))["results"][0]
                offline = screener.screen(text)
                wanted = Match.NOT_LISTED if online["match"] == Match.RELATED else online["match"]
                assert (offline.match, offline.id, offline.severity) == (wanted, online["id"], online["severity"]), text
                if offline.match is not Match.INVALID:
                    assert screener.is_listed(text) == (offline.match is Match.LISTED) == bool(screener.listed([text]))
            before = kept.setdefault(tier, screener)
            assert before.refresh() == (before is not screener)
            readable = [text for text in spellings if screener.screen(text).match is not Match.INVALID]
            assert before.listed(readable) == screener.listed(readable) == before.listed_of(Portfolio.of(readable))
            assert (before.copy.buckets, before.copy.tree.root, before.as_of) == (
                screener.copy.buckets,
                screener.copy.tree.root,
                screener.as_of,
            )


def test_a_portfolio_is_hashed_once_and_refuses_what_it_cannot_be() -> None:
    """It can be kept and put together again; a text that nobody can read is refused, and so are keys of another number of texts."""
    portfolio = Portfolio.of([CHECKSUMMED, TRON])
    assert Portfolio(portfolio.texts, portfolio.keys) == portfolio
    with pytest.raises(InvalidAddress):
        Portfolio.of([TRON, "nonsense"])
    with pytest.raises(ValueError, match="64 bytes"):
        Portfolio(portfolio.texts, portfolio.keys[:-1])


async def test_deltas_follow_and_tombstones_stay(node: Node, town: Town, clock: Clock, tmp_path: Path) -> None:
    """After the first snapshot only what changed is fetched; what was removed is remembered until it is listed again."""
    bka = town.signer("de.bka#1")
    first = bka.listing(wallet(1), wallet(2))
    await accept(node, first)
    synced, source = await keep(node, tmp_path)
    assert (synced.whole, synced.added, synced.removed, len(source.asked)) == (True, 2, 0, 258)
    await accept(node, bka.retract(sid_in(first)), bka.listing(wallet(3)))
    clock.advance(s=5)
    synced, source = await keep(node, tmp_path)
    assert (synced.whole, synced.added, synced.removed, source.asked) == (False, 1, 2, ["delta"])
    screener = opened(node, tmp_path, clock)
    assert (screener.removed_at(wallet_id(1)), screener.removed_at(wallet_id(3))) == (synced.copy.head.as_of, None)
    await accept(node, bka.listing(wallet(1)))
    await keep(node, tmp_path)
    assert screener.refresh()
    assert not screener.refresh()
    assert screener.removed_at(wallet_id(1)) is None
    assert screener.removed_at(wallet_id(2)) is not None
    assert screener.is_listed(wallet_id(1))


async def test_a_snapshot_that_broke_off_goes_on(node: Node, town: Town, clock: Clock, tmp_path: Path) -> None:
    """Segments that were fetched are not fetched again, also when the view has moved meanwhile; the whole is that of the newest head."""
    bka = town.signer("de.bka#1")
    await accept(node, bka.listing(*[wallet(n) for n in range(20)]))
    with pytest.raises(Unavailable):
        await keep(node, tmp_path, breaks_after=100)
    with pytest.raises(NotFound):
        opened(node, tmp_path, clock)
    await accept(node, bka.listing(*[wallet(n) for n in range(20, 40)]))
    synced, source = await keep(node, tmp_path)
    assert sum(what.startswith("segment") for what in source.asked) == 156
    assert synced.added == 40
    assert opened(node, tmp_path, clock).listed([wallet_id(n) for n in range(50)]) == [wallet_id(n) for n in range(40)]
    assert not (tmp_path / "green" / "part").exists()


@pytest.mark.parametrize("flips", [40, 700])
async def test_a_node_that_lies_is_not_believed(node: Node, town: Town, clock: Clock, tmp_path: Path, flips: int) -> None:
    """A flipped byte in a segment or a delta is refused, and the copy at hand stays as it was."""
    await accept(node, town.signer("de.bka#1").listing(*[wallet(n) for n in range(40)]))
    with pytest.raises(CordonError):
        await keep(node, tmp_path, flips=flips)
    await keep(node, tmp_path)
    before = opened(node, tmp_path, clock).as_of
    await accept(node, town.signer("de.bka#1").listing(wallet(99)))
    clock.advance(s=1)
    with pytest.raises((InvalidProof, Malformed)):
        await keep(node, tmp_path, flips=flips)
    assert opened(node, tmp_path, clock).as_of == before


async def test_a_damaged_copy_is_refused_and_fetched_anew(node: Node, town: Town, clock: Clock, tmp_path: Path) -> None:
    """One byte of the file, a missing delta or a head of another key: nothing is answered from it, and a sync heals it."""
    await accept(node, town.signer("de.bka#1").listing(wallet(1)))
    await keep(node, tmp_path)
    file = tmp_path / "green" / "view.bin"
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)
    with pytest.raises((InvalidProof, Malformed)):
        opened(node, tmp_path, clock)
    synced, _ = await keep(node, tmp_path)
    assert synced.whole
    assert opened(node, tmp_path, clock).is_listed(wallet_id(1))
    with pytest.raises(InvalidProof):
        Store(tmp_path, "green").load(read_vkeys([town.log_keys[0].key.text()]))


async def test_an_old_copy_is_not_used(node: Node, clock: Clock, tmp_path: Path) -> None:
    """After `not_after` every way to ask is Unavailable: an old list is no answer."""
    await keep(node, tmp_path)
    screener = opened(node, tmp_path, clock)
    assert screener.not_after == screener.as_of + VALID_S
    assert screener.screen(wallet_id(1)).match is Match.NOT_LISTED
    clock.advance(s=VALID_S + 1)
    for ask in (screener.screen, screener.is_listed, lambda text: screener.listed([text])):
        with pytest.raises(Unavailable):
            ask(wallet_id(1))


async def test_a_tag_is_a_question_for_the_node(node: Node, clock: Clock, tmp_path: Path) -> None:
    """A view knows wallets, not tags: the answer says so; what cannot be read has its code, or is refused in the short form."""
    await keep(node, tmp_path)
    screener = opened(node, tmp_path, clock)
    assert screener.screen("rDTXLQ7ZKZVKz33zJbHjgVShjsBnqMBhmN", tag="12").asks_node
    assert not screener.screen(wallet_id(1)).asks_node
    assert screener.screen(CHECKSUMMED.replace("E", "e", 1)).error == "checksum"
    with pytest.raises(InvalidAddress):
        screener.is_listed("nonsense")


async def test_deltas_are_put_together_from_time_to_time(node: Node, clock: Clock, tmp_path: Path) -> None:
    """The folder does not grow without end, and the copy stays the same."""
    await keep(node, tmp_path)
    for _ in range(COMPACT_AFTER + 1):
        clock.advance(s=1)
        await keep(node, tmp_path)
    assert len(list((tmp_path / "green").glob("delta-*"))) < 5
    assert opened(node, tmp_path, clock).as_of == clock() // 1000


def test_a_policy_never_makes_a_copy_last_longer_than_a_day():
    """What is missing or out of bounds is a day; what is no policy is no time at all."""
    assert [valid_s(text) for text in (b'{"valid_s":60}', b'{"valid_s":999999}', b'{"valid_s":true}', b"{}", b"[")] == [
        60,
        VALID_S,
        VALID_S,
        VALID_S,
        0,
    ]
