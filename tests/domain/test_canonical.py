"""Strict JSON, base64 and decimals: one spelling is read, every other one is refused, and refusing is cheap."""

from __future__ import annotations

import sys
import time

import pytest

from app.domain.canonical import MAX_SAFE_INT, b64_decode, b64u_decode, b64u_encode, read_decimal, read_json, write_json
from app.domain.errors import BadJson, Malformed, TooLarge

GOOD = [
    (b"{}", {}),
    (b"[]", []),
    (b' \t\r\n{"a" : [1, -0, 0.5, 1e300, true, false, null]}\n', {"a": [1, 0, 0.5, 1e300, True, False, None]}),
    (b'"\\ud83d\\ude00"', "\U0001f600"),
    ('"Grüße 日本 😀"'.encode(), "Grüße 日本 😀"),
    (b'"\\\\ud800"', "\\ud800"),  # an escaped backslash before plain letters, no surrogate
    (b'"[[[[[[[[[[{{{{{{{{{{{{"', "[[[[[[[[[[{{{{{{{{{{{{"),
    (b'["\\"[[[[[[[[[[","\\\\",[]]', ['"[[[[[[[[[[', "\\", []]),
    (b'{"a":{"a":1},"b":{"a":2}}', {"a": {"a": 1}, "b": {"a": 2}}),
    (str(MAX_SAFE_INT).encode(), MAX_SAFE_INT),
    (str(-MAX_SAFE_INT).encode(), -MAX_SAFE_INT),
    (b"1e-400", 0.0),
    (b"[[[[[[[[]]]]]]]]", [[[[[[[[]]]]]]]]),
]

BAD = [
    b"",
    b" ",
    b"hello",
    b"\xef\xbb\xbf{}",
    '{"a":1}'.encode("utf-16"),
    '{"a":1}'.encode("utf-16-le"),
    b'{"a":"\xe9"}',
    b'"\xed\xa0\x80"',  # a surrogate encoded as if it were a character
    b'"\xc0\x80"',
    b"NaN",
    b"[Infinity]",
    b"[-Infinity]",
    b"[1e999]",
    b"[-1e999]",
    b"9007199254740992",
    b"-9007199254740992",
    b"1" * 5000,
    b'{"a":1,"a":1}',
    b'{"a":1,"\\u0061":1}',
    b'{"x":{"a":1,"a":1}}',
    b'"\\ud800"',
    b'"\\ud83dx"',
    b'"\\ude00\\ud83d"',
    b'{"\\uDFFF":1}',
    b'{"a":1,}',
    b"[1,]",
    b"[01]",
    b"[+1]",
    b"[.5]",
    b"[1.]",
    b"[0x10]",
    b"['a']",
    b"{a:1}",
    b'"a\nb"',
    b'"\x00"',
    b'"\\x41"',
    b'"\\u+041"',
    b'"open',
    b"{}{}",
    b"{}x",
    b"[}",
    b"[[[]",
    b"[]]",
    "[１]".encode(),  # fullwidth digit
    "[٣]".encode(),  # arabic digit
    "[1\u00a02]".encode(),
    b"// note\n{}",
    b"[[[[[[[[[]]]]]]]]]",
]


@pytest.mark.parametrize(("data", "value"), GOOD, ids=range(len(GOOD)))
def test_good_json_is_read(data: bytes, value: object) -> None:
    """What the protocol allows is read as every other strict reader would read it."""
    assert read_json(data) == value


@pytest.mark.parametrize("data", BAD, ids=range(len(BAD)))
def test_bad_json_is_refused(data: bytes) -> None:
    """Whatever two readers could take in two ways is refused with `bad_json`."""
    with pytest.raises(BadJson):
        read_json(data)


@pytest.mark.parametrize(
    "data",
    [
        b"[" * 100_000,
        b"[" * 100_000 + b"]" * 100_000,
        b'{"a":' * 50_000 + b"1" + b"}" * 50_000,
        b"[" * 50_000 + b'\\"' + b"]" * 50_000,
        b'["' + b'\\"' * 30_000 + b'",' + b"[" * 50_000,
        b"[]" * 50_000,
        b'"' * 100_001,
        b"\\" * 100_001,
        b"[{}" * 40_000,
    ],
    ids=range(9),
)
def test_hostile_json_costs_little(data: bytes) -> None:
    """Deep, unbalanced and escaped nesting is refused before any recursion, in far less than the 50 ms of S-09."""
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(120)
    try:
        started = time.process_time()
        with pytest.raises((BadJson, TooLarge)):
            read_json(data)
        assert time.process_time() - started < 0.5  # a recursion or a quadratic scan would take seconds
    finally:
        sys.setrecursionlimit(limit)


