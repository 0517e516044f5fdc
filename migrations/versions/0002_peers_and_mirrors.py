"""Federation: peers, mirrors, what they withhold, and what is owed to them. Additive, frozen: later changes are later revisions."""

from __future__ import annotations

from typing import NoReturn

import sqlalchemy as sa
from alembic import op
from alembic.util.exc import CommandError

revision = "0002"
down_revision = "0001"
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
    """New tables only: nothing that the release before reads or writes is touched."""
    _whom_we_follow()
    _what_we_found()
    _what_does_not_count()
    _what_is_owed()


def _whom_we_follow() -> None:
    op.create_table(
        "peer",
        _key("node"),
        _key("jurisdiction"),
        _text("url"),
        _key("pin"),
        _int("paused"),
        _int("added_ms"),
        sa.CheckConstraint("paused = 0 OR paused = 1", name=op.f("ck_peer_paused")),
        sa.PrimaryKeyConstraint("node", name="pk_peer"),
    )
    op.create_index("ix_peer_jurisdiction", "peer", ["jurisdiction"], unique=True)
    op.create_table(
        "mirror",
        _key("origin"),
        _key("node"),
        _int("tree_size"),
        _bytes("tree_root"),
        _text("tree_note"),
        _key("state"),
        _text("reason"),
        _int("common", null=True),
        _int("final_size", null=True),
        _int("quarantined"),
        _int("added_per_hour"),
        _int("total"),
        _int("weight"),
        _text("transfer_basis"),
        _int("seen_ms"),
        _int("note_ms"),
        sa.CheckConstraint(
            "state = 'live' OR state = 'stale' OR state = 'suspect' OR state = 'forked' OR state = 'retired'", name=op.f("ck_mirror_state")
        ),
        sa.CheckConstraint("quarantined = 0 OR quarantined = 1", name=op.f("ck_mirror_quarantined")),
        sa.CheckConstraint("weight >= 0 AND weight <= 100", name=op.f("ck_mirror_weight")),
        sa.PrimaryKeyConstraint("origin", name="pk_mirror"),
    )
    op.create_index("ix_mirror_node", "mirror", ["node"])
    op.create_table(
        "withheld",
        _key("origin"),
        _int("idx"),
        _key("what"),
        _int("asked_ms"),
        sa.CheckConstraint("what = 'stub' OR what = 'parts'", name=op.f("ck_withheld_what")),
        sa.PrimaryKeyConstraint("origin", "idx", name="pk_withheld"),
    )
    op.create_index("ix_withheld_asked", "withheld", ["origin", "what", "asked_ms", "idx"])


def _what_we_found() -> None:
    op.create_table(
        "poison",
        _key("origin"),
        _int("idx"),
        _text("reason"),
        _bytes("entry", null=True),
        _int("found_ms"),
        _int("reported"),
        sa.CheckConstraint("reported = 0 OR reported = 1", name=op.f("ck_poison_reported")),
        sa.PrimaryKeyConstraint("origin", "idx", name="pk_poison"),
    )
    op.create_table(
        "evidence",
        _key("sha256"),
        _key("form"),
        _key("origin"),
        _text("text"),
        _int("found_ms"),
        _int("logged"),
        sa.CheckConstraint("logged = 0 OR logged = 1", name=op.f("ck_evidence_logged")),
        sa.PrimaryKeyConstraint("sha256", name="pk_evidence"),
    )
    op.create_table(
        "cosignature",
        _key("origin"),
        _int("size"),
        _key("name"),
        _text("line"),
        _int("time_s"),
        sa.PrimaryKeyConstraint("origin", "size", "name", name="pk_cosignature"),
    )
    op.create_table(
        "token",
        _key("kid"),
        _key("jti"),
        _int("until_s"),
        sa.PrimaryKeyConstraint("kid", "jti", name="pk_token"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_token_until", "token", ["until_s"])


def _what_does_not_count() -> None:
    op.create_table(
        "dormant",
        _key("origin"),
        _int("idx"),
        _key("reason"),
        _int("since_ms"),
        sa.PrimaryKeyConstraint("origin", "idx", name="pk_dormant"),
        sqlite_with_rowid=False,
    )
    op.create_table("valve", _key("origin"), _int("hour"), _int("added"), sa.PrimaryKeyConstraint("origin", "hour", name="pk_valve"))


def _what_is_owed() -> None:
    op.create_table(
        "acknowledgement",
        _key("node"),
        _key("origin"),
        _key("sid"),
        _int("asked_ms"),
        _int("done_ms", null=True),
        _text("token", null=True),
        sa.PrimaryKeyConstraint("node", "origin", "sid", name="pk_acknowledgement"),
    )
    op.create_index("ix_acknowledgement_sid", "acknowledgement", ["sid"])
    op.create_index(
        "ix_acknowledgement_open",
        "acknowledgement",
        ["asked_ms"],
        sqlite_where=sa.text("done_ms IS NULL"),
        postgresql_where=sa.text("done_ms IS NULL"),
    )


def downgrade() -> NoReturn:
    """Refused: going back would lose what was written since."""
    raise CommandError("Cordon's schema only goes forward: restore the backup made before the upgrade")
