"""The fence around python-jose: each fault of the library found by probe (protocol §2.2) stays shut, and the order of checks holds.

Every probe is a token that python-jose takes: `test_the_probes_are_real` shows it, so that a refusal here is ours.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import sys
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st
from jose import backends
from jose import jws as library
from jose.backends.cryptography_backend import CryptographyECKey

from app.domain.canonical import b64u_decode, b64u_encode
from app.domain.errors import BadHeader, BadJson, BadSignature, Malformed, Refused, Schema, TooLarge, UnknownKid
from app.seal import jws
from app.seal.jws import SigningKey, open_token, public_key, read_kid, sign_token, thumbprint

TYP = "cordon-test+jwt"
KEY = SigningKey.derive("zz.police#1", b"fence")
PUBLIC = KEY.public
HEADER = {"alg": "ES256", "kid": KEY.kid, "typ": TYP}
PAYLOAD = b'{"v":1,"iss":"zz.police"}'
ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
KEYS = {KEY.kid: PUBLIC, "zz.police#2": SigningKey.derive("zz.police#2", b"other").public}
RAW_KEY = CryptographyECKey(dict(KEY.public_jwk), "ES256").prepared_key
DER = RAW_KEY.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def es256(message: bytes) -> bytes:
    """A good signature, whatever the header says."""
    return KEY._key.sign(message)


def craft(header: Any = None, payload: bytes = PAYLOAD, sign: Callable[[bytes], bytes] = es256) -> str:
    """A token of any header (a dict, or bytes as they stand) whose signature is over exactly what it shows."""
    header_bytes = header if isinstance(header, bytes) else json.dumps(HEADER if header is None else header).encode()
    signing_input = f"{b64u_encode(header_bytes)}.{b64u_encode(payload)}"
    return f"{signing_input}.{b64u_encode(sign(signing_input.encode()))}"


def opened(token: Any, **options: Any) -> jws.Token:
    """Open with the keys of this module."""
    return open_token(token, typ=TYP, find_key=KEYS.get, **options)


def hs256(secret: bytes) -> Callable[[bytes], bytes]:
    """A MAC under a public key, as in CVE-2024-33663 and its incomplete repair."""
    return lambda message: hmac.new(secret, message, hashlib.sha256).digest()


def with_signature(spell: Callable[[str], str]) -> str:
    """The good token with its signature segment spelt in another way."""
    head, _, signature = GOOD.rpartition(".")
    return f"{head}.{spell(signature)}"


def standard_alphabet() -> str:
    """A good token whose signature holds `-` or `_`, written with `+` and `/`."""
    while True:
        head, _, signature = craft().rpartition(".")
        if set("-_") & set(signature):
            return f"{head}.{signature.translate(str.maketrans('-_', '+/'))}"


def other_last_bits(signature: str) -> str:
    """The same 64 bytes with unused bits set in the last character."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    return signature[:-1] + alphabet[alphabet.index(signature[-1]) + 1]


def twin(signature: str) -> str:
    """(r, n−s): a second good signature that anybody can make."""
    data = b64u_decode(signature)
    return b64u_encode(data[:32] + (ORDER - int.from_bytes(data[32:], "big")).to_bytes(32, "big"))


GOOD = craft()
ES256_KEY = PUBLIC._key
P384 = ec.derive_private_key(7, ec.SECP384R1())
P384_KEY = CryptographyECKey(P384, "ES256")
HS_HEADER = {**HEADER, "alg": "HS256"}

