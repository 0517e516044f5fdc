"""The policy file of C2SP tlog-policy: what it says of sets of witnesses, and what is no policy."""

from __future__ import annotations

from itertools import chain, combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.errors import Malformed, TooLarge
from app.domain.note import KeyType, VerifierKey
from app.domain.witness_policy import MAX_EACH, any_of, parse_policy


def key(name: str, kind: KeyType = KeyType.COSIGNATURE, *, number: int | None = None) -> VerifierKey:
    """A key whose bytes follow from its name, or from a number."""
    seed = name if number is None else str(number)
    return VerifierKey(name, kind, seed.encode().ljust(32, b"\x07")[:32])


def log(name: str) -> str:
    return key(name, KeyType.ED25519).text()


def witness(name: str) -> str:
    return f"witness {name} {key(f'{name}.example/witness').text()}\n"


X = "".join(witness(name) for name in ("X1", "X2", "X3"))
Y = "".join(witness(name) for name in ("Y1", "Y2", "Y3"))
EXAMPLE = f"""
log {log("example.com/log")} https://example.com/log

{X}group X-witnesses 2 X1 X2 X3
# those of another operator
\t# also a comment
{Y}group\tY-witnesses any  Y1 Y2 Y3\t
group X-and-Y all X-witnesses Y-witnesses
quorum X-and-Y
"""
NAMES = ("X1", "X2", "X3", "Y1", "Y2", "Y3")


def test_the_example_of_the_standard_is_what_the_standard_says_of_it():
    """At least two of the X and one of the Y: over every one of the 64 sets of witnesses."""
    policy = parse_policy(EXAMPLE)
    for names in chain.from_iterable(combinations(NAMES, count) for count in range(7)):
        x, y = (sum(name.startswith(letter) for name in names) for letter in "XY")
        assert policy.satisfied(names) == (x >= 2 and y >= 1), names


def test_what_the_example_names_is_kept():
    """Logs and witnesses with keys and addresses."""
    policy = parse_policy(EXAMPLE)
    assert [(one.key.name, one.url) for one in policy.logs] == [("example.com/log", "https://example.com/log")]
    assert list(policy.witnesses) == list(NAMES)
    assert policy.witnesses["X1"].url == ""
    assert policy.names_of([key("X2.example/witness"), key("Y9.example/witness"), key("Y1.example/witness")]) == {"X2", "Y1"}


def test_names_of_groups_or_strangers_are_no_cosignatures():
    """Only witnesses cosign: to say the name of a group satisfies nothing."""
    policy = parse_policy(EXAMPLE)
    assert not policy.satisfied(["X-and-Y"])
    assert not policy.satisfied(["X-witnesses", "Y-witnesses"])
    assert not policy.satisfied(["x1", "x2", "y1", "stranger"])


def test_a_quorum_may_be_one_witness_or_none():
    """`quorum none` asks for no cosignature; a witness may stand in the place of a group."""
    assert parse_policy("quorum none\n").satisfied([])
    alone = parse_policy(f"{witness('W')}quorum W\n")
    assert alone.satisfied(["W"])
    assert not alone.satisfied([])


