"""Laws of strict JSON: what is written is read back, no input does anything but give a value or a refusal, oracles agree."""

from __future__ import annotations

import json
import math

import orjson
from hypothesis import example, given
from hypothesis import strategies as st

from app.domain import canonical
from app.domain.canonical import (
    MAX_SAFE_INT,
    JsonValue,
    b64u_decode,
    b64u_decode_all,
    b64u_encode,
    b64u_encode_digests,
    read_json,
    read_plain,
    write_json,
)
from app.domain.errors import BadJson, Malformed, TooLarge

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
SCALARS = st.none() | st.booleans() | st.integers(-MAX_SAFE_INT, MAX_SAFE_INT) | st.floats(allow_nan=False, allow_infinity=False) | TEXT
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4), max_leaves=12)
JSONISH = st.text(st.sampled_from('[]{}",:\\u0123d8fEe+-.tru nlfas\n'), max_size=60)


def height(value: JsonValue) -> int:
    """Levels of nesting, scalars 0."""
    if isinstance(value, dict):
        return 1 + max(map(height, value.values()), default=0)
    if isinstance(value, list):
        return 1 + max(map(height, value), default=0)
    return 0


@given(VALUES)
def test_written_values_are_read_back(value: JsonValue) -> None:
    """read ∘ write = identity, for every value that has a strict form."""
    assert read_json(write_json(value), max_depth=64) == value


@given(VALUES, st.booleans(), st.integers(0, 2))
def test_the_depth_limit_is_exact(value: JsonValue, escape: bool, indent: int) -> None:
    """A value of height n is read with limit n and refused with n−1, however it is spelt."""
    data = json.dumps(value, ensure_ascii=escape, indent=indent or None).encode()
    depth = height(value)
    assert read_json(data, max_depth=depth) == value
    if depth:
        try:
            read_json(data, max_depth=depth - 1)
        except BadJson:
            return
        raise AssertionError(data)


@given(st.binary(max_size=80) | JSONISH.map(str.encode))
@example(b'"\\ud800"')
@example(b'{"a":1,"a":2}')
def test_any_bytes_give_a_value_or_a_refusal(data: bytes) -> None:
    """No input raises anything else, and what is accepted is accepted alike by an independent strict reader (orjson)."""
    try:
        value = read_json(data)
    except (BadJson, TooLarge):
        return
    assert value == orjson.loads(data)
    assert read_json(write_json(value)) == value


@given(JSONISH)
def test_what_is_refused_has_a_reason(text: str) -> None:
    """A refused text is refused by the library too, or breaks one of our rules: depth, names twice, range, surrogates."""
    try:
        read_json(text.encode())
    except BadJson:
        try:
            value = json.loads(text, object_pairs_hook=lambda pairs: ["pairs", *map(list, pairs)])
        except ValueError:
            return
        flat = json.dumps(value)
        numbers = [abs(leaf) for leaf in leaves(value) if isinstance(leaf, int | float)]
        repeated = any(len({pair[0] for pair in pairs}) != len(pairs) for pairs in objects(value))
        assert height(value) > 8 or repeated or "\\ud" in flat or any(math.isinf(n) or n > MAX_SAFE_INT for n in numbers)


def leaves(value: object) -> list[object]:
    """All scalars of a nested list."""
    return [leaf for entry in value for leaf in leaves(entry)] if isinstance(value, list) else [value]


def objects(value: object) -> list[list[list[object]]]:
    """The pairs of every object of a value read with marked pairs."""
    if not isinstance(value, list):
        return []
    own = [value[1:]] if value[:1] == ["pairs"] else []
    return own + [pairs for entry in value for pairs in objects(entry)]


@given(st.binary(max_size=100))
def test_base64url_round_trip(data: bytes) -> None:
    """decode ∘ encode = identity."""
    assert b64u_decode(b64u_encode(data)) == data


@given(st.text(st.sampled_from("ABCxyz019-_+/= \n."), max_size=24))
def test_base64url_has_one_spelling(text: str) -> None:
    """Whatever decodes is what we would write: no two texts give the same bytes."""
    try:
        data = b64u_decode(text)
    except Malformed:
        return
    assert b64u_encode(data) == text


@given(st.lists(st.binary(min_size=32, max_size=32), max_size=5))
def test_digests_are_written_as_one_by_one(digests: list[bytes]) -> None:
    """Many at once, the same texts."""
    assert b64u_encode_digests(digests) == [b64u_encode(digest) for digest in digests]