# name -> (token, what the library is given as key and algorithms, our refusal)
PROBES: dict[str, tuple[str, Any, Any, type[Refused]]] = {
    "unknown-crit": (craft({**HEADER, "crit": ["exp2"], "exp2": 1}), ES256_KEY, ["ES256"], BadHeader),
    "crit-b64": (craft({**HEADER, "crit": ["b64"], "b64": False}), ES256_KEY, ["ES256"], BadHeader),
    "hs256-with-der-key": (craft(HS_HEADER, sign=hs256(DER)), DER, None, BadHeader),
    "alg-is-a-substring": (craft({**HEADER, "alg": "S25"}), ES256_KEY, "ES256", BadHeader),
    "alg-not-bound-to-the-key": (craft(HS_HEADER), ES256_KEY, ["ES256", "HS256"], BadHeader),
    "p384-key-under-es256": (craft(sign=P384_KEY.sign), CryptographyECKey(P384.public_key(), "ES256"), ["ES256"], BadSignature),
    "junk-in-signature": (with_signature(lambda text: text + "!!!!"), ES256_KEY, ["ES256"], Malformed),
    "padded-signature": (with_signature(lambda text: text + "=="), ES256_KEY, ["ES256"], Malformed),
    "standard-base64": (standard_alphabet(), ES256_KEY, ["ES256"], Malformed),
    "unused-bits": (with_signature(other_last_bits), ES256_KEY, ["ES256"], Malformed),
    "duplicate-name-in-header": (craft(json.dumps(HEADER).replace("{", '{"alg":"none",', 1).encode()), ES256_KEY, ["ES256"], BadJson),
    "duplicate-name-in-payload": (craft(payload=b'{"v":1,"v":2}'), ES256_KEY, ["ES256"], BadJson),
    "nan-in-payload": (craft(payload=b'{"v":NaN}'), ES256_KEY, ["ES256"], BadJson),
    "kid-of-another-key": (craft({**HEADER, "kid": "zz.police#2"}), {"keys": [dict(KEY.public_jwk)]}, ["ES256"], BadSignature),
    "key-in-the-header": (craft({**HEADER, "jwk": dict(KEY.public_jwk)}), ES256_KEY, ["ES256"], BadHeader),
    "key-address-in-the-header": (craft({**HEADER, "jku": "https://evil.example"}), ES256_KEY, ["ES256"], BadHeader),
    "certificate-address-in-the-header": (craft({**HEADER, "x5u": "https://evil.example"}), ES256_KEY, ["ES256"], BadHeader),
    "other-type": (craft({**HEADER, "typ": "cordon-peer+jwt"}), ES256_KEY, ["ES256"], BadHeader),
    "not-a-claims-set": (craft(payload=b"[]"), ES256_KEY, ["ES256"], Schema),
}


@pytest.mark.parametrize(("token", "key", "algorithms", "refusal"), PROBES.values(), ids=PROBES)
def test_the_probes_are_real(token: str, key: Any, algorithms: Any, refusal: type[Refused]) -> None:
    """python-jose takes every one of these tokens; should a release stop doing so, the fence may become thinner."""
    assert library.verify(token, key, algorithms) == b64u_decode(token.split(".")[1])


@pytest.mark.parametrize(("token", "key", "algorithms", "refusal"), PROBES.values(), ids=PROBES)
def test_the_fence_refuses_what_the_library_takes(token: str, key: Any, algorithms: Any, refusal: type[Refused]) -> None:
    """Each with its own problem code, as text and as bytes."""
    for form in (token, token.encode()):
        with pytest.raises(refusal) as refused:
            opened(form)
        assert refused.type is refusal


def test_a_raw_point_is_no_secret() -> None:
    """HS256 under the uncompressed point of the public key: the header is refused before any key is asked for."""
    point = RAW_KEY.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    with pytest.raises(BadHeader):
        open_token(craft(HS_HEADER, sign=hs256(point)), typ=TYP, find_key=lambda _: pytest.fail("asked for a key"))


def test_deep_headers_never_recurse() -> None:
    """100,000 nested arrays in header or payload end as `bad_json`; the library lets RecursionError escape."""
    deep = json.dumps(HEADER).encode()[:-1] + b',"x":' + b"[" * 20_000 + b"]" * 20_000 + b"}"
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(150)
    try:
        with pytest.raises(BadJson):
            opened(craft(deep))
        with pytest.raises(BadJson):
            opened(craft(payload=b'{"x":' + b"[" * 20_000 + b"]" * 20_000 + b"}"))
    finally:
        sys.setrecursionlimit(limit)


@pytest.mark.parametrize("alg", ["none", "None", "NONE", "", None, "HS256", "ES384", "es256", "EdDSA", "RS256", ["ES256"], True])
def test_no_other_algorithm(alg: object) -> None:
    """Not even with a good signature behind it."""
    with pytest.raises(BadHeader):
        opened(craft({**HEADER, "alg": alg}))


