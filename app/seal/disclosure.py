"""The parts of a statement as SD-JWT disclosures (RFC 9901): issue, split, check against the stub, withhold.

Wire: `<JWS>~<D1>~…~<Dn>~`; a disclosure is base64url of `[salt, "<part>.<n>", value]`, its digest stands in `_sd` of the stub
(protocol §3.3). The salt lives and dies with the value: without it a digest says nothing, not even to somebody who guesses.
Order of faults (decisions 12-15): too large, not base64url, 1:1 with `_sd`, JSON, shape and names, salts. The home node
needs every disclosure, decoys included, which it checks and drops; a peer takes what it was given and judges no salts.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from hashlib import sha256

from ..domain.canonical import (
    JsonValue,
    b64u_decode,
    b64u_decode_all,
    b64u_encode,
    b64u_encode_digests,
    read_json,
    read_plain,
    write_json,
)
from ..domain.errors import BadJson, DisclosureMismatch, Fault, Malformed, Schema, TooLarge, WeakSalt
from ..domain.statement import TYP, Disclosure, Stub
from .jws import MAX_TOKEN_BYTES, SigningKey, sign_token

MAX_DISCLOSURES = 256
MAX_DISCLOSURE_BYTES = 8 * 1024
MAX_DISCLOSURES_BYTES = 512 * 1024
DECOY = "decoy"
_SALT_BYTES = 16

_new = tuple.__new__
_Piece = tuple[str, str, JsonValue]
"""Salt, name, value."""
_SALT_CHARS = 22
_BEFORE_BODY = len('["","",') + _SALT_CHARS
_is_usual_salt = re.compile(rf"[A-Za-z0-9_-]{{{_SALT_CHARS - 1}}}[AQgw]").fullmatch
_NAME = re.compile(r"([a-z][a-z0-9_-]{0,31})\.(0|[1-9][0-9]{0,2})")


def digest_of(text: str) -> str:
    """What `_sd` holds for a disclosure: base64url of SHA-256 over its ASCII text."""
    return b64u_encode(sha256(text.encode("ascii")).digest())


# --- issue ------------------------------------------------------------------------------------------------------------


def new_disclosure(name: str, value: JsonValue, salt: bytes | None = None) -> Disclosure:
    """A disclosure of `value` under `<part>.<n>`; `salt` is 16 random bytes unless a test brings its own."""
    part, number = _read_name(name)
    salt_text = b64u_encode(os.urandom(_SALT_BYTES) if salt is None else salt)
    text = b64u_encode(write_json([salt_text, name, value]))
    if len(text) > MAX_DISCLOSURE_BYTES:
        raise TooLarge(f"{name} makes a disclosure of {len(text)} bytes: at most {MAX_DISCLOSURE_BYTES}, split the item")
    return Disclosure(text=text, digest=digest_of(text), salt=salt_text, name=name, part=part, number=number, value=value)


def build_statement(claims: Mapping[str, JsonValue], parts: Mapping[str, Sequence[JsonValue]], key: SigningKey, *, decoys: int = 0) -> str:
    """The wire form for the home node of a statement with these claims and parts, signed by `key`.

    `claims` are those of the stub without `_sd_alg` and `_sd`; without a claim `parts` every part takes the label of the stub.
    Values of a part are numbered from 0. Decoys hide how many disclosures there are; they are declared to the home node only.
    """
    disclosures = [new_disclosure(f"{part}.{number}", value) for part, values in parts.items() for number, value in enumerate(values)]
    disclosures += [new_disclosure(f"{DECOY}.{number}", None) for number in range(decoys)]
    stub = dict(claims)
    if disclosures:
        stub.setdefault("parts", {part: {"tlp": claims["tlp"]} for part in parts})
        stub["_sd_alg"] = "sha-256"
        stub["_sd"] = [*sorted(disclosure.digest for disclosure in disclosures)]
    wire = join_wire(sign_token(write_json(stub), key, typ=TYP), (disclosure.text for disclosure in disclosures))
    split_wire(wire)  # our own limits: refused here rather than at the home node
    return wire


def join_wire(jws: str, texts: Iterable[str]) -> str:
    """The wire form of a stub with these disclosures: all of them, some (withheld, erased), or none."""
    return "".join(f"{piece}~" for piece in (jws, *texts))


# --- read -------------------------------------------------------------------------------------------------------------


def split_wire(wire: str | bytes) -> tuple[str, tuple[str, ...]]:
    """The JWS and the texts of the disclosures; TooLarge beyond a limit of protocol §3.3, Malformed for another form."""
    if len(wire) > MAX_TOKEN_BYTES + MAX_DISCLOSURES_BYTES + MAX_DISCLOSURES + 1:
        raise TooLarge("a statement of more than 60,000 bytes of stub and 512 KiB of disclosures: split it")
    try:
        text = wire.decode("ascii") if isinstance(wire, bytes) else wire
    except UnicodeDecodeError as error:
        raise Malformed("a statement is ASCII") from error
    jws, *texts = text.split("~")
    if len(jws) > MAX_TOKEN_BYTES:
        raise TooLarge(f"a stub of {len(jws)} bytes: at most {MAX_TOKEN_BYTES}, split the statement")
    if not texts or texts.pop():
        raise Malformed("a statement is <JWS>~<disclosure>~…~ and ends with a tilde")
    _check_sizes(texts)
    if not all(texts):
        raise Malformed("an empty disclosure: two tildes never stand together")
    return jws, tuple(texts)


def read_disclosures(stub: Stub, texts: Sequence[str], *, home: bool) -> tuple[Disclosure, ...]:
    """The disclosures of `texts` in their order, without decoys, each bound to a digest of the stub.

    At home every digest needs its disclosure. Raises TooLarge, Malformed, DisclosureMismatch, BadJson, Schema, WeakSalt.
    """
    _check_sizes(texts)
    contents = b64u_decode_all(texts)
    digests = b64u_encode_digests([sha256(text.encode("ascii")).digest() for text in texts])
    _check_digests(stub, digests, home=home)
    plain = read_plain(contents)
    if plain is None:
        pieces = [_check_shape(_read_content(content, number)) for number, content in enumerate(contents)]
    else:
        pieces = [_check_shape(value) for value in plain]
    names = [_read_name(name) for _, name, _ in pieces]
    _check_names(stub, pieces, names, home=home)
    plain_salts = _check_salts([salt for salt, _, _ in pieces], home=home)
    bodies = _bodies(contents, pieces) if plain is not None and plain_salts else [None] * len(pieces)
    return tuple(
        [
            _new(Disclosure, (text, digest, salt, name, part, number, value, body))
            for text, digest, (salt, name, value), (part, number), body in zip(texts, digests, pieces, names, bodies, strict=True)
            if part != DECOY
        ]
    )


def _check_sizes(texts: Sequence[str]) -> None:
    if len(texts) > MAX_DISCLOSURES:
        raise TooLarge(f"{len(texts)} disclosures: at most {MAX_DISCLOSURES}, split the statement")
    sizes = [*map(len, texts)]
    if max(sizes, default=0) > MAX_DISCLOSURE_BYTES:
        raise TooLarge(f"a disclosure of more than {MAX_DISCLOSURE_BYTES} bytes: split the item")
    if sum(sizes) > MAX_DISCLOSURES_BYTES:
        raise TooLarge(f"disclosures of more than {MAX_DISCLOSURES_BYTES} bytes in all: split the statement")


def _check_digests(stub: Stub, digests: Sequence[str], *, home: bool) -> None:
    unique = set(digests)
    if len(unique) != len(digests):
        raise DisclosureMismatch("a disclosure came twice: send each once")
    if not unique.issubset(stub.digests):
        raise DisclosureMismatch("a disclosure has no digest in _sd of the stub: it was changed, or belongs to another statement")
    if home and len(unique) != len(stub.digests):
        raise DisclosureMismatch("a digest in _sd has no disclosure: the home node needs every one, decoys included")


def _read_content(content: bytes, number: int) -> JsonValue:
    try:
        return read_json(content)
    except BadJson as error:
        raise BadJson(f"disclosure {number}: {error.detail}", faults=(Fault(f"/disclosures/{number}", "bad_json"),)) from error


def _check_shape(content: JsonValue) -> _Piece:
    if type(content) is list and len(content) == 3:
        salt, name, value = content
        if type(salt) is str and type(name) is str:
            return salt, name, value
    raise Schema("a disclosure is [salt, name, value], the first two of them texts")


@lru_cache(maxsize=4096)  # the same few hundred names stand in every statement; faults are raised, and so never kept
def _read_name(name: str) -> tuple[str, int]:
    match = _NAME.fullmatch(name)
    if match is None:
        raise Schema("a disclosure is named <part>.<n>, n from 0 to 999 without leading zeros")
    return match[1], int(match[2])


def _check_names(stub: Stub, pieces: Sequence[_Piece], names: Sequence[tuple[str, int]], *, home: bool) -> None:
    if len(set(names)) != len(names):
        raise Schema("two disclosures have one name: number them")
    if stub.parts.keys() >= {part for part, _ in names}:
        return
    for (part, _), (_, _, value) in zip(names, pieces, strict=True):
        if home and part == DECOY:
            if value is not None:
                raise Schema("a decoy carries null, nothing else")
        elif part not in stub.parts:
            raise Schema("a disclosure belongs to a part that the stub does not declare", faults=(Fault("/parts", "unknown_part"),))


def _check_salts(salts: Sequence[str], *, home: bool) -> bool:
    """Whether all are of exactly 16 bytes, as nearly every salt is; a peer takes any, at home a weak one is WeakSalt."""
    usual = all(map(_is_usual_salt, salts))
    if not home:
        return usual
    if not usual:
        for salt in salts:
            _check_salt(salt)
    if len(set(salts)) != len(salts):
        raise WeakSalt("one salt stands in two disclosures: take a new one for each")
    return usual


def _check_salt(salt: str) -> None:
    try:
        strong = len(b64u_decode(salt)) >= _SALT_BYTES
    except Malformed as error:
        raise WeakSalt("a salt is base64url of at least 16 random bytes") from error
    if not strong:
        raise WeakSalt("a salt of less than 16 bytes can be guessed: take 16 random bytes")


def _bodies(contents: Sequence[bytes], pieces: Sequence[_Piece]) -> list[bytes | None]:
    """The values as they stand in `["<salt>","<name>",<value>]` of usual salts: no character in front of them is an escape."""
    return [content[len(name) + _BEFORE_BODY : -1] for content, (_, name, _) in zip(contents, pieces, strict=True)]
