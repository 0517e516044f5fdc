"""The hot path tells what the ordinary one tells, byte for byte: whoever asks, whenever, whatever was asked of the same node before."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import orjson
from hypothesis import given, settings
from hypothesis import strategies as st

from app.domain.address import Wallet, kin_keys, read_canonical_wallet
from app.domain.answer import Annotation, Link, Listing, Moment
from app.domain.identifiers import Subject
from app.domain.labels import PUBLIC, Label, Reader, ReaderClass, Tlp
from app.domain.policy_rules import Policy, Rule
from app.domain.sources import Source
from app.index.known import Known, ends_of
from app.services.screen import Caller, Query, Screening
from app.storage.audit import AuditEntry
from app.storage.database import Transaction
from tests.factories import wallet_id

NOW_S = 1_790_000_000
DAY_S = 86_400
READERS = [
    PUBLIC,
    Reader(ReaderClass.VASP, "de.exchange", node_ids=frozenset({"de.example"})),
    Reader(ReaderClass.NODE, "de.bka", ids=frozenset({"de.example"})),
    Reader(ReaderClass.NODE, "fr.pj", ids=frozenset({"fr.example"})),
]
ADDRESS = {n: wallet_id(n).rpartition(":")[2] for n in (1, 2, 9)}
SUBJECTS = [wallet_id(1), wallet_id(2), "domain:scam.example"]

labels = st.builds(Label, st.sampled_from(Tlp), st.frozensets(st.sampled_from(["de.example", "fr.example", "de.bka", "de.exchange"])))
moments_s = st.sampled_from([NOW_S, NOW_S + 1, NOW_S + DAY_S, NOW_S - 10, NOW_S + 3 * DAY_S])
remarks = st.builds(
    Annotation,
    kind=st.sampled_from(["dispute", "endorse"]),
    sid=st.just("other"),
    origin=st.just("de.example/log"),
    issuer=st.sampled_from(["de.lka", "de.ombud"]),
    label=labels,
    accepted_ms=st.just(NOW_S * 1000),
    binding=st.booleans(),
    stage=st.sampled_from([None, "overdue", "corrected"]),
)
items = st.fixed_dictionaries(
    {
        "severity": st.integers(1, 4),
        "action": st.sampled_from(["block", "review", "do_not_block"]),
        "roles": st.sampled_from([["collection"], ["service_benign"]]),
    },
    optional={
        "embargo_until": st.sampled_from(["2026-09-21T13:46:40Z", "2026-09-24"]),
        "scope": st.sampled_from([{"chains": ["eip155:56"]}, {"tag": "7"}]),
        "basis": st.text(max_size=5),
    },
)
contexts = st.fixed_dictionaries({"review_by": st.sampled_from(["2026-09-21", "2026-09-22", "2027-01-01"])})


@st.composite
def listings(draw: st.DrawFn) -> Listing:
    """A listing of anybody for anybody."""
    number = draw(st.integers(0, 10_000))
    label = draw(labels)
    return Listing(
        origin=draw(st.sampled_from(["de.example/log", "fr.example/log"])),
        index=number,
        sid=f"sid-{number}",
        number=0,
        subject=draw(st.sampled_from(SUBJECTS)),
        item=draw(items),
        context=draw(contexts),
        issuer=draw(st.sampled_from(["de.bka", "fr.pj"])),
        issuer_name=draw(st.text(max_size=8)),
        country="de",
        label=label,
        core_label=draw(st.sampled_from([label, Label(Tlp.RED, frozenset({"de.bka"}))])),
        handling=draw(st.sampled_from([(), ("NO-ATTRIBUTION",), ("NO-AUTOMATED-ACTION",)])),
        accepted_ms=(NOW_S - draw(st.integers(0, 5 * DAY_S))) * 1000,
        expires_at=NOW_S + draw(st.sampled_from([-5, 1, 5, DAY_S + 5, 90 * DAY_S])),
        state="active",
        contested=draw(st.booleans()),
        annotations=tuple(draw(st.lists(remarks, max_size=1))),
    )


@st.composite
def plain_listings(draw: st.DrawFn, subjects: Sequence[str] = SUBJECTS[:2]) -> Listing:
    """One that takes no thought: for all callers, live, and nothing to be said of it."""
    label = Label(draw(st.sampled_from([Tlp.CLEAR, Tlp.GREEN])))
    item = {"severity": draw(st.integers(1, 4)), "action": "block"}
    until, before_ms = NOW_S + 90 * DAY_S, (NOW_S - 30 * DAY_S) * 1000
    one = draw(listings())._replace(subject=draw(st.sampled_from(subjects)), item=item, label=label, core_label=label, annotations=())
    return one._replace(contested=False, expires_at=until, accepted_ms=before_ms)


POLICY = Policy("mine", (Rule("serious", "stop", severity_min=3), Rule("any", "look")), "pass")


def a_link(relation: str, label: Label | None = None) -> Link:
    """Between the first two subjects, for everybody unless said otherwise."""
    label = label or Label(Tlp.CLEAR)
    item = {"from": SUBJECTS[0], "to": SUBJECTS[1], "relation": relation}
    return Link("de.example/log", 1, 0, "linked", "de.bka", label, label, (NOW_S - 5 * DAY_S) * 1000, NOW_S + 90 * DAY_S, "active", item)


texts = st.sampled_from(
    [
        ADDRESS[1],
        ADDRESS[1].upper().replace("0X", "0x"),
        ADDRESS[2],
        ADDRESS[9],
        "0x123",
        "https://scam.example/a?b",
        "scam.example",
        "%b",
        "?",
    ]
) | st.text(max_size=12).filter(lambda text: not any(0xD800 <= ord(c) <= 0xDFFF for c in text))
questions = st.builds(
    Query,
    texts,
    st.sampled_from([None, None, "bsc", "ethereum", "nowhere"]),
    st.sampled_from([None, None, "7"]),
    st.sampled_from([None, None, 'mine "%s"']),
)
OTHERS = [(), (Source("fr.example/log", "live", NOW_S - 5),), (Source("fr.example/log", "forked", NOW_S - 500),)]
moments = st.builds(
    lambda now_s, sources, weightless: Moment(
        now_ms=now_s * 1000,
        own_origin="de.example/log",
        sources=sources,
        weightless=weightless,
        protected=lambda id_: id_ == wallet_id(9),
    ),
    moments_s,
    st.sampled_from(OTHERS),
    st.sampled_from([frozenset(), frozenset({"fr.example/log"})]),
)
Visit = tuple[Query, Reader, bool, Moment]
visits = st.lists(st.tuples(questions, st.sampled_from(READERS), st.booleans(), moments), min_size=1, max_size=12)


@settings(max_examples=150)
@given(st.lists(listings(), max_size=6), st.sampled_from(["same_cluster", "transfers_to", "controls"]), visits)
def test_the_hot_path_tells_the_same_bytes(held: list[Listing], relation: str, asked: Sequence[Visit]) -> None:
    """Body, label of what is told, answer word and access log are those of the ordinary path, for each of many questions in turn."""
    compare([*held], [a_link(relation)], asked)


@settings(max_examples=100)
@given(listings(), remarks, st.lists(st.tuples(st.sampled_from(READERS), moments), min_size=2, max_size=6))
def test_what_one_reader_was_told_is_not_told_to_another(plain: Listing, remark: Annotation, who: list[tuple[Reader, Moment]]) -> None:
    """A listing that all may see, with a remark that some may see: each is told of it what he may, whoever asked before."""
    clear, until = Label(Tlp.CLEAR), NOW_S + 90 * DAY_S
    shared = plain._replace(
        subject=SUBJECTS[0], item={"severity": 1}, label=clear, core_label=clear, expires_at=until, contested=False, annotations=(remark,)
    )
    shared = shared._replace(accepted_ms=(NOW_S - 30 * DAY_S) * 1000)
    question = Query(ADDRESS[1])
    compare([shared], [], [(question, reader, True, moment) for reader, moment in who])


@settings(max_examples=100)
@given(
    st.tuples(plain_listings(SUBJECTS[:1]), plain_listings(SUBJECTS[1:2])),
    st.lists(plain_listings() | listings(), max_size=3),
    st.lists(st.tuples(st.sampled_from(READERS), moments), min_size=2, max_size=4),
)
def test_what_a_list_was_told_is_told_no_more_once_it_moved(
    held: tuple[Listing, ...], after: list[Listing], who: list[tuple[Reader, Moment]]
) -> None:
    """Lines are those of a node that was never asked before, however often the same texts come, also when something else is said."""
    questions = [Query(ADDRESS[1]), Query(ADDRESS[1].upper().replace("0X", "0x")), Query(ADDRESS[1], "bsc"), Query(ADDRESS[2])]
    now = [Moment(now_ms=0)]
    asked_before = Told(held, [])
    old = Screening(asked_before, moment=lambda: now[0], record=_drop)

    async def ask() -> None:
        for listed in (held, after, []):
            asked_before.move(listed, [])
            fresh = Screening(Told(listed, []), moment=lambda: now[0], record=_drop)
            for reader, now[0] in who:
                for _ in range(2):
                    lines = await old.lines(questions, Caller(reader, "somebody/k1"))
                    results = (await fresh.screen_many(questions, Caller(reader), hits_only=False))["results"]
                    assert b"[%b]" % b",".join([line.at(row) for row, line in enumerate(lines)]) == orjson.dumps(results)

    asyncio.run(ask())


@settings(max_examples=30)
@given(plain_listings(SUBJECTS[:1]), plain_listings(SUBJECTS[1:2]))
def test_what_a_list_was_told_yesterday_is_told_anew(one: Listing, other: Listing) -> None:
    """Whether a review is overdue is a matter of the day, also when the day began with another listing, or comes back."""
    one = one._replace(context={"review_by": "2026-09-21"})
    now, held = [Moment(now_ms=0)], Told([one, other], [])
    old = Screening(held, moment=lambda: now[0], record=_drop)
    caller = Caller(Reader(ReaderClass.VASP, "de.exchange"))

    async def ask() -> None:
        for days, number in ((0, 1), (1, 2), (1, 1), (0, 2), (0, 1)):
            now[0] = Moment(now_ms=(NOW_S + days * DAY_S) * 1000, own_origin="de.example/log")
            fresh = Screening(held, moment=lambda: now[0], record=_drop)
            (line,) = await old.lines([Query(ADDRESS[number])], caller)
            (result,) = (await fresh.screen_many([Query(ADDRESS[number])], caller, hits_only=False))["results"]
            assert line.at(0) == orjson.dumps(result)

    asyncio.run(ask())


@settings(max_examples=30)
@given(plain_listings(SUBJECTS[:1]), plain_listings(SUBJECTS[1:2]))
def test_a_link_that_one_reader_cannot_see_is_told_to_the_next(one: Listing, other: Listing) -> None:
    """What was plain for one who may not see the link is not plain for one who may."""
    moment = Moment(now_ms=NOW_S * 1000, own_origin="de.example/log")
    compare(
        [one, other],
        [a_link("same_cluster", Label(Tlp.RED, frozenset({"de.bka"})))],
        [(Query(ADDRESS[1]), r, True, moment) for r in READERS],
    )


async def _drop(entries: Sequence[AuditEntry], *, then: Callable[[], object] | None = None) -> None:
    """Nobody reads them here."""


class Told:
    """Knows given listings and links."""

    def __init__(self, held: Sequence[Listing], links: Sequence[Link]) -> None:
        self.move(held, links)

    def move(self, held: Sequence[Listing], links: Sequence[Link]) -> None:
        """From now on these."""
        live = [one for one in held if one.state == "active"]
        self._known = known_of(live, [link for link in links if link.state == "active"])
        self._standing: dict[str, Known] = {}

    def standing(self) -> Mapping[str, Known]:
        """Of whatever was asked."""
        return self._standing

    def may_know(self, subject: Subject, reader: Reader) -> bool:  # noqa: ARG002
        """Something may be."""
        return True

    def at_hand(self, subject: Subject, reader: Reader) -> Known | None:  # noqa: ARG002
        """Nothing: it is waited for."""
        return None

    async def known(self, subjects: Iterable[Subject], reader: Reader) -> Known:  # noqa: ARG002
        """All that is held."""
        asked = list(subjects)
        kin = {one.id: found for one in asked if isinstance(one, Wallet) and (found := same_key(one, self._known.listings))}
        for one in asked:
            links = {one.id: self._known.links(one.id)} if self._known.links(one.id) else {}
            found = {one.id: kin[one.id]} if one.id in kin else {}
            self._standing.setdefault(one.id, Known(self._known.listings, links, found))
        return replace(self._known, kin=kin)

    async def known_in(self, tx: Transaction, subjects: Iterable[Subject], reader: Reader) -> Known:  # noqa: ARG002
        """The same."""
        return await self.known(subjects, reader)


def known_of(listings: Sequence[Listing], links: Sequence[Link]) -> Known:
    """By id, oldest first."""
    by_id: dict[str, list[Listing]] = {}
    for one in sorted(listings, key=lambda x: (x.accepted_ms, x.origin, x.index, x.number)):
        by_id.setdefault(one.subject, []).append(one)
    by_end: dict[str, list[Link]] = {}
    for link in links:
        for end in ends_of(link):
            by_end.setdefault(end, []).append(link)
    return Known(by_id, by_end)


def same_key(wallet: Wallet, listed: Iterable[str]) -> list[str]:
    """Listed ids that share a key with a wallet."""
    others = [read_canonical_wallet(id_) for id_ in sorted(listed) if id_ != wallet.id and not id_.startswith("domain:")]
    return [one.id for one in others if set(kin_keys(one)) & set(kin_keys(wallet))]


def compare(held: Sequence[Listing], links: Sequence[Link], asked: Sequence[Visit]) -> None:
    """Ask the same node both ways, question by question."""
    now = [Moment(now_ms=0)]
    recorded: list[AuditEntry] = []

    async def record(entries: Sequence[AuditEntry], *, then: Callable[[], object] | None = None) -> None:
        recorded.extend(entries)
        if then is not None:
            then()

    screening = Screening(Told(held, links), moment=lambda: now[0], record=record)

    async def both() -> None:
        for question, reader, is_known, now[0] in asked:
            owner = "somebody/green" if reader.ids or reader.node_ids else ""
            caller = Caller(reader, "somebody/k1" if is_known else "", "fraud_prevention", "c-1", owner)
            fast = await screening.answer_one(question, caller)
            by_fast = [*recorded]
            recorded.clear()
            words: Any = await screening.screen_one(question, caller)
            assert fast.body == orjson.dumps(words)
            assert fast.match == words["result"]["match"]
            assert [*fast.tlps] == [one["tlp"] for one in words["result"]["statements"]]
            assert by_fast == recorded
            recorded.clear()
            for policy in (None, POLICY):
                (line,) = await screening.lines([question], caller, policy=policy)
                in_list, told = [*recorded], (await screening.screen_many([question], caller, hits_only=False, policy=policy))["results"]
                assert line.at(0) == orjson.dumps(told)[1:-1]
                assert (line.match, line.tlps) == (fast.match, fast.tlps)
                assert in_list == by_fast == recorded[len(in_list) :]
                recorded.clear()

    asyncio.run(both())
