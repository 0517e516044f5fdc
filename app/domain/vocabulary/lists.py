"""Every closed list of the vocabulary, version 1, in the order of schemas §1; typologies have a file of their own.

A frozenset a list, so that a check is one look-up. A tuple where the order means something (from weak to strong).
"""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

PURPOSES: Final = frozenset(
    {"fraud_prevention", "asset_freezing", "criminal_investigation", "victim_protection", "sanctions_compliance", "supervision"}
)

# How the issuer knows, with the confidence that GraphSense gives the same word (domain.md §3).
BASIS_CONFIDENCE: Final = MappingProxyType(
    {
        "ownership": 100,
        "ledger_immanent": 100,
        "override": 100,
        "manual_transaction": 90,
        "service_api": 70,
        "forensic_investigation": 70,
        "authority_data": 60,
        "trusted_provider": 50,
        "service_data": 50,
        "forensic": 50,
        "untrusted_transaction": 40,
        "web_crawl": 20,
        "heuristic": 10,
        "unknown": 5,
    }
)
BASES: Final = frozenset(BASIS_CONFIDENCE)

ROLE_LABELS: Final = MappingProxyType(
    {
        "victim_deposit": "address given to victims to pay to",
        "collection": "collects payments of many victims",
        "consolidation": "gathers funds of several wallets",
        "transit": "passes funds on",
        "gas_funder": "pays the fees of other wallets",
        "mule": "money mule",
        "otc_broker": "over-the-counter broker",
        "mixer": "mixing service",
        "bridge": "bridge between chains",
        "swap_service": "swap service",
        "guarantee_escrow": "escrow of a guarantee marketplace",
        "marketplace_vendor": "vendor on a marketplace",
        "cmln_running_point": "running-point broker of a laundering network",
        "cmln_motorcade": "money-mule motorcade of a laundering network",
        "cmln_black_u": "seller of tainted stablecoins",
        "cash_out_deposit": "customer deposit address at a VASP",
        "cash_out_point": "hot wallet of a VASP, where funds leave the ledger",
        "payroll": "pays workers",
        "release_payment": "receives payments for the release of persons",
        "infrastructure_payment": "pays for hosting, telecom and tools",
        "treasury": "long-term store of an organisation",
        "drainer_contract": "contract that empties wallets",
        "token_contract": "contract of a token",
        "seized": "in government custody",
        "victim_wallet": "wallet of a victim, never listed",
        "service_benign": "service that must not be blocked",
    }
)
ROLES: Final = frozenset(ROLE_LABELS)
NEVER_LISTED_ROLE: Final = "victim_wallet"
# What stands between criminals and everybody else: shown, never acted against (domain.md, decision 5).
INFORMATIVE_ROLES: Final = frozenset({"cash_out_point", "token_contract", "bridge", "service_benign"})
INFORMATIVE_ACTIONS: Final = frozenset({"monitor", "do_not_block"})
# Roles behind which a coerced person may stand (trust-and-ops §1.3, schemas §2 rule 4).
SCREENED_ROLES: Final = frozenset({"mule", "cmln_motorcade"})

ENTITY_KINDS: Final = frozenset(
    {
        "scam_compound",
        "criminal_organisation",
        "guarantee_marketplace",
        "money_laundering_network",
        "company",
        "person",
        "otc_broker",
        "money_exchange_house",
        "vasp",
        "payment_processor",
        "mixer_service",
        "bridge_service",
        "website",
        "mobile_app",
        "messaging_channel",
        "social_account",
        "phone_number",
        "email",
        "bank_account",
        "recruiter",
        "hosting_provider",
        "token",
        "location",
    }
)
SCREENED_ENTITY_KINDS: Final = frozenset({"person", "recruiter"})
NAME_KINDS: Final = frozenset({"primary", "alias", "transliteration"})

STATUSES: Final = frozenset({"suspected", "confirmed"})
SHOWN_STATES: Final = frozenset({"active", "disputed", "suspended", "contested", "retracted", "superseded", "expired", "erased", "held"})
ACTIONS: Final = frozenset({"block", "hold_and_report", "review", "monitor", "do_not_block"})
STRONG_ACTIONS: Final = frozenset({"block", "hold_and_report"})
RELIABILITIES: Final = frozenset("ABCDEF")  # Admiralty code; MISP's G (deceptive) is not of it

