"""Disclosures side by side in rows: each is found at its spot, rows stay small, parts never share one."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from app.seal.disclosure import new_disclosure
from app.storage.part_rows import RUN_CHARS, part_rows_of, value_at

LENGTHS = st.integers(0, 6_000) | st.integers(0, 40)


@settings(deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["core", "ctx", "pii"]), LENGTHS), max_size=60), st.integers(0, 300))
def test_every_disclosure_is_found_again(said: list[tuple[str, int]], first: int) -> None:
    """Rows together are the wire, in order; a row is of one part and longer than a page only if it holds one disclosure."""
    wire = [new_disclosure(f"{part}.{n}", {"n": n, "note": "x" * min(length, 5_900)}) for n, (part, length) in enumerate(said)]
    rows, spots = part_rows_of("de.example/log", 7, wire, first=first)
    assert [text for row in rows for text in row.texts] == [one.text for one in wire]
    place = first
    for row in rows:
        assert (row.number, {one.part for one in wire[place - first : place - first + row.size]}) == (place, {row.part})
        assert row.disclosures is not None
        assert len(row.disclosures) <= RUN_CHARS + 1 or row.size == 1
        place += row.size
    texts = {row.number: row.disclosures or "" for row in rows}
    assert {n: value_at(texts[number], start) for n, (number, start) in spots.items()} == {
        one.number: one.value for one in wire if one.part == "core"
    }
