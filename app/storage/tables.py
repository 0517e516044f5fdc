"""The tables of a node, split by how long their rows live (trust-and-ops §6.3).

    log_*                 immutable: what the checkpoint vouches for
    statement, control,   projection of the log, moved by the fold; `statement.context` is erasable
    edge
    part, item, link,     erasable: content, deleted with its salts by an `erase` or at the end of retention
    frozen, entity_word,
    kin
    registered, …         small registers of the node itself
    audit*                append-only, hash-chained
    peer, mirror, …       what federation adds: storage/peer_tables
    screening_receipt, …  what clients were told under a signature: storage/receipt_tables
    screening_policy      what clients make of an answer: storage/policy_tables
    watch*, told, …       who watches what, and what was sent: storage/watch_tables

Rules that keep every engine open: no sequences (the application numbers), times are integers with the unit in the name, JSON
is stored as bytes and never re-serialised, keys compare byte by byte (`COLLATE "C"`), text holds no NUL, closed lists are
CHECKed text. A change here needs a migration; tests compare the two.
"""

from __future__ import annotations

from sqlalchemy import CheckConstraint, ForeignKeyConstraint, Index, PrimaryKeyConstraint, Table, text

from app.domain.folding import State
from app.storage import peer_tables
from app.storage import policy_tables as _policy_tables  # noqa: F401 — its table is in the metadata once it was read
from app.storage import receipt_tables as _receipt_tables  # noqa: F401 — its tables are in the metadata once it was read
from app.storage import watch_tables as _watch_tables  # noqa: F401 — as above
from app.storage.columns import bytes_column as _bytes
from app.storage.columns import int_column as _int
from app.storage.columns import key_column as _key
from app.storage.columns import text_column as _text

REVISIONS = ("0001", "0002", "0003", "0004", "0005", "0006", "0007", "0008", "0009", "0010", "0011")
"""Every revision of the schema, oldest first; the last is what this code reads and writes."""

SERVED_SINCE = "0010"
"""The oldest revision whose code may go on with the newest schema (ADR 0016). A revision that only adds what older code neither misses nor
misreads leaves this as it is; one that moves, drops or reinterprets names itself here."""
SERVED_SINCE_KEY = "served_since"


def may_go_on(served_since: bytes | None) -> bool:
    """Whether this code may run on a newer schema whose database holds this value of `served_since`; None: it says nothing."""
    return served_since is not None and REVISIONS[-1] >= served_since.decode("ascii")


metadata = peer_tables.peer.metadata  # whoever reads it from here sees the tables of federation and of receipts, too

# Not `IN (…)`: SQLite would build a table of the list for every row that is inserted.
_STATES = " OR ".join(f"state = '{state}'" for state in State if state is not State.EXPIRED)


def _of(table: str) -> ForeignKeyConstraint:
    return ForeignKeyConstraint(["origin", "idx"], [f"{table}.origin", f"{table}.idx"])


# --- the log: immutable ---------------------------------------------------------------------------------------------

log_head = Table(
    "log_head",
    metadata,
    _key("origin"),
    _int("size"),
    _bytes("root"),
    _int("accepted_ms"),
    _int("note_size"),
    _text("note"),
    _int("created_ms"),
    PrimaryKeyConstraint("origin"),
    CheckConstraint("size >= 0 AND note_size <= size", name="sizes"),
)

log_entry = Table(
    "log_entry",
    metadata,
    _key("origin"),
    _int("idx"),
    _key("sid"),
    _bytes("entry"),
    _bytes("leaf"),
    PrimaryKeyConstraint("origin", "idx"),
)

# One row a tile, `slot` = level << 48 | number; a tile at the edge holds 32 bytes for each hash so far and grows in place.
log_tile = Table(
    "log_tile",
    metadata,
    _key("origin"),
    _int("slot"),
    _bytes("hashes"),
    PrimaryKeyConstraint("origin", "slot"),
)

# --- statements: the projection of the log --------------------------------------------------------------------------

# `event`: what the fold reads, packed by storage/events. `until_s`: expiry with renewals. `context`: of a listing its context
# item, of a dispute or endorsement its one item; erased with the part. `reach`: of a listing, for whom it could be (domain/reach).
statement = Table(
    "statement",
    metadata,
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
    _key("reach", null=True),
    PrimaryKeyConstraint("origin", "idx"),
    _of("log_entry"),
    CheckConstraint(_STATES, name="state"),
)
Index("ix_statement_sid", statement.c.sid, statement.c.origin)
Index("ix_statement_issuer", statement.c.issuer, statement.c.accepted_ms, statement.c.origin, statement.c.idx)
Index("ix_statement_accepted", statement.c.accepted_ms, statement.c.origin, statement.c.idx)
Index(
    "ix_statement_jti",
    statement.c.issuer,
    statement.c.jti,
    sqlite_where=text("jti IS NOT NULL"),
    postgresql_where=text("jti IS NOT NULL"),
)
# Where the few statements stand that the registry is made of.
control = Table("control", metadata, _key("origin"), _int("idx"), PrimaryKeyConstraint("origin", "idx"), _of("statement"))

# `target`: the sid that a `t` names; for `ohash/sid` the sid alone, the rest is checked against the event.
edge = Table(
    "edge",
    metadata,
    _key("target"),
    _key("origin"),
    _int("idx"),
    PrimaryKeyConstraint("target", "origin", "idx"),
    sqlite_with_rowid=False,
)

