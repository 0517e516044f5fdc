"""Queries are rendered once per dialect; lists travel as one parameter and use the indexes."""

from __future__ import annotations

import importlib
import pkgutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import bindparam, select

from app import storage
from app.storage import (
    acks,
    clients,
    evidence,
    filed,
    listing_rows,
    log,
    mirrors,
    registry,
    statements,
    subjects,
    tokens,
    valve,
    withheld,
    witnesses,
)
from app.storage.database import Database
from app.storage.sql import POSTGRESQL, SQLITE, Query, one_of
from app.storage.tables import item, metadata
from app.storage.urls import read_url

LISTED = Query(select(item.c.subject).where(item.c.origin == "here", one_of(item.c.idx, "indices")).limit(bindparam("most")))


def test_a_query_keeps_the_order_of_its_parameters_and_its_own_constants() -> None:
    """Arguments come out as the driver wants them, whatever order the caller names them in."""
    for dialect, listed in ((SQLITE, "[3,1]"), (POSTGRESQL, [3, 1])):
        rendered = LISTED.render(dialect)
        assert rendered is LISTED.render(dialect)
        arguments = rendered.arguments({"most": 7, "indices": {3: "", 1: ""}})
        assert arguments[:3] == ("here", listed, 7)
        assert rendered.sql.count("?" if dialect == SQLITE else "%s") == len(arguments)


async def test_a_list_may_be_long_and_hold_any_text(database: Database) -> None:
    """A hundred thousand ids in one query, with quotes, brackets and other scripts, find what is there."""
    odd = ["a'b", 'a"b', "a,b", "{a}", "[a]", "a\\b", "ä-金", "NULL", ""]
    async with database.transaction() as tx:
        await tx.protected.add([(one, "r", "s") for one in odd])
        many = [f"id{n}" for n in range(100_000)]
        assert await tx.protected.contains([*many, *odd]) == set(odd)


