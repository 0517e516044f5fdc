"""Migrations: from nothing to what the code expects, once, in one line, forward only, on both engines."""

from __future__ import annotations

import threading

import orjson
import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util.exc import CommandError
from sqlalchemy.engine import Connection

from app.domain.canonical import JsonValue, b64u_encode_digests
from app.domain.errors import BadRequest
from app.domain.folding import Event
from app.domain.glance import GUARD, TAGGED, glance
from app.domain.vocabulary import number_of
from app.seal.disclosure import new_disclosure
from app.storage.database import Database
from app.storage.faults import SchemaMismatch
from app.storage.part_rows import part_rows_of
from app.storage.statement_rows import as_row
from app.storage.tables import REVISIONS, SERVED_SINCE, metadata
from app.storage.upgrade import MIGRATIONS, locked, make_config, upgrade
from app.storage.urls import is_sqlite, read_url
from tests.storage.rows import FAR, NOW_MS, ORIGIN, WALLET, entry_of, event, row


def test_an_upgrade_from_nothing_equals_the_tables(empty_url: str) -> None:
    """Column by column, constraint by constraint, index by index: what migrations make is what `tables.py` says."""
    upgrade(empty_url)
    with locked(read_url(empty_url)) as connection:
        made = _describe(connection)
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        assert compare_metadata(context, metadata) == []
        metadata.drop_all(connection)
        connection.exec_driver_sql("DROP TABLE alembic_version")
        metadata.create_all(connection)
        assert made == _describe(connection)
    assert len(made) > 30


def _describe(connection: Connection) -> dict[str, object]:
    """Everything that the engine itself knows of the schema, in its own words."""
    if connection.dialect.name == "sqlite":
        query = "SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL AND name NOT LIKE 'alembic%'"
        return {name: _without_layout(text) for name, text in connection.exec_driver_sql(query)}
    described: dict[str, object] = {}
    for query in (_PG_COLUMNS, _PG_INDEXES, _PG_CONSTRAINTS):
        for name, *rest in connection.exec_driver_sql(query):
            described[f"{query is _PG_COLUMNS} {query is _PG_INDEXES} {name}"] = rest
    return described


def _without_layout(text: str) -> list[str]:
    """Columns in their order, then the constraints in any: the order of those means nothing."""
    words = " ".join(text.replace("(", " ( ").replace(")", " ) ").replace(",", " , ").replace('"', "").split())
    columns, *constraints = words.replace(" , CONSTRAINT", " CONSTRAINT").split(" CONSTRAINT ")
    return [columns, *sorted(constraint.rstrip(" )") for constraint in constraints)]


_PG_COLUMNS = (
    "SELECT table_name || '.' || column_name, ordinal_position, data_type, is_nullable, column_default, collation_name "
    "FROM information_schema.columns WHERE table_schema = 'public' AND table_name <> 'alembic_version'"
)
_PG_INDEXES = "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public' AND tablename <> 'alembic_version'"
_PG_CONSTRAINTS = (
    "SELECT conrelid::regclass::text || ' ' || conname, contype, pg_get_constraintdef(oid) FROM pg_constraint "
    "WHERE connamespace = 'public'::regnamespace AND conrelid::regclass::text <> 'alembic_version'"
)


async def test_running_again_changes_nothing(empty_url: str) -> None:
    """The second run finds the newest schema and leaves the rows alone."""
    assert upgrade(empty_url) == REVISIONS[-1]
    database = Database(empty_url)
    async with database.transaction() as tx:
        await tx.meta.set("a", b"kept")
    await database.close()
    assert upgrade(empty_url) == REVISIONS[-1]
    database = Database(empty_url)
    async with database.reading() as tx:
        assert await tx.meta.revision() == REVISIONS[-1]
    await database.check_schema()
    assert await database.quick.meta.get("a") == b"kept"
    await database.close()


