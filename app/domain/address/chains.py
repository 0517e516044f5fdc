"""The chains that are read, by CAIP-2 id and by the names people use (domain.md §4).

One chain has one id here; other ids in use for it are read as the same. A test network is a refusal of its own
(`testnet`), an asset name is not a chain: USDT stands on many.
"""

from __future__ import annotations

import re
from typing import Final

from .model import Chain, invalid

EVM: Final = "eip155:0"
TRON: Final = "tron:0x2b6653dc"
BITCOIN: Final = "bip122:000000000019d6689c085ae165831e93"
LITECOIN: Final = "bip122:12a765e31ffd4059bada1e25190f6e98"
# Forks are named by the first block that is theirs alone (BIP-122): 478559 of Bitcoin Cash, 556767 of Bitcoin SV.
BITCOIN_CASH: Final = "bip122:000000000000000000651ef99cb9fcbe"
BITCOIN_SV: Final = "bip122:000000000000000001d956714215d96f"
DOGECOIN: Final = "bip122:1a91e3dace36e2be3bf030a65679fe82"
DASH: Final = "bip122:00000ffd590b1485b3caadc19b22e637"
ZCASH: Final = "bip122:00040fe8ec8471911baa1db1266ea15d"
VERGE: Final = "bip122:00000fc63692467faeb20cdb3b53200d"
# No published source gives the first own block of Bitcoin Gold, so it has a name in place of a hash, as Tron has.
BITCOIN_GOLD: Final = "btg:mainnet"
SOLANA: Final = "solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp"
TON: Final = "tvm:-239"
XRP: Final = "xrpl:0"
MONERO: Final = "monero:418015bb9ae982a1975da7d79277c270"
STELLAR: Final = "stellar:pubnet"
POLKADOT: Final = "polkadot:91b171bb158e2d3848fa23a9f1c25182"
KUSAMA: Final = "polkadot:b0a8d493285c2df73290dfb7e61f870f"
# The reference counts upgrades of one ledger; the vectors print this one, and 1, 2 and 4 are read as the same.
COSMOS: Final = "cosmos:cosmoshub-3"
BNB_BEACON: Final = "cosmos:Binance-Chain-Tigris"
CARDANO: Final = "cip34:1-764824073"

# caip2; family; name; further ids and names (lower case, words parted by one space)
_CHAINS: Final = (
    (EVM, "evm", "any EVM chain", "evm"),
    (TRON, "tron", "Tron", "tron:728126428|tron:mainnet|trx|trc20|trc10|tron mainnet"),
    (BITCOIN, "bitcoin", "Bitcoin", "btc|xbt|bitcoin mainnet"),
    (LITECOIN, "litecoin", "Litecoin", "ltc"),
    (BITCOIN_CASH, "bitcoincash", "Bitcoin Cash", "bch|bitcoincash|bip122:000000000000000000b15ad892af8f6a"),
    (BITCOIN_SV, "bitcoinsv", "Bitcoin SV", "bsv|bitcoinsv"),
    (BITCOIN_GOLD, "bitcoingold", "Bitcoin Gold", "btg|bitcoingold"),
    (DOGECOIN, "dogecoin", "Dogecoin", "doge|bip122:1a91e3dace36e2be3bf030a65679fe821|bip122:00000000001a91e3dace36e2be3bf030"),
    (DASH, "dash", "Dash", ""),
    (ZCASH, "zcash", "Zcash", "zec"),
    (VERGE, "verge", "Verge", "xvg"),
    (SOLANA, "solana", "Solana", "solana:4sGjMW1sUnHzSxGspuhpqLDx6wiyjNtZ|solana:mainnet|sol|spl|solana mainnet"),
    (TON, "ton", "TON", "ton:-239|ton:mainnet|the open network|toncoin|gram"),
    (XRP, "xrp", "XRP Ledger", "ripple:0|xrpl:mainnet|xrp|xrpl|ripple"),
    (MONERO, "monero", "Monero", "xmr"),
    (STELLAR, "stellar", "Stellar", "stellar:mainnet|xlm|stellar lumens"),
    (POLKADOT, "polkadot", "Polkadot", "dot|polkadot relay chain|substrate"),
    (KUSAMA, "polkadot", "Kusama", "ksm"),
    ("polkadot:baf5aabe40646d11f0ee8abbdc64f4a4", "polkadot", "Karura", "kar"),
    ("polkadot:8b404e7ed8789d813982b9cb4c8b664c", "polkadot", "Crust", "cru|crust network"),
    (COSMOS, "cosmos", "Cosmos Hub", "cosmos:cosmoshub-1|cosmos:cosmoshub-2|cosmos:cosmoshub-4|cosmos|atom"),
    (BNB_BEACON, "bnb", "BNB Beacon Chain", "bep2|binance chain|bnb beacon"),
    (CARDANO, "cardano", "Cardano", "ada"),
)

