"""TagPacks and ActorPacks: inheritance, meanings, benign services, confidence, persons."""

from __future__ import annotations

import gzip

import pytest

from app.domain.errors import Malformed
from app.formats.actorpack import read_actorpack
from app.formats.files import source
from app.formats.interface import Options, Row
from app.formats.tagpack import read_tagpack
from tests.formats.addresses import btc, evm

OPTIONS = Options("de.bka")


def pack(text: str, options: Options = OPTIONS) -> list[Row]:
    return list(read_tagpack(source("p.yaml", text.encode()), options))


def said(row: Row, *names: str) -> list[object]:
    assert row.item is not None, row
    return [row.item.get(name) for name in names]


def test_tags_inherit_the_header_unless_they_say_otherwise() -> None:
    """confidence, abuse, currency and actor come from the header; a tag's own word wins; the line is the tag's."""
    text = f"title: T\ncreator: c\nconfidence: forensic\nabuse: ransomware\ncurrency: BTC\nactor: Some_Gang\ntags:\n- address: {btc(1)}\n- address: '{evm(1)}'\n  currency: ETH\n  abuse: scam\n  confidence: ownership\n"
    first, second = pack(text)
    assert said(first, "id", "typologies", "basis", "reliability", "credibility", "entity") == [
        f"bip122:000000000019d6689c085ae165831e93:{btc(1)}", ["extortion.ransomware"], "forensic", "C", 3, "entity:de.bka:some-gang",
    ]  # fmt: skip
    assert said(second, "id", "typologies", "basis", "reliability", "credibility") == [f"eip155:0:{evm(1)}", ["fraud"], "ownership", "A", 2]
    assert (first.number, second.number) == (8, 9)


def test_gzip_packs() -> None:
    """Big packs come packed; the evidence is the file as it came."""
    packed = gzip.compress(f"title: T\ncurrency: BTC\nabuse: scam\ntags:\n- address: {btc(1)}\n".encode())
    [row] = list(read_tagpack(source("p.yaml.gz", packed), OPTIONS))
    assert row.file == "p.yaml"
    assert row.context is not None
    assert row.context.evidence_sha256 == source("p", packed).sha256


def test_an_unquoted_address_is_no_number() -> None:
    """YAML 1.1 would read 0x… as an integer."""
    [row] = pack(f"title: T\ncurrency: ETH\nabuse: phishing\ntags:\n- address: {evm(3)}\n")
    assert said(row, "id") == [f"eip155:0:{evm(3)}"]


def test_benign_services_are_left_out_or_guarded() -> None:
    """An exchange is never listed; asked for, it becomes a guard, which accuses nobody."""
    text = f"title: T\nconfidence: service_data\ncategory: exchange\ncurrency: BTC\ntags:\n- address: {btc(1)}\n"
    [left] = pack(text)
    assert left.left_out is not None
    assert left.left_out.code == "benign"
    [guard] = pack(text, Options("de.bka", guards=True))
    assert said(guard, "roles", "action", "severity", "typologies") == [["cash_out_point", "service_benign"], "do_not_block", 0, []]


def test_an_accusation_outweighs_a_category() -> None:
    """The hacked exchange's thief is listed; of the exchange's own roles nothing stays."""
    [row] = pack(f"title: T\ncategory: exchange\nabuse: service_hack\ncurrency: BTC\ntags:\n- address: {btc(1)}\n")
    assert said(row, "typologies", "roles", "action") == [["theft.service_hack"], [], "review"]


def test_words_without_a_meaning() -> None:
    """A donation box accuses nobody: left out, unless the caller says what it is; unknown words are warned of."""
    text = f"title: T\ncategory: organization\nconcepts: [moonshine]\ncurrency: BTC\ntags:\n- address: {btc(1)}\n"
    [row] = pack(text)
    assert row.left_out is not None
    assert row.left_out.code == "no_typology"
    assert any("moonshine" in warning for warning in row.warnings)
    [taken] = pack(text, Options("de.bka", constants={"typologies": ["fraud.donation"]}))
    assert said(taken, "typologies") == [["fraud.donation"]]


def test_the_wallet_of_a_victim_is_never_listed() -> None:
    """Not even with an abuse beside it."""
    [row] = pack(f"title: T\ncategory: victim\nabuse: scam\ncurrency: BTC\ntags:\n- address: {btc(1)}\n")
    assert row.left_out is not None
    assert row.left_out.code == "victim_wallet"


def test_sanctions_need_a_date() -> None:
    """`lastmod` or the date given; without either the row is a fault."""
    text = "title: T\nlabel: L\nabuse: sanction\ncurrency: BTC\n{}tags:\n- address: " + btc(1) + "\n"
    [dated] = pack(text.format("lastmod: 2023-08-16 12:18:52.6\n"))
    assert said(dated, "designation") == [{"list": "T", "entry": "L", "date": "2023-08-16"}]
    assert dated.context is not None
    assert dated.context.purpose == "sanctions_compliance"
    [undated] = pack(text.format(""))
    assert undated.fault is not None
    assert undated.fault.code == "schema"


