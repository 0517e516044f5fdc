"""The fast reading of many rows against the careful reading of one: a row that is not left to the careful reader has its keys."""

from __future__ import annotations

import random

import numpy as np
import pytest

from app.domain.address import siblings
from app.domain.errors import InvalidAddress
from app.domain.identifiers import read_subject
from app.index.keys import Digester, keys_of, keys_of_id
from app.index.shapes import Rows, Shapes, without_zeros
from tests.index.addresses import evm, mixed, padded, solana, spoilt, tron
from tests.paths import DATA, needs

DIGESTER = Digester(b"a secret of thirty-two bytes ...")
SHAPES = Shapes(DIGESTER)


def read(texts: list[str], *, checksums: bool = False) -> Rows:
    buffer, starts, lengths = padded(texts)
    return SHAPES.read(without_zeros(buffer), np.array(starts), np.array(lengths), checksums=checksums)


def found_digests(rows: Rows, row: int) -> list[int]:
    return [int(rows.digests[row]), *(int(d) for d in rows.second[rows.second_rows == row])]


def expected(text: str) -> list[int] | str:
    try:
        subject = read_subject(text)
    except InvalidAddress as error:
        return error.code
    return [DIGESTER.digest(key) for key in keys_of(subject)]


def test_right_addresses_of_the_usual_chains_are_read_fast_and_alike():
    """Of the mix nearly none is left to the careful reader, and every digest is the one of the careful reader's keys."""
    texts = [mixed(number) for number in range(4_000)]
    for checksums in (False, True):
        rows = read(texts, checksums=checksums)
        assert rows.slow.sum() < len(texts) // 50
        for number, text in enumerate(texts):
            if not rows.slow[number]:
                assert found_digests(rows, number) == expected(text), text


def test_a_spoilt_address_is_left_to_the_careful_reader_or_has_a_wrong_checksum_alone():
    """With checksums asked every fast row is right. Without, the only refusal that a fast row can have is `checksum`."""
    dice = random.Random(4)
    texts = [spoilt(mixed(dice.randrange(10_000)), dice) for _ in range(20_000)]
    careful = [expected(text) for text in texts]
    for checksums in (False, True):
        rows = read(texts, checksums=checksums)
        for number, want in enumerate(careful):
            if rows.slow[number]:
                continue
            if isinstance(want, str):
                assert want == "checksum", texts[number]
                assert not checksums, texts[number]
            else:
                assert found_digests(rows, number) == want, texts[number]
    assert "checksum" in careful


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0",
        "0x" + "g" * 40,
        "0x" + "\x10" * 40,
        "0x" + "@" * 40,
        "0x" + "`" * 40,
        "T" + "z" * 33,
        "3" + "z" * 33,
        "1" * 34,
        "1" * 44,
        "z" * 44,
        "j" * 44,
        "bc1q" + "b" * 38,
        "bc1z" + "q" * 38,
        "bc1p" + "q" * 38,
        "BC1Q" + "Q" * 38,
        "1BvBMSEYstWetqTFn5Au4m4GFg7xJaNVN2 ",
        "\ufeff0x" + "a" * 37,
    ],
)
def test_a_text_that_is_nearly_an_address_never_reads_as_another(text: str):
    """Borders of every check: alphabets, leading ones, versions, numbers that are too large."""
    rows = read([text, evm(1), text], checksums=True)
    want = expected(text)
    assert not rows.slow[1]
    for row in (0, 2):
        assert rows.slow[row] or found_digests(rows, row) == want


def test_ids_are_filed_under_the_keys_that_a_lookup_asks():
    """In one go or one by one; kin share a key; entities have none; what is read nowhere is filed as it stands."""
    ids = [read_subject(mixed(number)).id for number in range(600)]
    ids += [one.id for number in range(20) for one in siblings(read_subject(mixed(number)))]
    ids += ["domain:evil.example", "entity:de.bka:golden-sun", "url:https://evil.example/" + "x" * 300, "newer:thing"]
    assert sorted(SHAPES.ids(ids).tolist()) == sorted(DIGESTER.digest(key) for text in ids for key in keys_of_id(text))
    assert keys_of_id("entity:de.bka:golden-sun") == ()
    assert keys_of(read_subject(evm(5))) == keys_of(read_subject(tron(5)))
    assert keys_of(read_subject(solana(5))) != keys_of(read_subject(solana(6)))


def test_every_address_of_the_real_lists_is_read_alike():
    """Where the lists are at hand: a sample of every file with addresses, fast against careful."""
    folder = needs(DATA)
    texts: list[str] = []
    for path in sorted(folder.rglob("*.txt")) + sorted(folder.rglob("*.csv")):
        for line in path.read_text("utf-8", "replace").splitlines()[:400]:
            texts += [word for word in line.replace(",", " ").replace('"', " ").split() if 20 < len(word) < 80][:4]
    rows = read(texts, checksums=True)
    assert len(texts) > 1_000
    for number, text in enumerate(texts):
        if not rows.slow[number]:
            assert found_digests(rows, number) == expected(text), text
