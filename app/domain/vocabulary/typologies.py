"""The typologies of version 1: code, number, label, and what each is called elsewhere (schemas §1, domain.md §3.1).

A dot leads to the narrower code. Numbers go into bucket entries and are never used again for anything else.
Columns of the table: HAECHI · GraphSense concepts · INTERPOL DW-VA · Chainabuse · Chainalysis · OpenSanctions · MISP tags;
within a column `|` parts several, nothing means that the other list has no such word.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

SCHEMES = ("haechi", "graphsense", "dwva", "chainabuse", "chainalysis", "opensanctions", "misp")


@dataclass(frozen=True, slots=True)
class Typology:
    """One code; `mappings` gives for each of `SCHEMES` its nearest words, the best first."""

    code: str
    number: int
    label: str
    mappings: Mapping[str, tuple[str, ...]]

    @property
    def broader(self) -> str | None:
        """The code one dot up, or None for a top one."""
        return self.code.rpartition(".")[0] or None


_CT = "cryptocurrency-threat:"
_INVESTMENT, _ROMANCE, _VOICE, _SEXTORTION = "investment fraud", "romance scam", "voice phishing", "online sextortion"
_GAMBLING, _BEC, _ECOMMERCE = "money laundering via illegal online gambling", "business e-mail compromise", "e-commerce fraud"

# fmt: off
_ROWS: tuple[tuple[int, str, str, str, str, str, str, str, str, str], ...] = (
    (1, "fraud.investment", "investment fraud", _INVESTMENT, "investment_fraud", "scam", "OTHER_INVESTMENT_SCAM", "scam", "crime.fraud", ""),
    (2, "fraud.investment.pig_butchering", "investment fraud built on a feigned relationship", f"{_INVESTMENT}|{_ROMANCE}", "investment_fraud", "scam", "PIGBUTCHERING", "scam", "crime.fraud", f"{_CT}Pig Butchering Scam"),
    (3, "fraud.investment.fake_platform", "fake trading platform", _INVESTMENT, "investment_fraud", "scam", "FAKE_PROJECT|FAKE_RETURNS", "scam", "crime.fraud|reg.warn", ""),
    (4, "fraud.investment.ponzi", "Ponzi or pyramid scheme", _INVESTMENT, "ponzi_scheme|pyramid_scheme", "ponzi_scheme", "OTHER_INVESTMENT_SCAM", "scam", "crime.fraud", 'dark-web:structure="ponzi-financial"'),
    (5, "fraud.investment.rug_pull", "rug pull", "", "scam", "rug-pull|exit-scam", "RUG_PULL", "scam", "crime.fraud", f"{_CT}Rag Pull"),
    (6, "fraud.romance", "romance scam", _ROMANCE, "social_engineering", "scam", "ROMANCE", "scam", "crime.fraud", ""),
    (7, "fraud.voice_phishing", "voice phishing", _VOICE, "phishing", "phishing", "PHISHING", "scam", "crime.fraud", ""),
    (8, "fraud.phishing", "phishing", "", "phishing", "phishing", "PHISHING", "stolen funds|scam", "crime.cyber", 'rsit:fraud="phishing"'),
    (9, "fraud.phishing.wallet_drainer", "wallet drainer", "", "phishing", "phishing", "AIRDROP|UPGRADE_SCAM|PHISHING", "stolen funds|scam", "crime.cyber", 'rsit:fraud="phishing"'),
    (10, "fraud.phishing.address_poisoning", "address poisoning", "", "phishing", "phishing", "PHISHING", "stolen funds|scam", "crime.cyber", ""),
    (11, "fraud.impersonation", "impersonation", _VOICE, "social_engineering", "scam", "IMPERSONATION", "scam", "crime.fraud", ""),
    (12, "fraud.impersonation.bank", "impersonation of a bank", _VOICE, "social_engineering", "scam", "IMPERSONATION", "scam", "crime.fraud", ""),
    (13, "fraud.impersonation.exchange", "impersonation of an exchange", _VOICE, "social_engineering", "scam", "IMPERSONATION", "scam", "crime.fraud", ""),
    (14, "fraud.impersonation.tech", "impersonation of technical support", _VOICE, "social_engineering", "scam", "IMPERSONATION", "scam", "crime.fraud", ""),
    (15, "fraud.impersonation.government", "impersonation of an authority", _VOICE, "social_engineering", "scam", "IMPERSONATION", "scam", "crime.fraud", ""),
    (16, "fraud.impersonation.person", "impersonation of a person", _VOICE, "social_engineering", "scam", "IMPERSONATION", "scam", "crime.fraud", ""),
    (17, "fraud.customer_service", "fake customer service", _VOICE, "social_engineering", "scam", "IMPERSONATION", "scam", "crime.fraud", ""),
    (18, "fraud.job", "task or deposit job scam", "", "scam", "scam", "OTHER", "scam", "crime.fraud", ""),
    (19, "fraud.ecommerce", "e-commerce fraud", _ECOMMERCE, "scam|payment_card_fraud", "scam", "OTHER", "fraud shop|scam", "crime.fraud", ""),
    (20, "fraud.bec", "business e-mail compromise", _BEC, "scam", "scam", "OTHER", "scam", "crime.fraud", ""),
    (21, "fraud.advance_fee", "advance-fee fraud", "", "scam", "scam", "OTHER", "scam", "crime.fraud", ""),
    (22, "fraud.donation", "donation scam", "", "scam", "scam", "DONATION_SCAM|UKRANIAN_DONATION_SCAM", "scam", "crime.fraud", ""),
    (23, "fraud.recovery", "fake recovery of lost funds", "", "scam", "scam", "OTHER", "scam", "crime.fraud", ""),
    (24, "fraud.gambling", "gambling fraud", "", "scam", "scam", "OTHER", "gambling|scam", "crime.fraud", ""),
    (25, "extortion.sextortion", "sextortion", _SEXTORTION, "sextortion", "sextortion", "SEXTORTION", "scam", "crime.cyber", f"{_CT}Email Extortion and Bomb Threats"),
    (26, "extortion.ransomware", "ransomware", "", "ransomware", "ransomware", "RANSOMWARE", "ransomware", "crime.cyber", f"{_CT}Crypto Robbing Ransomware"),
    (27, "extortion.blackmail", "blackmail", "", "extortion", "", "OTHER_BLACKMAIL", "scam", "crime.cyber", f"{_CT}Email Extortion and Bomb Threats"),
    (28, "trafficking.recruitment", "deceptive recruitment for work abroad", "", "human_trafficking", "", "", "illicit actor-org", "crime.traffick.human", ""),
    (29, "trafficking.forced_criminality", "forced criminality", "", "human_trafficking", "", "", "illicit actor-org", "forced.labor|crime.traffick.human", ""),
    (30, "trafficking.release_ransom", "ransom for release", "", "human_trafficking|extortion", "", "", "illicit actor-org", "forced.labor|crime.traffick.human", ""),
    (31, "laundering.mule", "money mules", "", "money_laundering", "money_mule", "", "illicit actor-org", "crime.fin", ""),
    (32, "laundering.otc", "informal over-the-counter trade", "", "money_laundering", "peer_to_peer_exchange", "", "no kyc exchange", "crime.fin", ""),
    (33, "laundering.mixing", "mixing", "", "mixing|mixing_service|money_laundering", "tumbler|coinjoin", "", "mixing", "crime.fin", f"{_CT}Next-Generation Crypto Mixers"),
    (34, "laundering.chain_hopping", "chain hopping", "", "money_laundering", "coin_swapping|bridge", "", "instant exchange", "crime.fin", ""),
    (35, "laundering.underground_banking", "underground banking", "", "money_laundering", "", "", "special measures", "crime.fin", f"{_CT}Shadow Money Service Businesses"),
    (36, "laundering.guarantee_escrow", "escrow of a guarantee marketplace", "", "money_laundering", "escrow", "", "special measures", "crime.fin", ""),
    (37, "laundering.black_u", "trade in tainted stablecoins", "", "money_laundering", "", "", "no kyc exchange", "crime.fin", ""),
    (38, "laundering.running_points", "running points", "", "money_laundering", "money_mule", "", "illicit actor-org", "crime.fin", ""),
    (39, "laundering.gambling", "laundering through gambling", _GAMBLING, "money_laundering|gambling", "", "", "gambling", "crime.fin", ""),
    (40, "theft.service_hack", "hack of a service", "", "service_hack", "service_hack", "OTHER_HACK", "stolen funds", "crime.theft", ""),
    (41, "theft.exploit", "exploit of a contract", "", "exploit", "flash-loan-attack", "CONTRACT_EXPLOIT", "stolen funds", "crime.theft", ""),
    (42, "theft.account_takeover", "takeover of an account", "", "account_hack", "", "SIM_SWAP|MAN_IN_THE_MIDDLE_ATTACK|OTHER_HACK", "stolen funds", "crime.theft", f"{_CT}SIM Swapping"),
    (43, "enabling.scam_kit", "sale of scam kits", "", "hosting", "", "", "infrastructure as a service", "crime.cyber", ""),
    (44, "enabling.data_sale", "sale of stolen data", "", "data_breach", "credentials", "", "fraud shop", "crime.cyber", ""),
    (45, "enabling.telecom", "telecom for scams", "", "hosting", "", "", "infrastructure as a service", "crime.cyber", ""),
    (46, "enabling.deepfake", "deepfakes", "", "", "", "", "infrastructure as a service", "crime.cyber", ""),
    (47, "enabling.fake_kyc", "fake identity checks", "", "", "", "", "fraud shop", "crime.cyber", ""),
    (48, "enabling.restraint_equipment", "equipment to restrain persons", "", "", "", "", "fraud shop", "crime.traffick.human", ""),
    (49, "sanctions.listed", "entry of a sanctions list", "", "sanction", "", "", "sanctioned entity", "sanction", f"{_CT}Sanction Evasion"),
    (50, "other.darknet", "darknet market", "", "market", "dark_market", "OTHER", "darknet market", "crime", 'dark-web:motivation="marketplace-for-sale"'),
    (51, "other.csam", "child sexual abuse material", "", "child_sexual_abuse", "", "OTHER", "child abuse material", "crime", 'dark-web:topic="child-sexual-abuse-material"'),
    (52, "other.terror_financing", "financing of terrorism", "", "terrorism_financing|terrorism", "", "OTHER", "terrorist financing", "crime.terror", ""),
    (53, "other.unknown", "not known", "", "unknown", "", "OTHER", "other", "crime", ""),
    (54, "fraud", "fraud", "", "scam", "scam", "OTHER", "scam", "crime.fraud", ""),
    (55, "extortion", "extortion", "", "extortion", "", "OTHER_BLACKMAIL", "ransomware", "crime.cyber", ""),
    (56, "trafficking", "trafficking in persons", "", "human_trafficking", "", "", "illicit actor-org", "crime.traffick.human", ""),
    (57, "laundering", "money laundering", "", "money_laundering", "", "", "mixing", "crime.fin", ""),
    (58, "theft", "theft", "", "hacking", "service_hack", "OTHER_HACK", "stolen funds", "crime.theft", ""),
    (59, "enabling", "enabling services", "", "hosting", "service", "", "infrastructure as a service", "crime.cyber", ""),
    (60, "sanctions", "sanctions", "", "sanction", "", "", "sanctioned entity", "sanction", ""),
    (61, "other", "other", "", "unknown", "", "OTHER", "other", "crime", ""),
)
# fmt: on


def _read(row: tuple[int, str, str, str, str, str, str, str, str, str]) -> Typology:
    number, code, label, *columns = row
    mappings = {scheme: tuple(column.split("|")) if column else () for scheme, column in zip(SCHEMES, columns, strict=True)}
    return Typology(code, number, label, MappingProxyType(mappings))


TYPOLOGIES: Mapping[str, Typology] = MappingProxyType({typology.code: typology for typology in map(_read, _ROWS)})