def test_confidence_that_is_missing_or_unknown() -> None:
    """It becomes `unknown`, and the report says so."""
    text = "title: T\nabuse: scam\ncurrency: BTC\n{}tags:\n- address: " + btc(1) + "\n"
    for line in ("", "confidence: hearsay\n"):
        [row] = pack(text.format(line))
        assert said(row, "basis", "reliability", "credibility") == ["unknown", "F", 6]
        assert len(row.warnings) == 1


def test_faulty_tags_stand_alone() -> None:
    """A bad address, a tag without one, a tag that is no map: each is a fault, the good one is read."""
    found = pack(
        f"title: T\nabuse: scam\ncurrency: BTC\ntags:\n- address: 3bacadsfg3sdfafd2deddg32\n- label: x\n- text\n- tx_hash: '0xdeadbeef'\n- address: {btc(1)}\n- address: {btc(2)}\n  currency: EOS\n"
    )
    assert [bool(row.fault) for row in found] == [True, True, True, True, False, True]
    assert found[5].fault is not None
    assert found[5].fault.code == "unknown_chain"


def test_transactions_are_indicators() -> None:
    """A tagged transaction is listed by its id on the chain named."""
    [row] = pack("title: T\nabuse: service_hack\ncurrency: ETH\ntags:\n- tx_hash: '0x" + "ab" * 32 + "'\n")
    assert said(row, "type") == ["indicator"]
    assert str(said(row, "id")[0]).startswith("tx:eip155:1:")


def test_tokens_are_read_by_form_on_evm_only() -> None:
    """KCS or any other token: an 0x address is an EVM address, anything else is not guessed."""
    text = "title: T\nabuse: scam\ncurrency: ZZTOKEN\ntags:\n- address: '{}'\n"
    [read] = pack(text.format(evm(1)))
    assert said(read, "id") == [f"eip155:0:{evm(1)}"]
    [refused] = pack(text.format(btc(1)))
    assert refused.fault is not None


@pytest.mark.parametrize("text", ["title: T\n", "tags: []\n", "title: T\ntags: {a: b}\n", "title: [a]\ntags: []\n"])
def test_no_tagpack(text: str) -> None:
    """Without title and list of tags it is another file."""
    with pytest.raises(Malformed):
        pack(text)


def test_an_empty_pack_is_fine() -> None:
    """No tags, no rows, no fault."""
    assert pack("title: T\ntags: []\n") == []


def actors(text: str, options: Options = OPTIONS) -> list[Row]:
    return list(read_actorpack(source("a.yaml", text.encode()), options))


def test_actors_become_entities() -> None:
    """Label, aliases and legal name are names, jurisdictions countries, the uri an identifier, the id the slug."""
    [row] = actors(
        "title: T\nactors:\n- id: big_ex\n  label: Big Ex\n  categories: [service, exchange]\n  jurisdictions: [MT, XXL]\n  uri: big.example\n"
        "  aliases: [BigEx, Big Ex]\n  context:\n    legal_name: Big Ex Ltd.\n"
    )
    assert row.item == {
        "type": "entity", "id": "entity:de.bka:big-ex", "kind": "vasp",
        "names": [{"name": "Big Ex", "kind": "primary"}, {"name": "BigEx", "kind": "alias"}, {"name": "Big Ex Ltd.", "kind": "alias"}],
        "jurisdictions": ["MT"], "identifiers": [{"scheme": "website", "value": "big.example"}],
    }  # fmt: skip
    assert row.warnings == ("unknown country `XXL`",)


@pytest.mark.parametrize(
    ("categories", "kind"),
    [("[ransomware]", "criminal_organisation"), ("[organization]", "company"), ("[mixing_service]", "mixer_service")],
)
def test_kinds(categories: str, kind: str) -> None:
    """Categories with a kind of their own, crimes of groups, and organisations."""
    [row] = actors(f"title: T\nactors:\n- id: x\n  label: X\n  categories: {categories}\n")
    assert said(row, "kind") == [kind]


@pytest.mark.parametrize("categories", ["[]", "[miner]", "[user]", "[perpetrator]"])
def test_what_may_be_a_person_is_left_out(categories: str) -> None:
    """A solo miner or a perpetrator may be a natural person; the caller may say otherwise."""
    text = f"title: T\nactors:\n- id: x\n  label: X\n  categories: {categories}\n"
    [row] = actors(text)
    assert row.left_out is not None
    assert row.left_out.code == "natural_person"
    [taken] = actors(text, Options("de.bka", constants={"kind": "company"}))
    assert taken.item is not None


def test_faulty_actors_stand_alone() -> None:
    """No label, no id, no letter for a slug."""
    found = actors(
        "title: T\nactors:\n- id: x\n  categories: [exchange]\n- label: Y\n  categories: [exchange]\n- id: '???'\n  label: Z\n  categories: [exchange]\n- text\n"
    )
    assert all(row.fault for row in found)
    assert len(found) == 4
    with pytest.raises(Malformed):
        actors("title: T\n")
