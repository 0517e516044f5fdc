"""The real lists, read in place: exact counts of what is listed, left out and malformed, so that no row is ever lost unseen."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from app.formats.files import decode, source
from app.formats.importing import read_files
from app.formats.interface import Options, Row
from app.formats.sdn import NO_NAMES
from tests.paths import DATA, needs

OFAC = Options("de.bka", list_date="2024-09-27")
PACKS = "graphsense/packs"


def read(format_name: str, options: Options, *paths: str) -> list[Row]:
    files = [needs(DATA / path) for path in paths]
    return list(read_files(format_name, [(file.name, file.read_bytes()) for file in files], options))


def outcome(rows: list[Row]) -> dict[str, int]:
    """How many rows of each sort; every row is of exactly one. Which fault an address has is the business of its own tests."""
    assert all([row.item is None, row.fault is None, row.left_out is None].count(False) == 1 for row in rows)
    assert all((row.item is None) == (row.context is None) for row in rows)
    return dict(Counter(str(row.item["type"]) if row.item else f"out:{row.left_out.code}" if row.left_out else "fault" for row in rows))


def test_ofac_address_lists() -> None:
    """17 files, 654 lines: 639 different addresses; a Tron address stands in the Bitcoin file, a payment id in Monero's."""
    folder = needs(DATA / "ofac/lists")
    paths = [f"ofac/lists/{file.name}" for file in sorted(folder.glob("*.txt"))]
    assert len(paths) == 17
    rows = read("ofac", OFAC, *paths)
    assert outcome(rows) == {"wallet": 639, "out:duplicate": 13, "fault": 2}
    assert [(row.file, row.number) for row in rows if row.fault] == [
        ("sanctioned_addresses_XBT.txt", 355),
        ("sanctioned_addresses_XMR.txt", 2),
    ]
    families = Counter(str(row.item["id"]).rpartition(":")[0] for row in rows if row.item and row.file == "sanctioned_addresses_USDT.txt")
    assert families == {"tron:0x2b6653dc": 11, "eip155:0": 4, "bip122:000000000019d6689c085ae165831e93": 7}


def test_sdn_entries_with_addresses() -> None:
    """30 entries, 19 of them persons of whom nothing but addresses is taken; 13 remarks were cut by OFAC."""
    rows = read("sdn", OFAC, "ofac/sdn_entities_with_addresses.csv")
    assert outcome(rows) == {
        "out:natural_person": 19,
        "entity": 11,
        "wallet": 199,
        "fault": 14,
        "out:conflict": 1,
        "out:duplicate": 1,
    }
    persons = {row.number for row in rows if row.left_out == NO_NAMES}
    assert not any(row.item.get("entity") or row.item["type"] == "entity" for row in rows if row.item and row.number in persons)
    names = {name["name"] for row in rows if row.item and row.item["type"] == "entity" for name in row.item["names"]}  # type: ignore[union-attr,call-overload,index]
    assert {"LAZARUS GROUP", "HIDDEN COBRA", "SUEX OTC, S.R.O.", "TORNADO CASH"} <= names
    lazarus = next(row.item for row in rows if row.item and row.item["id"] == "entity:de.bka:ofac-sdn-27307")
    assert [entry["programme"] for entry in lazarus["designations"]] == ["DPRK3"]  # type: ignore[union-attr,call-overload,index]


@pytest.mark.slow
def test_sdn_names() -> None:
    """11,444 rows: organisations only; persons, ships and aircraft are left out, the end-of-file mark of the list is a fault."""
    assert outcome(read("sdn", OFAC, "ofac/sdn_names.csv.gz")) == {
        "entity": 4575,
        "out:natural_person": 5890,
        "out:unsupported": 978,
        "fault": 1,
    }


