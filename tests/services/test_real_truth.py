"""On every real list: a lookup, a whole list, the buckets, a fold of the log from nothing and a copy held offline name the same ids.

The lists are read in place, listed by one agency in statements of 250 under the labels in turn, and asked for all together with what is
benign and what only looks alike. What should come out is known from the lists alone: every hit set is compared with that.
"""

from __future__ import annotations

import csv
import gzip
import itertools
import json
import re
import shutil
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from operator import itemgetter
from pathlib import Path

import pytest
import pytest_asyncio

from app.domain.answer import Match
from app.domain.canonical import JsonValue
from app.domain.errors import InvalidAddress
from app.domain.identifiers import id_key, read_subject
from app.domain.view import BUCKETS, keys_in, verify_segment
from app.domain.viewing import TIERS
from app.formats.importing import read_files
from app.formats.interface import Options
from app.sdk.offline import Screener
from app.seal.keyrings import Keyrings
from app.services.admit import Admitted
from app.services.node import Node
from app.services.replay import replay
from app.services.screen import Caller, Query
from tests.api.front import Front, open_front
from tests.factories import CONTEXT, JUDGEMENT, Clock, Town, accept, sid_in
from tests.paths import DATA, needs
from tests.sdk.views import keep

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]

OFAC = Options("de.fiu", list_date="2024-09-27")
PACK = Options("de.fiu")
PHISHING = Options("de.fiu", constants={"typologies": ["fraud.phishing"]})
SEIZED = Options(
    "de.fiu",
    columns={"address": "wallet"},
    constants={"chain": "tron", "typologies": ["other.terror_financing"], "legal_basis": "court_order"},
)
LISTS: Mapping[str, tuple[str, Options, str]] = {
    "ofac": ("ofac", OFAC, "ofac/lists/*.txt"),
    "sdn": ("sdn", OFAC, "ofac/sdn_entities_with_addresses.csv"),
    "nbctf": ("csv", SEIZED, "nbctf-tron/tron_wallets.csv"),
    "forta": ("csv", PHISHING, "forta/phishing_scams_1.csv"),
    "scamsniffer": ("csv", PHISHING, "scamsniffer/address.json"),
    "packs": ("tagpack", PACK, "graphsense/packs/*.yaml"),
    "ransomwhere": ("tagpack", PACK, "graphsense/packs/ransomwhere.yaml.gz"),
    "samourai": ("tagpack", PACK, "graphsense/packs/samourai.yaml.gz"),
    "talos": ("tagpack", PACK, "graphsense/packs/sextortion_talos.yaml.gz"),
}
BENIGN_PACKS = ("exchange-wallets-*", "etherscan-wordcloud-exchange*", "miners_additional*")
BENIGN_LABELS = ("binance", "bitfinex", "bridge", "burn", "coinbase", "gate-io", "huobi", "kraken", "kucoin", "okx", "stablecoin", "upbit")
MALICIOUS_LABELS = frozenset({"phish-hack", "spam-token", "scam"})
CONFLICTS = 46
LOOK_ALIKES = 1_551
PER_STATEMENT = 250
# CLEAR for everybody after its delay, GREEN for who has a key, AMBER for another agency: in no tier.
LABELS: tuple[Mapping[str, object], ...] = ({"tlp": "CLEAR"}, {"tlp": "GREEN"}, {"tlp": "GREEN"}, {"tlp": "AMBER", "aud": ["de.lka"]})
SHOWN = {"clear": {"CLEAR"}, "green": {"CLEAR", "GREEN"}}


@dataclass
class Real:
    """A node with all lists, and what they said: by sid the label and the ids of each statement."""

    front: Front
    clock: Clock
    folder: Path
    said: dict[str, tuple[str, frozenset[str]]] = field(default_factory=dict)
    of_list: dict[str, set[str]] = field(default_factory=dict)

    def listed(self, tier: str) -> set[str]:
        """What a tier has to list, from the lists alone."""
        return {one for tlp, ids in self.said.values() if tlp in SHOWN[tier] for one in ids}

    def everything(self) -> list[str]:
        """Every id that anybody names."""
        return sorted(set().union(*self.of_list.values()))