def test_an_unsigned_token_is_malformed() -> None:
    """An empty signature segment is none."""
    with pytest.raises(Malformed):
        opened(craft({**HEADER, "alg": "none"}).rpartition(".")[0] + ".")


@pytest.mark.parametrize(
    "token", [None, 5, "", ".", "..", "...", b"\xff.\xff.\xff", "a.b", "a.b.c.d", GOOD + "\n", " " + GOOD, GOOD.replace(".", ". ")]
)
def test_what_is_no_token(token: Any) -> None:
    """`malformed`, never an AttributeError or a decoding error."""
    with pytest.raises(Malformed):
        opened(token)


@pytest.mark.parametrize(
    "jwk",
    [None, {}, [], {"kty": "EC"}, {"kty": "EC", "crv": "P-256", "x": None, "y": 1}, {"kty": None, "crv": {}, "x": [], "y": "é"}, {**KEY.public_jwk, "d": "AA"}, {**KEY.public_jwk, "crv": "P-384"}],
)  # fmt: skip
def test_what_is_no_key(jwk: Any) -> None:
    """`schema`, never a KeyError or a ValueError."""
    with pytest.raises(Schema):
        public_key(jwk)


def test_a_twin_is_the_same_statement() -> None:
    """Signatures are malleable, so the sid leaves them out: two good ones, one sid."""
    second = with_signature(twin)
    assert second != GOOD
    assert opened(second).sid == opened(GOOD).sid == opened(craft()).sid


@pytest.mark.parametrize("r_or_s", [(0, 5), (5, 0), (ORDER, 5), (5, ORDER), (2**256 - 1, 1)])
def test_signatures_out_of_range(r_or_s: tuple[int, int]) -> None:
    """r and s lie in 1 … n−1."""
    signature = b"".join(number.to_bytes(32, "big") for number in r_or_s)
    with pytest.raises(BadSignature):
        opened(craft(sign=lambda _: signature))


def test_a_der_signature_is_refused() -> None:
    """r‖s only, also when somebody's library gives ASN.1."""
    with pytest.raises(BadSignature):
        opened(craft(sign=lambda message: ES256_KEY._raw_to_der(es256(message))))


def broken(*faults: str) -> str:
    """A token with these faults at once."""
    header: Any = dict(HEADER)
    if "kid" in faults:
        header["kid"] = "zz.nobody#1"
    if "header" in faults:
        header["crit"] = []
    data = json.dumps(header).encode() + (b"," if "header_json" in faults else b"")
    payload = b"{" if "payload_json" in faults else PAYLOAD
    sign = (lambda _: bytes(64)) if "signature" in faults else es256
    token = craft(data, payload, sign)
    token += "=" if "base64" in faults else ""
    return token.ljust(60_001, "A") if "size" in faults else token


ORDERED = [
    ("size", TooLarge),
    ("base64", Malformed),
    ("header_json", BadJson),
    ("header", BadHeader),
    ("kid", UnknownKid),
    ("signature", BadSignature),
    ("payload_json", BadJson),
]


@pytest.mark.parametrize("first", range(len(ORDERED)))
def test_the_first_fault_counts(first: int) -> None:
    """Each fault together with every later one: the earlier is reported (§2.4)."""
    name, refusal = ORDERED[first]
    for later in [None, *(later for later, _ in ORDERED[first + 1 :])]:
        with pytest.raises(refusal) as refused:
            opened(broken(name, *([later] if later else [])))
        assert refused.type is refusal


@given(st.integers(0, len(GOOD) - 1), st.sampled_from("AB_-.=+/ \n0é"))
def test_no_changed_token_is_taken(position: int, character: str) -> None:
    """Any one character changed is refused: every character of a token is signed, or a part of the one signature."""
    changed = GOOD[:position] + character + GOOD[position + 1 :]
    if changed != GOOD:
        with pytest.raises(Refused):
            opened(changed)