@given(st.lists(st.binary(max_size=9).map(b64u_encode) | st.text(st.sampled_from("ABCxyz019-_+/= ~é"), max_size=9), max_size=5))
@example([""])
@example(["AB", "AA"])
@example(["AA", "AAA="])
def test_many_texts_of_base64url_are_read_as_one_by_one(texts: list[str]) -> None:
    """The same bytes, or a refusal if there is one to refuse."""

    def read(one_by_one: bool) -> list[bytes] | None:
        try:
            return [b64u_decode(text) for text in texts] if one_by_one else b64u_decode_all(texts)
        except Malformed:
            return None

    assert read(one_by_one=False) == read(one_by_one=True)


def outcome(data: bytes, *, max_depth: int, controls: bool, careful: bool) -> tuple[str, object]:
    """The value with the types of its numbers, or the class of the refusal, of one of the two ways to read."""
    try:
        if careful:
            value = canonical._read_carefully(data, max_depth, 10_000, controls=controls)
        else:
            value = read_json(data, max_depth=max_depth, controls=controls)
    except (BadJson, TooLarge) as error:
        return type(error).__name__, None
    return "value", repr(value)


@given(VALUES, st.sampled_from(["orjson", "compact", "ascii", "spaced"]), st.integers(1, 9), st.booleans())
@example(2**53, "orjson", 8, True)
@example([1e300, -0.0, 5e-324, 1.0], "orjson", 8, True)
@example({"a": "\ud83d\ude00 \x7f \u2028"}, "ascii", 8, False)
def test_both_ways_of_reading_agree(value: JsonValue, writer: str, max_depth: int, controls: bool) -> None:
    """The quick way never says what the careful way would not: same value, same types, same refusal (ADR 0007)."""
    data = {
        "orjson": lambda: orjson.dumps(value),
        "compact": lambda: json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode(),
        "ascii": lambda: json.dumps(value).encode(),
        "spaced": lambda: json.dumps(value, ensure_ascii=False, indent=1).encode(),
    }[writer]()
    both = [outcome(data, max_depth=max_depth, controls=controls, careful=careful) for careful in (False, True)]
    assert both[0] == both[1]


@given(JSONISH.map(str.encode) | st.binary(max_size=40))
@example(b'{"a":1,"a":1}')
@example(b"9007199254740993")
@example(b"[1e400]")
@example(b"-0")
@example(b'"\xed\xa0\x80"')
def test_both_ways_of_reading_agree_on_noise(data: bytes) -> None:
    """Also on texts that are nearly JSON."""
    assert outcome(data, max_depth=8, controls=True, careful=False) == outcome(data, max_depth=8, controls=True, careful=True)


@given(st.lists(VALUES.map(orjson.dumps) | VALUES.map(json.dumps).map(str.encode) | JSONISH.map(str.encode), min_size=1, max_size=4))
@example([b"[1", b"2]"])
@example([b"[9007199254740993]"])
@example([b"[-9007199254740993]"])
@example([b'{"a":1}', b'{"a":1,"a":1}'])
@example([b"[1,2]", b"[[[[[[[[[]]]]]]]]]"])
@example([b'["\xed\xa0\x80"]'])
@example([b"[0.12345678901234567,1e300]"])
def test_what_is_read_at_once_is_read_as_one_by_one(texts: list[bytes]) -> None:
    """Many texts give the values that the careful way gives, of the same types, or go that way each."""
    found = read_plain(texts)
    if found is not None:
        assert [("value", repr(value)) for value in found] == [outcome(text, max_depth=8, controls=True, careful=True) for text in texts]


@given(st.lists(st.lists(VALUES, max_size=3), min_size=1, max_size=4))
def test_ordinary_texts_are_read_at_once(values: list[list[JsonValue]]) -> None:
    """The quick way is one that ordinary values take: small whole numbers, and no more than eight brackets."""
    texts = [orjson.dumps(value) for value in values]
    ordinary = all(text.count(b"[") + text.count(b"{") <= 8 for text in texts) and b"0" * 16 not in b"".join(texts).translate(DIGITS)
    assert read_plain(texts) == (values if ordinary else None) or not ordinary


DIGITS = bytes(48 if 48 <= byte < 58 else 32 for byte in range(256))
