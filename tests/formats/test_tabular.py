"""Tables, lines and JSON of our users' own making: every row is an item or says why not."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from app.domain.errors import Malformed, Schema
from app.formats.files import source
from app.formats.interface import Options, Row
from app.formats.mapping import read_mapping
from app.formats.tabular import REPAIRED, read_csv, read_list
from tests.formats.addresses import btc, evm, tron

FRAUD: Mapping[str, Any] = {"typologies": ["fraud.investment"], "severity": 3}


def rows(
    data: str | bytes, *, reader: Any = read_csv, constants: Mapping[str, Any] = FRAUD, columns: Mapping[str, str] | None = None
) -> list[Row]:
    given = source("t.csv", data.encode() if isinstance(data, str) else data)
    return list(reader(given, Options("de.bka", constants=constants, columns=columns or {})))


def codes(found: list[Row]) -> list[tuple[int, str | None]]:
    return [(row.number, row.fault.code if row.fault else None) for row in found]


def test_headers_that_are_member_names_need_no_mapping() -> None:
    """The row's own data win over constants, constants over the cautious defaults."""
    [row] = rows(f"chain,Address,typologies,credibility,remark\ntron,{tron(1)},fraud.romance;fraud.job,2,x\n")
    assert row.item == {
        "type": "wallet", "id": f"tron:0x2b6653dc:{tron(1)}", "typologies": ["fraud.romance", "fraud.job"], "roles": [], "severity": 3, "basis": "unknown",
        "reliability": "F", "credibility": 2, "status": "suspected", "action": "review",
    }  # fmt: skip
    assert row.context is not None
    assert row.context.item()["legal_basis"] == {"instrument": "industry_report"}


def test_context_says_what_the_mapping_file_says() -> None:
    """Purpose, legal basis and evidence come from the constants; the evidence is the file by its digest."""
    constants = {
        **FRAUD,
        "purpose": "asset_freezing",
        "legal_basis": {"instrument": "court_order", "reference": "1 Gs 2"},
        "evidence_standard": "adjudicated",
    }
    [row] = rows(f"address\n{evm(1)}\n", constants=constants)
    assert row.context is not None
    context = row.context.item()
    assert context["purpose"] == "asset_freezing"
    assert context["legal_basis"] == {"instrument": "court_order", "reference": "1 Gs 2"}
    assert context["evidence"] == [
        {"sha256": source("", f"address\n{evm(1)}\n".encode()).sha256, "kind": "list_entry", "held_by": "issuer"}
    ]


def test_strong_actions_need_their_ground_here_already() -> None:
    """A `block` that the gate would refuse is a fault of the report; with a competent instrument it is none."""
    table = f"address,action\n{evm(1)},block\n"
    assert codes(rows(table)) == [(2, "schema")]
    assert codes(rows(table, constants={**FRAUD, "legal_basis": "court_order"})) == [(2, None)]


def test_mapping_file() -> None:
    """Columns by header, constants typed, misspelt members refused."""
    columns, constants = read_mapping(
        b"columns: {address: Wallet No, chain: Net}\nconstants: {typologies: [fraud.investment], severity: 3, purpose: fraud_prevention}\n"
    )
    assert constants == {"typologies": ["fraud.investment"], "severity": 3, "purpose": "fraud_prevention"}
    [row] = rows(f"No;wallet no;NET;note\n1;{evm(2)};bsc;x\n", columns=columns, constants=constants)
    assert row.item is not None
    assert row.item["id"] == f"eip155:0:{evm(2)}"
    assert "scope" not in row.item


@pytest.mark.parametrize(
    "text",
    [
        "columns: {adress: A}",
        "constants: {severty: 3}",
        "constants: {severity: high}",
        "column: {}",
        "columns: [a]",
        "columns: {address: [a]}",
        "constants: {typologies: [[a]]}",
    ],
)
def test_mapping_file_faults(text: str) -> None:
    """A slip in the mapping would change every row, so it stops the import."""
    with pytest.raises(Schema):
        read_mapping(text.encode())


def test_a_column_of_the_mapping_that_is_not_there() -> None:
    """The header is judged before any row."""
    with pytest.raises(Schema, match="Wallet"):
        rows(f"address\n{evm(1)}\n", columns={"address": "Wallet"})
    with pytest.raises(Schema, match="address"):
        rows("name,note\na,b\n")
    with pytest.raises(Schema):
        rows("")


def test_scope_only_where_it_narrows() -> None:
    """A contract is listed on its chain alone; a key is the same key on every EVM chain; a tag always narrows."""
    contract, key = rows(f"address,chain,roles\n{evm(1)},bsc,drainer_contract\n{evm(2)},bsc,collection\n")
    assert contract.item is not None
    assert contract.item["scope"] == {"chains": ["eip155:56"]}
    assert key.item is not None
    assert "scope" not in key.item


def test_faults_name_row_and_reason() -> None:
    """Bad rows stand beside good ones; nothing of a bad row is loaded."""
    spoilt = btc(1)[:-1] + ("1" if btc(1)[-1] != "1" else "2")
    table = (
        f"address,severity,action\n{spoilt},1,review\n{btc(1)},9,review\n{btc(2)},+1,review\n{btc(3)},1\n{btc(4)},1,review,x\n\n{btc(5)},1,explode\n,1,review\n"
        f"{btc(6)},1,review\n"
    )
    found = rows(table)
    assert codes(found) == [
        (2, "checksum"),
        (3, "schema"),
        (4, "schema"),
        (5, "malformed"),
        (6, "malformed"),
        (8, "schema"),
        (9, "schema"),
        (10, None),
    ]
    assert all((row.item is None) != (row.fault is None) for row in found)
    assert found[1].fault is not None
    assert found[1].fault.text.startswith("severity: ")


