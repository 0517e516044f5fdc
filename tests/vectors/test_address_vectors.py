"""Address vectors of the chains themselves, the CAIP examples, and real lists: what we read, we read alike.

A record is left out only for a reason that is named here and counted; assets of chains that are not read are listed in
the output of the run (`-rP`).
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from app.domain.address import Wallet, read_canonical_wallet, read_chain, read_wallet, siblings
from app.domain.checksums import BECH32, BECH32M, base58_decode, base58_encode, bech32_decode
from app.domain.errors import InvalidAddress
from app.domain.identifiers import describe, read_id, read_subject
from tests.paths import DATA, needs

ADDRESS = DATA / "vectors" / "address"
CAIP = DATA / "vectors" / "caip"


def records(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in needs(path).read_text("utf-8").splitlines()]


def read_or_none(text: str, chain: str | None = None) -> Wallet | None:
    try:
        return read_wallet(text, chain=chain)
    except InvalidAddress:
        return None


def refusal(text: str, chain: str | None = None) -> str:
    with pytest.raises(InvalidAddress) as caught:
        read_wallet(text, chain=chain)
    return caught.value.code


@pytest.mark.parametrize("name", ["bitcoin", "litecoin"])
def test_key_io_vectors(name: str):
    """Main-network addresses give their scriptPubKey; others are `testnet`; every invalid one is refused."""
    for record in records(ADDRESS / f"{name}_key_io.jsonl"):
        text = record["address"]
        if not record["expected_valid"]:
            # One family's invalid text may be another's address: it is refused for the chain that is meant.
            assert read_or_none(text, name) is None, record
        elif record["chain"] == "main":
            wallet = read_wallet(text, chain=name)
            assert wallet.payload.hex() == record["script_pubkey"], record
            assert read_wallet(text).id == wallet.id
            assert read_canonical_wallet(wallet.id)[:3] == wallet[:3]
        else:
            assert refusal(text) == refusal(text, name) == "testnet", record


def test_segwit_vectors():
    """BIP-173 and BIP-350: Bitcoin's addresses give their script, bare strings their constant, the rest is refused."""
    seen = Counter()
    for record in records(ADDRESS / "bech32_segwit.jsonl"):
        text, valid = record["value"], record.get("valid_under_bip350", record["expected_valid"])
        if record["kind"] == "string":
            seen["string"] += 1
            assert bare_bech32(text, record["encoding"]) is record["expected_valid"], record
            continue
        wallet = read_or_none(text)
        if not valid:
            seen["refused"] += 1
            assert wallet is None, record
        elif text.lower().startswith("bc1"):
            seen["read"] += 1
            assert wallet is not None
            assert wallet.payload.hex() == record["script_pubkey"], record
        else:
            seen["testnet"] += 1
            assert refusal(text) == "testnet", record
    assert all(seen[sort] for sort in ("string", "refused", "read", "testnet")), seen


def bare_bech32(text: str, encoding: str) -> bool:
    """Whether a string with any prefix is valid; the rules on prefix and case are the caller's in our code."""
    prefix, one, data = text.rpartition("1")
    if not one or not prefix or len(text) > 90 or text not in (text.lower(), text.upper()) or not all(33 <= ord(c) <= 126 for c in prefix):
        return False
    try:
        return bech32_decode(prefix.lower(), data.lower())[2] == (BECH32M if encoding == "bech32m" else BECH32)
    except ValueError:
        return False


def test_eip55_vectors():
    """Valid ones are one id whatever their case; the others fail the checksum."""
    for record in records(ADDRESS / "eip55.jsonl"):
        text = record["address"]
        if record["expected_valid"]:
            assert read_wallet(text).id == "eip155:0:" + text.lower()
            assert read_wallet(text).display.lower() == text.lower()
            if record["mixed_case"]:
                assert read_wallet(text.lower()).display == text
        else:
            assert refusal(text) == "checksum"


