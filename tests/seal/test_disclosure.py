"""Disclosures: what is issued is read back part by part, and each fault has its own code in the order of decisions 12-15."""

from __future__ import annotations

import json
from typing import Any

import pytest

from app.domain.canonical import b64u_encode
from app.domain.errors import BadJson, DisclosureMismatch, Malformed, Refused, Schema, TooLarge, WeakSalt
from app.domain.labels import Label, Tlp
from app.domain.statement import Stub, read_stub
from app.seal.disclosure import build_statement, digest_of, join_wire, new_disclosure, read_disclosures, split_wire
from app.seal.jws import SigningKey, open_token
from tests.seal.registries import stub

KEY = SigningKey.derive("zz.police#1", b"disclosure")
CLAIMS: dict[str, Any] = {
    "v": 1, "iss": "zz.police", "org": "zz.example/log", "knd": "listing", "iat": 1_790_000_000, "exp": 1_790_000_900, "tlp": "GREEN",
}  # fmt: skip


def raw(*content: Any) -> str:
    """A disclosure of any content."""
    return b64u_encode(json.dumps(content[0] if len(content) == 1 else list(content)).encode())


def salt(number: int) -> str:
    """A good salt."""
    return b64u_encode(bytes([number]) * 16)


def declaring(*texts: str, parts: tuple[str, ...] = ("core", "pii")) -> Stub:
    """A stub with exactly the digests of `texts`."""
    made = stub("listing", "zz.police#1", sid="s")
    digests = tuple(sorted({digest_of(text) for text in texts}))
    labels = {part: Label(Tlp.CLEAR) for part in parts}
    return Stub(**{name: getattr(made, name) for name in Stub.__slots__} | {"digests": digests, "parts": labels})


def test_a_statement_is_issued_and_read_back() -> None:
    """Parts get the label of the stub unless they bring their own, digests are sorted, values come back under their names."""
    parts = {"core": [{"type": "a"}, {"type": "b"}], "pii": [{"name": "ü"}]}
    labels = {"core": {"tlp": "GREEN"}, "pii": {"tlp": "RED", "aud": ["fr.example"]}}
    jws, texts = split_wire(build_statement({**CLAIMS, "parts": labels}, parts, KEY, decoys=2))
    token = open_token(jws, typ="cordon-statement+sd-jwt", find_key={KEY.kid: KEY.public}.get)
    read = read_stub(token.claims, kid=token.kid, sid=token.sid)
    assert list(read.digests) == sorted(read.digests)
    assert (len(read.digests), read.parts["pii"].tlp) == (5, Tlp.RED)
    disclosures = read_disclosures(read, texts, home=True)
    assert [(one.name, one.part, one.number, one.value) for one in disclosures] == [
        ("core.0", "core", 0, {"type": "a"}),
        ("core.1", "core", 1, {"type": "b"}),
        ("pii.0", "pii", 0, {"name": "ü"}),
    ]
    assert len({one.salt for one in disclosures}) == 3


def test_a_statement_without_parts_has_no_digests() -> None:
    """A retraction is `<JWS>~`."""
    wire = build_statement({**CLAIMS, "knd": "retract"}, {}, KEY)
    jws, texts = split_wire(wire)
    assert (wire, texts) == (jws + "~", ())
    claims = open_token(jws, typ="cordon-statement+sd-jwt", find_key={KEY.kid: KEY.public}.get).claims
    assert not {"parts", "_sd", "_sd_alg"} & claims.keys()


GOOD = raw(salt(1), "core.0", {"a": 1})
LONE = raw(salt(2), "pii.0", 5)
DECOY = raw(salt(3), "decoy.0", None)


@pytest.mark.parametrize("wire", ["", "x", "x.y.z", "x~y", "y~z", "x~~", "x~y~~", "x~y~\n", b"\xff~"])
def test_wires_of_another_form(wire: str | bytes) -> None:
    """It ends with a tilde, and no two stand together."""
    with pytest.raises(Malformed):
        split_wire(wire)


def test_limits_of_a_wire() -> None:
    """Stub, one disclosure, their number, all of them: at the limit good, one over refused."""
    assert split_wire("x" * 60_000 + "~") == ("x" * 60_000, ())
    assert len(split_wire("x~" + "y~" * 256)[1]) == 256
    assert split_wire("x~" + "y" * 8192 + "~")[1] == ("y" * 8192,)
    assert len(split_wire("x~" + ("y" * 8192 + "~") * 64)[1]) == 64
    for wire in ("x" * 60_001 + "~", "x~" + "y~" * 257, "x~" + "y" * 8193 + "~", "x~" + ("y" * 8192 + "~") * 64 + "y~", "x" * 2_000_000):
        with pytest.raises(TooLarge):
            split_wire(wire)


def test_decoys_are_checked_and_dropped_at_home_and_unknown_to_peers() -> None:
    """They are declared to the home node only."""
    made = declaring(GOOD, DECOY)
    assert [one.name for one in read_disclosures(made, [GOOD, DECOY], home=True)] == ["core.0"]
    with pytest.raises(Schema):
        read_disclosures(made, [GOOD, DECOY], home=False)
    not_null = raw(salt(3), "decoy.0", 1)
    with pytest.raises(Schema):
        read_disclosures(declaring(GOOD, not_null), [GOOD, not_null], home=True)