def test_no_typology_is_a_fault() -> None:
    """A list without a reason lists nobody."""
    assert codes(rows(f"address\n{btc(1)}\n", constants={})) == [(2, "schema")]
    assert codes(rows(f"address,typologies\n{btc(1)},fraud.unheard_of_before\n", constants={})) == [(2, None)]
    assert codes(rows(f"address,typologies\n{btc(1)},Fraud!\n", constants={})) == [(2, "schema")]


def test_bytes_of_another_encoding() -> None:
    """A Windows-1252 row is read with a warning, bytes that are no text are a fault; the rest is untouched."""
    found = rows(b"address,note\n" + btc(1).encode() + b",it\x92s\n" + btc(2).encode() + b",\x81\n" + btc(3).encode() + b",ok\n")
    assert [(row.number, row.warnings, row.fault and row.fault.code) for row in found] == [
        (2, (REPAIRED,), None),
        (3, (), "encoding"),
        (4, (), None),
    ]


def test_quoted_cells_may_hold_line_ends() -> None:
    """The number of a row is the line on which it begins."""
    found = rows(f'address,note\n{btc(1)},"two\nlines"\n{btc(2)},x\n')
    assert codes(found) == [(2, None), (4, None)]


def test_an_open_quote_is_a_fault() -> None:
    """What follows an unclosed quote is in no cell."""
    assert codes(rows(f'address,note\n{btc(1)},x\n{btc(2)},"never closed\n{btc(3)},x\n')) == [(2, None), (3, "malformed")]


def test_too_long_a_row() -> None:
    """A row of megabytes is no row of a list."""
    assert codes(rows(f"address,note\n{btc(1)},{'x' * 20_000}\n")) == [(2, "too_large")]
    assert codes(rows("y" * 20_000 + "\n", reader=read_list)) == [(1, "too_large")]


def test_plain_lines() -> None:
    """Blank lines and remarks are no rows; wallets and indicators mix."""
    found = rows(f"# of today\r\n\r\n{evm(1)}\r\n  {btc(1)}  \r\nevil.example\r\nnot an address at all\r\n", reader=read_list)
    assert [(row.number, row.item and row.item["type"]) for row in found] == [(3, "wallet"), (4, "wallet"), (5, "indicator"), (6, None)]


@pytest.mark.parametrize("reader", [read_csv, read_list])
def test_json_array_of_texts_and_objects(reader: Any) -> None:
    """Both readers know JSON by its first character; the number is the position."""
    array = [evm(1), {"address": tron(2), "severity": 4, "typologies": ["fraud.job"]}, 5, {"address": evm(3), "severity": True}]
    found = rows("\ufeff \n" + json.dumps(array), reader=reader)
    assert codes(found) == [(1, None), (2, None), (3, "schema"), (4, "schema")]
    assert found[1].item is not None
    assert (found[1].item["severity"], found[1].item["typologies"]) == (4, ["fraud.job"])


def test_a_broken_array_is_refused_whole() -> None:
    """Half an array says nothing about the other half."""
    with pytest.raises(Malformed):
        rows(f'["{evm(1)}", "{evm(2)}"', reader=read_list)


def test_ndjson_rows_stand_alone() -> None:
    """A line that is no JSON is a fault of that line; ready items pass through the same judgement."""
    link = {"type": "link", "from": evm(1), "to": tron(1), "relation": "transfers_to", "basis": "ledger_immanent", "confidence": 100}
    entity = {"type": "entity", "id": "entity:de.bka:golden-sun", "kind": "company", "names": [{"name": "Golden Sun", "kind": "primary"}]}
    person = {**entity, "kind": "person"}
    lines = [
        json.dumps({"id": evm(4), "scope": {"tag": "7"}}),
        "{broken",
        "",
        json.dumps(link),
        json.dumps(entity),
        json.dumps(person),
        '{"a":1,"a":2}',
        '{"type":"pet"}',
    ]
    found = rows("\n".join(lines))
    assert codes(found) == [(1, None), (2, "bad_json"), (4, None), (5, None), (6, "personal_data"), (7, "bad_json"), (8, "schema")]
    assert found[2].item is not None
    assert (found[2].item["from"], found[2].item["to"]) == (f"eip155:0:{evm(1)}", f"tron:0x2b6653dc:{tron(1)}")


def test_link_tables() -> None:
    """A table with `from` and `to` holds transfers; amounts stay decimal texts."""
    header = "from,to,relation,amount,asset,confidence\n"
    [good, bad] = rows(f"{header}{evm(1)},{tron(2)},transfers_to,1250.50,USDT,90\n{evm(1)},{tron(2)},transfers_to,1e3,USDT,90\n")
    assert good.item == {
        "type": "link", "from": f"eip155:0:{evm(1)}", "to": f"tron:0x2b6653dc:{tron(2)}", "relation": "transfers_to", "amount": "1250.50", "asset": "USDT",
        "basis": "unknown", "confidence": 90,
    }  # fmt: skip
    assert bad.fault is not None


def test_unknown_separators_and_tabs() -> None:
    """Half of Europe's spreadsheets write semicolons, exports of databases tabs."""
    for mark in ";\t":
        [row] = rows(f"address{mark}note\n{btc(1)}{mark}a,b\n")
        assert row.item is not None