def test_two_at_once_do_not_disturb_each_other(empty_url: str) -> None:
    """Two workers that start together: one migrates, the other waits and finds it done."""
    reached: list[object] = []

    def run() -> None:
        try:
            reached.append(upgrade(empty_url))
        except Exception as error:  # the thread must not swallow it
            reached.append(error)

    threads = [threading.Thread(target=run) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert reached == [REVISIONS[-1]] * 3


def test_the_revisions_are_one_line_and_the_code_knows_them_all() -> None:
    """One base, one head, no branches; `tables.REVISIONS` is the same list."""
    scripts = ScriptDirectory.from_config(make_config())
    line = [script.revision for script in scripts.walk_revisions()][::-1]
    assert tuple(line) == REVISIONS
    assert len(scripts.get_bases()) == len(scripts.get_heads()) == 1
    assert all(not script.is_branch_point and not script.is_merge_point for script in scripts.walk_revisions())


def test_going_back_is_refused_with_the_way_out(empty_url: str) -> None:
    """A downgrade would lose what was written since: it says to restore a backup, and changes nothing."""
    upgrade(empty_url)
    with pytest.raises(CommandError, match="restore the backup"), locked(read_url(empty_url)) as connection:  # noqa: PT012 — leaving the inner block is the act
        config = make_config()
        config.attributes["connection"] = connection
        command.downgrade(config, "base")
    with locked(read_url(empty_url)) as connection:
        assert MigrationContext.configure(connection).get_current_revision() == REVISIONS[-1]
        assert sa.inspect(connection).has_table("log_entry")


def test_every_revision_refuses_to_go_back() -> None:
    """The template says so, and so does each file made from it."""
    files = [*sorted((MIGRATIONS / "versions").glob("*.py")), MIGRATIONS / "script.py.mako"]
    assert len(files) == len(REVISIONS) + 1
    for file in files:
        assert "raise CommandError(\"Cordon's schema only goes forward" in file.read_text("utf-8"), file.name


@pytest.mark.parametrize(("since", "goes_on"), [(REVISIONS[0], True), (REVISIONS[-1], True), ("9999", False)])
async def test_a_newer_schema_that_says_so_is_gone_on_with(empty_url: str, since: str, goes_on: bool) -> None:
    """What a newer release only added to is run on, and not touched; nothing else is (ADR 0016)."""
    upgrade(empty_url)
    with locked(read_url(empty_url)) as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
        connection.execute(metadata.tables["meta"].update().where(sa.column("key") == "served_since").values(value=since.encode()))
    database = Database(empty_url)
    if goes_on:
        assert upgrade(empty_url) == "9999"
        await database.check_schema()
    else:
        with pytest.raises(SchemaMismatch, match="9999"):
            upgrade(empty_url)
        with pytest.raises(SchemaMismatch, match="newer release"):
            await database.check_schema()
    await database.close()


async def test_an_upgrade_notes_whose_code_may_go_on(empty_url: str) -> None:
    """Also in a database that had the newest schema before there was such a note."""
    for _ in range(2):
        upgrade(empty_url)
        with locked(read_url(empty_url)) as connection:
            found = connection.execute(sa.text("DELETE FROM meta WHERE key = 'served_since' RETURNING value")).scalar_one()
        assert bytes(found) == SERVED_SINCE.encode()
    assert SERVED_SINCE in REVISIONS


async def test_a_database_of_a_newer_release_is_left_alone(empty_url: str) -> None:
    """Neither the upgrade nor the node touches a schema that it does not know."""
    upgrade(empty_url)
    with locked(read_url(empty_url)) as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
        connection.exec_driver_sql("DELETE FROM meta WHERE key = 'served_since'")
    with pytest.raises(SchemaMismatch, match="9999"):
        upgrade(empty_url)
    database = Database(empty_url)
    with pytest.raises(SchemaMismatch, match="newer release"):
        await database.check_schema()
    await database.close()


async def test_what_the_first_release_wrote_is_there_after_the_upgrade(empty_url: str) -> None:
    """A database of schema 0001 with rows: the node says how to upgrade, the upgrade keeps every row and equals the tables."""
    _upgrade_to(empty_url, "0001")
    one = event(0)
    with locked(read_url(empty_url)) as connection:
        assert not sa.inspect(connection).has_table("mirror")
        for table, values in _first_rows(one):
            connection.exec_driver_sql(f"INSERT INTO {table} VALUES ({', '.join([_mark(connection)] * len(values))})", values)
    database = Database(empty_url)
    with pytest.raises(SchemaMismatch, match="run `cordon db upgrade`"):
        await database.check_schema()
    assert upgrade(empty_url) == REVISIONS[-1]
    await database.check_schema()
    async with database.reading() as tx:
        record = await tx.statements.record(one.sid)
        (listing,) = await tx.subjects.listings([WALLET])
        assert (await tx.mirrors.all(), await tx.peers.all()) == ([], [])
    await database.close()
    assert record is not None
    assert (record.stored.event, record.stored.held, listing.state) == (one, False, "active")
    assert listing.item == WALLET_ITEM
    with locked(read_url(empty_url)) as connection:
        assert compare_metadata(MigrationContext.configure(connection, opts={"compare_type": True}), metadata) == []


def _upgrade_to(url: str, revision: str) -> None:
    with locked(read_url(url)) as connection:
        config = make_config()
        config.attributes["connection"] = connection
        command.upgrade(config, revision)


def _mark(connection: Connection) -> str:
    return "?" if connection.dialect.name == "sqlite" else "%s"


WALLET_ITEM: dict[str, JsonValue] = {
    "type": "wallet",
    "id": WALLET,
    "severity": 3,
    "typologies": ["fraud.investment"],
    "roles": ["service_benign"],
    "action": "do_not_block",
    "scope": {"tag": "7"},
    "embargo_until": "2027-01-01",
}


def _first_rows(one: Event) -> list[tuple[str, tuple[object, ...]]]:
    """A log of one listing, as the first release has it in its tables: a row a disclosure, an item with a copy of itself."""
    entry, disclosed = entry_of(one), new_disclosure("core.0", WALLET_ITEM)
    return [
        ("log_head", (one.origin, 1, entry.leaf, NOW_MS, 0, "", NOW_MS)),
        ("log_entry", (one.origin, one.index, one.sid, entry.entry, entry.leaf)),
        ("statement", as_row(row(one))[:15]),
        ("part", (one.origin, one.index, 0, "core", "core.0", disclosed.digest, disclosed.text)),
        ("item", (one.origin, one.index, 0, WALLET, "wallet", orjson.dumps(WALLET_ITEM))),
    ]


async def test_disclosures_move_together_and_items_find_theirs(empty_url: str) -> None:
    """From schema 0005: runs of one part share rows, tombstones keep their digests, each item points at its own words."""
    _upgrade_to(empty_url, "0005")
    one, far = event(700), event(3, origin=FAR)
    core = [new_disclosure(f"core.{n}", {"type": "wallet", "id": f"id-{n}", "severity": n % 5, "note": "x" * 300}) for n in range(30)]
    rest = [new_disclosure(name, {"note": name}) for name in ("ctx.0", "pii.0", "pii.1", "ctx.1")]
    wire = [*core, *rest]
    with locked(read_url(empty_url)) as connection:
        rows = [(table, values) for each in (one, far) for table, values in _first_rows(each)[:3]]
        rows += [(t, v) for t, v in _first_rows(far)[3:]]
        for number, d in enumerate(wire):
            text = None if d.part == "pii" else d.text
            rows.append(("part", (ORIGIN, 700, number, d.part, d.name, d.digest, text)))
        for n in range(30):
            rows.append(("item", (ORIGIN, 700, n, f"id-{n}", "wallet", orjson.dumps(core[n].value))))
        rows.append(("item", (ORIGIN, 700, 99, "no more disclosed", "wallet", b'{"type":"wallet","id":"no more disclosed"}')))
        for table, values in rows:
            connection.exec_driver_sql(f"INSERT INTO {table} VALUES ({', '.join([_mark(connection)] * len(values))})", values)
    upgrade(empty_url)
    database = Database(empty_url)
    async with database.reading() as tx:
        kept = await tx.statements.parts_of(ORIGIN, [700])
        found = await tx.subjects.listings([f"id-{n}" for n in range(30)])
        (there,) = await tx.subjects.listings([WALLET])
        assert await tx.subjects.listings(["no more disclosed"]) == []
    await database.close()
    fresh, _ = part_rows_of(ORIGIN, 700, core)
    assert kept[: len(fresh)] == fresh
    assert len(fresh) < 10
    assert [(row.number, row.part, row.size, row.is_erased) for row in kept[len(fresh) :]] == [
        (30, "ctx", 1, False),
        (31, "pii", 2, True),
        (33, "ctx", 1, False),
    ]
    assert b64u_encode_digests([digest for row in kept for digest in row.hashes()]) == [d.digest for d in wire]
    assert sorted((one.number, one.item) for one in found) == [(n, d.value) for n, d in enumerate(core)]
    assert there.item == WALLET_ITEM
    with locked(read_url(empty_url)) as connection:
        columns = "SELECT severity, category, flags, embargo_ms FROM item WHERE idx = 3"
        assert tuple(connection.exec_driver_sql(columns).one()) == tuple(glance(WALLET_ITEM))
        assert tuple(glance(WALLET_ITEM)) == (3, number_of("fraud.investment"), GUARD | TAGGED, 1_798_761_600_000)


def test_an_upgrade_that_fails_leaves_the_old_schema(empty_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """All steps are one transaction: after a crash in the middle the rerun starts from where it was (F-34)."""
    with locked(read_url(empty_url)) as connection:
        connection.exec_driver_sql("CREATE TABLE protected (id TEXT)")  # in the way of a later step
    with pytest.raises(Exception, match="already exists"):
        upgrade(empty_url)
    with locked(read_url(empty_url)) as connection:
        assert sa.inspect(connection).get_table_names() == ["protected"]
        connection.exec_driver_sql("DROP TABLE protected")
    assert upgrade(empty_url) == REVISIONS[-1]


def test_alembic_itself_finds_everything_in_pyproject(sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """`alembic upgrade head` with CORDON_DATABASE_URL works in a checkout; without a URL it says how to name one."""
    from alembic.config import CommandLine

    monkeypatch.chdir(MIGRATIONS.parent)
    monkeypatch.setenv("CORDON_DATABASE_URL", sqlite_url)
    CommandLine(prog="alembic").main(["--raiseerr", "upgrade", "head"])
    with locked(read_url(sqlite_url)) as connection:
        assert MigrationContext.configure(connection).get_current_revision() == REVISIONS[-1]
    monkeypatch.delenv("CORDON_DATABASE_URL")
    with pytest.raises(CommandError, match="-x url="):
        CommandLine(prog="alembic").main(["--raiseerr", "upgrade", "head"])
    with pytest.raises(CommandError, match="no offline mode"):
        CommandLine(prog="alembic").main(["--raiseerr", "upgrade", "head", "--sql"])


def test_an_upgrade_names_a_url_that_it_cannot_use() -> None:
    """The refusal shows the two spellings that would do."""
    with pytest.raises(BadRequest, match=r"sqlite\+aiosqlite"):
        upgrade("oracle://x")
    assert is_sqlite(read_url("sqlite:////tmp/x"))