# --- content: erasable ----------------------------------------------------------------------------------------------

# One row holds disclosures of one part that stand side by side on the wire, `number` the place of the first (storage/part_rows).
# It stays as a tombstone when they, values and salts, are erased: then `digests` has 32 bytes for each.
part = Table(
    "part",
    metadata,
    _key("origin"),
    _int("idx"),
    _int("number"),
    _key("part"),
    _text("disclosures", null=True),
    _bytes("digests", null=True),
    PrimaryKeyConstraint("origin", "idx", "number"),
)

# What an item says is read where it was disclosed: at `start` of the row `run` of `part`. The rest is its glance (domain/glance).
item = Table(
    "item",
    metadata,
    _key("origin"),
    _int("idx"),
    _int("number"),
    _key("subject"),
    _int("run"),
    _int("start"),
    _int("severity"),
    _int("category"),
    _int("flags"),
    _int("embargo_ms", null=True),
    PrimaryKeyConstraint("origin", "idx", "number"),
    Index("ix_item_subject", "subject"),
)

link = Table(
    "link",
    metadata,
    _key("origin"),
    _int("idx"),
    _int("number"),
    _key("from_id"),
    _key("to_id"),
    _bytes("body"),
    PrimaryKeyConstraint("origin", "idx", "number"),
    Index("ix_link_from_id", "from_id"),
    Index("ix_link_to_id", "to_id"),
)

# The ids that open freeze requests name: a CLEAR listing of one of them needs an embargo (schemas §2, rule 6).
frozen = Table(
    "frozen",
    metadata,
    _key("origin"),
    _int("idx"),
    _key("subject"),
    _int("until_s"),
    PrimaryKeyConstraint("origin", "idx", "subject"),
    Index("ix_frozen_until", "until_s"),
)

# Inverted index of entities: a word of a name, or `=kind=…`, `=country=…`, `=programme=…`.
entity_word = Table(
    "entity_word",
    metadata,
    _key("word"),
    _key("subject"),
    _key("origin"),
    _int("idx"),
    PrimaryKeyConstraint("word", "subject", "origin", "idx"),
    Index("ix_entity_word_statement", "origin", "idx"),
    sqlite_with_rowid=False,
)

# Keys that listed wallets share with others from whose side their ids cannot be written (`far_keys`), in hex.
kin = Table(
    "kin",
    metadata,
    _key("key"),
    _key("origin"),
    _int("idx"),
    _int("number"),
    PrimaryKeyConstraint("key", "origin", "idx", "number"),
    Index("ix_kin_statement", "origin", "idx"),
    sqlite_with_rowid=False,
)

held = Table(
    "held",
    metadata,
    _key("sid"),
    _text("wire"),
    _key("issuer"),
    _key("kid"),
    _key("kind"),
    _bytes("label"),
    _key("reason"),
    _int("received_ms"),
    PrimaryKeyConstraint("sid"),
    Index("ix_held_issuer", "issuer", "received_ms"),
)

# --- registers ------------------------------------------------------------------------------------------------------

# The newest `member` and `group` statements in force, by log.
registered = Table(
    "registered",
    metadata,
    _key("origin"),
    _key("kind"),
    _key("id"),
    _int("idx"),
    _key("sid"),
    _text("name"),
    _key("class"),
    _key("country", null=True),
    _bytes("claims"),
    PrimaryKeyConstraint("origin", "kind", "id"),
    CheckConstraint("kind = 'member' OR kind = 'group'", name="kind"),
)

root_document = Table(
    "root_document",
    metadata,
    _key("jurisdiction"),
    _int("version"),
    _key("sha256"),
    _bytes("document"),
    PrimaryKeyConstraint("jurisdiction", "version"),
)

client = Table(
    "client",
    metadata,
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
    PrimaryKeyConstraint("id"),
    CheckConstraint("environment = 'live' OR environment = 'test'", name="environment"),
    Index("ix_client_member", "member"),
    Index("ix_client_secret", "id", "secret_sha256"),
)

protected = Table(
    "protected",
    metadata,
    _key("id"),
    _key("source"),
    _text("reason"),
    PrimaryKeyConstraint("id", "source"),
)

audit_head = Table("audit_head", metadata, _key("chain"), _int("size"), _bytes("hash"), PrimaryKeyConstraint("chain"))

audit = Table(
    "audit",
    metadata,
    _int("seq"),
    _int("at_ms"),
    _key("actor"),
    _bytes("body"),
    _bytes("hash"),
    PrimaryKeyConstraint("seq"),
)

idempotency = Table(
    "idempotency",
    metadata,
    _key("caller"),
    _key("key"),
    _bytes("fingerprint"),
    _int("started_ms"),
    _int("status", null=True),
    _bytes("headers", null=True),
    _bytes("body", null=True),
    PrimaryKeyConstraint("caller", "key"),
    Index("ix_idempotency_started", "started_ms"),
)

lease = Table("lease", metadata, _key("name"), _key("holder"), _int("until_ms"), PrimaryKeyConstraint("name"))

meta = Table("meta", metadata, _key("key"), _bytes("value"), PrimaryKeyConstraint("key"))
