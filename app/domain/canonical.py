"""Bytes and the values they stand for: strict JSON, strict base64, strict decimals.

A reader here accepts exactly one meaning, or refuses; nothing is repaired. JSON (protocol §2.4): UTF-8 without a byte order
mark, no name twice, no NaN or infinity, no number beyond a double, integers within ±(2⁵³−1), no lone surrogate, a bound on
depth and on tokens that is checked over the bytes before any recursion begins. Base64 (protocol §1.2, §2.2) is read and
written again: what does not come back byte for byte is malformed. Decimals: ASCII digits, no sign, no leading zero.
"""

from __future__ import annotations

import json
import re
from binascii import a2b_base64, b2a_base64
from collections.abc import Sequence
from enum import Enum
from math import isfinite
from typing import NoReturn, TypeAlias

import orjson

from .errors import BadJson, Malformed, TooLarge

JsonValue: TypeAlias = bool | int | float | str | list["JsonValue"] | dict[str, "JsonValue"] | None

MAX_SAFE_INT = 2**53 - 1
"""The largest integer that every JSON reader holds exactly."""

_MAX_DECIMAL = 2**63 - 1
_TO_URL = bytes.maketrans(b"+/", b"-_")
_FROM_URL = bytes.maketrans(b"-_+/=", b"+/!!!")  # the characters of the other alphabet, and padding, become foreign ones
_PADDING = (b"", b"", b"==", b"=")
_LAST = (b"", b"", b"AQgw", b"AEIMQUYcgkosw048")
"""By the length over a multiple of four: the last characters whose unused bits are zero."""

# For the depth check every bracket is a square one and every other byte outside strings is dropped.
_SQUARE = bytes.maketrans(b"{}", b"[]")
_NOT_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))

_SURROGATE_ESCAPE = re.compile(rb"\\u[dD][89a-fA-F]")
_CONTROL_ESCAPE = re.compile(rb"\\(?:[bfnrt]|u00[01])")


# --- base64 -----------------------------------------------------------------------------------------------------------


def b64u_encode(data: bytes) -> str:
    """Base64url without padding (RFC 7515 §2)."""
    return b2a_base64(data, newline=False).translate(_TO_URL, b"=").decode("ascii")


def b64u_encode_digests(digests: Sequence[bytes]) -> list[str]:
    """The base64url of each of many digests of 32 bytes, written in one go."""
    # With one zero byte behind it a digest fills whole groups, 44 characters of which the last stands for that byte alone.
    text = b2a_base64(b"".join([digest + b"\0" for digest in digests]), newline=False).translate(_TO_URL).decode("ascii")
    return [text[at : at + 43] for at in range(0, len(text), 44)]


def b64u_decode(text: str) -> bytes:
    """The bytes of unpadded, canonical base64url; Malformed for any other spelling of them."""
    try:
        ascii_text = text.encode("ascii")
        over = len(ascii_text) % 4
        data = a2b_base64(ascii_text.translate(_FROM_URL) + _PADDING[over], strict_mode=True)
    except ValueError as error:
        raise Malformed("not base64url: use the alphabet A-Z a-z 0-9 - _ without padding") from error
    # The library's strict mode lets unused bits of the last character pass: one value would have several spellings.
    if over and ascii_text[-1] not in _LAST[over]:
        raise Malformed("not canonical base64url: the unused bits of the last character are zero")
    return data


def b64u_decode_all(texts: Sequence[str]) -> list[bytes]:
    """`b64u_decode` of each: a statement has up to 256 disclosures, and most of the time would go into calling."""
    try:
        pieces = [text.encode("ascii").translate(_FROM_URL) for text in texts]
        decoded = [a2b_base64(piece + _PADDING[len(piece) & 3], strict_mode=True) for piece in pieces]
    except ValueError:
        decoded = []
    if decoded and not [piece for piece in pieces if len(piece) & 3 and piece[-1] not in _LAST[len(piece) & 3]]:
        return decoded
    return [b64u_decode(text) for text in texts]  # one of them is refused, and this says why


