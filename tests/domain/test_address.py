"""Reading a wallet: one id for every spelling, a typed refusal for everything else."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from app.domain.address import WARNINGS, is_off_curve, read_canonical_wallet, read_chain, read_wallet, siblings, ton_friendly
from app.domain.checksums import base58_encode, base58check_encode, bech32_encode, ripple_check_encode
from app.domain.errors import InvalidAddress

# The addresses of the key 1, and examples printed in the standards.
EVM = "0x7e5f4552091a69125d5dfcb7b8c2659029395bdf"
EIP55 = "0x7E5F4552091A69125d5DfCb7b8C2659029395Bdf"
TRON = "TMVQGm1qAQYVdetCeGRRkTWYYrLXuHK2HC"
P2PKH = "1BgGZ9tcN4rm9KBzDn7KprQz87SZ26SAMH"
P2WPKH = "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4"
NESTED = "3JvL6Ymt8MVWiCNHC7oWU6nLeHNJKLZGLN"
P2TR = "bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqzk5jj0"
LTC = "LVuDpNCSSj6pQ7t9Pv6d6sUkLKoqDEVUnJ"
LTC_NESTED = "MR8UQSBr5ULwWheBHznrHk2jxyxkHQu8vB"
DOGE = "DFpN6QqFfUm3gKNaxN6tNcab1FArL9cZLE"
CASH = "qp63uahgrxged4z5jswyt5dn5v3lzsem6cy4spdc2h"
SOLANA = "7S3P4HxJpyyigGzodYwHtCxZyUQe9JiBMHyRWXArAaKv"
XRP = "rPEPPER7kfTD9w2To4CQk6UCfuHM9c6GDY"
X_ADDRESS = "XV5sbjUmgPpvXv4ixFWZ5ptAYZ6PD2q1qM6owqNbug8W6KV"  # the same with tag 495
STELLAR = "GA7QYNF7SOWQ3GLR2BGMZEHXAVIRZA4KVWLTJJFC7MGXUA74P7UJVSGZ"
MUXED = "MA7QYNF7SOWQ3GLR2BGMZEHXAVIRZA4KVWLTJJFC7MGXUA74P7UJUAAAAAAAAAAAACJUQ"
MONERO = "4AdUndXHHZ6cfufTMvppY6JwXNouMBzSkbLYfpAV5Usx3skxNgYeYTRj5UzqtReoS44qo9mtmXCqY45DJ852K5Jv2684Rge"
INTEGRATED = "4LL9oSLmtpccfufTMvppY6JwXNouMBzSkbLYfpAV5Usx3skxNgYeYTRj5UzqtReoS44qo9mtmXCqY45DJ852K5Jv2bYXZKKQePHES9khPK"
TON_HASH = "ca6e321c7cce9ecedf0a8ca2492ec8592494aa5fb5ce0387dff96ef6af982a3e"
POLKADOT = "15oF4uVJwmo4TdGW7VfQxNLavjCXviqxT9S1MgbjMNHr6Sp5"
GENERIC = "5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY"
KUSAMA = "HNZata7iMYWmk5RvZRTiAsSDhV8366zq2YGb3tLH5Upf74F"
COSMOS = "cosmos1t2uflqwqe0fsj0shcfkrvpukewcw40yjj6hdc0"
ZCASH = "t1UYsZVJkLPeMjxEtACvSxfWuNmddpWfxzs"
DASH = "XmN7PQYWKn5MJFna5fRYgP6mxT2F7xpekE"

BTC_ID = "bip122:000000000019d6689c085ae165831e93:"
LTC_ID = "bip122:12a765e31ffd4059bada1e25190f6e98:"
BCH_ID = "bip122:000000000000000000651ef99cb9fcbe:"
TRON_ID = "tron:0x2b6653dc:" + TRON
TON_ID = "tvm:-239:0:" + TON_HASH


def code_of(text: str, **named: str) -> str:
    """The code of the refusal; the detail must not give the value back."""
    with pytest.raises(InvalidAddress) as caught:
        read_wallet(text, **named)
    assert caught.value.detail
    assert len(text) < 16 or text.strip() not in caught.value.detail
    return caught.value.code


@pytest.mark.parametrize(
    ("text", "chain", "wallet_id", "warnings"),
    [
        (EVM, None, "eip155:0:" + EVM, ()),
        (EIP55, None, "eip155:0:" + EVM, ()),
        ("0x" + EVM[2:].upper(), None, "eip155:0:" + EVM, ("upper_case",)),
        ("0X" + EVM[2:], None, "eip155:0:" + EVM, ("upper_prefix",)),
        (EIP55[2:], None, "eip155:0:" + EVM, ("no_prefix",)),
        ("  " + EVM + " ", None, "eip155:0:" + EVM, ()),
        ("eip155:1:" + EIP55, None, "eip155:0:" + EVM, ("chain_alias",)),
        ("0x52908400098527886E0F7030069857D2E4169EE7", None, "eip155:0:0x52908400098527886e0f7030069857d2e4169ee7", ()),
        (TRON, None, TRON_ID, ()),
        ("41" + EVM[2:], None, TRON_ID, ("hex_form",)),
        ("0x41" + EVM[2:], None, TRON_ID, ("hex_form",)),
        (EVM, "tron", TRON_ID, ("hex_form",)),
        ("tron:728126428:" + TRON, None, TRON_ID, ("chain_alias",)),
        (P2PKH, None, BTC_ID + P2PKH, ()),
        (NESTED, "btc", BTC_ID + NESTED, ()),
        (P2WPKH.upper(), None, BTC_ID + P2WPKH, ("upper_case",)),
        (P2TR, "bitcoin", BTC_ID + P2TR, ()),
        (LTC, None, LTC_ID + LTC, ()),
        (LTC_NESTED, None, LTC_ID + LTC_NESTED, ()),
        (NESTED, "ltc", LTC_ID + LTC_NESTED, ("legacy_form",)),
        (CASH, None, BCH_ID + CASH, ()),
        ("bitcoincash:" + CASH, None, BCH_ID + CASH, ("with_prefix",)),
        (("bitcoincash:" + CASH).upper(), "bch", BCH_ID + CASH, ("upper_case", "with_prefix")),
        (P2PKH, "bch", BCH_ID + CASH, ("legacy_form",)),
        (P2PKH, "bsv", "bip122:000000000000000001d956714215d96f:" + P2PKH, ()),
        ("bitcoincash:" + CASH, "bsv", "bip122:000000000000000001d956714215d96f:" + P2PKH, ("with_prefix", "legacy_form")),
        (DOGE, None, "bip122:1a91e3dace36e2be3bf030a65679fe82:" + DOGE, ()),
        (DOGE, "XVG", "bip122:00000fc63692467faeb20cdb3b53200d:" + DOGE, ()),
        (ZCASH, None, "bip122:00040fe8ec8471911baa1db1266ea15d:" + ZCASH, ()),
        (DASH, None, "bip122:00000ffd590b1485b3caadc19b22e637:" + DASH, ()),
        ("GUXByHDZLvU4DnVH9imSFckt3HEQ5cFgE5", None, "btg:mainnet:GUXByHDZLvU4DnVH9imSFckt3HEQ5cFgE5", ()),
        (SOLANA, None, "solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp:" + SOLANA, ()),
        ("1" * 32, "sol", "solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp:" + "1" * 32, ()),
        (XRP, None, "xrpl:0:" + XRP, ()),
        (X_ADDRESS, None, "xrpl:0:" + XRP, ("tag_inside",)),
        (STELLAR, "xlm", "stellar:pubnet:" + STELLAR, ()),
        (MUXED, None, "stellar:pubnet:" + STELLAR, ("tag_inside",)),
        (MONERO, None, "monero:418015bb9ae982a1975da7d79277c270:" + MONERO, ()),
        (INTEGRATED, None, "monero:418015bb9ae982a1975da7d79277c270:" + INTEGRATED, ()),
        ("0:" + TON_HASH, None, TON_ID, ()),
        ("0:" + TON_HASH.upper(), "ton", TON_ID, ("upper_case",)),
        ("ton:-239:0:" + TON_HASH, None, TON_ID, ("chain_alias",)),
        (POLKADOT, None, "polkadot:91b171bb158e2d3848fa23a9f1c25182:" + POLKADOT, ()),
        (GENERIC, None, "polkadot:91b171bb158e2d3848fa23a9f1c25182:" + POLKADOT, ()),
        (KUSAMA, None, "polkadot:91b171bb158e2d3848fa23a9f1c25182:" + POLKADOT, ()),
        (COSMOS, None, "cosmos:cosmoshub-3:" + COSMOS, ()),
        ("cosmos:cosmoshub-4:" + COSMOS, None, "cosmos:cosmoshub-3:" + COSMOS, ("chain_alias",)),
    ],
)
def test_every_spelling_has_one_id(text: str, chain: str | None, wallet_id: str, warnings: tuple[str, ...]):
    """A spelling gives the canonical id, says what was lenient about it, and the id reads back as itself."""
    wallet = read_wallet(text, chain=chain)
    assert wallet.id == wallet_id
    assert wallet.warnings == warnings
    assert wallet.id == f"{wallet.chain}:{wallet.address}"
    assert set(warnings) <= set(WARNINGS)
    assert read_canonical_wallet(wallet.id)[:3] == wallet[:3]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("0x7e5F4552091A69125d5DfCb7b8C2659029395Bdf", "checksum"),
        (EVM + "0", "length"),
        (EVM[:-1], "length"),
        ("0x7e5f4552091a69125d5dfcb7b8c265902939 bdf", "alphabet"),
        ("0x" + "g" * 40, "alphabet"),
        (TRON[:-1] + "D", "checksum"),
        (TRON[:-1], "checksum"),
        (TRON[:-3], "length"),
        (TRON[:-1] + "l", "alphabet"),
        (P2PKH[:-1] + "J", "checksum"),
        ("1" + P2PKH, "length"),
        (P2WPKH[:-1] + "5", "checksum"),
        ("BC1" + P2WPKH[3:], "mixed_case"),
        ("bc1pw508d6qejxtdg4y5r3zarvary0c5xw7kt5nd6y", "checksum"),  # version 1 under bech32: good before BIP-350
        ("bc1gmk9yu", "length"),
        (CASH[:-1] + "q", "checksum"),
        (CASH[:-1] + "H", "mixed_case"),
        (XRP[:-1] + "Z", "checksum"),
        (STELLAR[:-1] + "Y", "checksum"),
        (STELLAR[:-1], "length"),
        (MONERO[:-1] + "f", "checksum"),
        (POLKADOT[:-1] + "6", "checksum"),
        (SOLANA + "1", "length"),
        ("0x" + "5c" * 32, "transaction_hash"),
        ("5c" * 32, "transaction_hash"),
        (base58_encode(bytes([9] * 64)), "transaction_hash"),
        ("vitalik.eth", "name_not_address"),
        ("wallet.ton", "name_not_address"),
        ("bonfida.sol", "name_not_address"),
        ("@someone", "name_not_address"),
        (
            "xpub661MyMwAqRbcFtXgS5sYJABqqG9YLmC4Q1Rdap9gSE8NqtwybGhePY2gZ29ESFjqJoCu1Rupje8YtGqsefD265TMg7usUDFdp6W1EGMcet8",
            "name_not_address",
        ),
        ("ethereum:" + EVM, "uri"),
        ("bitcoin:" + P2PKH + "?amount=1", "uri"),
        ("tron:" + TRON, "uri"),
        ("https://chain.example/address/" + EVM, "uri"),
        ("ton://transfer/x", "uri"),
        ("mipcBbFg9gMiCh81Kj8tqqdgoZub1ZJRfn", "testnet"),
        ("2N2JD6wb56AfK4tfmM6PwdVmoYk2dCKf4Br", "testnet"),
        ("tb1qw508d6qejxtdg4y5r3zarvary0c5xw7kxpjzsx", "testnet"),
        (ripple_check_encode(b"\x04\x93" + bytes(29)), "testnet"),
        (ripple_check_encode(b"\x05\x44" + bytes(20) + b"\x02" + bytes(8)), "alphabet"),
        ("bchtest:" + CASH, "testnet"),
        ("5HueCGU8rMjxEXxiPuD5BDku4MkFqeZyd4dZ1jvhTVqvbTLvyTJ", "private_key"),
        ("KwDiBf89QgGbjEhKnhXJuH7LrciVrZi3qYjgd9M7rFU73sVHnoWn", "private_key"),
        ("6PRVWUbkzzsbcVac2qwfssoUJAN1Xhrg6bNk8J7Nzm5H7kxEbn2Nh2ZoGg", "private_key"),
        ("xprv9s21ZrQH143K3QTDL4LXw2F7HEK3wJUD2nW2nRk4stbPy6cq3jPPqjiChkVvvNKmPGJxWUtg6LnF5kejMRNNU3TGtRBeJgk33yuGBxrMPHi", "private_key"),
        ("SBU2RRGLXH3E5CQHTD3ODLDF2BWDCYUSSBLLZ5GNW7JXHDIYKXZWHOKR", "private_key"),
        ("snoPBrXtMeMyMHUVTgbuqAfg1SUTb", "private_key"),
        ("legal winner thank year wave sausage worth useful legal winner thank yellow", "private_key"),
        (bech32_encode("osmo", 1 << 150, 32), "unknown_chain"),
        (base58check_encode(bytes([60]) + bytes(20)), "unknown_chain"),
        ("tz1VSUr8wwNhLAzempoch5d6hLRiTh8Cjcjb", "length"),
        ("", "length"),
        ("0x", "length"),
        ("x" * 10_000, "length"),
    ],
)
def test_refusals_without_a_chain(text: str, code: str):
    """Every wrong text has the code of what is wrong with it, and no detail repeats it."""
    assert code_of(text) == code


@pytest.mark.parametrize(
    ("text", "chain", "code"),
    [
        (EVM, "bitcoin", "ambiguous_chain"),
        (TRON, "ethereum", "ambiguous_chain"),
        (P2PKH, "litecoin", "ambiguous_chain"),
        ("eip155:1:" + EVM, "bsc", "ambiguous_chain"),
        ("xrpl:0:" + XRP, "eip155:1", "ambiguous_chain"),
        (EVM, "usdt", "unknown_chain"),
        (EVM, "usdt-tron", "unknown_chain"),
        (EVM, "", "unknown_chain"),
        (EVM, "eip155:01", "unknown_chain"),
        (EVM, "eip155:١", "unknown_chain"),
        (EVM, "sepolia", "testnet"),
        (EVM, "eip155:11155111", "testnet"),
        ("5c" * 32, "solana", "private_key"),
        ("5c" * 32, "tron", "transaction_hash"),
        ("tb1qw508d6qejxtdg4y5r3zarvary0c5xw7kxpjzsx", "btc", "testnet"),
        ("DdzFFzCqrhsfdzUZxvuBkhV8Lpm9p43p9ubh79GCTkxJikAjKh51qhtCFMqUniC5tv5ZExyvSmAte2Du2tGimavSo6qSgXbjiy8qZRTh", "ada", "checksum"),
    ],
)
def test_refusals_with_a_chain(text: str, chain: str, code: str):
    """A chain that contradicts the text, or is none, is told apart from a bad address."""
    assert code_of(text, chain=chain) == code


HIDDEN = {
    "zero width space": "\u200b",
    "no-break space": "\u00a0",
    "right-to-left override": "\u202e",
    "byte order mark": "\ufeff",
    "soft hyphen": "\u00ad",
    "word joiner": "\u2060",
    "combining acute": "\u0301",
    "ideographic space": "\u3000",
    "line separator": "\u2028",
}
LOOK_ALIKE = {
    "fullwidth 1": "\uff11",
    "Cyrillic a": "\u0430",
    "Kelvin sign": "\u212a",
    "Arabic 1": "\u0661",
    "Greek omicron": "\u03bf",
    "math A": "\U0001d400",
}


@pytest.mark.parametrize("character", [*HIDDEN.values(), *LOOK_ALIKE.values()], ids=[*HIDDEN, *LOOK_ALIKE])
@pytest.mark.parametrize("address", [EVM, TRON, P2PKH, P2WPKH, SOLANA, XRP, STELLAR, CASH, "0:" + TON_HASH, POLKADOT, "eip155:1:" + EVM])
def test_characters_from_outside_are_refused_and_never_repaired(address: str, character: str):
    """In front, behind, inside, or in place of a character: `confusable`, with and without a chain."""
    chain = read_wallet(address).chain
    for text in (character + address, address + character, address[:9] + character + address[9:], address[:9] + character + address[10:]):
        assert code_of(text) == "confusable"
        assert code_of(text, chain=chain) == "confusable"


@pytest.mark.parametrize("character", ["\n", "\t", "\r", "\0", "\x7f", "\x1b"])
def test_control_characters_are_not_trimmed(character: str):
    """Only blanks are taken off the edges: a line end is part of the text, and wrong."""
    for text in (EVM + character, character + TRON, P2PKH[:5] + character + P2PKH[5:]):
        assert code_of(text) == "alphabet"


def test_a_named_evm_chain_is_a_scope():
    """The id stands for the holder on every chain; the chain that was named narrows it."""
    for name in ("bsc", "BNB", "eip155:56", "Binance Smart Chain", "bep20"):
        wallet = read_wallet(EVM, chain=name)
        assert (wallet.id, wallet.scope_chain) == ("eip155:0:" + EVM, "eip155:56")
    assert read_wallet("eip155:137:" + EVM).scope_chain == "eip155:137"
    assert read_wallet("eip155:137:" + EVM, chain="polygon").scope_chain == "eip155:137"
    assert read_wallet("eip155:137:" + EVM, chain="eip155:0").scope_chain == "eip155:137"
    assert read_wallet(EVM, chain="eip155:0").scope_chain is None
    assert read_wallet(EVM, chain="eip155:123456789").scope_chain == "eip155:123456789"
    assert read_wallet(KUSAMA).scope_chain == "polkadot:b0a8d493285c2df73290dfb7e61f870f"


def test_tags_stand_beside_the_id():
    """A tag comes from the field, the CAIP-10 text or the address itself; two that differ are refused."""
    assert read_wallet(XRP, tag="0495").tag == "495"
    assert read_wallet(f"xrpl:0:{XRP}-495").tag == "495"
    assert read_wallet(X_ADDRESS).tag == "495"
    assert read_wallet(X_ADDRESS, tag="495").tag == "495"
    assert read_wallet(MUXED).tag == "0"
    assert read_wallet(COSMOS, tag="memo 7").tag == "memo 7"
    assert read_wallet(XRP, tag="").tag is None
    assert read_wallet(EVM, tag="5")[4:] == (None, ("tag_ignored",))
    assert code_of(X_ADDRESS, tag="6") == "alphabet"
    for bad in ("-1", "4294967296", "1.0", "x", "١", "9" * 400):
        assert code_of(XRP, tag=bad) == "alphabet"
    assert code_of(COSMOS, tag="x" * 129) == "length"


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (EVM, "unknown_chain"),
        ("eip155:1:" + EVM, "unknown_chain"),
        ("eip155:0:" + EIP55, "mixed_case"),
        (" eip155:0:" + EVM, "unknown_chain"),
        ("eip155:0:" + EVM + " ", "alphabet"),
        ("eip155:0:" + EVM[:12] + " " + EVM[13:], "alphabet"),
        ("tron:728126428:" + TRON, "unknown_chain"),
        (BCH_ID + "bitcoincash:" + CASH, "alphabet"),
        (BCH_ID + P2PKH, "alphabet"),
        (LTC_ID + NESTED, "alphabet"),
        (BTC_ID + P2WPKH.upper(), "mixed_case"),
        (f"xrpl:0:{XRP}-495", "alphabet"),
        ("xrpl:0:" + X_ADDRESS, "alphabet"),
        ("tvm:-239:" + ton_friendly(bytes(33)), "alphabet"),
        ("eip155:0:" + EVM + "\u200b", "confusable"),
    ],
)
def test_only_the_canonical_text_is_an_id(text: str, code: str):
    """What `read_wallet` reads with a smile is no id: statements carry one text for one holder."""
    with pytest.raises(InvalidAddress) as caught:
        read_canonical_wallet(text)
    assert caught.value.code == code


def ids_of(text: str, **named: str) -> set[str]:
    return {sibling.id for sibling in siblings(read_wallet(text, **named))}


def test_siblings_of_one_key():
    """0x and T are one key; one hash of a public key is `1…`, `3…`, `bc1q…`, `L…`, `D…`, CashAddr and others."""
    assert ids_of(EVM) == {TRON_ID}
    assert ids_of(TRON) == {"eip155:0:" + EVM}
    family = {BTC_ID + P2PKH, BTC_ID + P2WPKH, LTC_ID + LTC, BCH_ID + CASH, "bip122:1a91e3dace36e2be3bf030a65679fe82:" + DOGE}
    nested = {BTC_ID + NESTED, LTC_ID + LTC_NESTED}
    for text in (P2PKH, P2WPKH, LTC, CASH, DOGE, ZCASH, DASH):
        own = read_wallet(text).id
        assert ids_of(text) >= (family | nested) - {own}
        assert own not in ids_of(text)
    assert BTC_ID + NESTED in ids_of(LTC_NESTED)
    assert LTC_ID + "ltc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vq7snucx" not in ids_of(P2WPKH)
    assert ids_of(INTEGRATED) == {"monero:418015bb9ae982a1975da7d79277c270:" + MONERO}
    assert ids_of(SOLANA) == ids_of(XRP) == ids_of(MONERO) == set()


@pytest.mark.parametrize(
    "text",
    [EVM, TRON, P2PKH, P2WPKH, P2TR, LTC, DOGE, CASH, DASH, NESTED, "bc1qrp33g0q5c5txsp9arysrx4k6zdkfs4nce4xj0gdcccefvpysxf3qccfmv3"],
)
def test_being_siblings_is_mutual(text: str):
    """Who is my sibling has me for a sibling, but for the nested form that cannot tell which key it hides."""
    wallet = read_wallet(text)
    hidden = {BTC_ID + NESTED, LTC_ID + LTC_NESTED}
    for sibling in siblings(wallet):
        other = read_canonical_wallet(sibling.id)
        assert sibling.relation == "same_key"
        assert wallet.id in {s.id for s in siblings(other)} or other.id in hidden
        assert other.id != wallet.id


def test_what_is_shown():
    """People see the spelling they know; the id stays what it is."""
    assert read_wallet(EVM).display == EIP55
    assert read_wallet(CASH).display == "bitcoincash:" + CASH
    assert read_wallet(read_wallet("0:" + TON_HASH).display).id == TON_ID
    assert read_wallet("0:" + TON_HASH).display.startswith("UQ")
    assert read_wallet(TRON).display == TRON


def test_a_solana_account_off_the_curve_has_no_key():
    """A public key lies on the curve; the address of a program's account is made not to."""
    for seed in range(8):
        public = Ed25519PrivateKey.from_private_bytes(bytes([seed] * 32)).public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        assert not is_off_curve(read_wallet(base58_encode(public), chain="solana"))
    assert is_off_curve(read_wallet("5Q544fKrFoe6tsEbD7S8EmxGTJYAKtTVhAW5Q5pge4j1"))