@pytest.mark.parametrize(
    ("query", "index"),
    [
        (subjects._OF_SUBJECT, "ix_item_subject"),
        (subjects._OF_SUBJECTS, "ix_item_subject"),
        (subjects._FROM, "ix_link_from_id"),
        (subjects._TO, "ix_link_to_id"),
        (log._FIND, "ix_statement_sid"),
        (log._TILES, "sqlite_autoindex_log_tile_1 (origin=? AND slot=?)"),
        (log._SOME, "sqlite_autoindex_log_entry_1 (origin=? AND idx=?)"),
        (log._WALK, "sqlite_autoindex_log_entry_1 (origin=? AND idx>?)"),
        (statements._EVENTS, "ix_statement_sid"),
        (statements._BRIEFS, "ix_statement_sid"),
        (statements._OF_KINDS, "sqlite_autoindex_control_1"),
        (clients._NEAREST, "COVERING INDEX ix_client_secret (id>?)"),
        (registry._CONTROL, "sqlite_autoindex_control_1"),
        (registry._NAMING, "SEARCH edge USING PRIMARY KEY (target=?)"),
        (subjects._OF_SIDS, "sqlite_autoindex_item_1 (origin=? AND idx=?)"),
        (subjects._ERASE[0], "sqlite_autoindex_item_1 (origin=? AND idx=?)"),
        (subjects._ERASE_CONTEXT, "ix_statement_sid"),
        (subjects._OPEN_FREEZES, "ix_frozen_until"),
        (statements._STATE, "ix_statement_sid"),
        (statements._RECORD, "ix_statement_sid"),
        (statements._JTI, "ix_statement_jti"),
        (statements._COUNT, "ix_statement_issuer"),
        (statements._BY_KID, "USING INDEX"),
        (statements._PAGES[False, False], "ix_statement_accepted"),
        (statements._PAGES[True, True], "ix_statement_issuer"),
        (statements._PARTS, "sqlite_autoindex_part_1 (origin=? AND idx=?)"),
        (statements._STANDING, "sqlite_autoindex_part_1 (origin=? AND idx=?)"),
        (statements._ERASE, "sqlite_autoindex_part_1 (origin=? AND idx=? AND number=?)"),
        (subjects._OF_SUBJECT, "SEARCH part USING INDEX sqlite_autoindex_part_1 (origin=? AND idx=? AND number=?)"),
        (statements._INBOUND, "SEARCH edge USING PRIMARY KEY (target=?)"),
        (listing_rows.ANNOTATIONS, "SEARCH edge USING PRIMARY KEY (target=?)"),
        (subjects._LIVE, "sqlite_autoindex_item_1"),
        (filed._LIVE_OF_ONE, "SEARCH item USING INDEX ix_item_subject (subject=?)"),
        (filed._LIVE_OF_ONE, "SEARCH dormant USING PRIMARY KEY (origin=? AND idx=?)"),
        (filed._LINKS_OF_ONE, "ix_link_from_id"),
        (filed._KIN, "SEARCH kin USING PRIMARY KEY (key=?)"),
        (filed._TEXTS, "sqlite_autoindex_item_1 (origin=? AND idx>? AND idx<?)"),
        (subjects._OF_SUBJECT, "SEARCH dormant USING PRIMARY KEY (origin=? AND idx=?)"),
        (subjects._OF_SUBJECT, "SEARCH mirror USING INDEX sqlite_autoindex_mirror_1 (origin=?)"),
        (statements._AT, "sqlite_autoindex_statement_1 (origin=? AND idx=?)"),
        (statements._LABELS, "sqlite_autoindex_statement_1 (origin=? AND idx>? AND idx<?)"),
        (mirrors._OF_NODE, "ix_mirror_node"),
        (withheld._PAGE, "ix_withheld_asked (origin=? AND what=? AND asked_ms<?)"),
        (withheld._DROP, "sqlite_autoindex_withheld_1 (origin=? AND idx=?)"),
        (evidence._PAGES[True, True], "sqlite_autoindex_poison_1"),
        (witnesses._OF, "sqlite_autoindex_cosignature_1 (origin=? AND size=?)"),
        (tokens._PRUNE, "ix_token_until"),
        (valve._WHICH, "SEARCH dormant USING PRIMARY KEY (origin=? AND idx=?)"),
        (valve._PAGE, "SEARCH dormant USING PRIMARY KEY (origin=? AND idx>?)"),
        (valve._ADDED, "sqlite_autoindex_valve_1 (origin=? AND hour>?)"),
        (acks._DONE, "sqlite_autoindex_acknowledgement_1 (node=? AND origin=? AND sid=?)"),
        (acks._OVERDUE, "ix_acknowledgement_open"),
        (acks._OF_SID, "ix_acknowledgement_sid"),
    ],
)
def test_no_query_of_the_hot_path_reads_a_whole_table(sqlite_template: Path, query: Query, index: str) -> None:
    """Each uses the index that was made for it, without statistics; only lists and the pages of a walk are scanned."""
    connection = sqlite3.connect(sqlite_template)
    rendered = query.render(SQLITE)
    plan = [row[3] for row in connection.execute("EXPLAIN QUERY PLAN " + rendered.sql, [None] * len(rendered.names))]
    connection.close()
    assert any(index in step for step in plan), plan
    scans = [step for step in plan if step.startswith("SCAN") and step.split()[1] in metadata.tables]
    assert all("USING" in step for step in scans), plan


LONG = ("item", "link", "part", "statement", "log_entry", "edge", "kin", "frozen", "entity_word", "log_tile")
"""Tables that grow with what is listed."""


def queries() -> Iterator[tuple[str, Query]]:
    """Every query that stands in a module of the storage floor, by its name there."""
    for module in pkgutil.walk_packages(storage.__path__, "app.storage."):
        for name, found in vars(importlib.import_module(module.name)).items():
            for one in found.values() if isinstance(found, dict) else (found,):
                if isinstance(one, Query):
                    yield f"{module.name}.{name}", one


def test_no_query_walks_a_whole_log(sqlite_template: Path) -> None:
    """What a log is asked costs what is asked for, however long the log: an origin alone is never the way into a long table.

    SQLite keeps no statistics here, so a condition on the origin beside a list made it walk the log of an agency for each statement.
    """
    seen: list[str] = []
    with closing(sqlite3.connect(sqlite_template)) as connection:
        for name, query in queries():
            rendered = query.render(SQLITE)
            for row in connection.execute("EXPLAIN QUERY PLAN " + rendered.sql, [None] * len(rendered.names)):
                way, table, *how = row[3].split()
                if table in LONG and (way == "SCAN" or how[-1] == "(origin=?)"):
                    seen.append(f"{name}: {row[3]}")
    assert not seen


def test_every_table_is_covered_by_the_reset_of_the_suite(sqlite_template: Path) -> None:
    """A test starts without rows only if no table is forgotten."""
    connection = sqlite3.connect(read_url(f"sqlite:///{sqlite_template}").database or "")
    names = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    connection.close()
    assert names == {*metadata.tables, "alembic_version"}
