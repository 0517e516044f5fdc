"""A glance at an item says what the answer would say of the whole of it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.domain.answer import Listing, Scope, epoch_ms, is_guard, scope_relation
from app.domain.glance import GUARD, TAGGED, Glance, glance
from app.domain.labels import Label, Tlp
from app.domain.vocabulary import number_of

GREEN = Label(Tlp.GREEN)
SAID = st.none() | st.booleans() | st.integers(-3, 9) | st.text(max_size=3)
ITEMS = st.fixed_dictionaries(
    {},
    optional={
        "severity": SAID,
        "typologies": SAID
        | st.lists(st.sampled_from(["fraud.investment", "fraud.investment.pig_butchering", "unheard.of", 7]), max_size=3),
        "roles": SAID | st.lists(st.sampled_from(["service_benign", "collection", 7]), max_size=3),
        "action": st.sampled_from(["do_not_block", "review", 7]),
        "scope": SAID | st.fixed_dictionaries({}, optional={"tag": SAID, "chains": st.just(["eip155:1"])}),
        "embargo_until": st.sampled_from(["2027-01-01", "2027-01-01T00:00:01Z", None, 7]),
    },
)


def listed(item: dict[str, Any]) -> Listing:
    """A listing with this item."""
    return Listing("o", 0, "sid", 0, "id", item, {}, "de.bka", "de.bka", None, GREEN, GREEN, (), 0, 0, "active")


@settings(deadline=None)
@given(ITEMS)
def test_it_says_what_the_answer_says(item: dict[str, Any]) -> None:
    """Guard and tag as the two functions of `answer` see them, whatever a peer wrote."""
    seen = glance(item)
    assert bool(seen.flags & GUARD) == is_guard(item)
    assert bool(seen.flags & TAGGED) == (scope_relation(listed(item), Scope()) is not None)
    embargo = item.get("embargo_until")
    assert seen.embargo_ms == (epoch_ms(embargo) if isinstance(embargo, str) else None)
    assert 0 <= seen.severity <= 4
    assert 0 <= seen.category <= 255


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        ({}, Glance(0, 0, 0, None)),
        ({"severity": 9, "typologies": ["fraud.investment", "fraud"]}, Glance(4, number_of("fraud.investment"), 0, None)),
        ({"severity": "4", "typologies": ["fraud.investment.of_tomorrow"]}, Glance(0, number_of("fraud.investment"), 0, None)),
        ({"roles": ["service_benign"], "action": "do_not_block", "embargo_until": "1970-01-02"}, Glance(0, 0, GUARD, 86_400_000)),
        ({"scope": {"tag": "7"}}, Glance(0, 0, TAGGED, None)),
        ({"scope": {"chains": ["eip155:1"]}}, Glance(0, 0, 0, None)),
    ],
)
def test_by_example(item: dict[str, Any], expected: Glance) -> None:
    """Severity is kept within the scale, the category is that of the first typology or of its nearest known parent."""
    assert glance(item) == expected
