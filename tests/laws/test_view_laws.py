"""Buckets at a glance and entry by entry: what is quick says what is plain, of good form and of bad."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.domain.errors import InvalidAddress, Malformed
from app.domain.identifiers import id_key, read_subject
from app.domain.view import BUCKETS, SID_BYTES, BucketEntry, check_bucket, encode_bucket, find_entry, holds, keys_in, parse_bucket
from app.sdk.membership import Membership, Portfolio, key_of

NUMBER = 0x3D56
FEW = st.integers(0, 2)


@st.composite
def entries(draw: st.DrawFn) -> list[BucketEntry]:
    """Entries of one bucket, in order: keys that differ in a byte or two, one sid or some, of few bytes, so that they collide."""
    tails = draw(st.lists(st.binary(min_size=1, max_size=2), max_size=8, unique_by=lambda tail: tail.ljust(30, b"\0")))
    keys = sorted(NUMBER.to_bytes(2, "big") + tail.ljust(30, b"\0") for tail in tails)
    most = draw(st.sampled_from((1, 3)))
    return [BucketEntry(key, draw(st.integers(0, 4)), draw(st.integers(0, 255)), draw(_sids(key, most))) for key in keys]


def _sids(key: bytes, most: int) -> st.SearchStrategy[tuple[bytes, ...]]:
    # Some are halves of a key: then the bytes of an id stand where no entry begins.
    some = st.one_of(st.sampled_from((key[:SID_BYTES], key[SID_BYTES:])), st.binary(min_size=SID_BYTES, max_size=SID_BYTES))
    return st.lists(some, min_size=1, max_size=most, unique=True).map(lambda found: tuple(sorted(found)))


@settings(deadline=None)
@given(entries(), st.integers(0, 300), st.integers(0, 255))
def test_a_quick_check_refuses_what_the_parser_refuses(said: list[BucketEntry], place: int, byte: int) -> None:
    """Law: over buckets of good form, with one byte changed, and cut short: both refuse, or neither does."""
    good = encode_bucket(said)
    changed = good[:place] + bytes([byte]) + good[place + 1 :]
    for data in (good, changed, good[:place]):
        refused: list[bool] = []
        for look in (check_bucket, parse_bucket):
            refused.append(True)
            with suppress(Malformed):
                look(data, NUMBER)
                refused[-1] = False
        assert refused[0] == refused[1]


@settings(deadline=None)
@given(entries(), st.lists(st.binary(min_size=30, max_size=30), max_size=4))
def test_what_a_bucket_holds(said: list[BucketEntry], others: list[bytes]) -> None:
    """Law: keys, entries and membership are those of the entries one by one, also for bytes that stand across two of them."""
    data = encode_bucket(said)
    parsed = {entry.key: entry for entry in parse_bucket(data, NUMBER)}
    buckets = [b""] * BUCKETS
    buckets[NUMBER] = data
    members = Membership.empty().moved(buckets)
    across = [data[at : at + 32] for at in range(1, len(data) - 31)]
    asked = [*parsed, *(NUMBER.to_bytes(2, "big") + other for other in others), *(key for key in across if key.startswith(b"\x3d\x56"))]
    assert keys_in(data) == list(parsed)
    for key in asked:
        assert find_entry(data, key) == parsed.get(key)
        assert holds(data, key) == (key in members) == (key in parsed)
    assert not any(holds(data, key) for key in across if key not in parsed)


EVM = st.text("0123456789abcdef", min_size=40, max_size=40).map(lambda digits: "0x" + digits)
NEARLY = st.tuples(
    st.sampled_from(("0x", "0X", "", "eip155:0:0x", "eip155:1:0x", "eip155:0:", " 0x", "0x0x")),
    st.text("0123456789abcdefABCDEF", min_size=39, max_size=41),
    st.sampled_from((str, str.lower, str.upper)),
).map(lambda said: said[0] + said[2](said[1]))
OTHERS = st.sampled_from(
    (
        "TMVQGm1qAQYVdetCeGRRkTWYYrLXuHK2HC",
        "https://scam.example/x",
        "0x7E5F4552091A69125d5DfCb7b8C2659029395Bdf",
        "BC1QW508D6QEJXTDG4Y5R3ZARVARY0C5XW7KV8F3T4",
        "Hj8V1nX4Cz3AtRJ2NSXzxTSoD6ATU1YRyRR9owbpU77B",
    )
)


@settings(deadline=None)
@given(st.one_of(st.lists(EVM, max_size=30), st.lists(st.one_of(EVM, OTHERS), max_size=30)), st.data())
def test_many_at_once_are_as_many_one_by_one(texts: list[str], data: st.DataObject) -> None:
    """Law: a list, or a portfolio of it, is answered as its members are, in order and with repetitions, with numpy and without."""
    portfolio = Portfolio.of(texts)
    chosen = {key_of(text) for text in texts if data.draw(st.booleans())}
    buckets = [b""] * BUCKETS
    for key in sorted(chosen):
        buckets[key[0] << 8 | key[1]] += BucketEntry(key, 3, 1, (bytes(SID_BYTES),)).encode()
    for with_numpy in (True, False):
        members = Membership.empty(with_numpy=with_numpy).moved(buckets)
        want = [text for text in texts if key_of(text) in chosen]
        assert list(members.listed(texts)) == list(members.listed_of(portfolio)) == want
        nothing = members.moved([b""] * BUCKETS)
        assert not list(nothing.listed(texts))
        assert not list(nothing.listed_of(portfolio))


def _key_or_refusal(text: str, key: Callable[[str], bytes]) -> bytes | str:
    try:
        return key(text)
    except InvalidAddress as error:
        return error.code


@settings(deadline=None)
@given(st.one_of(NEARLY, OTHERS))
def test_the_key_of_a_spelling_is_that_of_its_id(text: str) -> None:
    """Law: what needs no checksum is read shortly to the key to which it is read with care, or refused as it is there."""
    assert _key_or_refusal(text, key_of) == _key_or_refusal(text, lambda one: id_key(read_subject(one).id))


@settings(deadline=None)
@given(st.lists(EVM, min_size=1, max_size=3), NEARLY, st.data())
def test_no_text_hides_in_the_frame_of_its_neighbours(texts: list[str], odd: str, data: st.DataObject) -> None:
    """Law: pieces of an address that make one together, and all else that is none, are refused as they are alone."""
    cut = data.draw(st.integers(1, 41))
    shifted = [texts[0][:cut], texts[0][cut:]]
    for some in ([*texts, *shifted], [*shifted, *texts], [*texts, odd], [odd, *texts], [texts[0] + "é", texts[0][:-1]]):
        try:
            want = b"".join([id_key(read_subject(one).id) for one in some])
        except InvalidAddress:
            with pytest.raises(InvalidAddress):
                Portfolio.of(some)
        else:
            assert Portfolio.of(some).keys == want


def test_a_whole_copy_is_taken_in_as_its_buckets_are_one_by_one() -> None:
    """However many buckets move at once, the batch finds what is listed then and nothing else."""
    texts = [f"0x{number:040x}" for number in range(20_000)]
    keys = sorted(map(key_of, texts[:15_000]))
    buckets = [b""] * BUCKETS
    for key in keys:
        buckets[key[0] << 8 | key[1]] += BucketEntry(key, 3, 1, (bytes(SID_BYTES),)).encode()
    members = Membership.empty().moved(buckets)
    portfolio = Portfolio.of(texts * 4)
    assert list(members.listed(texts)) == texts[:15_000]
    assert list(members.listed_of(portfolio)) == texts[:15_000] * 4
    after = members.moved([b"" if number < 1_000 else data for number, data in enumerate(buckets)])
    assert list(after.listed(texts)) == [text for text in texts[:15_000] if key_of(text) >= b"\x03\xe8"]
    assert list(members.listed(texts)) == texts[:15_000]