ASSERTIONS: Final = frozenset({"fact", "assessment"})
EVIDENCE_STANDARDS: Final = ("suspicion", "reasonable_grounds", "clear_and_rigorous", "adjudicated")
STRONG_STANDARDS: Final = frozenset(EVIDENCE_STANDARDS[2:])
INSTRUMENTS: Final = frozenset(
    {
        "court_order",
        "fiu_suspension",
        "criminal_investigation",
        "sanctions",
        "fiu_analysis",
        "regulatory_warning",
        "victim_report",
        "industry_report",
    }
)
COMPETENT_INSTRUMENTS: Final = frozenset({"court_order", "fiu_suspension", "criminal_investigation", "sanctions"})
EVIDENCE_KINDS: Final = frozenset(
    {
        "victim_statement",
        "transaction_record",
        "blockchain_analysis",
        "seizure_order",
        "court_document",
        "sanctions_entry",
        "list_entry",
        "chat_record",
        "website_capture",
        "account_record",
        "other",
    }
)
REDRESS_ROUTES: Final = frozenset({"direct", "indirect"})

PERSON_STATUSES: Final = frozenset({"convicted", "charged", "suspect", "designated"})
COERCION_RESULTS: Final = frozenset({"none_found", "indicators_present", "not_assessed"})
COERCION_ROLES: Final = frozenset({"operator", "chat_agent", "recruiter", "mule", "account_holder", "owner", "other"})
MEASURES: Final = frozenset({"asset_freeze", "special_measure", "trade_ban", "travel_ban", "warning", "other"})
# Member names refused at any depth of an item: there is no field for a victim (schemas §0, trust-and-ops NP-2).
FORBIDDEN_MEMBERS: Final = frozenset({"victim", "victim_name", "nationality", "passport", "image", "photo", "age"})
TRAFFICKING_FLAG: Final = "possible_trafficking_victim"

MEMBER_CLASSES: Final = frozenset({"agency", "vasp", "redress"})
REVOCATION_REASONS: Final = frozenset({"compromised", "superseded", "unspecified"})
ERASE_GROUNDS: Final = frozenset({"gdpr-17", "led-16", "court_order", "retention_end", "error"})  # open list: the known ones
RETRACT_REASONS: Final = frozenset({"error", "new_evidence", "delisted", "redress", "duplicate", "coerced_person", "other"})
DISPUTE_GROUNDS: Final = frozenset({"not_mine", "wrong_person", "wrong_value", "stale", "coerced", "political", "other"})
DISPUTE_STAGES: Final = frozenset({"received", "admissible", "inadmissible", "under_review", "overdue", "upheld", "corrected", "withdrawn"})
REQUEST_ACTIONS: Final = frozenset({"freeze", "preserve", "inform"})
ANSWERS: Final = frozenset({"acknowledged", "held", "partly_held", "released", "declined", "too_late"})
DECLINE_REASONS: Final = frozenset({"not_our_customer", "no_legal_basis", "insufficient_information", "funds_gone", "other"})
OUTCOMES: Final = frozenset({"funds_frozen", "funds_recovered", "funds_returned", "site_dismantled", "persons_assisted"})
SIGHTINGS: Final = frozenset({"attempted", "received", "sent", "blocked"})
RELATIONS: Final = frozenset(
    {
        "controls",
        "member_of",
        "same_as",
        "same_cluster",
        "transfers_to",
        "cashes_out_at",
        "deposits_at",
        "advertises",
        "recruits_for",
        "hosts",
        "successor_of",
    }
)
HANDLING: Final = frozenset(  # open list: those with an effect; `REL-TO:<country>` besides
    {"ORCON", "INTEL-ONLY", "NO-AUTOMATED-ACTION", "VICTIM-SAFETY", "COURT-SEALED", "NO-THIRD-COUNTRY", "NO-ATTRIBUTION"}
)

# ISO 3166-1 alpha-2, with XK and the user-assigned codes that demonstrations are made of (AA, QM-QZ, XA-XZ, ZZ).
COUNTRIES: Final = frozenset(
    (
        "AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR BS BT BV BW BY BZ CA CC CD CF CG CH "
        "CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ EC EE EG EH ER ES ET FI FJ FK FM FO FR GA GB GD GE GF GG GH GI GL GM GN "
        "GP GQ GR GS GT GU GW GY HK HM HN HR HT HU ID IE IL IM IN IO IQ IR IS IT JE JM JO JP KE KG KH KI KM KN KP KR KW KY KZ LA LB LC LI "
        "LK LR LS LT LU LV LY MA MC MD ME MF MG MH MK ML MM MN MO MP MQ MR MS MT MU MV MW MX MY MZ NA NC NE NF NG NI NL NO NP NR NU NZ OM "
        "PA PE PF PG PH PK PL PM PN PR PS PT PW PY QA RE RO RS RU RW SA SB SC SD SE SG SH SI SJ SK SL SM SN SO SR SS ST SV SX SY SZ TC TD "
        "TF TG TH TJ TK TL TM TN TO TR TT TV TW TZ UA UG UM US UY UZ VA VC VE VG VI VN VU WF WS YE YT ZA ZM ZW XK AA ZZ"
    ).split()
) | {first + chr(letter) for first, start in (("Q", "M"), ("X", "A")) for letter in range(ord(start), ord("Z") + 1)}