def b64_decode(text: str) -> bytes:
    """The bytes of padded, canonical standard base64 (the one of signed notes); Malformed for any other spelling of them."""
    try:
        data = a2b_base64(text.encode("ascii"))
    except ValueError as error:
        raise Malformed("not base64: use the alphabet A-Z a-z 0-9 + / with padding") from error
    if b2a_base64(data, newline=False).decode("ascii") != text:
        raise Malformed("not canonical base64: padded, no other characters, unused bits zero")
    return data


# --- decimals ---------------------------------------------------------------------------------------------------------


def read_decimal(text: str) -> int:
    """The number of a text format: ASCII digits, no sign, no leading zero, at most 2⁶³−1; else Malformed."""
    if not (text.isascii() and text.isdigit() and len(text) <= 19) or (text[0] == "0" and text != "0"):
        raise Malformed("not a number: ASCII digits without sign or leading zero")
    number = int(text)
    if number > _MAX_DECIMAL:
        raise Malformed("number too large: at most 9223372036854775807")
    return number


# --- JSON -------------------------------------------------------------------------------------------------------------


def _read_object(pairs: list[tuple[str, JsonValue]]) -> dict[str, JsonValue]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise BadJson("a name stands twice in one JSON object: keep one")
    return value


def _read_int(text: str) -> int:
    # 16 digits and a sign hold every allowed integer; longer texts never reach int(), whose time grows with the square.
    if len(text) > 17 or not -MAX_SAFE_INT <= (number := int(text)) <= MAX_SAFE_INT:
        raise BadJson("an integer is beyond ±(2^53-1): write it as a string")
    return number


def _read_float(text: str) -> float:
    number = float(text)
    if not isfinite(number):
        raise BadJson("a number is beyond a double: write it as a string")
    return number


def _refuse_constant(text: str) -> NoReturn:
    raise BadJson(f"{text} is not JSON: use null or a number")


_decode = json.JSONDecoder(
    object_pairs_hook=_read_object, parse_int=_read_int, parse_float=_read_float, parse_constant=_refuse_constant, strict=True
).decode


class _Otherwise(Enum):
    """The one answer that no JSON value is."""

    OTHERWISE = 0


_OTHERWISE = _Otherwise.OTHERWISE
# In compact JSON an integer stands behind one of `[,:-`, the digits of an address or of a digest hardly ever do.
_NUMBERS = bytes(48 if 48 <= byte < 58 else 58 if byte in b"[,:-" else 32 for byte in range(256))
_LONG_INTEGER = b":" + b"0" * 16


def read_json(data: bytes, *, max_depth: int = 8, max_tokens: int = 10_000, controls: bool = True) -> JsonValue:
    """The value of strict JSON text (protocol §2.4): else BadJson, or TooLarge for more than `max_tokens`.

    `max_depth` counts the outermost value as 1. A token is a value or a name of a member. `controls=False` also refuses
    control characters written as escapes inside strings (bodies of requests, trust-and-ops S-09).
    """
    plain = _read_as_written(data, max_depth, max_tokens, controls=controls)
    if plain is not _OTHERWISE:
        return plain
    return _read_carefully(data, max_depth, max_tokens, controls=controls)


def read_plain(texts: Sequence[bytes], *, max_depth: int = 8, max_tokens: int = 10_000) -> list[JsonValue] | None:
    """The values of lists and objects that are all written as orjson writes them; None if one is not: then `read_json` tells.

    The rules are those of `_read_as_written` (ADR 0007), for many small texts at once, as the calls would cost more than the work.
    """
    for text in texts:
        if text[:1] not in (b"[", b"{") or text.count(b"[") + text.count(b"{") > max_depth or len(text) > max_tokens:
            return None
    if _LONG_INTEGER in b"".join(texts).translate(_NUMBERS):
        return None
    try:
        found: list[JsonValue] = [orjson.loads(text) for text in texts]
        return found if [orjson.dumps(value) for value in found] == texts else None
    except (orjson.JSONDecodeError, orjson.JSONEncodeError):
        return None


