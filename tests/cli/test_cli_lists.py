"""Two jurisdictions import real lists: OFAC and the abuse TagPacks as agencies of one, seizure orders of a bureau as the other.

The lists are read in place and never copied. What is asked: every well-formed row is found afterwards in every accepted spelling,
every malformed one is in the report with file, row and reason, the same import again changes nothing, and benign lists give no hit
but where a list of bad addresses names the very same one.
"""

from __future__ import annotations

import csv
import gzip
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from app.domain.address import read_chain, read_wallet
from app.domain.errors import InvalidAddress
from tests.cli.program import Outcome, cordon
from tests.cli.test_cli_submit import entries
from tests.paths import DATA, needs

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

OFAC = sorted(needs(DATA / "ofac" / "lists").glob("*.txt"))
SDN = DATA / "ofac" / "sdn_entities_with_addresses.csv"
BUREAU = DATA / "nbctf-tron" / "tron_wallets.csv"
PACKS = DATA / "graphsense" / "packs"
# Packs by the agency that imports them.
ABUSE = {
    "xa.forfeiture": (
        "aft-alqaeda-forfeit_vc.yaml",
        "lazarus.yaml",
        "lazarus2.yaml",
        "ofac.yaml",
        "tornado_cash.yaml",
        "usdt_blacklist.yaml",
    ),
    "xa.cybercrime": ("electrum_phishing.yaml", "etherhiding.yaml", "hacks.yaml", "ransomwhere.yaml.gz", "ronin_bridge.yaml"),
    "xa.fraud": ("plustoken.yaml", "ponzi_scheme.yaml", "sextortion_talos.yaml.gz"),
}
BENIGN_PACKS = ("exchange-wallets-*.yaml", "etherscan-wordcloud-exchange.yaml", "miners_additional.yaml")
BENIGN_LABELS = ("binance", "bitfinex", "bridge", "burn", "coinbase", "gate-io", "huobi", "kraken", "kucoin", "okx", "stablecoin", "upbit")
MAPPING = (
    "columns: {address: wallet}\n"
    "constants: {chain: tron, typologies: [other.terror_financing], roles: [treasury], severity: 4, purpose: asset_freezing, "
    "legal_basis: {instrument: court_order}}\n"
)


@dataclass(frozen=True)
class World:
    """Two nodes, the commands that filled them, and what each said."""

    xa: Path
    xb: Path
    commands: dict[str, tuple[object, ...]]
    said: dict[str, Outcome]


def found_node(folder: Path, jurisdiction: str, members: tuple[str, ...]) -> Path:
    data_dir = folder / jurisdiction
    node = ("--node", f"node.{jurisdiction}.example")
    assert cordon("init", "--jurisdiction", jurisdiction, *node, "--data-dir", data_dir).code == 0
    for member in members:
        cordon("keys", "new", member, "--label", "1", "--out", folder / f"{member}.jwk")
        entered = cordon(
            "member", "add", member, "--key", folder / f"{member}.jwk", "--contact", "desk@agency.example", "--data-dir", data_dir
        )
        assert entered.code == 0, entered.err
    return data_dir


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """Everything imported once."""
    folder = tmp_path_factory.mktemp("lists")
    xa = found_node(folder, "xa", ("xa.treasury", *ABUSE))
    xb = found_node(folder, "xb", ("xb.bureau",))
    (folder / "map.yaml").write_text(MAPPING)

    def words(data_dir: Path, member: str, *more: object) -> tuple[object, ...]:
        sign = ("--as", member, "--key", folder / f"{member}.jwk", "--out", folder / f"{member}-receipts")
        return ("import", *more, *sign, "--tlp", "CLEAR", "--data-dir", data_dir, "--json")

    commands = {
        "ofac": words(xa, "xa.treasury", "ofac", *OFAC, "--list-date", "2024-09-27"),
        "sdn": words(xa, "xa.treasury", "sdn", SDN, "--list-date", "2023-01-05"),
        "bureau": words(xb, "xb.bureau", "csv", BUREAU, "--map", folder / "map.yaml"),
    }
    for member, packs in ABUSE.items():
        commands[member] = words(xa, member, "tagpack", *(PACKS / name for name in packs), "--list-date", "2024-02-01")
    said = {name: cordon(*one) for name, one in commands.items()}
    for name, outcome in said.items():
        assert outcome.code in (0, 1), (name, outcome.err)
        assert not outcome.json["refused"], (name, outcome.json["refused"][:2])
        assert not outcome.json["held"], name
    return World(xa, xb, commands, said)