def test_home_needs_all_and_a_peer_takes_any() -> None:
    """Withheld parts are no fault for a peer, in any order and down to none."""
    made = declaring(GOOD, LONE)
    for texts in ([GOOD, LONE], [LONE, GOOD]):
        assert len(read_disclosures(made, texts, home=True)) == 2
    for texts in ([LONE], []):
        assert len(read_disclosures(made, texts, home=False)) == len(texts)
        with pytest.raises(DisclosureMismatch):
            read_disclosures(made, texts, home=True)


@pytest.mark.parametrize("home", [True, False])
def test_one_to_one_with_the_digests(home: bool) -> None:
    """A disclosure that is not in `_sd`, was changed, or came twice."""
    made = declaring(GOOD)
    for texts in ([GOOD, LONE], [LONE], [GOOD, GOOD]):
        with pytest.raises(DisclosureMismatch):
            read_disclosures(made, texts, home=home)


@pytest.mark.parametrize("home", [True, False])
@pytest.mark.parametrize(
    ("text", "refusal"),
    [
        (GOOD + "=", Malformed), ("é" * 4, Malformed), ("A", Malformed), ("AB", Malformed),
        (b64u_encode(b"[1,"), BadJson), (b64u_encode(b'["a","core.0",{"x":1,"x":2}]'), BadJson), (raw([[[[[[[[[]]]]]]]]]), BadJson),
        (raw(5), Schema), (raw({"a": 1}), Schema), (raw(salt(1), 5), Schema), (raw(salt(1), "core.0", 1, 2), Schema),
        (raw(5, "core.0", 1), Schema), (raw(salt(1), 0, 1), Schema), (raw(salt(1), "core", 1), Schema), (raw(salt(1), "core.01", 1), Schema),
        (raw(salt(1), "core.1000", 1), Schema), (raw(salt(1), "core.-1", 1), Schema), (raw(salt(1), "core.٣", 1), Schema),
        (raw(salt(1), "core.1\n", 1), Schema), (raw(salt(1), ".1", 1), Schema), (raw(salt(1), "ctx.0", 1), Schema),
        (raw(salt(1), "Core.0", 1), Schema), ("A" * 8196, TooLarge),
    ],
)  # fmt: skip
def test_faults_of_one_disclosure(text: str, refusal: type[Refused], home: bool) -> None:
    """Each alone, its digest in `_sd`, at home and at a peer."""
    made = declaring(text) if text.isascii() else declaring(GOOD)
    with pytest.raises(refusal) as refused:
        read_disclosures(made, [text], home=home)
    assert refused.type is refusal


def test_names_are_unique() -> None:
    """Two items under one name could be read in two orders."""
    other = raw(salt(9), "core.0", {"b": 2})
    for home in (True, False):
        with pytest.raises(Schema):
            read_disclosures(declaring(GOOD, other), [GOOD, other], home=home)


@pytest.mark.parametrize("weak", ["", b64u_encode(bytes(15)), "A" * 21 + "!", "not base64url at all!!", b64u_encode(bytes(16)) + "=="])
def test_weak_salts(weak: str) -> None:
    """Short, empty or not base64url: refused at home, not judged by peers."""
    text = raw(weak, "core.0", 1)
    with pytest.raises(WeakSalt):
        read_disclosures(declaring(text), [text], home=True)
    assert read_disclosures(declaring(text), [text], home=False)[0].salt == weak


def test_a_salt_is_used_once() -> None:
    """Also not for a decoy: whoever knows one value could test the other."""
    for other in (raw(salt(1), "core.1", 2), raw(salt(1), "decoy.0", None)):
        with pytest.raises(WeakSalt):
            read_disclosures(declaring(GOOD, other), [GOOD, other], home=True)


def test_digests_come_before_names_and_names_before_salts() -> None:
    """Where two faults apply, the earlier counts."""
    bad_name = raw("", "core", 1)
    with pytest.raises(DisclosureMismatch):
        read_disclosures(declaring(GOOD), [GOOD, bad_name], home=True)
    with pytest.raises(Schema):
        read_disclosures(declaring(GOOD, bad_name), [GOOD, bad_name], home=True)


def test_new_disclosures_keep_the_limits() -> None:
    """Names and size are judged when a disclosure is made, and a salt is fresh each time."""
    assert new_disclosure("core.7", None, bytes(16)).text == b64u_encode(b'["AAAAAAAAAAAAAAAAAAAAAA","core.7",null]')
    assert new_disclosure("core.0", 1).digest != new_disclosure("core.0", 1).digest
    for name in ("core", "core.1000", "Core.1"):
        with pytest.raises(Schema):
            new_disclosure(name, 1)
    with pytest.raises(TooLarge):
        new_disclosure("core.0", "x" * 8192)
    with pytest.raises(TooLarge):
        build_statement(CLAIMS, {"core": [{}] * 257}, KEY)


def test_erasing_leaves_the_rest() -> None:
    """The wire without some disclosures still verifies for a peer."""
    jws, texts = split_wire(build_statement(CLAIMS, {"core": [1, 2, 3]}, KEY))
    assert split_wire(join_wire(jws, texts[1:])) == (jws, texts[1:])
    assert join_wire(jws, ()) == jws + "~"