# number; name; further names
_EVM_CHAINS: Final = (
    (1, "Ethereum", "eth|erc20|ethereum mainnet|mainnet ethereum|ether"),
    (10, "OP Mainnet", "optimism|op|op eth"),
    (14, "Flare", "flr"),
    (19, "Songbird", "sgb"),
    (25, "Cronos", "cronos mainnet"),
    (30, "Rootstock", "rsk|rbtc"),
    (40, "Telos EVM", "telos evm"),
    (50, "XDC Network", "xdc|xinfin"),
    (56, "BNB Smart Chain", "bsc|bnb|bep20|binance smart chain|binancesmartchain|bnb chain|bnb smart chain mainnet|binance"),
    (61, "Ethereum Classic", "etc|ethereumclassic"),
    (66, "OKX Chain", "okt|okc"),
    (88, "Viction", "tomochain"),
    (100, "Gnosis", "xdai|gnosis chain"),
    (108, "ThunderCore", ""),
    (109, "Shibarium", ""),
    (122, "Fuse", ""),
    (128, "HECO", "huobi eco chain"),
    (130, "Unichain", ""),
    (137, "Polygon", "matic|pol|polygon pos|polygon mainnet"),
    (143, "Monad", ""),
    (146, "Sonic", "sonic mainnet"),
    (169, "Manta Pacific", "manta"),
    (199, "BitTorrent Chain", "bttc"),
    (204, "opBNB", "opbnb mainnet"),
    (250, "Fantom", "ftm|fantom opera"),
    (252, "Fraxtal", ""),
    (288, "Boba Network", "boba"),
    (314, "Filecoin EVM", ""),
    (321, "KCC", "kcs|kucoin community chain"),
    (324, "ZKsync Era", "zksync|era"),
    (361, "Theta EVM", ""),
    (369, "PulseChain", "pulse"),
    (480, "World Chain", ""),
    (592, "Astar EVM", ""),
    (747, "Flow EVM", ""),
    (820, "Callisto", "clo"),
    (999, "HyperEVM", "hyperliquid"),
    (1030, "Conflux eSpace", "cfx"),
    (1088, "Metis", "metis andromeda"),
    (1101, "Polygon zkEVM", ""),
    (1111, "WEMIX", ""),
    (1284, "Moonbeam", "glmr"),
    (1285, "Moonriver", "movr"),
    (1329, "Sei EVM", "sei evm"),
    (1514, "Story", "ip"),
    (1868, "Soneium", ""),
    (2020, "Ronin", "ron"),
    (2222, "Kava EVM", ""),
    (2741, "Abstract", ""),
    (5000, "Mantle", "mnt"),
    (7000, "ZetaChain", ""),
    (7700, "Canto", ""),
    (8217, "Kaia", "klaytn|klay"),
    (8453, "Base", "base mainnet"),
    (9001, "Evmos", ""),
    (9745, "Plasma", ""),
    (10001, "EthereumPoW", "ethw"),
    (33139, "ApeChain", ""),
    (34443, "Mode", ""),
    (42161, "Arbitrum One", "arbitrum|arb"),
    (42170, "Arbitrum Nova", ""),
    (42220, "Celo", ""),
    (43114, "Avalanche C-Chain", "avalanche|avax|avaxc|avalanche c chain"),
    (57073, "Ink", ""),
    (59144, "Linea", ""),
    (80094, "Berachain", "bera"),
    (81457, "Blast", ""),
    (167000, "Taiko", ""),
    (534352, "Scroll", ""),
    (660279, "Xai", ""),
    (7777777, "Zora", ""),
    (1313161554, "Aurora", ""),
    (1666600000, "Harmony", "one"),
)