def test_depth_is_counted_from_one_outside_strings() -> None:
    """The outermost value is level 1; another limit can be asked for."""
    assert read_json(b'{"a":[{"b":"]}"}]}', max_depth=3) == {"a": [{"b": "]}"}]}
    with pytest.raises(BadJson):
        read_json(b'{"a":[{"b":"]}"}]}', max_depth=2)
    assert read_json(b"[" * 16 + b"]" * 16, max_depth=16) is not None


def test_tokens_are_bounded() -> None:
    """Values and names count, what stands inside strings does not."""
    assert read_json(b"[1,2,3]", max_tokens=4) == [1, 2, 3]
    with pytest.raises(TooLarge):
        read_json(b"[1,2,3]", max_tokens=3)
    with pytest.raises(TooLarge):
        read_json(b'{"a":1,"b":2}', max_tokens=4)
    assert read_json(b'["' + b",:[{" * 5000 + b'"]') is not None
    with pytest.raises(TooLarge):
        read_json(b"[" + b"1," * 10_000 + b"1]")


@pytest.mark.parametrize("escape", ["\\u0000", "\\u001f", "\\n", "\\t", "\\b", "\\\\\\n"])
def test_escaped_controls_only_where_wanted(escape: str) -> None:
    """A narrative may hold line ends; bodies of requests may not hold any control character (S-09)."""
    data = f'["{escape}"]'.encode()
    assert read_json(data) is not None
    with pytest.raises(BadJson):
        read_json(data, controls=False)


def test_a_backslash_before_a_letter_is_no_control() -> None:
    """An escaped backslash before `n` or `u0000` is text."""
    assert read_json(b'["\\\\n","\\\\u0000"]', controls=False) == ["\\n", "\\u0000"]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), "\ud800", {"a": ["\udfff"]}])
def test_what_cannot_be_read_is_not_written(value: object) -> None:
    """The writer refuses what the reader would refuse."""
    with pytest.raises(BadJson):
        write_json(value)


def test_written_json_is_compact_and_unsorted() -> None:
    """Members keep their order, no white space, letters unescaped."""
    assert write_json({"b": 1, "a": ["ü", None]}) == '{"b":1,"a":["ü",null]}'.encode()


@pytest.mark.parametrize(
    "text",
    ["A", "AB==", "AB=", "A A", "AAA\n", "AAB", "AB", "+/AA", "__8=", "é", "AAAA\u0000", "A.AA", "！AAA"],
)
def test_lax_base64url_is_refused(text: str) -> None:
    """Padding, foreign characters, white space, unused bits: all refused."""
    with pytest.raises(Malformed):
        b64u_decode(text)


@pytest.mark.parametrize("text", ["AA", "AAA=A", "AA=", "AB==", "AAAA\n", "-_AA", "AA==AA==", "=AAA", "é===", "A A="])
def test_lax_base64_is_refused(text: str) -> None:
    """Standard base64 is padded and canonical."""
    with pytest.raises(Malformed):
        b64_decode(text)


def test_base64_round_trip() -> None:
    """Every length comes back."""
    for length in range(70):
        data = bytes((7 * n + 251) % 256 for n in range(length))
        assert b64u_decode(b64u_encode(data)) == data
    assert b64_decode("+/8=") == b"\xfb\xff"


@pytest.mark.parametrize("text", ["", "+7", "-1", "01", "00", "0_7", " 7", "7 ", "7\n", "٣", "²", "1e3", "9223372036854775808", "1" * 5000])
def test_other_spellings_of_numbers_are_refused(text: str) -> None:
    """No sign, no leading zero, ASCII digits, at most 2⁶³−1."""
    with pytest.raises(Malformed):
        read_decimal(text)


@pytest.mark.parametrize("number", [0, 7, 10, 2**63 - 1])
def test_numbers_are_read(number: int) -> None:
    """What `str` writes is read."""
    assert read_decimal(str(number)) == number
