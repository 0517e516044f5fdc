"""OFAC lists: symbols that are no chains, mixed files, cut remarks, and persons whose names stay out."""

from __future__ import annotations

import json

import pytest

from app.domain.errors import Malformed, Schema
from app.formats.files import source
from app.formats.interface import Options, Row
from app.formats.ofac import read_ofac
from app.formats.sdn import CUT_AT, NO_NAMES, read_sdn
from tests.formats.addresses import base58check, btc, evm, tron

OPTIONS = Options("de.bka", list_date="2024-09-27")


def ofac(symbol: str, *lines: str) -> list[Row]:
    return list(read_ofac(source(f"lists/sanctioned_addresses_{symbol}.txt", "\n".join(lines).encode() + b"\n"), OPTIONS))


def ids(found: list[Row]) -> list[str]:
    return [str(row.item["id"]) if row.item else f"!{(row.fault or row.left_out or ('?',))[0]}" for row in found]


def test_a_sanctions_entry_names_list_and_date() -> None:
    """The item is an official one, its designation says where it stands, its asset is the ticker people know."""
    [row] = ofac("XBT", btc(1))
    assert row.item == {
        "type": "wallet", "id": f"bip122:000000000019d6689c085ae165831e93:{btc(1)}", "typologies": ["sanctions.listed"], "roles": [], "severity": 4,
        "basis": "authority_data", "reliability": "A", "credibility": 2, "status": "confirmed", "action": "block", "assets": ["BTC"],
        "designation": {"list": "OFAC SDN", "entry": f"Digital Currency Address - XBT {btc(1)}", "date": "2024-09-27"},
    }  # fmt: skip
    assert row.context is not None
    assert (row.context.purpose, row.context.instrument, row.context.evidence_kind) == (
        "sanctions_compliance",
        "sanctions",
        "sanctions_entry",
    )


def test_the_stablecoin_list_mixes_chains() -> None:
    """USDT is no chain: the form of the address decides."""
    assert ids(ofac("USDT", evm(1), tron(2), btc(3))) == [
        f"eip155:0:{evm(1)}",
        f"tron:0x2b6653dc:{tron(2)}",
        f"bip122:000000000019d6689c085ae165831e93:{btc(3)}",
    ]


def test_a_chain_symbol_binds() -> None:
    """An address of another chain under a chain's symbol is a fault, and so is a payment id among Monero addresses."""
    assert ids(ofac("XBT", evm(1)))[0].startswith("!")
    assert ids(ofac("ETH", tron(1)))[0].startswith("!")
    assert ids(ofac("XMR", "5b" * 32))[0].startswith("!")


def test_side_chains_of_ethereum_are_one_key() -> None:
    """ETH, ARB, BSC and ETC name the asset; the key behind the address is one and the same."""
    assert {ids(ofac(symbol, evm(7)))[0] for symbol in ("ETH", "ARB", "BSC", "ETC")} == {f"eip155:0:{evm(7)}"}


def test_bitcoin_cash_in_the_old_form() -> None:
    """The file's symbol settles what the text alone leaves open."""
    [row] = ofac("BCH", btc(1))
    assert row.item is not None
    assert str(row.item["id"]).startswith("bip122:000000000000000000651ef99cb9fcbe:q")


def test_the_file_name_is_needed_and_the_date() -> None:
    """Without symbol or date an entry would be guessed."""
    with pytest.raises(Schema):
        read_ofac(source("addresses.txt", b""), OPTIONS)
    with pytest.raises(Schema):
        read_ofac(source("sanctioned_addresses_XBT.txt", b""), Options("de.bka"))


HEADER = "ID,Name,Type,Country,Title,Details\n"


def sdn(*entries: tuple[str, ...]) -> list[Row]:
    lines = [",".join('"' + cell.replace('"', '""') + '"' for cell in entry) for entry in entries]
    return list(read_sdn(source("sdn.csv", (HEADER + "\n".join(lines) + "\n").encode()), OPTIONS))