@pytest.mark.parametrize(
    ("text", "caip2", "family"),
    [
        ("ethereum", "eip155:1", "evm"),
        ("Ethereum", "eip155:1", "evm"),
        ("TRX", "tron:0x2b6653dc", "tron"),
        ("TRC20", "tron:0x2b6653dc", "tron"),
        ("tron:728126428", "tron:0x2b6653dc", "tron"),
        ("XBT", "bip122:000000000019d6689c085ae165831e93", "bitcoin"),
        ("bitcoin-cash", "bip122:000000000000000000651ef99cb9fcbe", "bitcoincash"),
        ("avalanche_c-chain", "eip155:43114", "evm"),
        ("ton:-239", "tvm:-239", "ton"),
        ("eip155:424242", "eip155:424242", "evm"),
        ("solana:4sGjMW1sUnHzSxGspuhpqLDx6wiyjNtZ", "solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp", "solana"),
    ],
)
def test_chains_by_id_and_by_name(text: str, caip2: str, family: str):
    """Ids in use and common names in any case lead to one chain each."""
    chain = read_chain(text)
    assert (chain.caip2, chain.family) == (caip2, family)
    assert chain.name


@pytest.mark.parametrize(
    "text",
    ["USDT", "usdc", "usdt-tron", "", "eip155", "eip155:", "eip155:-1", "eip155:1 2", "foo:bar", "Ethereum\n", "\u212asm", "x" * 100_000],
)
def test_an_asset_is_not_a_chain(text: str):
    """USDT stands on many chains; nothing that is not a chain becomes one."""
    with pytest.raises(InvalidAddress) as caught:
        read_chain(text)
    assert caught.value.code == "unknown_chain"
