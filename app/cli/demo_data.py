"""The demonstration: jurisdiction `zz`, its members and what they say (schemas §6). All of it is made up, and made here.

Wallets are addresses of keys derived from small numbers, which protect nothing; domains lie under `.example`; no person is named.
Signing keys come from a fixed seed, so the demonstration can sign again after it was thrown away. Rows carry an `embargo_until` in the
past, so that the public sees them without delay.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from itertools import pairwise

from app.domain.address import read_wallet
from app.domain.canonical import JsonValue
from app.domain.labels import Tlp
from app.domain.registry import Mandate, Member, MemberClass
from app.domain.statement import ohash_of, sid_of
from app.seal.disclosure import build_statement
from app.seal.jws import SigningKey
from app.services.enroll import Founding, default_kinds, member_key

SEED = b"cordon demonstration zz: these keys protect nothing\n"
DAY_S = 86_400
EMBARGO = "2026-01-01T00:00:00Z"

Item = dict[str, JsonValue]

# (chain, n, address): the address of the key n, secp256k1 or Ed25519 as the chain has it; tests derive them again.
WALLETS: tuple[tuple[str, int, str], ...] = (
    ("tron", 1, "TMVQGm1qAQYVdetCeGRRkTWYYrLXuHK2HC"),
    ("tron", 2, "TDvSsdrNM5eeXNL3czpa6AxLDHZA9nwe9K"),
    ("tron", 3, "TKTX96CBxr5kvhjsDHcqoiPWZageGxoTW3"),
    ("tron", 4, "TCo75zcxTuWn5nnFqZUeK5socdVnG11f2T"),
    ("tron", 5, "TWYSVbUy6eTu6ZrFWRUimgDy9SinkggVKL"),
    ("tron", 6, "TWtcHHVovA3MDwbd6KHNaFWYs39ho29b73"),
    ("tron", 7, "TVJjphBwXTtDTVJZUEEG9g3CWD7vLcBAS8"),
    ("tron", 8, "TY2b1AJaLBxCvzY1Kp8GiheEgXKSEowpDA"),
    ("tron", 9, "TYa8m37KgwBX7CnozYA2JxzDuQjZfNUaZv"),
    ("tron", 10, "TGyL1JLV75SzHZtrXjKrNJFERtDA4LgMrL"),
    ("tron", 11, "TFbETujAwr7W7HvbUnpvvgQBqnYMbX3td4"),
    ("tron", 12, "TW1BfQjQehDEA2KkxnUHLBCziHjv8MwQv3"),
    ("ethereum", 13, "0x68E527780872cda0216Ba0d8fBD58b67a5D5e351"),
    ("ethereum", 14, "0x5A83529ff76Ac5723A87008c4D9B436AD4CA7d28"),
    ("ethereum", 15, "0x8735015837bD10e05d9cf5EA43A2486Bf4Be156F"),
    ("ethereum", 16, "0xfaE394561e33e242c551d15D4625309EA4c0B97f"),
    ("ethereum", 17, "0x252Dae0A4b9d9b80F504F6418acd2d364C0c59cD"),
    ("ethereum", 18, "0x79196B90D1E952C5A43d4847CAA08d50b967c34A"),
    ("ethereum", 19, "0x4bd1280852Cadb002734647305AFC1db7ddD6Acb"),
    ("ethereum", 20, "0x811da72aCA31e56F770Fc33DF0e45fD08720E157"),
    ("bitcoin", 21, "38xPY27A6fiRXHSDRbRkLfV2xQb7UmKpXv"),
    ("bitcoin", 22, "bc1q4ghfn6u7dfsammfu4g746h3pmv6v08pprsj3mj"),
    ("bitcoin", 23, "bc1pmdffvk0s5v597n4hckph6t293alkz8n4tk4h5mssfgpv7mvv0f4q45kn53"),
    ("bitcoin", 24, "1KpKNLiZ4mQ6qdTwDrJBDLmBJDnD2n87NH"),
    ("bitcoin", 25, "3JvbYbhSZKaKV6EgXDEo4GmPPeK18g4pcF"),
    ("bitcoin", 26, "bc1qz8ud9dunpcag3gv2u8v5qlhuq87fp6dyar7jp8"),
    ("bitcoin", 27, "bc1p3azsnpk3n8jwrjuvq75zhwjmatseshysuy3wt044344cnlfexxmqkh4sed"),
    ("bitcoin", 28, "1MFWqE6cZmmjvH22DEWmt1tKSms4iyASC7"),
    ("litecoin", 29, "ltc1q6l746xap3c5p6ud5la5llgr9kawcc4yt0fc7sq"),
    ("litecoin", 30, "LXkKsoh4fbBLf6aqZzj12cKrEsWijGbQMF"),
    ("bitcoincash", 31, "qqhm6vkgm4v7ulqhuektd6l206vydscypum6c54crn"),
    ("dogecoin", 32, "DUBv2cKzDjKfSdtSihuDAPGnvrMvm9WG44"),
    ("solana", 33, "HrQLEBxLq4njpqLnDwUnWjGAj9fMPcsrSLSac7wRXzcw"),
    ("solana", 34, "8xVfUcURbyLn6L4EdPRi7yUXb5xLjZyT8ZJabCR9XqC5"),
    ("ton", 35, "UQC9AlS03BqnA5O0pSrfDbPWUtiSJVEiqluKIA2-bEZvnNzC"),
    ("ton", 36, "UQBdi89MgWjJIoyDiuKetq1aAnFxD7L_g7uhBRPns-FgC9kL"),
    ("xrp", 37, "r4aRo7q3uYoJ3BKtfXHeiuTJPgWMb53rgt"),
    ("monero", 38, "49L6V35TFzXJHF4jrvDUfoJXJXyW7KyqqWqtjPmKP4pGd4p3zy15afGZ5kTQhZ1W2w1xRkuh2ji754Z6p8NrVxgnF3zFWKz"),
    ("stellar", 39, "GDL6DORRFTVPSDEJKZVJU6DBGFSSFJQO32SMEFL6VPZ5E4YWT2WBGAII"),
)
CASH_OUT: tuple[tuple[str, int, str], ...] = (
    ("tron", 50, "TJFpoqZQZiXvZctb77KmvnSn2VyuTdyEML"),
    ("tron", 51, "TDuS4nKTsSWPvAi8H3RgTTBcuumGQMhGPJ"),
)
GUARDED = ("ethereum", 52, "0x3797126345fB5Fb6A37629Db55eC692173CfB458")
DISPUTED, RETRACTED = WALLETS[11], WALLETS[19]

INDICATORS: tuple[tuple[str, str], ...] = (
    ("domain:golden-harbour-invest.example", "fraud.investment.fake_platform"),
    ("domain:gh-trade.example", "fraud.investment.fake_platform"),
    ("domain:secure-wallet-check.example", "fraud.phishing.wallet_drainer"),
    ("domain:airdrop-claim.example", "fraud.phishing.wallet_drainer"),
    ("domain:overseas-jobs.example", "trafficking.recruitment"),
    ("domain:fund-recovery.example", "fraud.recovery"),
    ("url:https://gh-trade.example/register", "fraud.investment.fake_platform"),
    ("url:https://airdrop-claim.example/connect", "fraud.phishing.wallet_drainer"),
    ("email:support@golden-harbour-invest.example", "fraud.customer_service"),
    ("email:hr@overseas-jobs.example", "trafficking.recruitment"),
)
ENTITIES: tuple[tuple[str, str, str], ...] = (
    ("golden-harbour", "scam_compound", "Golden Harbour Park"),
    ("harbour-group", "criminal_organisation", "Harbour Group"),
    ("lotus-guarantee", "guarantee_marketplace", "Lotus Guarantee"),
    ("gh-trade", "website", "GH Trade"),
)

FOUNDING = Founding(
    jurisdiction="zz",
    node="node.zz.example",
    name="Cordon demonstration",
    public_url="http://127.0.0.1:8000",
    contact="nobody@zz.example",
    licence="CC0-1.0",
    demonstration=True,
    seed=SEED,
)
MEMBERS: tuple[tuple[str, MemberClass, str], ...] = (
    ("zz.police", MemberClass.AGENCY, "Demonstration Police"),
    ("zz.fiu", MemberClass.AGENCY, "Demonstration Financial Intelligence Unit"),
    ("zz.redress", MemberClass.REDRESS, "Demonstration Redress Body"),
    ("zz.exchange", MemberClass.VASP, "Demonstration Exchange"),
)


def key_of(member_id: str) -> SigningKey:
    """The signing key of a member of the demonstration."""
    return SigningKey.derive(f"{member_id}#1", SEED + member_id.encode("ascii"))


def member_of(member_id: str, member_class: MemberClass, name: str, *, now: int) -> Member:
    """A member of the demonstration, as the registrar enters it."""
    categories = ("fraud", "extortion", "trafficking", "laundering", "theft", "enabling", "sanctions", "other")
    mandate = Mandate(default_kinds(member_class), categories if member_class is not MemberClass.VASP else (), Tlp.RED)
    key = key_of(member_id)
    return Member(
        member_id,
        name,
        member_class,
        mandate,
        (member_key(key.kid, key.public_jwk, now=now),),
        url=f"https://{member_id.partition('.')[2]}.zz.example",
        contact=f"desk@{member_id.partition('.')[2]}.zz.example",
    )


# --- what they say -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Voice:
    """One member speaking to one log at `now` (seconds)."""

    member_id: str
    origin: str
    now: int

    def say(self, kind: str, claims: Mapping[str, JsonValue], parts: Mapping[str, Sequence[JsonValue]]) -> str:
        """A signed CLEAR statement."""
        common: Item = {"v": 1, "iss": self.member_id, "org": self.origin, "knd": kind, "iat": self.now, "tlp": "CLEAR"}
        return build_statement({**common, **claims}, parts, key_of(self.member_id))

    def list(
        self,
        items: Sequence[JsonValue],
        *,
        instrument: str = "criminal_investigation",
        days: int = 365,
        notes: Sequence[JsonValue] = (),
    ) -> str:
        """A listing with its context; `notes` are the part `ctx`."""
        review = datetime.fromtimestamp(self.now, UTC).date() + timedelta(days=180)
        context: Item = {
            "type": "context",
            "purpose": "fraud_prevention",
            "legal_basis": {"instrument": instrument},
            "assertion": "assessment",
            "evidence_standard": "reasonable_grounds",
            "evidence": [{"sha256": sha256(b"a demonstration has no evidence").hexdigest(), "kind": "other", "held_by": "issuer"}],
            "review_by": review.isoformat(),
            "redress": {"contact": "desk@redress.zz.example", "route": "direct"},
            "neutrality": True,
        }
        return self.say("listing", {"exp": self.now + days * DAY_S}, {"core": [*items, context], **({"ctx": notes} if notes else {})})


def statements(origin: str, *, now: int) -> Iterator[tuple[str, str]]:
    """(name, wire) of every statement after the members, in the order in which they must be logged."""
    police, fiu, redress = (Voice(member, origin, now) for member in ("zz.police", "zz.fiu", "zz.redress"))
    yield "investment fraud", police.list([*judged(WALLETS[:11] + WALLETS[12:19], "fraud.investment.pig_butchering", "collection", 3)])
    laundering = fiu.list([*judged(WALLETS[20:28], "laundering.otc", "otc_broker", 2)], instrument="fiu_analysis", days=180)
    yield "laundering", laundering
    yield "drainers", police.list([*judged(WALLETS[28:], "fraud.phishing.wallet_drainer", "consolidation", 3)])
    yield "indicators", police.list([_indicator(identifier, typology) for identifier, typology in INDICATORS])
    yield "entities", police.list([_entity(*entity) for entity in ENTITIES])
    yield "flows", fiu.list([*(_cash_out(*wallet) for wallet in CASH_OUT), *_links()], instrument="fiu_analysis")
    yield "guard", fiu.list([_guard()], instrument="fiu_analysis")
    disputed = police.list([*judged([DISPUTED], "fraud.investment", "transit", 2)])
    yield "disputed", disputed
    target = f"{ohash_of(origin)}/{_sid(disputed)}"
    yield "dispute", redress.say("dispute", {"t": [target]}, {"core": [{"ground": "not_mine", "stage": "under_review"}]})
    retracted = police.list([*judged([RETRACTED], "fraud.romance", "collection", 2)])
    yield "listed in error", retracted
    yield "retraction", police.say("retract", {"t": [_sid(retracted)]}, {"ctx": [{"reason": "error", "note": "a digit was read wrongly"}]})
    yield "renewal", fiu.say("renew", {"t": [_sid(laundering)], "exp": now + 400 * DAY_S}, {})


def _sid(wire: str) -> str:
    return sid_of(wire.partition("~")[0])


def _judgement(typology: str, severity: int) -> Item:
    return {
        "typologies": [typology],
        "roles": [],
        "severity": severity,
        "basis": "authority_data",
        "reliability": "B",
        "credibility": 2,
        "status": "suspected",
        "action": "review",
        "first_seen": "2026-08-01",
        "embargo_until": EMBARGO,
    }


def wallet_id(chain: str, address: str) -> str:
    """The canonical id."""
    return read_wallet(address, chain=chain).id


def judged(wallets: Sequence[tuple[str, int, str]], typology: str, role: str, severity: int) -> Iterator[Item]:
    for chain, _, address in wallets:
        item: Item = {"type": "wallet", "id": wallet_id(chain, address), **_judgement(typology, severity), "roles": [role]}
        if typology == "fraud.investment.pig_butchering":
            item["entity"] = "entity:zz.police:golden-harbour"
        yield item


def _indicator(identifier: str, typology: str) -> Item:
    return {"type": "indicator", "id": identifier, **_judgement(typology, 3)}


def _entity(slug: str, kind: str, name: str) -> Item:
    names: list[JsonValue] = [{"name": name, "lang": "en", "kind": "primary"}]
    return {"type": "entity", "id": f"entity:zz.police:{slug}", "kind": kind, "names": names, "embargo_until": EMBARGO}


def _cash_out(chain: str, _: int, address: str) -> Item:
    item: Item = {"type": "wallet", "id": wallet_id(chain, address), **_judgement("laundering", 0)}
    return {**item, "roles": ["cash_out_point"], "action": "monitor", "status": "confirmed", "vasp": "zz.exchange"}


def _guard() -> Item:
    chain, _, address = GUARDED
    item: Item = {"type": "wallet", "id": wallet_id(chain, address), **_judgement("laundering", 0)}
    return {**item, "typologies": [], "roles": ["service_benign"], "action": "do_not_block", "status": "confirmed"}


def _links() -> Iterator[Item]:
    """Thirty links: two chains of transfers, then twelve ends at the two cash-out points."""
    tron, ethereum = ([wallet_id(chain, a) for chain, _, a in WALLETS if chain == wanted] for wanted in ("tron", "ethereum"))
    ends = [wallet_id(chain, address) for chain, _, address in CASH_OUT]
    for route in (tron, ethereum):
        for step, (source, target) in enumerate(pairwise(route)):
            yield _link(source, target, "transfers_to", step)
    for step, source in enumerate(tron):
        yield _link(source, ends[step % 2], "cashes_out_at", step)


def _link(source: str, target: str, relation: str, step: int) -> Item:
    link: Item = {"type": "link", "from": source, "to": target, "relation": relation, "basis": "ledger_immanent", "confidence": 100}
    if relation == "transfers_to":
        link |= {"amount": f"{1000 + 50 * step}.00", "asset": "USDT", "at": f"2026-09-{step + 1:02d}T08:00:00Z"}
    return {**link, "embargo_until": EMBARGO}


# What the printed submission sends: three more wallets, of the keys 101 to 103.
SAMPLE = f"""address,chain,typologies,roles,severity,status,action,embargo_until
TX1376Y3t514kVyG5GZJS5LULfVV8efidE,tron,fraud.investment,collection,3,suspected,review,{EMBARGO}
0x88C0e901bd1fd1a77BdA342f0d2210fDC71Cef6B,ethereum,fraud.phishing,collection,2,suspected,review,{EMBARGO}
bc1pc4nj9nc8jswvlpmvyt2928rgsfp827lfk0m3u6e0hk9qhq5judjq6mtag8,bitcoin,extortion.sextortion,collection,3,confirmed,review,{EMBARGO}
"""