def test_an_organisation_with_its_programmes_names_and_wallets() -> None:
    """`Country` holds programmes, `-0- ` is empty, aliases and addresses sit in the remarks."""
    details = (
        f"Website hidden.example; alt. Website https://other.example/x; Digital Currency Address - XBT {btc(1)}; alt. Digital Currency Address - ETH {evm(2)}; "
        "Organization Type: News agency activities; a.k.a. 'HIDDEN EXAMPLE'; a.k.a. 'OFFICE 0'."
    )
    entity, first, second = sdn(("99", "EXAMPLE GROUP, LTD.", "-0- ", "DPRK3] [CYBER2", "-0- ", details))
    assert entity.item == {
        "type": "entity", "id": "entity:de.bka:ofac-sdn-99", "kind": "company",
        "names": [{"name": "EXAMPLE GROUP, LTD.", "kind": "primary"}, {"name": "HIDDEN EXAMPLE", "kind": "alias"}, {"name": "OFFICE 0", "kind": "alias"}],
        "designations": [
            {"authority": "US Treasury", "programme": programme, "measure": "asset_freeze", "date": "2024-09-27", "reference": "SDN 99"}
            for programme in ("DPRK3", "CYBER2")
        ],
        "identifiers": [{"scheme": "website", "value": "hidden.example"}, {"scheme": "website", "value": "https://other.example/x"}],
    }  # fmt: skip
    assert first.item is not None
    assert (first.item["entity"], first.item["designation"]) == (
        "entity:de.bka:ofac-sdn-99",
        {"list": "OFAC SDN", "entry": "SDN 99", "date": "2024-09-27"},
    )
    assert second.item is not None
    assert second.item["id"] == f"eip155:0:{evm(2)}"
    assert {entity.number, first.number, second.number} == {2}


def test_of_a_natural_person_only_the_addresses() -> None:
    """No name, no alias, no birth date of an individual reaches an item; the report says that they were left out."""
    details = f"DOB 25 Mar 1900; Passport X1 (Nowhere); Digital Currency Address - XBT {btc(1)}; a.k.a. 'SAMPLE, Someone'."
    note, wallet = sdn(("1", "SAMPLE, Somebody", "individual", "CYBER2", "-0- ", details))
    assert note.left_out == NO_NAMES
    assert wallet.item is not None
    assert "entity" not in wallet.item
    text = json.dumps([wallet.item, wallet.context and wallet.context.item(), note.left_out]).lower()
    assert not any(word in text for word in ("sample", "1900", "passport", "x1"))


def test_a_cut_remark_is_not_trusted_to_its_end() -> None:
    """OFAC cuts at a thousand characters: the last piece may be half an address, and the report says that more is missing."""
    start = f"Digital Currency Address - XBT {btc(1)}; " + "Website filler.example; " * 60
    whole = start[: CUT_AT - 44] + f"; Digital Currency Address - ETH {evm(2)}"
    found = sdn(("2", "CUT", "-0- ", "CYBER2", "-0- ", whole[:CUT_AT]))
    assert [row.item["type"] if row.item else row.fault and row.fault.code for row in found] == ["entity", "wallet", "truncated"]


def test_ships_are_left_out() -> None:
    """A vessel is neither wallet nor organisation."""
    [row] = sdn(("3", "SHIP", "vessel", "CUBA", "-0- ", "-0- "))
    assert row.left_out is not None


def test_rows_of_the_wrong_width() -> None:
    """A row that lost a cell is not read at an offset."""
    [row] = sdn(("4", "SHORT", "-0- "))
    assert row.fault is not None
    assert row.fault.code == "malformed"


def test_the_four_column_form() -> None:
    """The names-only slice heads its programmes `Programs`."""
    [row] = list(read_sdn(source("names.csv", b"ID,Name,Type,Programs\n36,EXAMPLE AIR,-0-,CUBA\n"), OPTIONS))
    assert row.item is not None
    assert row.item["designations"][0]["programme"] == "CUBA"  # type: ignore[index,call-overload]


def test_another_table_is_refused() -> None:
    """Nothing is guessed from a table that only looks alike."""
    with pytest.raises(Schema):
        read_sdn(source("x.csv", b"ID,Name\n1,2\n"), OPTIONS)
    with pytest.raises(Malformed):
        list(read_sdn(source("x.csv", b'ID,Name,Type,Programs\n1,"never closed,-0-,CUBA\n'), OPTIONS))


def test_litecoin_by_its_symbol() -> None:
    """LTC addresses are read as Litecoin's."""
    assert ids(ofac("LTC", base58check(b"\x30" + bytes(20))))[0].startswith("bip122:12a765e31ffd4059bada1e25190f6e98:")