def test_base58_vectors():
    """Bytes and text belong together both ways."""
    for record in records(ADDRESS / "base58.jsonl"):
        assert base58_decode(record["base58"]).hex() == record["hex"]
        assert base58_encode(bytes.fromhex(record["hex"])) == record["base58"]


# Tokens and forks that stand on a chain that is read.
TOKENS = {
    "yfi": "ethereum",
    "usdc": "ethereum",
    "bankex": "ethereum",
    "bkx": "ethereum",
    "bonk": "solana",
    "s": "sonic",
    "exp": "evm",
    "expanse": "evm",
} | {
    "etz": "evm",
    "etherzero": "evm",
    "mobile": "solana",
    "neon": "solana",
}
# Read here with a warning (domain.md §4), called invalid there.
LENIENT = {"0XD1220A0CF47C7B9BE7A2E6BA89F429762E7B9ADB"}


def test_multicoin_vectors():
    """We agree with every record of a chain that we read; disputed ones are counted, other chains are named."""
    seen, not_read = Counter(), Counter()
    for record in records(ADDRESS / "multicoin.jsonl"):
        text, asset = record["address"], record["asset"] or "bitcoin"
        if record["cross_check"].startswith("DISAGREES"):
            seen["disputed"] += 1
            continue
        if asset.lower() in ("tether", "usdt") and not record["chain_type"]:
            seen["agrees"] += 1
            assert (read_or_none(text) is not None) is record["expected_valid"], record
            continue
        try:
            chain = read_chain(record["chain_type"] or TOKENS.get(asset.lower(), asset)).caip2
        except InvalidAddress:
            not_read[asset.lower()] += 1
            continue
        if text in LENIENT:
            seen["lenient"] += 1
            assert "upper_prefix" in read_wallet(text, chain=chain).warnings
        elif record["expected_valid"] and read_or_none(text, chain) is None:
            seen["testnet"] += 1
            assert refusal(text, chain) == "testnet", record
        else:
            seen["agrees"] += 1
            assert (read_or_none(text, chain) is not None) is record["expected_valid"], record
    sys.stdout.write("not read here: " + ", ".join(f"{asset} ({count})" for asset, count in sorted(not_read.items())) + "\n")
    assert seen["disputed"] == 3
    assert seen["lenient"] == 1
    assert seen["agrees"] > 210
    assert seen["testnet"] < 16
    assert not not_read.keys() & {
        "btc",
        "bitcoin",
        "eth",
        "ethereum",
        "trx",
        "sol",
        "xrp",
        "ripple",
        "xmr",
        "ltc",
        "doge",
        "bch",
        "xlm",
        "zcash",
        "dash",
    }


# Examples of the CAIP documents whose own checksum does not hold: Taproot under the old constant, Kusama in lower case.
BROKEN_EXAMPLES = {
    "bip122:000000000019d6689c085ae165831e93:bc1pmzfrwwndsqmk5yh69yjr5lfgfg4ev8c0tsc06e",
    "polkadot:b0a8d493285c2df73290dfb7e61f870f:5hmuyxw9xdgbpptgypokw4thfyoe3ryenebr381z9iaegmfy",
}
READ_NAMESPACES = {"eip155", "bip122", "solana", "stellar", "xrpl", "monero", "polkadot", "tvm"}


def caip_examples(spec: str) -> list[str]:
    both = records(CAIP / "caips.jsonl") + records(CAIP / "namespaces.jsonl")
    return [r["value"] for r in both if r["spec"] == spec and r["namespace"] in READ_NAMESPACES and r["section"] != "invalid"]


