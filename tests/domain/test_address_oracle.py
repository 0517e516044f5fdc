"""Our address layer beside an independent library, over keys made from small numbers.

bip_utils is a tool of development, never of a node: it refuses all-lower-case EVM addresses and Solana accounts without
a key, and is 3 to 100 times slower. Where both read, they must agree.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import pytest

from app.domain.address import read_wallet, siblings
from app.domain.checksums import base58_decode, base58_encode, bech32_decode, eip55, keccak
from app.domain.errors import InvalidAddress

bip_utils = pytest.importorskip("bip_utils", reason="bip_utils is in requirements/dev.txt")

KEYS = [bip_utils.Secp256k1PrivateKey.FromBytes(number.to_bytes(32, "big")).PublicKey() for number in range(1, 25)]
ED_KEYS = [bip_utils.Ed25519PrivateKey.FromBytes(hashlib.sha256(bytes([number])).digest()).PublicKey() for number in range(1, 25)]

BASE58 = {"bitcoin": b"\x00", "litecoin": b"\x30", "dogecoin": b"\x1e", "dash": b"\x4c", "zcash": b"\x1c\xb8", "bitcoingold": b"\x26"}


@pytest.mark.parametrize("key", KEYS, ids=lambda key: key.RawCompressed().ToHex()[:10])
def test_addresses_of_a_secp256k1_key(key: bip_utils.Secp256k1PublicKey):
    """Every form that the library encodes is read, and all forms of the key are siblings of each other."""
    compressed = key.RawCompressed().ToBytes()
    encoded = {
        family: bip_utils.P2PKHAddrEncoder.EncodeKey(compressed, net_ver=version, pub_key_mode=bip_utils.P2PKHPubKeyModes.COMPRESSED)
        for family, version in BASE58.items()
    }
    segwit = bip_utils.P2WPKHAddrEncoder.EncodeKey(compressed, hrp="bc")
    nested = bip_utils.P2SHAddrEncoder.EncodeKey(compressed, net_ver=b"\x05")
    cash = bip_utils.BchP2PKHAddrEncoder.EncodeKey(compressed, hrp="bitcoincash", net_ver=b"\x00")
    for family, text in encoded.items():
        assert read_wallet(text).family == family
    kin = {sibling.id for sibling in siblings(read_wallet(segwit))}
    assert {read_wallet(text).id for text in (*encoded.values(), nested, cash)} <= kin


@pytest.mark.parametrize("key", KEYS, ids=lambda key: key.RawCompressed().ToHex()[:10])
def test_accounts_of_a_secp256k1_key(key: bip_utils.Secp256k1PublicKey):
    """EVM with its checksum, Tron as its sibling, XRP, Cosmos and Taproot."""
    compressed = key.RawCompressed().ToBytes()
    ethereum, tron = bip_utils.EthAddrEncoder.EncodeKey(compressed), bip_utils.TrxAddrEncoder.EncodeKey(compressed)
    assert read_wallet(ethereum).display == ethereum
    assert [s.id for s in siblings(read_wallet(ethereum))] == [read_wallet(tron).id]
    assert read_wallet(bip_utils.XrpAddrEncoder.EncodeKey(compressed)).payload == bip_utils.XrpAddrDecoder.DecodeAddr(
        bip_utils.XrpAddrEncoder.EncodeKey(compressed)
    )
    cosmos = bip_utils.AtomAddrEncoder.EncodeKey(compressed, hrp="cosmos")
    assert read_wallet(cosmos).payload == bip_utils.AtomAddrDecoder.DecodeAddr(cosmos, hrp="cosmos")
    taproot = bip_utils.P2TRAddrEncoder.EncodeKey(compressed, hrp="bc")
    assert read_wallet(taproot).payload[2:] == bip_utils.P2TRAddrDecoder.DecodeAddr(taproot, hrp="bc")


@pytest.mark.parametrize("key", ED_KEYS, ids=lambda key: key.RawCompressed().ToHex()[:10])
def test_accounts_of_an_ed25519_key(key: bip_utils.Ed25519PublicKey):
    """Solana, Stellar and the SS58 family on several networks, of which all are one id."""
    raw = key.RawCompressed().ToBytes()[1:]
    assert read_wallet(bip_utils.SolAddrEncoder.EncodeKey(key)).payload == raw
    stellar = bip_utils.XlmAddrEncoder.EncodeKey(key, addr_type=bip_utils.XlmAddrTypes.PUB_KEY)
    assert read_wallet(stellar).payload == b"\x30" + raw
    substrate = [bip_utils.SubstrateEd25519AddrEncoder.EncodeKey(key, ss58_format=number) for number in (0, 2, 5, 8, 42, 66, 1284)]
    assert {read_wallet(text).id for text in substrate} == {read_wallet(substrate[0]).id}
    assert read_wallet(substrate[1]).payload == raw


@pytest.mark.parametrize("number", range(6))
def test_monero_addresses(number: int):
    """Standard, subaddress and integrated addresses of a library's wallet."""
    wallet = bip_utils.Monero.FromSeed(hashlib.sha256(bytes([number])).digest())
    standard, integrated = wallet.PrimaryAddress(), wallet.IntegratedAddress(bytes(8))
    for text in (standard, integrated, wallet.Subaddress(1, 2)):
        assert read_wallet(text).family == "monero"
        assert read_wallet(text).address == text
    assert [s.id for s in siblings(read_wallet(integrated))] == [read_wallet(standard).id]