def items_of(name: str) -> Iterator[tuple[str, list[dict[str, JsonValue]], Mapping[str, JsonValue]]]:
    """The name, up to 250 items with one context, and that context; packs one by one, as a wallet may stand in two."""
    format_name, options, pattern = LISTS[name]
    paths = sorted(needs(DATA / pattern.split("/")[0]).parent.glob(pattern))
    batches = [[path] for path in paths] if format_name == "tagpack" else [paths]
    for batch in batches:
        rows = read_files(format_name, [(path.name, path.read_bytes()) for path in batch], options)
        said = [
            (row.item, row.context) for row in rows if row.item is not None and row.context is not None and row.item["type"] != "entity"
        ]
        for context, group in itertools.groupby(said, key=itemgetter(1)):
            together = [dict(item) for item, _ in group]
            for first in range(0, len(together), PER_STATEMENT):
                yield name, together[first : first + PER_STATEMENT], {**CONTEXT, **context.item()}


def benign_texts() -> Iterator[str]:
    """Addresses that somebody calls harmless, as they are written."""
    for pattern in BENIGN_PACKS:
        for path in sorted(needs(DATA / "graphsense/packs").glob(f"{pattern}.yaml*")):
            data = path.read_bytes()
            text = (gzip.decompress(data) if path.suffix == ".gz" else data).decode("utf-8")
            yield from re.findall(r"^\s*(?:- )?address: [\"']?([^\s\"']+)", text, re.MULTILINE)
    with gzip.open(needs(DATA / "eth-labels/tokens.csv.gz"), "rt", encoding="utf-8", newline="") as file:
        yield from (row["address"] for row in csv.DictReader(file) if row["label"] not in MALICIOUS_LABELS)
    for label in BENIGN_LABELS:
        with needs(DATA / f"etherscan-labels/by-label/{label}.csv").open("r", encoding="utf-8", newline="") as file:
            yield from (row["Address"] for row in csv.DictReader(file))
    for addresses in json.loads(needs(DATA / "polkadot-phishing/known.json").read_text("utf-8")).values():
        yield from addresses


LARGE = ("samourai", "talos")
"""95,000 Bitcoin addresses of two campaigns: the ordinary run does without them."""


@pytest_asyncio.fixture(
    scope="module", loop_scope="module", params=["most", pytest.param("all", marks=[pytest.mark.long, pytest.mark.timeout(900)])]
)
async def real(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, sqlite_template: Path) -> AsyncIterator[Real]:
    """The lists, imported once."""
    needs(DATA)
    folder = tmp_path_factory.mktemp("real")
    clock = Clock()
    town = Town.found(folder / "de", clock=clock)
    shutil.copyfile(sqlite_template, folder / "cordon.sqlite3")
    async with open_front(town, f"sqlite+aiosqlite:///{folder / 'cordon.sqlite3'}") as front:
        world = Real(front, clock, folder)
        statements = [one for name in LISTS if request.param == "all" or name not in LARGE for one in items_of(name)]
        categories = {str(typology).partition(".")[0] for _, items, _ in statements for item in items for typology in item["typologies"]}
        await accept(front.node, town.member("de.fiu", categories=tuple(sorted(categories))))
        agency = town.signer("de.fiu#1")
        wires: list[str] = []
        for number, (name, items, context) in enumerate(statements):
            label = LABELS[number % len(LABELS)]
            wires.append(agency.listing(*items, context=context, **label))
            ids = frozenset(str(item["id"]) for item in items)
            world.said[sid_in(wires[-1])] = str(label["tlp"]), ids
            world.of_list.setdefault(name, set()).update(ids)
        await say(front.node, *wires)
        clock.advance(hours=73)
        yield world


async def say(node: Node, *wires: str) -> None:
    """Submit what must be in the log afterwards. `known`: the same batch a second time, as a gate on a busy machine may take it."""
    for first in range(0, len(wires), 20):
        results = await node.gate.submit(wires[first : first + 20])
        assert {str(one.status) if isinstance(one, Admitted) else one.detail for one in results} <= {"accepted", "known"}


async def told(real: Real, tier: str, texts: Sequence[str]) -> dict[str, str]:
    """What a whole list says of each id but `not_listed`, to a reader of the tier; every text can be read."""
    async with real.front.at(await real.front.key("de.exchange") if tier == "green" else None) as client:
        answer = await client.post("/v1/screen?include=hits", content="\n".join(texts), headers={"Content-Type": "text/plain"})
    return {one["id"]: one["match"] for one in map(json.loads, answer.text.splitlines()) if one["match"] != Match.NOT_LISTED}


async def opened(real: Real, tier: str) -> Screener:
    """A copy of the newest view, brought up to date."""
    await keep(real.front.node, real.folder / "copy", tier)
    return Screener.open(real.folder / "copy", real.front.node.documents[-1], tier=tier, clock=lambda: real.clock() / 1000)