def test_caip_chain_examples():
    """Chain ids of the namespaces that are read: a chain, a test network, or a chain we name as unknown."""
    unknown = {
        "bip122:fdbe99b90c90bae7505796461471d89a": "Feathercoin",
        "monero:a3fd635dd5cb55700317783469ba749b": "Wownero",
        "polkadot:a0453819cbf8b4df9423a5cd601f546c": "KILT",
    }
    read = 0
    for text in caip_examples("CAIP-2"):
        try:
            chain = read_chain(text)
        except InvalidAddress as error:
            code = error.code
        else:
            read += 1
            assert read_chain(chain.caip2) == chain
            continue
        assert code == ("unknown_chain" if text in unknown else "testnet"), text
    assert read >= 10


def test_caip_account_examples():
    """Account ids of the namespaces that are read give an id that reads back; broken examples fail their checksum."""
    read = 0
    for text in caip_examples("CAIP-10"):
        try:
            wallet = read_wallet(text)
        except InvalidAddress as error:
            code = error.code
        else:
            read += 1
            assert read_canonical_wallet(wallet.id).payload == wallet.payload
            continue
        assert code == ("checksum" if text in BROKEN_EXAMPLES else "testnet"), text
    assert read >= 17


OFAC = {
    "ARB": "evm",
    "BCH": "bitcoincash",
    "BSC": "evm",
    "BSV": "bitcoinsv",
    "BTG": "bitcoingold",
    "DASH": "dash",
    "ETC": "evm",
    "ETH": "evm",
} | {
    "LTC": "litecoin",
    "TRX": "tron",
    "XBT": "bitcoin",
    "XMR": "monero",
    "XRP": "xrp",
    "XVG": "verge",
    "ZEC": "zcash",
}
# Not addresses of their list: a payment id, and a Tron address among the Bitcoin ones.
ODD = {"XMR": ("transaction_hash",), "XBT": ("ambiguous_chain",)}


@pytest.mark.parametrize("symbol", [*OFAC, "USDT", "USDC"])
def test_every_sanctioned_address_is_read(symbol: str):
    """Each line of each OFAC list gives an id of the list's chain, with the chain named and without."""
    texts = needs(DATA / "ofac" / "lists" / f"sanctioned_addresses_{symbol}.txt").read_text("ascii").split()
    chain = symbol if symbol in OFAC else None
    refused = []
    for text in texts:
        try:
            wallet = read_wallet(text, chain=chain)
        except InvalidAddress as error:
            refused.append(error.code)
            continue
        assert wallet.family == OFAC.get(symbol, wallet.family)
        assert read_id(wallet.id).id == wallet.id
        assert wallet.payload == read_canonical_wallet(wallet.id).payload
        assert all(read_id(sibling.id).id == sibling.id for sibling in siblings(wallet))
    assert tuple(refused) == ODD.get(symbol, ())
    assert texts


def test_polkadot_and_solana_lists():
    """Every address of the Polkadot list is read; of the Solana mints all but the one that is not 32 bytes."""
    sites = json.loads(needs(DATA / "polkadot-phishing" / "address.json").read_text("utf-8"))
    assert {describe(read_subject(text)) for texts in sites.values() for text in texts} == {"polkadot address"}
    lines = needs(DATA / "phantom" / "nft-blocklist.yaml").read_text("utf-8").splitlines()
    mints = [line.split("mint: ")[1].strip() for line in lines if "mint: " in line]
    assert sum(read_or_none(mint, "solana") is None for mint in mints) == 1
    assert sum(read_or_none(mint) is None for mint in mints) == 1


def test_phishing_domains_are_read():
    """Names on the deny lists are domains or addresses of hosts; at most one in a thousand is no registered name."""
    names = [
        line.split("url: ")[1].strip()
        for line in needs(DATA / "phantom" / "blocklist.yaml").read_text("utf-8").splitlines()
        if "url: " in line
    ]
    refused = 0
    for name in names:
        try:
            found = read_subject(name)
        except InvalidAddress:
            refused += 1
            continue
        assert describe(found) in ("domain", "web address", "IP address")
        assert read_id(found.id).id == found.id
    assert len(names) > 2_000
    assert refused <= len(names) / 1_000