def test_types_separate_the_domains() -> None:
    """A statement signature is refused as receipt, request or root, and a cached header does not help."""
    types = ["cordon-statement+sd-jwt", "cordon-receipt+jwt", "cordon-peer+jwt", "cordon-root+json"]
    for typ in types:
        token = sign_token(PAYLOAD, KEY, typ=typ)
        for asked in types:
            if asked == typ:
                assert open_token(token, typ=asked, find_key=KEYS.get).payload == PAYLOAD
            else:
                with pytest.raises(BadHeader):
                    open_token(token, typ=asked, find_key=KEYS.get)


def test_what_is_signed_is_what_is_read() -> None:
    """Exact bytes, no re-serialisation, and the header in the one form."""
    payload = b'{ "v" : 1,\n"x":"\xc3\xbc" }'
    token = opened(sign_token(payload, KEY, typ=TYP))
    assert (token.payload, token.kid, token.claims) == (payload, KEY.kid, {"v": 1, "x": "ü"})
    assert json.loads(b64u_decode(token.jws.split(".")[0])) == HEADER
    assert read_kid(token.jws, typ=TYP) == KEY.kid


@pytest.mark.parametrize("payload", [b"[]", b"1", b'{"a":1,"a":2}', b"{", b"\xff"])
def test_nothing_is_signed_that_would_be_refused(payload: bytes) -> None:
    """The fence stands on both sides."""
    with pytest.raises((BadJson, Schema)):
        sign_token(payload, KEY, typ=TYP)


def test_private_keys_come_back_from_their_file() -> None:
    """from_jwk ∘ to_jwk is the identity, and nothing of it shows in a repr."""
    for key in (KEY, SigningKey.generate("zz.police#new")):
        again = SigningKey.from_jwk(key.to_jwk())
        assert (again.kid, again.public) == (key.kid, key.public)
        assert opened_by(again, sign_token(PAYLOAD, again, typ=TYP))
        assert key.to_jwk()["d"] not in repr(key)
        assert thumbprint(key.public_jwk) == key.public.thumbprint
    assert SigningKey.derive("a.b#1", b"x").public != SigningKey.derive("a.b#1", b"y").public


def opened_by(key: SigningKey, token: str) -> bool:
    """Whether the public half of `key` opens `token`."""
    return open_token(token, typ=TYP, find_key=lambda _: key.public).kid == key.kid


@pytest.mark.parametrize(
    "change",
    [{"d": None}, {"d": "AAAA"}, {"d": "A" * 43}, {"d": "_" * 42 + "8"}, {"d": SigningKey.derive("a.b#1", b"z").to_jwk()["d"]}, {"kid": "police"}, {"kid": None}, {"alg": "ES256"}, {"kty": "RSA"}, {"d": "!" * 43}],
)  # fmt: skip
def test_damaged_key_files_are_refused(change: dict[str, Any]) -> None:
    """A private half that does not belong to the public one signs statements that nobody can check."""
    with pytest.raises(Schema):
        SigningKey.from_jwk({**KEY.to_jwk(), **change})


def test_the_backend_is_asserted(monkeypatch: pytest.MonkeyPatch) -> None:
    """The silent fallback of the library to pure Python stops the start."""
    jws.assert_backend()
    ecdsa = type("ECDSAECKey", (), {"__module__": "jose.backends.ecdsa_backend"})
    monkeypatch.setattr(backends, "ECKey", ecdsa)
    with pytest.raises(RuntimeError, match="cryptography"):
        jws.assert_backend()


def test_one_kid_lookup_a_token() -> None:
    """The registry is asked once, with the kid as spelt in the header."""
    asked: list[str] = []
    with pytest.raises(UnknownKid):
        open_token(craft({**HEADER, "kid": "../../etc/passwd"}), typ=TYP, find_key=asked.append)
    assert asked == ["../../etc/passwd"]


def test_long_headers_are_read_without_the_cache() -> None:
    """A header of odd white space is as good as any other, and never kept."""
    spaced = json.dumps(HEADER, indent=400).encode()
    before = jws._read_cached.cache_info().currsize
    assert opened(craft(spaced)).kid == KEY.kid
    assert jws._read_cached.cache_info().currsize == before
