"""The vocabulary: closed lists, numbers, parents, and mappings to lists that exist."""

from __future__ import annotations

import csv
import gzip
import json
import re

import pytest

from app.domain.canonical import read_json, write_json
from app.domain.vocabulary import (
    BASIS_CONFIDENCE,
    CHAINABUSE,
    CHAINALYSIS,
    DWVA,
    GRAPHSENSE,
    GRAPHSENSE_ENTITY_KINDS,
    MISP,
    OFAC,
    OPENSANCTIONS,
    SCHEMES,
    TYPOLOGIES,
    covers,
    document,
    is_code,
    lists,
    nearest_known,
    number_of,
)
from tests.paths import DATA, needs

CROSSWALKS = {
    "chainabuse": CHAINABUSE,
    "chainalysis": CHAINALYSIS,
    "dwva": DWVA,
    "graphsense": GRAPHSENSE,
    "misp": MISP,
    "opensanctions": OPENSANCTIONS,
}


def test_numbers_are_one_to_sixty_one_and_each_is_one_code() -> None:
    """Bucket entries carry numbers: none is missing, none is used twice."""
    assert sorted(typology.number for typology in TYPOLOGIES.values()) == list(range(1, 62))


@pytest.mark.parametrize(
    ("code", "number"),
    [
        ("fraud.investment", 1),
        ("fraud.investment.rug_pull", 5),
        ("fraud.phishing.address_poisoning", 10),
        ("fraud.impersonation.person", 16),
        ("fraud.gambling", 24),
        ("extortion.ransomware", 26),
        ("trafficking.release_ransom", 30),
        ("laundering.gambling", 39),
        ("theft.account_takeover", 42),
        ("enabling.restraint_equipment", 48),
        ("sanctions.listed", 49),
        ("other.unknown", 53),
        ("fraud", 54),
        ("other", 61),
    ],
)
def test_number_of_a_code_is_that_of_the_specification(code: str, number: int) -> None:
    """The numbers of schemas §1, first and last of each family."""
    assert number_of(code) == number


def test_a_newer_code_is_read_as_its_nearest_known_parent() -> None:
    """A peer with a newer vocabulary is understood as far as we can."""
    assert nearest_known("fraud.investment.ai_trading.v2") == "fraud.investment"
    assert number_of("fraud.investment.ai_trading.v2") == 1
    assert nearest_known("piracy.container") is None
    assert number_of("piracy.container") == 0


def test_every_typology_has_its_broader_code_in_the_tree() -> None:
    """Dots lead up to a code that exists, so that a parent's number is always there."""
    assert all(typology.broader is None or typology.broader in TYPOLOGIES for typology in TYPOLOGIES.values())
    assert all(is_code(code) for code in TYPOLOGIES)


@pytest.mark.parametrize(
    ("category", "code", "expected"),
    [
        ("fraud", "fraud.investment.ponzi", True),
        ("fraud.investment", "fraud.investment", True),
        ("fraud.investment", "fraud.investment.unheard_of", True),
        ("fraud.investment", "fraud", False),
        ("fraud.invest", "fraud.investment", False),
        ("fraud.job", "fraud.romance", False),
    ],
)
def test_a_category_covers_itself_and_what_is_narrower(category: str, code: str, expected: bool) -> None:
    """A mandate for `fraud.investment` covers `fraud.investment.ponzi`, not `fraud`, not a look-alike."""
    assert covers(category, code) is expected


@pytest.mark.parametrize("text", ["", "Fraud", "fraud.", ".fraud", "fraud..job", "fraud job", "fraud.job\n", "a.b.c.d.e.f"])
def test_other_spellings_are_no_codes(text: str) -> None:
    """A code has one spelling."""
    assert not is_code(text)


@pytest.mark.parametrize("name", sorted(CROSSWALKS))
def test_what_an_importer_reads_is_of_our_own_lists(name: str) -> None:
    """Every foreign word leads to typologies and roles that exist."""
    for word, reading in CROSSWALKS[name].items():
        assert set(reading.typologies) <= TYPOLOGIES.keys(), word
        assert set(reading.roles) <= lists.ROLES, word


def test_ofac_and_exchanges_are_read_as_the_specification_says() -> None:
    """OFAC entries are sanctions; wallets of an exchange are informative and benign."""
    assert OFAC.typologies == ("sanctions.listed",)
    assert set(GRAPHSENSE["exchange"].roles) <= lists.INFORMATIVE_ROLES
    assert GRAPHSENSE["exchange"].typologies == ()


def test_entity_kinds_of_actors_are_of_our_list() -> None:
    """ActorPack categories lead to kinds of entities that exist, and never to a person."""
    assert set(GRAPHSENSE_ENTITY_KINDS.values()) <= lists.ENTITY_KINDS - {"person"}


