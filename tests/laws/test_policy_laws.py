"""Laws of a client's own policy: what asks for less fires more, narrower codes are covered, order decides and nothing else does."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from app.domain.answer import Listing
from app.domain.policy_rules import Policy, Rule, evaluate, fires
from app.domain.vocabulary import TYPOLOGIES, covers
from app.domain.vocabulary.lists import ROLES
from tests.factories import wallet_id
from tests.index.test_view_buckets import listing

CODES = st.sampled_from(sorted(TYPOLOGIES))
SOME_ROLES = st.sampled_from(sorted(ROLES))
STATUS = st.sampled_from(["suspected", "confirmed"])
COUNTRY = st.sampled_from(["DE", "KR", "SG"])


@st.composite
def listings(draw: st.DrawFn) -> Listing:
    item = {
        "typologies": draw(st.lists(CODES, max_size=2, unique=True)),
        "roles": draw(st.lists(SOME_ROLES, max_size=2, unique=True)),
        "status": draw(STATUS),
        "severity": draw(st.integers(0, 4)),
    }
    return listing(1, wallet_id(1), item=item, country=draw(st.none() | COUNTRY))


@st.composite
def rules(draw: st.DrawFn) -> Rule:
    return Rule(
        name=draw(st.sampled_from("abcdefgh")),
        outcome=draw(st.sampled_from(["review", "hold", "pass"])),
        typologies=tuple(draw(st.lists(CODES, max_size=2, unique=True))),
        status=tuple(draw(st.lists(STATUS, max_size=1))),
        countries=tuple(draw(st.lists(COUNTRY, max_size=2, unique=True))),
        roles=tuple(draw(st.lists(SOME_ROLES, max_size=2, unique=True))),
        severity_min=draw(st.integers(0, 4)),
    )


@given(rules(), listings(), CODES, COUNTRY)
def test_what_asks_for_less_fires_more(rule: Rule, one: Listing, code: str, country: str) -> None:
    """Leaving an axis out, lowering the severity or allowing one value more never silences a rule."""
    wider = [replace(rule, **{axis: ()}) for axis in ("typologies", "status", "countries", "roles")]
    wider.append(replace(rule, severity_min=max(rule.severity_min - 1, 0)))
    if rule.typologies:
        wider.append(replace(rule, typologies=(*rule.typologies, code)))
    if rule.countries:
        wider.append(replace(rule, countries=(*rule.countries, country)))
    if fires(rule, one):
        assert all(fires(other, one) for other in wider)


@given(CODES, CODES)
def test_a_category_covers_its_narrower_codes(category: str, code: str) -> None:
    """A rule for `fraud` fires on `fraud.investment.ponzi`, one for the narrow code not on the wide one."""
    one = listing(1, wallet_id(1), item={"typologies": [code], "severity": 0})
    assert fires(Rule("r", "x", typologies=(category,)), one) == covers(category, code)


@given(st.lists(rules(), max_size=5), st.lists(listings(), max_size=4))
def test_the_first_rule_that_fires_decides(some: list[Rule], said: list[Listing]) -> None:
    """The outcome is its word, else the default; all that fire are named in their order; the order of listings and repetitions do not count."""
    policy = Policy("p", tuple(some), "nothing")
    found = evaluate(policy, said)
    fired = [rule for rule in some if any(fires(rule, one) for one in said)]
    assert found.rules == tuple(rule.name for rule in fired)
    assert found.outcome == (fired[0].outcome if fired else "nothing")
    assert evaluate(policy, [*reversed(said), *said]) == found
    assert evaluate(policy, ()).outcome == "nothing"


@given(st.lists(rules(), max_size=4), st.lists(listings(), max_size=3), listings())
def test_more_said_never_silences_a_rule(some: list[Rule], said: list[Listing], more: Listing) -> None:
    """A further listing can only make further rules fire."""
    policy = Policy("p", tuple(some), "nothing")
    assert set(evaluate(policy, said).rules) <= set(evaluate(policy, [*said, more]).rules)