async def agree(real: Real) -> None:
    """What each way of asking says of every id, in both tiers, is what the lists say."""
    node, everything = real.front.node, real.everything()
    await node.views.refresh()
    for tier, reader in TIERS.items():
        expected = real.listed(tier)
        assert {one for one, match in (await told(real, tier, everything)).items() if match == Match.LISTED} == expected
        some = everything[:: len(everything) // 500]
        answer = await node.screening.screen_many([Query(one) for one in some], Caller(reader), hits_only=False)
        assert {one["id"] for one in answer["results"] if one["match"] == Match.LISTED} == expected.intersection(some)
        published = await node.views.current(tier)
        for number in range(BUCKETS >> 8):
            _, path = published.sealed.tree.segment(number)
            verify_segment(number, published.sealed.buckets[number << 8 : (number + 1) << 8], path, root=published.head.root)
        keys = {one: id_key(one) for one in everything}
        listed = {key for data in published.sealed.buckets for key in keys_in(data)}
        assert {one for one, key in keys.items() if key in listed} == expected
        assert len(listed) == published.sealed.entries == len(expected)
        async with node.database.reading() as tx:
            folded = await replay(tx, published.head, keyrings=Keyrings(node.keyring), policy=await node.views.policy(), guards=())
        assert (folded.agrees, folded.entries) == (True, len(expected))
        assert set((await opened(real, tier)).listed(everything)) == expected


async def test_benign_lists_give_their_known_conflicts_alone(real: Real) -> None:
    """116,672 addresses of exchanges, tokens, bridges and miners: listed are those that stand on a malicious list, too, and no other."""
    texts = sorted(set(benign_texts()))
    asked: dict[str, str] = {}
    for text in texts:
        with suppress(InvalidAddress):
            asked[read_subject(text).id] = text
    assert len(asked) == 116_672
    named = {one for _, ids in real.said.values() for one in ids}
    conflicts = {one for one in asked if one in named}
    assert len(conflicts) == CONFLICTS
    for tier in TIERS:
        expected = conflicts & real.listed(tier)
        assert await told(real, tier, list(asked.values())) == dict.fromkeys(expected, "listed")
        screener = await opened(real, tier)
        assert {read_subject(text).id for text in screener.listed(asked.values())} == expected


async def test_what_looks_alike_is_another_address(real: Real) -> None:
    """1,738 payments to a look-alike of the address that was meant: once the look-alikes are listed, none of those that were meant is."""
    with needs(DATA / "graph/poisoning/payoff_transfers_ethereum.csv").open("r", encoding="utf-8", newline="") as file:
        pairs = [(read_subject(row["topics_to_addr"]).id, read_subject(row["intended_addr"]).id) for row in csv.DictReader(file)]
    false, meant = {one for one, _ in pairs}, {one for _, one in pairs}
    assert (len(pairs), len(false), false & meant) == (1_738, LOOK_ALIKES, set())
    before = {tier: await told(real, tier, sorted(meant)) for tier in TIERS}
    items = [{**JUDGEMENT, "type": "wallet", "id": one, "typologies": ["fraud.phishing"]} for one in sorted(false)]
    wires = [
        real.front.town.signer("de.fiu#1").listing(*items[first : first + PER_STATEMENT], tlp="CLEAR")
        for first in range(0, len(items), PER_STATEMENT)
    ]
    await say(real.front.node, *wires)
    for first, wire in zip(range(0, len(items), PER_STATEMENT), wires, strict=True):
        real.said[sid_in(wire)] = "CLEAR", frozenset(str(item["id"]) for item in items[first : first + PER_STATEMENT])
    real.of_list["poisoning"] = false
    real.clock.advance(hours=73)
    for tier in TIERS:
        assert await told(real, tier, sorted(meant)) == before[tier]
        assert await told(real, tier, sorted(false)) == dict.fromkeys(false, "listed")
        screener = await opened(real, tier)
        assert not set(screener.listed(sorted(meant))) - set(before[tier])


async def test_every_way_of_asking_names_the_same_ids(real: Real) -> None:
    """The ids of all lists, and again after a third of the statements was taken back."""
    assert len(real.everything()) > 18_000
    await agree(real)
    agency = real.front.town.signer("de.fiu#1")
    gone = list(real.said)[::3]
    await say(real.front.node, *(agency.retract(sid, tlp="CLEAR") for sid in gone))
    for sid in gone:
        del real.said[sid]
    real.clock.advance(s=60)
    await agree(real)