_EVM_TESTNETS: Final = frozenset(
    map(
        int,
        "3 4 5 11 31 42 69 97 280 300 338 545 998 1287 1301 1328 2021 4002 4801 5001 5003 5611 7001 10143 10200 11124 14601 17000 "
        "43113 44787 59140 59141 80001 80002 80069 84531 84532 167013 421611 421613 421614 534351 560048 763373 11142220 11155111 "
        "11155420 168587773 999999999".split(),
    )
)
_TESTNET_IDS: Final = frozenset(
    "bip122:000000000933ea01ad0ee984209779ba bip122:00000000da84f2bafbbc53dee25a72ae bip122:00000008819873e925422c1ff0f99f7c "
    "bip122:4966625a4b2851d9fdee139e56211a0d bip122:bb0a78264637406b6360aad926284d54 bip122:00000bafbc94add76cb75e2ec92894837 "
    "solana:EtWTRABZaYq6iMfeYKouRu166VU2xqa1 solana:4uhcVJyU9pJkvQyS88uRDiswHXSCkY3z solana:devnet solana:testnet "
    "tvm:-3 ton:-3 ton:testnet xrpl:1 xrpl:2 xrpl:25 stellar:testnet tron:0xcd8690dc tron:3448148188 tron:0x94a9059e tron:2494104990 "
    "monero:76ee3cc98646292206cd3e86f74d88b4 monero:48ca7cd3c8de5b6a4d53d2861fbdaedc monero:00000000000000000000000000000000 "
    "cip34:0-1 cip34:0-2".split()
)
_TESTNET_WORDS: Final = re.compile(
    r"\b(?:testnet[0-9]?|devnet|stagenet|regtest|signet|ropsten|rinkeby|kovan|goerli|sepolia|holesky|hoodi|mumbai|amoy|fuji|chapel|shasta|nile|westend|rococo|paseo)\b"
)
_ASSETS: Final = frozenset("usdt usdc usde usds dai busd tusd pyusd fdusd eurc eurt tether usdd weth wbtc shib link uni pepe".split())
_EVM_ID: Final = re.compile(r"eip155:(0|[1-9][0-9]{0,31})")
_UNKNOWN: Final = "give the chain as a CAIP-2 id such as eip155:1, or by a common name such as ethereum, tron or bitcoin"


def _tables() -> tuple[dict[str, Chain], dict[str, Chain]]:
    ids: dict[str, Chain] = {}
    names: dict[str, Chain] = {}
    rows = [*_CHAINS, *((f"eip155:{number}", "evm", name, more) for number, name, more in _EVM_CHAINS)]
    for caip2, family, name, more in rows:
        chain = Chain(caip2, family, name)
        ids[caip2] = chain
        for other in (name.lower().replace("-", " "), *filter(None, more.split("|"))):
            (ids if ":" in other else names)[other] = chain
    return ids, names


_BY_ID, _BY_NAME = _tables()
CHAINS: Final = tuple(dict.fromkeys(_BY_ID.values()))
"""Every chain that is read, in the order of the tables."""
NAMESPACES: Final = frozenset(caip2.partition(":")[0] for caip2 in _BY_ID)


def read_chain(text: str) -> Chain:
    """A CAIP-2 id or a common name, in any case. Raises InvalidAddress(`unknown_chain` or `testnet`)."""
    return _BY_ID.get(text) or _BY_NAME.get(text) or _by_other_text(text.strip(" "))


def _by_other_text(text: str) -> Chain:
    name = text.lower().replace("-", " ").replace("_", " ")
    chain = _BY_ID.get(text) or (_BY_NAME.get(name) if text.isascii() else None)
    if chain is not None:
        return chain
    evm = _EVM_ID.fullmatch(text)
    if evm is not None and int(evm[1]) not in _EVM_TESTNETS:
        return Chain(text, "evm", f"EVM chain {evm[1]}")
    if evm is not None or text in _TESTNET_IDS or (len(name) < 64 and _TESTNET_WORDS.search(name)):
        raise invalid("testnet", "the chain named is a test network: nothing on it has value, so nothing on it is listed")
    if name in _ASSETS:
        raise invalid("unknown_chain", f"that names an asset, which stands on many chains: {_UNKNOWN}")
    raise invalid("unknown_chain", f"the chain named is not one that is read here: {_UNKNOWN}")