def test_every_graphsense_concept_is_read_and_every_mapping_to_one_exists() -> None:
    """The concept scheme as published: nothing of it is unknown to the importer, nothing we map to is invented."""
    text = needs(DATA / "graphsense/schema/concepts.yaml").read_text(encoding="utf-8")
    concepts = set(re.findall(r"^([a-z_]+):", text, re.MULTILINE)) - {"scheme"}
    assert concepts <= GRAPHSENSE.keys()
    assert {word for typology in TYPOLOGIES.values() for word in typology.mappings["graphsense"]} <= concepts


def test_basis_is_graphsense_confidence() -> None:
    """`basis` adopts the confidence words of GraphSense with their levels."""
    path = needs(DATA / "graphsense/schema/confidence.csv")
    with path.open(encoding="utf-8", newline="") as lines:
        levels = {row["id"]: int(row["level"]) for row in csv.DictReader(lines)}
    assert dict(BASIS_CONFIDENCE) == levels


def test_every_category_and_abuse_of_real_tagpacks_is_read() -> None:
    """No tag of the stored packs carries a word the importer does not know."""
    folder = needs(DATA / "graphsense/packs")
    words: set[str] = set()
    for path in sorted(folder.iterdir()):
        raw = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        words.update(re.findall(r"^\s*-?\s*(?:category|abuse): *'?([a-z_]+)'?\s*$", raw.decode("utf-8"), re.MULTILINE))
    assert words
    assert words <= GRAPHSENSE.keys()


def test_every_mapping_to_dwva_stands_in_its_taxonomies() -> None:
    """INTERPOL's words are spelt as INTERPOL spells them."""
    entities = needs(DATA / "dw-va-taxonomy/entities.yaml").read_text(encoding="utf-8")
    abuses = needs(DATA / "dw-va-taxonomy/abuses.yaml").read_text(encoding="utf-8")
    turtle = needs(DATA / "dw-va-taxonomy/dwva-taxonomy-v03.ttl").read_text(encoding="utf-8")
    known = set(re.findall(r"^([A-Za-z0-9_-]+):", entities + "\n" + abuses, re.MULTILINE)) | set(
        re.findall(r"entities#([A-Za-z0-9_-]+)", turtle)
    )
    assert {word for typology in TYPOLOGIES.values() for word in typology.mappings["dwva"]} <= known
    assert DWVA.keys() <= known


def test_every_misp_tag_stands_in_a_taxonomy() -> None:
    """A tag we write is one that MISP's own taxonomy files define."""
    folder = needs(DATA / "misp/taxonomies")
    tags: set[str] = set()
    for path in folder.glob("*.json"):
        taxonomy = json.loads(path.read_text(encoding="utf-8"))
        space = taxonomy["namespace"]
        tags.update(f"{space}:{one['value']}" for one in taxonomy["predicates"])
        for group in taxonomy.get("values") or ():
            tags.update(f'{space}:{group["predicate"]}="{one["value"]}"' for one in group["entry"])
    assert {word for typology in TYPOLOGIES.values() for word in typology.mappings["misp"]} <= tags
    assert MISP.keys() <= tags


def test_the_document_is_plain_json_and_holds_every_code() -> None:
    """`GET /v1/vocabulary` gives every typology with number, parent and mappings, and every role."""
    got = document()
    assert read_json(write_json(got), max_tokens=100_000) == got
    typologies = got["typologies"]
    assert isinstance(typologies, list)
    assert {one["code"] for one in typologies if isinstance(one, dict)} == TYPOLOGIES.keys()
    pig = next(one for one in typologies if isinstance(one, dict) and one["number"] == 2)
    assert pig["broader"] == "fraud.investment"
    assert isinstance(pig["mappings"], dict)
    assert pig["mappings"].keys() <= set(SCHEMES)


def test_the_lists_that_guard_people_are_exactly_those_of_the_specification() -> None:
    """Statuses of persons and the names that no item may have."""
    assert {"convicted", "charged", "suspect", "designated"} == lists.PERSON_STATUSES
    assert {"victim", "victim_name", "nationality", "passport", "image", "photo", "age"} == lists.FORBIDDEN_MEMBERS
    assert {"court_order", "fiu_suspension", "criminal_investigation", "sanctions"} == lists.COMPETENT_INSTRUMENTS
    assert len(lists.ROLES) == 26
    assert len(lists.ENTITY_KINDS) == 23
    assert len(lists.COUNTRIES) == 249 + 1 + 2 + 14 + 26 - 1  # XK counts once
