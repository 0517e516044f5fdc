"""From the words of other lists to ours: what an importer makes of a foreign tag (domain.md §3.1, interop §5).

One foreign word gives a `Reading`: typologies and roles. Nothing here says how grave a thing is or what to do about it;
that is the importing agency's judgement. A word that means nothing for a listing has an empty reading; an unknown word has
none at all, so that an importer can tell the two apart.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True, slots=True)
class Reading:
    """What a foreign word says in our terms."""

    typologies: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()


def _of(typology: str, *roles: str) -> Reading:
    return Reading((typology,), roles)


_NOTHING = Reading()
# The wallets of an exchange: where funds leave the ledger, and never to be blocked.
_VASP = Reading(roles=("cash_out_point", "service_benign"))
_BENIGN = Reading(roles=("service_benign",))

OFAC = _of("sanctions.listed")

# GraphSense concepts, which its `category`, `abuse` and `concepts` share; a few newer and older spellings besides.
GRAPHSENSE: Mapping[str, Reading] = MappingProxyType(
    {
        "scam": _of("fraud"),
        "investment_fraud": _of("fraud.investment"),
        "ponzi_scheme": _of("fraud.investment.ponzi"),
        "pyramid_scheme": _of("fraud.investment.ponzi"),
        "phishing": _of("fraud.phishing"),
        "social_engineering": _of("fraud"),
        "payment_card_fraud": _of("fraud.ecommerce"),
        "financial_crime": _of("other.unknown"),
        "extortion": _of("extortion"),
        "sextortion": _of("extortion.sextortion"),
        "ransomware": _of("extortion.ransomware", "collection"),
        "human_trafficking": _of("trafficking"),
        "money_laundering": _of("laundering"),
        "mixing": _of("laundering.mixing", "mixer"),
        "mixing_service": _of("laundering.mixing", "mixer"),
        "coinjoin": _of("laundering.mixing", "mixer"),
        "gray_usage": _of("laundering"),
        "hacking": _of("theft"),
        "service_hack": _of("theft.service_hack"),
        "account_hack": _of("theft.account_takeover"),
        "exploit": _of("theft.exploit"),
        "data_breach": _of("enabling.data_sale"),
        "malware": _of("theft"),
        "sanction": OFAC,
        "gov_black_list": OFAC,
        "black_list": _of("other.unknown"),
        "market": _of("other.darknet"),
        "dark_web": _of("other.darknet"),
        "drugs": _of("other.darknet", "marketplace_vendor"),
        "weapons": _of("other.darknet", "marketplace_vendor"),
        "counterfeit": _of("other.darknet", "marketplace_vendor"),
        "sexual_abuse": _of("other.unknown"),
        "child_sexual_abuse": _of("other.csam"),
        "extremism": _of("other.unknown"),
        "terrorism": _of("other.terror_financing"),
        "terrorism_financing": _of("other.terror_financing"),
        "violence": _of("other.unknown"),
        "murder": _of("other.unknown"),
        "torture": _of("other.unknown"),
        "abuse": _of("other.unknown"),
        "perpetrator": _of("other.unknown"),
        "unknown": _of("other.unknown"),
        "victim": Reading(roles=("victim_wallet",)),
        "exchange": _VASP,
        "hot_wallet": _VASP,
        "warm_wallet": _VASP,
        "cold_wallet": _VASP,
        "deposit_wallet": Reading(roles=("cash_out_deposit",)),
        "defi_bridge": Reading(roles=("bridge",)),
        "defi_token": Reading(roles=("token_contract",)),
        "defi_dex": Reading(roles=("swap_service",)),
        "defi_dex_pair": Reading(roles=("swap_service",)),
        "wallet_service": _BENIGN,
        "payment_processor": _BENIGN,
        "miner": _BENIGN,
        "mining_service": _BENIGN,
        "white_list": _BENIGN,
        "gov_white_list": _BENIGN,
        "white_usage": _BENIGN,
        **dict.fromkeys(
            (
                "atm behaviour collectible concept defi defi_custody defi_dao defi_derivatives defi_lending defi_staking donation entity "
                "escrow_wallet faucet filesharing forum_mention gambling hosting ico_wallet index item mention messaging_service "
                "nameservice organization search_engine service shop source user vpn website_mention deployer funder"
            ).split(),
            _NOTHING,
        ),
    }
)

# What an actor of these categories is (GraphSense ActorPack).
GRAPHSENSE_ENTITY_KINDS: Mapping[str, str] = MappingProxyType(
    {
        "exchange": "vasp",
        "wallet_service": "vasp",
        "atm": "vasp",
        "defi_custody": "vasp",
        "payment_processor": "payment_processor",
        "mixing_service": "mixer_service",
        "coinjoin": "mixer_service",
        "defi_bridge": "bridge_service",
        "defi_token": "token",
        "hosting": "hosting_provider",
        "market": "website",
        "shop": "website",
        "messaging_service": "messaging_channel",
        "perpetrator": "criminal_organisation",
    }
)

CHAINABUSE: Mapping[str, Reading] = MappingProxyType(
    {
        "RUG_PULL": _of("fraud.investment.rug_pull"),
        "PHISHING": _of("fraud.phishing"),
        "RANSOMWARE": _of("extortion.ransomware"),
        "ROMANCE": _of("fraud.romance"),
        "PIGBUTCHERING": _of("fraud.investment.pig_butchering"),
        "SEXTORTION": _of("extortion.sextortion"),
        "OTHER_BLACKMAIL": _of("extortion.blackmail"),
        "IMPERSONATION": _of("fraud.impersonation"),
        "FAKE_PROJECT": _of("fraud.investment.fake_platform"),
        "FAKE_RETURNS": _of("fraud.investment.fake_platform"),
        "OTHER_INVESTMENT_SCAM": _of("fraud.investment"),
        "DONATION_SCAM": _of("fraud.donation"),
        "UKRANIAN_DONATION_SCAM": _of("fraud.donation"),
        "AIRDROP": _of("fraud.phishing.wallet_drainer"),
        "UPGRADE_SCAM": _of("fraud.phishing.wallet_drainer"),
        "SIM_SWAP": _of("theft.account_takeover"),
        "CONTRACT_EXPLOIT": _of("theft.exploit"),
        "MAN_IN_THE_MIDDLE_ATTACK": _of("theft.account_takeover"),
        "OTHER_HACK": _of("theft"),
        "OTHER": _of("other.unknown"),
    }
)

CHAINALYSIS: Mapping[str, Reading] = MappingProxyType(
    {
        "child abuse material": _of("other.csam"),
        "darknet market": _of("other.darknet"),
        "drug vendor": _of("other.darknet", "marketplace_vendor"),
        "fraud shop": _of("enabling.data_sale"),
        "illicit actor-org": _of("other.unknown"),
        "infrastructure as a service": _of("enabling"),
        "instant exchange": Reading(roles=("swap_service",)),
        "malware": _of("theft"),
        "mixing": _of("laundering.mixing", "mixer"),
        "no kyc exchange": _of("laundering.otc"),
        "protocol privacy": _of("laundering.mixing", "mixer"),
        "ransomware": _of("extortion.ransomware"),
        "sanctioned entity": OFAC,
        "sanctioned jurisdiction": OFAC,
        "scam": _of("fraud"),
        "seized funds": Reading(roles=("seized",)),
        "special measures": _of("laundering"),
        "stolen bitcoins": _of("theft"),
        "stolen ether": _of("theft"),
        "stolen funds": _of("theft"),
        "terrorist financing": _of("other.terror_financing"),
        "bridge": Reading(roles=("bridge",)),
        "erc20 token": Reading(roles=("token_contract",)),
        "token smart contract": Reading(roles=("token_contract",)),
        "exchange": _VASP,
        "p2p exchange": _VASP,
        "hosted wallet": _VASP,
        "merchant services": _BENIGN,
        "mining": _BENIGN,
        "mining pool": _BENIGN,
        **dict.fromkeys(
            (
                "atm",
                "custom address",
                "decentralized exchange",
                "escort service",
                "ethereum contract",
                "gambling",
                "ico",
                "institutional platform",
                "lending",
                "nft platform-collection",
                "none",
                "other",
                "smart contract",
                "unnamed service",
                "wallet",
                "fee",
            ),
            _NOTHING,
        ),
    }
)

OPENSANCTIONS: Mapping[str, Reading] = MappingProxyType(
    {
        "sanction": OFAC,
        "crime": _of("other.unknown"),
        "crime.fraud": _of("fraud"),
        "crime.fin": _of("laundering"),
        "crime.cyber": _of("theft"),
        "crime.theft": _of("theft"),
        "crime.boss": _of("other.unknown"),
        "crime.terror": _of("other.terror_financing"),
        "crime.traffick": _of("trafficking"),
        "crime.traffick.human": _of("trafficking"),
        "crime.traffick.drug": _of("other.darknet"),
        "forced.labor": _of("trafficking.forced_criminality"),
        **dict.fromkeys(
            (
                "sanction.linked",
                "sanction.control",
                "asset.frozen",
                "wanted",
                "reg.action",
                "reg.warn",
                "corp.shell",
                "corp.clone",
                "fin",
                "poi",
                "gov.security",
            ),
            _NOTHING,
        ),
    }
)

MISP: Mapping[str, Reading] = MappingProxyType(
    {
        "cryptocurrency-threat:Pig Butchering Scam": _of("fraud.investment.pig_butchering"),
        "cryptocurrency-threat:Rag Pull": _of("fraud.investment.rug_pull"),
        "cryptocurrency-threat:Sanction Evasion": _of("sanctions"),
        "cryptocurrency-threat:Next-Generation Crypto Mixers": _of("laundering.mixing", "mixer"),
        "cryptocurrency-threat:Shadow Money Service Businesses": _of("laundering.underground_banking"),
        "cryptocurrency-threat:SIM Swapping": _of("theft.account_takeover"),
        "cryptocurrency-threat:Crypto Robbing Ransomware": _of("extortion.ransomware"),
        "cryptocurrency-threat:Email Extortion and Bomb Threats": _of("extortion.blackmail"),
        'rsit:fraud="phishing"': _of("fraud.phishing"),
        'dark-web:structure="ponzi-financial"': _of("fraud.investment.ponzi"),
        'dark-web:motivation="marketplace-for-sale"': _of("other.darknet"),
        'dark-web:topic="child-sexual-abuse-material"': _of("other.csam"),
        'dark-web:topic="mixer"': _of("laundering.mixing", "mixer"),
    }
)

DWVA: Mapping[str, Reading] = MappingProxyType(
    {
        "scam": _of("fraud"),
        "sextortion": _of("extortion.sextortion"),
        "phishing": _of("fraud.phishing"),
        "service_hack": _of("theft.service_hack"),
        "ransomware": _of("extortion.ransomware"),
        "ponzi_scheme": _of("fraud.investment.ponzi"),
        "rug-pull": _of("fraud.investment.rug_pull"),
        "exit-scam": _of("fraud.investment.rug_pull"),
        "flash-loan-attack": _of("theft.exploit"),
        "money_mule": _of("laundering.mule", "mule"),
        "tumbler": _of("laundering.mixing", "mixer"),
        "coinjoin": _of("laundering.mixing", "mixer"),
        "escrow": _of("laundering.guarantee_escrow", "guarantee_escrow"),
        "dark_market": _of("other.darknet"),
        "victim": Reading(roles=("victim_wallet",)),
        "exchange": _VASP,
        "virtual_asset_service_provider": _VASP,
        "bridge": Reading(roles=("bridge",)),
        "coin_swapping": Reading(roles=("swap_service",)),
        "dex": Reading(roles=("swap_service",)),
    }
)
