"""The first schema. Frozen: later changes are later revisions."""

from __future__ import annotations

from typing import NoReturn

import sqlalchemy as sa
from alembic import op
from alembic.util.exc import CommandError

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def _key(name: str, *, null: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.Text().with_variant(sa.TEXT(collation="C"), "postgresql"), nullable=null)


def _text(name: str, *, null: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.Text(), nullable=null)


def _int(name: str, *, null: bool = False) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger(), nullable=null, autoincrement=False)


def _bytes(name: str, *, null: bool = False) -> sa.Column[bytes]:
    return sa.Column(name, sa.LargeBinary(), nullable=null)


def upgrade() -> None:
    """Everything."""
    op.create_table(
        "audit", _int("seq"), _int("at_ms"), _key("actor"), _bytes("body"), _bytes("hash"), sa.PrimaryKeyConstraint("seq", name="pk_audit")
    )
    op.create_table("audit_head", _key("chain"), _int("size"), _bytes("hash"), sa.PrimaryKeyConstraint("chain", name="pk_audit_head"))
    op.create_table(
        "client",
        _key("id"),
        _bytes("secret_sha256"),
        _key("environment"),
        _key("member"),
        _key("class"),
        _text("name"),
        _text("scopes"),
        _key("tier"),
        _bytes("quota"),
        _int("created_ms"),
        _int("expires_ms", null=True),
        _int("revoked_ms", null=True),
        sa.CheckConstraint("environment = 'live' OR environment = 'test'", name=op.f("ck_client_environment")),
        sa.PrimaryKeyConstraint("id", name="pk_client"),
    )
    op.create_index("ix_client_member", "client", ["member"])

    op.create_table(
        "edge",
        _key("target"),
        _key("origin"),
        _int("idx"),
        sa.PrimaryKeyConstraint("target", "origin", "idx", name="pk_edge"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "entity_word",
        _key("word"),
        _key("subject"),
        _key("origin"),
        _int("idx"),
        sa.PrimaryKeyConstraint("word", "subject", "origin", "idx", name="pk_entity_word"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_entity_word_statement", "entity_word", ["origin", "idx"])

    op.create_table(
        "frozen",
        _key("origin"),
        _int("idx"),
        _key("subject"),
        _int("until_s"),
        sa.PrimaryKeyConstraint("origin", "idx", "subject", name="pk_frozen"),
    )
    op.create_index("ix_frozen_until", "frozen", ["until_s"])

    op.create_table(
        "held",
        _key("sid"),
        _text("wire"),
        _key("issuer"),
        _key("kid"),
        _key("kind"),
        _bytes("label"),
        _key("reason"),
        _int("received_ms"),
        sa.PrimaryKeyConstraint("sid", name="pk_held"),
    )
    op.create_index("ix_held_issuer", "held", ["issuer", "received_ms"])

    op.create_table(
        "idempotency",
        _key("caller"),
        _key("key"),
        _bytes("fingerprint"),
        _int("started_ms"),
        _int("status", null=True),
        _bytes("headers", null=True),
        _bytes("body", null=True),
        sa.PrimaryKeyConstraint("caller", "key", name="pk_idempotency"),
    )
    op.create_index("ix_idempotency_started", "idempotency", ["started_ms"])

    op.create_table(
        "item",
        _key("origin"),
        _int("idx"),
        _int("number"),
        _key("subject"),
        _key("type"),
        _bytes("body"),
        sa.PrimaryKeyConstraint("origin", "idx", "number", name="pk_item"),
    )
    op.create_index("ix_item_subject", "item", ["subject"])

    op.create_table("lease", _key("name"), _key("holder"), _int("until_ms"), sa.PrimaryKeyConstraint("name", name="pk_lease"))
    op.create_table(
        "link",
        _key("origin"),
        _int("idx"),
        _int("number"),
        _key("from_id"),
        _key("to_id"),
        _bytes("body"),
        sa.PrimaryKeyConstraint("origin", "idx", "number", name="pk_link"),
    )
    op.create_index("ix_link_from_id", "link", ["from_id"])
    op.create_index("ix_link_to_id", "link", ["to_id"])

    op.create_table(
        "log_entry",
        _key("origin"),
        _int("idx"),
        _key("sid"),
        _bytes("entry"),
        _bytes("leaf"),
        sa.PrimaryKeyConstraint("origin", "idx", name="pk_log_entry"),
    )
    op.create_table(
        "log_head",
        _key("origin"),
        _int("size"),
        _bytes("root"),
        _int("accepted_ms"),
        _int("note_size"),
        _text("note"),
        _int("created_ms"),
        sa.CheckConstraint("size >= 0 AND note_size <= size", name=op.f("ck_log_head_sizes")),
        sa.PrimaryKeyConstraint("origin", name="pk_log_head"),
    )
    op.create_table(
        "log_tile", _key("origin"), _int("slot"), _bytes("hashes"), sa.PrimaryKeyConstraint("origin", "slot", name="pk_log_tile")
    )
    op.create_table("meta", _key("key"), _bytes("value"), sa.PrimaryKeyConstraint("key", name="pk_meta"))
    op.create_table(
        "part",
        _key("origin"),
        _int("idx"),
        _int("number"),
        _key("part"),
        _key("name"),
        _key("digest"),
        _text("disclosure", null=True),
        sa.PrimaryKeyConstraint("origin", "idx", "number", name="pk_part"),
    )
    op.create_table("protected", _key("id"), _key("source"), _text("reason"), sa.PrimaryKeyConstraint("id", "source", name="pk_protected"))
    op.create_table(
        "registered",
        _key("origin"),
        _key("kind"),
        _key("id"),
        _int("idx"),
        _key("sid"),
        _text("name"),
        _key("class"),
        _key("country", null=True),
        _bytes("claims"),
        sa.CheckConstraint("kind = 'member' OR kind = 'group'", name=op.f("ck_registered_kind")),
        sa.PrimaryKeyConstraint("origin", "kind", "id", name="pk_registered"),
    )
    op.create_table(
        "root_document",
        _key("jurisdiction"),
        _int("version"),
        _key("sha256"),
        _bytes("document"),
        sa.PrimaryKeyConstraint("jurisdiction", "version", name="pk_root_document"),
    )
    op.create_table(
        "statement",
        _key("origin"),
        _int("idx"),
        _key("sid"),
        _key("kind"),
        _key("issuer"),
        _key("kid"),
        _int("accepted_ms"),
        _int("issued_s"),
        _key("jti", null=True),
        _key("state"),
        _int("contested"),
        _int("until_s", null=True),
        _key("superseded_by", null=True),
        _bytes("event"),
        _bytes("context", null=True),
        sa.CheckConstraint(
            "state = 'active' OR state = 'retracted' OR state = 'superseded' OR state = 'erased' OR state = 'inert' OR state = 'waiting'",
            name=op.f("ck_statement_state"),
        ),
        sa.ForeignKeyConstraint(["origin", "idx"], ["log_entry.origin", "log_entry.idx"], name=op.f("fk_statement_log_entry")),
        sa.PrimaryKeyConstraint("origin", "idx", name="pk_statement"),
    )
    op.create_index("ix_statement_accepted", "statement", ["accepted_ms", "origin", "idx"])
    op.create_index("ix_statement_issuer", "statement", ["issuer", "accepted_ms", "origin", "idx"])
    op.create_index(
        "ix_statement_jti",
        "statement",
        ["issuer", "jti"],
        sqlite_where=sa.text("jti IS NOT NULL"),
        postgresql_where=sa.text("jti IS NOT NULL"),
    )
    op.create_index("ix_statement_sid", "statement", ["sid", "origin"])

    op.create_table(
        "control",
        _key("origin"),
        _int("idx"),
        sa.ForeignKeyConstraint(["origin", "idx"], ["statement.origin", "statement.idx"], name=op.f("fk_control_statement")),
        sa.PrimaryKeyConstraint("origin", "idx", name="pk_control"),
    )


def downgrade() -> NoReturn:
    """Refused: going back would lose what was written since."""
    raise CommandError("Cordon's schema only goes forward: restore the backup made before the upgrade")
