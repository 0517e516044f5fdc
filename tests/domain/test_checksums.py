"""The checksums and encodings, against published examples and against themselves."""

from __future__ import annotations

import hashlib

import pytest

from app.domain import checksums
from app.domain.ripemd import ripemd160, ripemd160_plain


def test_keccak_is_not_sha3():
    """The empty text tells the two paddings apart; importing the C module leaves hashlib's SHA-3 as it was."""
    assert checksums.keccak(b"").hex() == "c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470"
    assert hashlib.sha3_256(b"").hexdigest() == "a7ffc6f8bf1ed76651c14756a061d662f580ff4de43b49fa82d80a4b80f8434a"
    assert "pysha3" not in hashlib.sha3_256.__module__


@pytest.mark.parametrize("size", [0, 1, 55, 56, 63, 64, 65, 200])
def test_plain_ripemd_agrees_with_openssl(size: int):
    """Both ways give one digest, so a sibling does not depend on how OpenSSL was built."""
    data = bytes(range(size))
    assert ripemd160_plain(data) == ripemd160(data)


@pytest.mark.parametrize(
    ("data", "digest"),
    [
        (b"", "9c1185a5c5e9fc54612808977ee8f548b2258d31"),
        (b"abc", "8eb208f7e05d987a9b044a8e98c6b087f15a0bfc"),
        (b"a" * 1_000, "aa69deee9a8922e92f8105e007f76110f381e9cf"),
    ],
)
def test_plain_ripemd_gives_the_published_digests(data: bytes, digest: str):
    """The examples of the specification hold without OpenSSL."""
    assert ripemd160_plain(data).hex() == digest


def test_crc16_is_xmodem():
    """The check value of CRC-16/XMODEM."""
    assert checksums.crc16_xmodem(b"123456789") == 0x31C3


@pytest.mark.parametrize("text", ["0", "O", "I", "l", "é", "1 1", "1\n", "+", "_", "\ud800"])
def test_base58_refuses_what_is_not_in_its_alphabet(text: str):
    """Nothing outside the 58 characters is read, wherever it stands."""
    for place in (text, "1" + text, "z" * 70 + text, text + "z" * 70):
        with pytest.raises(ValueError):
            checksums.base58_decode(place)


def test_base58_counts_leading_ones():
    """Leading zero bytes are leading ones, in texts of any length."""
    assert checksums.base58_decode("") == b""
    assert checksums.base58_decode("1") == b"\0"
    assert checksums.base58_decode("1" * 40) == bytes(40)
    assert checksums.base58_decode("1" * 100 + "2") == bytes(100) + b"\x01"
    assert checksums.base58_decode("z" * 200) == (58**200 - 1).to_bytes(147, "big")


@pytest.mark.parametrize("data", [b"b", b"i", b"o", b"1", b"Q", b"_", b" ", b"-"])
def test_bech32_refuses_what_int_would_read(data: bytes):
    """The digits go through `int(…, 32)`: its underscores, blanks and signs never get there."""
    for text in (data.decode() + "q" * 8, "q" * 8 + data.decode(), "qqqq" + data.decode() + "qqqq"):
        with pytest.raises(ValueError):
            checksums.bech32_decode("bc", text)
        with pytest.raises(ValueError):
            checksums.cashaddr_decode("bitcoincash", text)


def test_spare_bits_must_be_zero():
    """A byte text has one spelling: spare bits are fewer than five and zero."""
    assert checksums.bytes_of_base32(0b11111_11100, 2) == b"\xff"
    for number, digits in ((0b11111_11101, 2), (0b11111, 1), (0, 3)):
        with pytest.raises(ValueError):
            checksums.bytes_of_base32(number, digits)


def test_monero_blocks_cannot_overflow():
    """A block of 11 characters above 2^64 is refused, and so is a length that no bytes have."""
    for text in ("z" * 11, "1" * 11 + "zz", "1", "1" * 12, "1" * 4):
        with pytest.raises(ValueError):
            checksums.monero_decode(text)
    assert checksums.monero_decode("1" * 95) == bytes(69)


def test_eip55_examples():
    """The case of the standard's own examples is reproduced, and any other case is refused."""
    for good in ("fB6916095ca1df60bB79Ce92cE3Ea74c37c5d359", "5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"):
        assert checksums.eip55(good.lower()) == good
        assert checksums.eip55_matches(good)
        assert not checksums.eip55_matches(good.lower())
        assert not checksums.eip55_matches(good.swapcase())