def test_names_are_octets():
    """A name need not be UTF-8, and a Kelvin sign is no K."""
    named = witness("K").replace("witness K ", "witness \u212a ")
    policy = parse_policy(f"{named}quorum \u212a\n")
    assert not policy.satisfied(["K"])
    assert policy.satisfied(["\u212a"])
    raw = witness("W").encode().replace(b"witness W ", b"witness \xff\xfe ") + b"quorum \xff\xfe\n"
    assert parse_policy(raw).satisfied([b"\xff\xfe".decode("utf-8", "surrogateescape")])
    with pytest.raises(Malformed):
        parse_policy(raw.replace(b"quorum \xff\xfe", b"quorum \xff"))


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", None),
        (X, None),
        ("quorum none", None),
        ("quorum none\r\n", None),
        ("quorum none\x0b\n", None),
        ("quorum none\x7f\n", None),
        ("quorum none\nquorum none\n", 2),
        ("quorum\n", 1),
        ("quorum none none\n", 1),
        ("quorum W\n" + witness("W"), 1),
        ("Quorum none\n", 1),
        ("quorum\u00a0none\n", 1),
        (witness("W") + "quorum w\n", 2),
        (witness("none"), 1),
        (witness("W") + witness("W"), 2),
        (f"witness W {log('a.example/log')}\n", 1),
        (f"log {key('a.example/log').text()}\n", 1),
        (f"log {log('a.example/log')} https://a.example https://b.example\n", 1),
        (f"log {log('a.example/log')}\n" * 2, 2),
        ("witness W\n", 1),
        ("witness W w.example+00000000+AAAA\n", 1),
        (f"witness W {key('w.example', number=1).text()}\nwitness V {key('v.example', number=1).text()}\n", 2),
        (X + "group G 0 X1\nquorum G\n", 4),
        (X + "group G 3 X1 X2\nquorum G\n", 4),
        (X + "group G 01 X1 X2\nquorum G\n", 4),
        (X + "group G +1 X1 X2\nquorum G\n", 4),
        (X + "group G \u0661 X1 X2\nquorum G\n", 4),
        (X + "group G any\nquorum G\n", 4),
        (X + "group G any none\nquorum G\n", 4),
        (X + "group G any G\nquorum G\n", 4),
        (X + "group G any X1 X1\nquorum G\n", 4),
        (X + "group X1 any X2\nquorum X1\n", 4),
        (X + "group G any X1\ngroup H any X1\nquorum H\n", 5),
        (X + "group G any H\ngroup H any X1\nquorum G\n", 4),
        (X + "# not a comment at the end\nquorum none # here\n", 5),
    ],
)
def test_what_is_no_policy_is_refused_with_its_line(text: str, line: int | None):
    """Every other spelling, every name out of place; the message says where."""
    with pytest.raises(Malformed) as refused:
        parse_policy(text)
    if line is not None:
        assert refused.value.detail.startswith(f"line {line} of the witness policy: ")


def test_a_policy_of_the_standards_size_is_read_and_one_without_end_is_not():
    """32 of each must do, and there is a bound."""
    many = "".join(f"log {log(f'l{n}.example/log')}\n{witness(f'w{n}')}group g{n} any w{n}\n" for n in range(32))
    policy = parse_policy(many + "group all all " + " ".join(f"g{n}" for n in range(32)) + "\nquorum all\n")
    assert policy.satisfied([f"w{n}" for n in range(32)])
    assert not policy.satisfied([f"w{n}" for n in range(31)])
    with pytest.raises(TooLarge):
        parse_policy("".join(witness(f"w{n}") for n in range(MAX_EACH + 1)) + "quorum none\n")
    with pytest.raises(TooLarge):
        parse_policy("#" * 300_000 + "\n")


def test_the_default_is_any_two_of_the_witnesses_there_are():
    """Without a file: two of the others, whoever; one witness alone never is enough, nor is none."""
    keys = [key(f"{name}.example/witness") for name in ("fr", "nl", "il")]
    policy = any_of(2, keys)
    assert not policy.satisfied(policy.names_of(keys[:1]))
    assert policy.satisfied(policy.names_of(keys[1:]))
    assert not any_of(2, keys[:1]).satisfied(["fr.example/witness"])
    assert not any_of(2, []).satisfied([])


@given(st.sets(st.sampled_from(NAMES)), st.sets(st.sampled_from(NAMES)))
def test_more_cosignatures_never_spoil_a_quorum(some: set[str], more: set[str]):
    """A quorum is monotone: what is satisfied stays so when others cosign too."""
    policy = parse_policy(EXAMPLE)
    assert policy.satisfied(some | more) >= policy.satisfied(some)


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(data: bytes):
    """No input makes the reader fall over."""
    try:
        parse_policy(data + b"\nquorum none\n")
    except Malformed:
        return
    assert all(not line.strip(b" \t") or line.strip(b" \t").startswith(b"#") for line in data.split(b"\n"))
