"""Laws of the importers: any bytes give rows or a refusal of ours, every row has one outcome, every item passes the gate's rules."""

from __future__ import annotations

from contextlib import suppress

from hypothesis import given, settings
from hypothesis import strategies as st

from app.domain.errors import Refused
from app.domain.item_context import carries_strong_actions
from app.domain.item_listing import ITEM_CHECKS, Findings
from app.domain.statement import Disclosure
from app.formats.importing import FORMATS, read_files
from app.formats.interface import Options, Row
from tests.formats.addresses import btc, evm, tron

OPTIONS = Options("de.bka", list_date="2024-09-27", constants={"typologies": ["fraud.job"]}, guards=True)
NAMES = {"ofac": "sanctioned_addresses_USDT.txt"}
STARTS = {
    "ofac": [b""],
    "sdn": [b"", b"ID,Name,Type,Country,Details\n", b"ID,Name,Type,Programs\n"],
    "tagpack": [b"", b"title: T\ncurrency: ETH\nabuse: scam\ntags:\n- address: ", b"title: T\ntags: ["],
    "actorpack": [b"", b"actors:\n- id: x\n  categories: [exchange]\n  label: ", b"actors: ["],
    "list": [b"", b"[", b'{"address":'],
    "csv": [b"", b"address,severity\n", b"from;to;relation\n", b"["],
}
# Bytes that mean something to one of the forms, so that the fuzz gets past the first check.
TOKENS = st.sampled_from(
    [
        *(
            evm(1),
            tron(1),
            btc(1),
            "evil.example",
            "entity:de.bka:x",
            "address",
            "tags",
            "tron",
            "transfers_to",
            "individual",
            "null",
            "1",
            "-0-",
        ),
        *(
            ",",
            ";",
            "; ",
            "\n",
            "\r\n",
            "\t",
            '"',
            "'",
            "- ",
            ": ",
            "{",
            "}",
            "[",
            "]",
            "&a ",
            "*a",
            '"id":',
            "%",
            "!!python/name:os.system ",
        ),
        *("\x00", "\x92", "é", "\u2028", "Digital Currency Address - XBT "),
    ]
)
bodies = st.lists(TOKENS, max_size=12).map(lambda parts: "".join(parts).encode()) | st.binary(max_size=60)


def check(row: Row) -> None:
    assert [row.item is None, row.fault is None, row.left_out is None].count(False) == 1
    assert row.number >= 1
    if row.item is not None:
        assert row.context is not None
        found = Findings(
            carries_strong_actions(row.context.item()), clear=False, rows=[], links=[], typologies=set(), guards=[], unembargoed=[]
        )
        ITEM_CHECKS[str(row.item["type"])](row.item, Disclosure("", "", "", "core.0", "core", 0, row.item), "", found)


@settings(max_examples=600, deadline=None)
@given(st.sampled_from(list(FORMATS)), st.data())
def test_any_bytes_are_rows_or_a_refusal(format_name: str, data: st.DataObject) -> None:
    """No input of a stranger ends in another error, and no row is half."""
    start = data.draw(st.sampled_from(STARTS[format_name]))
    with suppress(Refused):
        for row in read_files(format_name, [(NAMES.get(format_name, "x"), start + data.draw(bodies))], OPTIONS):
            check(row)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.sampled_from([*map(evm, range(4)), *map(btc, range(4)), "junk", "", "# remark"]), max_size=20))
def test_a_row_for_every_line_and_a_subject_once(lines: list[str]) -> None:
    """Nothing that was written is lost from the report, and no subject comes out twice."""
    rows = list(read_files("list", [("x", "\n".join(lines).encode())], OPTIONS))
    assert [row.number for row in rows] == [n for n, line in enumerate(lines, 1) if line and not line.startswith("#")]
    ids = [row.item["id"] for row in rows if row.item]
    assert len(ids) == len(set(map(str, ids))) == len({line for line in lines if line not in {"junk", "", "# remark"}})