def screened(data_dir: Path, folder: Path, rows: list[tuple[str, str]]) -> list[Any]:
    """Results for (address, chain) rows."""
    file = folder / "asked.csv"
    with file.open("w", newline="", encoding="utf-8") as out:
        csv.writer(out).writerows([("address", "chain"), *rows])
    done = cordon("screen", file, "--data-dir", data_dir, "--json")
    assert done.code == 0, done.err
    return done.rows


def chain_of(symbol: str) -> str:
    """The chain that an asset symbol names, if it names one: a stablecoin stands on several."""
    try:
        return read_chain(symbol).caip2
    except InvalidAddress:
        return ""


def not_found(results: list[Any]) -> list[tuple[str, str]]:
    return [(one["query"], one["match"]) for one in results if one["match"] != "listed"]


def test_every_line_of_the_ofac_lists_is_found_or_reported(world: World, tmp_path: Path):
    """654 lines as they stand in the files: each is listed afterwards, or in the report with file, line and reason."""
    report = {(one["file"], one["row"]): one["detail"] for one in world.said["ofac"].json["malformed"]}
    asked: list[tuple[str, str]] = []
    for file in OFAC:
        symbol = file.stem.rpartition("_")[2]
        for number, line in enumerate(file.read_text("utf-8").splitlines(), 1):
            if (file.name, number) not in report:
                asked.append((line.strip(), chain_of(symbol) if symbol not in ("ETH", "ARB", "BSC", "ETC", "USDC") else ""))
    assert len(asked) + len(report) == 654
    assert len(report) == 2
    assert all(report.values())
    assert not_found(screened(world.xa, tmp_path, asked)) == []


def test_every_wallet_of_the_sdn_entries_is_found_or_its_entry_is_reported(world: World, tmp_path: Path):
    """Entries whose remark was cut are reported; of the others every address is listed, with the entity that holds it where it is no person."""
    reported = {one["row"] for one in world.said["sdn"].json["malformed"]}
    assert reported
    asked: list[tuple[str, str]] = []
    with SDN.open(newline="", encoding="utf-8") as file:
        for number, record in enumerate(csv.DictReader(file), 2):
            found = re.findall(r"Digital Currency Address - (\w+) (\S+?)(?:;|\.?$)", record["Details"])
            asked += [(address, chain_of(symbol)) for symbol, address in found if number not in reported]
    assert len(asked) > 20
    assert not_found(screened(world.xa, tmp_path, asked)) == []


def test_every_wallet_of_the_seizure_orders_is_found_at_its_own_node_alone(world: World, tmp_path: Path):
    """143 rows at the bureau's node; the other jurisdiction has its own log and does not list them for that."""
    with BUREAU.open(newline="", encoding="utf-8") as file:
        wallets = [record["wallet"] for record in csv.DictReader(file)]
    malformed = {one["row"] for one in world.said["bureau"].json["malformed"]}
    asked = [(wallet, "tron") for number, wallet in enumerate(wallets, 2) if number not in malformed]
    assert len(asked) + len(malformed) == 143
    results = screened(world.xb, tmp_path, asked)
    assert not_found(results) == []
    assert {issuer["issuer"] for one in results for issuer in one["statements"]} == {"xb.bureau"}
    elsewhere = screened(world.xa, tmp_path, asked)
    assert not any(issuer["issuer"] == "xb.bureau" for one in elsewhere for issuer in one["statements"])