def agrees(decode: Callable[[str], object], text: str, chain: str) -> bool:
    """Whether both read the text or both refuse it."""
    try:
        decode(text)
    except ValueError:
        theirs = False
    else:
        theirs = True
    try:
        read_wallet(text, chain=chain)
    except InvalidAddress:
        return not theirs
    return theirs


def test_damaged_addresses_are_refused_by_both():
    """For each position of some addresses, a wrong character: the two agree on every one."""
    compressed = KEYS[0].RawCompressed().ToBytes()
    decoders: list[tuple[str, str, Callable[[str], object]]] = [
        (
            "bitcoin",
            bip_utils.P2WPKHAddrEncoder.EncodeKey(compressed, hrp="bc"),
            lambda t: bip_utils.P2WPKHAddrDecoder.DecodeAddr(t, hrp="bc"),
        ),
        ("tron", bip_utils.TrxAddrEncoder.EncodeKey(compressed), bip_utils.TrxAddrDecoder.DecodeAddr),
        ("xrp", bip_utils.XrpAddrEncoder.EncodeKey(compressed), bip_utils.XrpAddrDecoder.DecodeAddr),
        (
            "stellar",
            bip_utils.XlmAddrEncoder.EncodeKey(ED_KEYS[0], addr_type=bip_utils.XlmAddrTypes.PUB_KEY),
            lambda t: bip_utils.XlmAddrDecoder.DecodeAddr(t, addr_type=bip_utils.XlmAddrTypes.PUB_KEY),
        ),
    ]
    for chain, text, decode in decoders:
        assert agrees(decode, text, chain)
        for i in range(len(text)):
            for character in "2qQ7z":
                assert agrees(decode, text[:i] + character + text[i + 1 :], chain), (chain, i, character)


def test_encodings_agree():
    """Base58, bech32 and Keccak give what the library's give, on bytes of many lengths."""
    for size in range(1, 90):
        data = hashlib.shake_256(bytes([size])).digest(size)
        data = bytes(size % 3) + data
        assert base58_encode(data) == bip_utils.Base58Encoder.Encode(data)
        assert base58_decode(base58_encode(data)) == data
        assert keccak(data) == bip_utils.utils.crypto.Kekkak256.QuickDigest(data)
        if size <= 50:
            text = bip_utils.Bech32Encoder.Encode("test", data)
            assert bech32_decode("test", text[5:])[2] == 1
    assert eip55("00" * 20) == "00" * 20
