"""Laws of the quick ways through the content of a statement: they say what the careful way says, or leave it to that."""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from typing import Any

import orjson
from hypothesis import given
from hypothesis import strategies as st

from app.domain.canonical import b64u_encode
from app.domain.errors import CordonError
from app.domain.items import CheckedItems, check_items
from app.domain.labels import Label, Tlp
from app.domain.statement import Disclosure
from app.seal.disclosure import digest_of, read_disclosures
from tests.domain.item_material import CONTEXT, INDICATOR, POLICY, TRON_ID, WALLET, WALLET_ID, member, stub


def ids(number: int) -> str:
    """An EVM id."""
    return f"eip155:0:0x{number:040x}"


ODD: list[Any] = [
    None,
    True,
    1,
    1.0,
    "",
    "1",
    [],
    ["x"],
    {},
    {"kind": "person"},
    {"id": WALLET_ID},
    "person",
    "sanctions.listed",
    ids(0),
    {"id": ids(0)},
    7,
]
CHANGES = st.dictionaries(
    st.sampled_from([*WALLET, "embargo_until", "vasp", "scope", "first_seen", "kind", "nationality", "x_note", "designation", "tag"]),
    st.sampled_from(ODD)
    | st.sampled_from(
        [
            ["fraud.investment"], ["fraud.romance", "fraud.investment"], ["service_benign"], ["recruiter"], ["mule"], ["victim"], ["collection"],
            "block", "hold", "do_not_block", "monitor", 0, 4, 5, "2026-01-01", "2026-10-02T08:00:00Z", TRON_ID, "wallet", "indicator",
        ]
    ),
    max_size=3,
)  # fmt: skip


def wallet(number: int, changes: dict[str, Any]) -> dict[str, Any]:
    """A wallet item with some members bent."""
    return {**copy.deepcopy(WALLET), "id": ids(number), **changes}


def judged(items: list[Any], *, tlp: Tlp, quick: bool) -> CheckedItems | tuple[type[CordonError], object]:
    """What becomes of a listing of these items; its rows without the bytes that only the quick way knows."""
    disclosures = [
        Disclosure("", "", "", f"core.{number}", "core", number, value, orjson.dumps(value) if quick else None)
        for number, value in enumerate(items)
    ]
    try:
        found = check_items(stub(tlp=tlp), disclosures, member=member(), policy=POLICY)
    except CordonError as error:
        return type(error), error.faults
    return replace(found, rows=tuple(row._replace(body=None) for row in found.rows))


@given(st.lists(CHANGES, min_size=1, max_size=4), st.sampled_from([Tlp.CLEAR, Tlp.GREEN]), st.booleans())
def test_a_wallet_like_another_is_judged_as_if_it_were_the_first(changes: list[dict[str, Any]], tlp: Tlp, strong: bool) -> None:
    """Same findings, same refusal, same pointer, whatever was judged before."""
    context = {**CONTEXT, "legal_basis": {"instrument": "court_order"}} if strong else CONTEXT
    items = [*(wallet(number, change) for number, change in enumerate(changes)), INDICATOR, context]
    careful = judged(items, tlp=tlp, quick=False)
    assert judged(items, tlp=tlp, quick=True) == careful
    assert judged(items, tlp=tlp, quick=True) == careful


SCALARS = st.none() | st.booleans() | st.integers(-5, 5) | st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(SCALARS.map(str), inner, max_size=3), max_leaves=6
)


@given(st.lists(VALUES, min_size=1, max_size=4), st.booleans(), st.integers(16, 18), st.booleans())
def test_the_body_of_a_disclosure_is_its_value_as_written(values: list[Any], compact: bool, salt: int, home: bool) -> None:
    """Known only where it is what we would write, and then to the byte."""
    texts = []
    for number, value in enumerate(values):
        content = [b64u_encode(bytes([number]) * salt), f"core.{number}", value]
        texts.append(b64u_encode(orjson.dumps(content) if compact else json.dumps(content).encode()))
    made = replace(stub(), digests=tuple(sorted(map(digest_of, texts))), parts={"core": Label(Tlp.GREEN)})
    found = read_disclosures(made, texts, home=home)
    assert [(one.text, one.number, one.value) for one in found] == [
        (text, n, v) for n, (text, v) in enumerate(zip(texts, values, strict=True))
    ]
    assert all(one.body in (None, orjson.dumps(one.value)) for one in found)
    if compact and salt == 16 and max(text.count("[") + text.count("{") for text in map(str, values)) < 7:
        assert all(one.body is not None for one in found)