def tags(name: str) -> Iterator[tuple[str, str]]:
    """(address, currency) of every tag of a pack, with what it inherits from the header; read here without our reader."""
    data = (PACKS / name).read_bytes()
    pack = yaml.load(gzip.decompress(data) if name.endswith(".gz") else data, getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    for tag in pack["tags"]:
        yield str(tag.get("address", "")), str(tag.get("network", tag.get("currency", pack.get("network", pack.get("currency", "")))))


@pytest.mark.parametrize("member", ABUSE)
def test_every_well_formed_tag_is_accounted_for(world: World, tmp_path: Path, member: str):
    """Every tag is listed by its agency, left out as benign or a repetition, or in the report with file, row and reason; none is lost."""
    said = world.said[member].json
    total = sum(1 for name in ABUSE[member] for _ in tags(name))
    assert sum(said["rows"].values()) == total
    assert len(said["malformed"]) == said["rows"].get("malformed", 0)
    assert all(one["file"] and one["row"] > 0 and one["code"] and one["detail"] for one in said["malformed"])
    asked = list(dict.fromkeys(tag for name in ABUSE[member] for tag in tags(name) if tag[0]))
    results = screened(
        world.xa, tmp_path, [(address, chain_of(currency) if currency not in ("ETH", "BSC") else "") for address, currency in asked]
    )
    mine = [one for one in results if any(issuer["issuer"] == member for issuer in one["statements"])]
    missing = len(asked) - len(mine)
    assert missing <= said["rows"].get("malformed", 0) + said["rows"].get("left_out", 0)
    assert len({one["id"] for one in mine}) == said["rows"]["valid"]


def spellings(identifier: str) -> list[tuple[str, str]]:
    """Every way in which people write this wallet, as (text, chain)."""
    wallet = read_wallet(identifier)
    if wallet.family == "evm":
        bare = wallet.address[2:]
        return [
            (wallet.address, ""),
            (wallet.display, ""),
            ("0x" + bare.upper(), ""),
            (wallet.address, "bsc"),
            (f"eip155:1:{wallet.display}", ""),
            (identifier, ""),
        ]
    if wallet.family == "tron":
        return [(wallet.address, ""), (f"tron:728126428:{wallet.address}", ""), (identifier, ""), (wallet.payload.hex(), "tron")]
    if wallet.address.startswith(("bc1", "ltc1")):
        return [(wallet.address, ""), (wallet.address.upper(), ""), (identifier, "")]
    if wallet.family == "bitcoincash":
        return [(wallet.display, ""), (wallet.address, "bitcoincash"), (wallet.display.upper(), ""), (identifier, "")]
    return [(wallet.address, wallet.chain), (identifier, "")]


def test_every_accepted_spelling_finds_the_row(world: World, tmp_path: Path):
    """All wallets of both jurisdictions (one agency's 58,600 apart), in every spelling of their chain: one key-holder, one answer."""
    for data_dir, others in ((world.xa, "xa.fraud"), (world.xb, "")):
        lines = cordon("export", "-", "--format", "ndjson", "--data-dir", data_dir).out.splitlines()
        ids = {
            m[1]
            for line in lines
            if f'"{others}"' not in line and '"type": "wallet"' in line and (m := re.search(r'"id": "([^"]+)"', line))
        }
        rows = [(text, chain) for identifier in sorted(ids) for text, chain in spellings(identifier)]
        assert len(rows) > 2 * len(ids) > 0
        assert not_found(screened(data_dir, tmp_path, rows)) == []


def test_the_same_imports_again_change_nothing(world: World):
    """Not one entry more in either log, and every row that was listed is equal."""
    sizes = (entries(world.xa), entries(world.xb))
    for name, words in world.commands.items():
        again = cordon(*words)
        first = world.said[name].json
        assert (again.code, again.json["signed"], again.json["new"], again.json["changed"]) == (world.said[name].code, 0, 0, 0), name
        assert again.json["equal"] == first["rows"]["valid"], name
        assert again.json["vanished"] == [], name
    assert (entries(world.xa), entries(world.xb)) == sizes


def test_benign_lists_hit_only_where_the_lists_contradict_each_other(world: World, tmp_path: Path):
    """Hot wallets, bridges, tokens and miners: a hit is an address that stands literally on an imported list too."""
    benign: list[str] = []
    for pattern in BENIGN_PACKS:
        benign += [address for path in sorted(PACKS.glob(pattern)) for address, _ in tags(path.name)]
    for label in BENIGN_LABELS:
        with (DATA / "etherscan-labels" / "by-label" / f"{label}.csv").open(newline="", encoding="utf-8") as file:
            benign += [record["Address"] for record in csv.DictReader(file)]
    bad = {address.lower() for packs in ABUSE.values() for name in packs for address, _ in tags(name)}
    bad |= {line.strip().lower() for file in OFAC for line in file.read_text("utf-8").splitlines()}
    results = screened(world.xa, tmp_path, [(address, "") for address in dict.fromkeys(benign)])
    assert len(results) > 1000
    hits = [one["query"] for one in results if one["match"] == "listed"]
    assert [query for query in hits if query.lower() not in bad] == []
    assert len(hits) <= 56


def test_what_was_imported_verifies_offline(world: World):
    """Every receipt of every agency, under the root document of its jurisdiction, without any node."""
    for data_dir, members in ((world.xa, ("xa.treasury", *ABUSE)), (world.xb, ("xb.bureau",))):
        for member in members:
            checked = cordon("verify", data_dir.parent / f"{member}-receipts", "--data-dir", data_dir, "--json")
            assert checked.code == 0, checked.err
    for data_dir in (world.xa, world.xb):
        assert cordon("fsck", "--data-dir", data_dir, "--json").json["sound"] is True