PACK_COUNTS: Mapping[str, dict[str, int]] = {
    "aft-alqaeda-forfeit_vc.yaml": {"wallet": 155},
    "demo.yaml": {"out:no_typology": 5},
    "electrum_phishing.yaml": {"wallet": 6},
    "etherscan-wordcloud-exchange.yaml": {"out:benign": 646},
    "etherscan-wordcloud-mixing_service.yaml": {"wallet": 59, "out:duplicate": 2},
    "exchange-wallets-huobi.yaml": {"out:benign": 54, "fault": 4},
    "hacks.yaml": {"out:benign": 420, "out:no_typology": 10, "wallet": 178},
    "lazarus.yaml": {"wallet": 21},
    "ofac.yaml": {"out:no_typology": 568, "fault": 4},
    "plustoken.yaml": {"wallet": 10, "fault": 2},
    "ponzi_scheme.yaml": {"wallet": 52},
    "ronin_bridge.yaml": {"wallet": 6},
    "usdt_blacklist.yaml": {"wallet": 774},
    "walletexplorer.yaml": {"out:benign": 142, "out:no_typology": 191, "wallet": 53},
}


@pytest.mark.parametrize("name", PACK_COUNTS)
def test_tagpacks(name: str) -> None:
    """Every tag of the pack is listed, left out or a fault."""
    assert outcome(read("tagpack", Options("de.bka"), f"{PACKS}/{name}")) == PACK_COUNTS[name]


def test_tiny_packs_with_faults() -> None:
    """Made-up addresses, a repeated tag, a transaction, an empty list."""
    small = "graphsense/small"
    assert outcome(read("tagpack", Options("de.bka"), f"{small}/duplicate_tag.yaml")) == {"fault": 3}
    assert outcome(read("tagpack", Options("de.bka"), f"{small}/ex_addr_tagpack.yaml")) == {"fault": 2}
    assert read("tagpack", Options("de.bka"), f"{small}/empty_tag_list.yaml") == []


def test_exchange_wallets_as_guards() -> None:
    """Asked for, reserve wallets protect instead of being left out."""
    rows = read("tagpack", Options("de.bka", guards=True), f"{PACKS}/exchange-wallets-okx.yaml")
    assert outcome(rows) == {"wallet": 36}
    assert all(row.item and row.item["action"] == "do_not_block" for row in rows)


@pytest.mark.slow
def test_a_big_packed_pack() -> None:
    """58,600 addresses of one campaign, not one lost."""
    assert outcome(read("tagpack", Options("de.bka"), f"{PACKS}/sextortion_talos.yaml.gz")) == {"wallet": 58_600}


def test_actors() -> None:
    """3,813 actors; what may be a person is left out."""
    assert outcome(read("actorpack", Options("de.bka"), "graphsense/actors/graphsense.actorpack.yaml.gz")) == {
        "entity": 3359,
        "out:natural_person": 454,
    }


@pytest.mark.parametrize(
    ("path", "options", "expected"),
    [
        (
            "nbctf-tron/tron_wallets.csv",
            Options(
                "il.nbctf",
                columns={"address": "wallet"},
                constants={"chain": "tron", "typologies": ["other.terror_financing"], "legal_basis": "court_order"},
            ),
            {"wallet": 141, "out:duplicate": 2},
        ),
        (
            "forta/phishing_scams_1.csv",
            Options("de.bka", constants={"typologies": ["fraud.phishing"]}),
            {"wallet": 6205, "out:duplicate": 519, "fault": 2},
        ),
        ("scamsniffer/address.json", Options("de.bka", constants={"typologies": ["fraud.phishing"]}), {"wallet": 2530}),
    ],
    ids=["nbctf", "forta", "scamsniffer"],
)
def test_tables_and_arrays(path: str, options: Options, expected: dict[str, Any]) -> None:
    """A table with a mapping, one whose header is a member name, and a JSON array."""
    assert outcome(read("csv", options, path)) == expected


def test_a_table_in_windows_1252() -> None:
    """The taxonomy of INTERPOL has one stray apostrophe; every other line is UTF-8."""
    path: Path = needs(DATA / "dw-va-taxonomy/entities.csv")
    text = decode(source(path.name, path.read_bytes()))
    assert len(text.repaired) == 1
    assert not text.broken