def _read_carefully(data: bytes, max_depth: int, max_tokens: int, *, controls: bool) -> JsonValue:
    """The value, or the fault, of any text."""
    # Without escapes every second piece between quotation marks is a string; with them, escaped marks go first.
    escaped = b"\\" in data
    bare = data.replace(b"\\\\", b"") if escaped else data
    marks = bare.replace(b'\\"', b"") if escaped else bare
    texts = marks.count(b'"') // 2
    if texts > max_tokens:  # before they are cut apart: a million pieces are 100 times what was sent
        raise TooLarge(f"JSON of {texts} texts: at most {max_tokens} values and names")
    outside = b"".join(marks.split(b'"')[::2])
    _check_depth(outside, max_depth)
    if len(outside) > max_tokens:
        _check_tokens(outside, max_tokens)
    try:
        careful: JsonValue = _decode(data.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise BadJson("not UTF-8: send JSON as UTF-8 without a byte order mark") from error
    except ValueError as error:
        raise BadJson(f"not JSON: {error}") from error
    if escaped:
        if not controls and _CONTROL_ESCAPE.search(bare):
            raise BadJson("a string holds a control character: leave it out")
        if _SURROGATE_ESCAPE.search(bare):
            _refuse_lone_surrogates(careful)
    return careful


def _read_as_written(data: bytes, max_depth: int, max_tokens: int, *, controls: bool) -> JsonValue | _Otherwise:
    """The value if `data` is exactly how orjson would write it, which most programs do: five times faster than the careful way.

    What is written back byte for byte has no name twice, no other spelling of a number, no half surrogate and no byte order
    mark. What that does not show is bounded beforehand: depth by the number of brackets, tokens by their separators, integers by
    their digits. Everything else, also every fault, is for the careful way to tell.
    """
    brackets = data.count(b"[") + data.count(b"{")
    if brackets > max_depth or _LONG_INTEGER in b":" + data.translate(_NUMBERS):
        return _OTHERWISE
    if len(data) > max_tokens and 1 + brackets + data.count(b",") + data.count(b":") > max_tokens:
        return _OTHERWISE
    if not controls and b"\\" in data:
        return _OTHERWISE
    try:
        found: JsonValue = orjson.loads(data)
        if orjson.dumps(found) == data:
            return found
    except (orjson.JSONDecodeError, orjson.JSONEncodeError):
        return _OTHERWISE
    return _OTHERWISE


def _check_depth(outside: bytes, max_depth: int) -> None:
    """Each pass takes away the innermost brackets of every branch, so that balanced text of depth n is gone after n passes.

    Text that is not balanced never empties: it is refused here as well, and the parser recurses at most `max_depth` deep.
    """
    brackets = outside.translate(_SQUARE, _NOT_BRACKETS)
    for _ in range(max_depth):
        if not brackets:
            return
        brackets = brackets.replace(b"[]", b"")
    if brackets:
        raise BadJson(f"JSON is deeper than {max_depth} levels or its brackets do not match")


def _check_tokens(outside: bytes, max_tokens: int) -> None:
    tokens = 1 + outside.count(b",") + outside.count(b":") + outside.count(b"[") + outside.count(b"{")
    if tokens > max_tokens:
        raise TooLarge(f"JSON of {tokens} values and names: at most {max_tokens}")


def _refuse_lone_surrogates(value: JsonValue) -> None:
    try:
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError as error:
        raise BadJson("a string holds half of a surrogate pair: write both halves or the character itself") from error


_PLAIN_ONLY = orjson.OPT_PASSTHROUGH_DATACLASS | orjson.OPT_PASSTHROUGH_DATETIME | orjson.OPT_PASSTHROUGH_SUBCLASS
_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode


def write_json(value: object) -> bytes:
    """Compact UTF-8 JSON in the order of the members given; BadJson for what `read_json` would never give back."""
    try:
        data = orjson.dumps(value, option=_PLAIN_ONLY)
    except orjson.JSONEncodeError:
        data = b"null"
    # orjson writes null for what is no number, and integers that we refuse: such values, and all it does not know, go the careful way.
    if b"null" not in data and _LONG_INTEGER not in b":" + data.translate(_NUMBERS):
        return data
    try:
        return _encode(value).encode("utf-8")
    except ValueError as error:
        raise BadJson("a value has no JSON form: numbers must be finite, strings whole") from error
