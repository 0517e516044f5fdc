"""Every value that an operator chooses, read once and frozen (schemas §6).

Order: command-line flag > environment `CORDON_…` > `cordon.toml` > default. `CORDON_<NAME>_FILE` reads a value from a file (secrets).
An unknown `CORDON_*` variable or key stops the start: a misspelt setting must not silently be a default.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

PREFIX = "CORDON_"
# Read by the command line, not by the node.
CLIENT_VARIABLES = frozenset({"CORDON_API_KEY", "CORDON_NODE", "CORDON_SHARED"})

FEDERATION_NEEDS = ("dpia_ref", "controller", "dpo_contact", "supervisory_authority")


class SettingsError(Exception):
    """A setting is missing, unknown or not usable; the text names it and says what would do."""


class Settings(BaseSettings):
    """The settings of one node. Times carry their unit in the name; `_S` seconds, `_MS` milliseconds, `_H` hours."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="forbid")

    data_dir: Path = Field(Path("var"), description="Keys (0600), database, anchor and journal of this node.")
    database_url: str = Field("", description="SQLAlchemy URL; empty: SQLite in DATA_DIR. Production: postgresql+psycopg://…")
    host: str = Field("127.0.0.1", description="Address to listen on.")
    port: int = Field(8000, ge=1, le=65535, description="Port to listen on.")
    workers: int = Field(1, ge=1, le=64, description="Worker processes; more than one only on PostgreSQL.")
    operations_bind: str = Field("", description="`host:port` for health and metrics alone; empty: on the main port.")
    node_id: str = Field("", description="The host part of the log's origin; empty: as `cordon init` wrote it.")
    jurisdiction: str = Field("", description="Two-letter code; empty: as `cordon init` wrote it.")
    public_url: str = Field("http://127.0.0.1:8000", description="How others reach this node.")
    metrics_token: str = Field("", description="Bearer token that may read /metrics from elsewhere than loopback.")
    trusted_proxies: str = Field("", description="Comma-separated addresses whose X-Forwarded-For is believed.")
    commit_window_ms: int = Field(20, ge=0, le=50, description="How long the sequencer gathers at most before it commits a batch.")
    batch_max: int = Field(500, ge=1, le=500, description="Most statements in one commit.")
    public_delay_h: int = Field(72, ge=0, description="Public delay of new rows, unless the policy statement says otherwise.")
    log_public: bool = Field(True, description="Whether checkpoint, hash tiles and root chain are for all, or for key holders.")
    protected_file: str = Field("", description="File of ids that must never be listed, one a line, read at start.")
    anchor_file: str = Field("", description="Where the largest size and root ever signed are kept; empty: DATA_DIR/anchor.")
    log_level: str = Field("info", description="debug, info, warning or error.")
    docs: bool = Field(False, description="Whether /docs is served.")
    rate_public_per_minute: int = Field(60, ge=1, description="Requests a minute of a caller without a key, per address.")
    rate_public_copies_per_hour: int = Field(
        3, ge=1, description="Copies of the CLEAR view an hour of a caller without a key, per address."
    )
    rate_client_per_minute: int = Field(600, ge=1, description="Requests a minute of an API key that names no quota of its own.")
    federation: bool = Field(False, description="Whether this node follows peers and serves them; needs the four settings below.")
    dpia_ref: str = Field("", description="Reference of the data protection impact assessment.")
    controller: str = Field("", description="The controller of the processing, as in the agreement with the peers.")
    dpo_contact: str = Field("", description="How the data protection officer is reached.")
    supervisory_authority: str = Field("", description="The authority that supervises this node.")
    replica_url: str = Field("", description="A streaming replica of PostgreSQL that pages of entries may be read from; empty: none.")
    replica_age_s: float = Field(1.0, gt=0, le=60, description="How old what the replica shows may be at most, in seconds.")
    peer_poll_s: int = Field(30, ge=1, le=3600, description="Safety poll of a peer, beside its live signals.")
    peer_backoff_max_s: int = Field(300, ge=1, le=300, description="Longest pause before a peer that failed is asked again.")
    allow_loopback: bool = Field(False, description="Peers and webhooks on loopback, there also by plain http (development only).")
    view_interval_s: int = Field(60, ge=1, le=60, description="A view head is signed at least so often, in seconds.")
    webhook_timeout_s: int = Field(15, ge=1, le=30, description="How long a webhook may take to answer, in seconds.")
    witness_policy_file: str = Field("", description="Quorum of witnesses in C2SP policy format; empty: any two other jurisdictions.")

    @field_validator("log_level")
    @classmethod
    def _known_level(cls, value: str) -> str:
        if value not in ("debug", "info", "warning", "error"):
            raise ValueError("log_level is debug, info, warning or error")
        return value

    @model_validator(mode="after")
    def _one_writer_on_sqlite(self) -> Settings:
        if self.workers > 1 and not self.database_url.startswith("postgresql"):
            raise ValueError("more than one worker needs PostgreSQL: set CORDON_DATABASE_URL=postgresql+psycopg://… or CORDON_WORKERS=1")
        if self.workers > 1 and self.operations_bind:
            raise ValueError(
                "several workers cannot share the port of CORDON_OPERATIONS_BIND: leave it empty, metrics are on the main port"
            )
        return self

    @model_validator(mode="after")
    def _replica_of_the_same_engine(self) -> Settings:
        if self.replica_url and not (self.replica_url.startswith("postgresql") and self.database_url.startswith("postgresql")):
            raise ValueError("CORDON_REPLICA_URL is a streaming replica of PostgreSQL: both URLs begin with postgresql+psycopg://")
        return self

    @model_validator(mode="after")
    def _federation_is_assessed(self) -> Settings:
        missing = [name for name in FEDERATION_NEEDS if not getattr(self, name).strip()]
        if self.federation and missing:
            names = ", ".join(PREFIX + name.upper() for name in missing)
            raise ValueError(f"federation starts only after its assessment (trust-and-ops DP-09): set {names}")
        return self

    @field_validator("operations_bind")
    @classmethod
    def _host_and_port(cls, value: str) -> str:
        host, _, port = value.rpartition(":")
        if value and not (host and port.isascii() and port.isdigit() and 0 < int(port) < 65536):
            raise ValueError("operations_bind is host:port, such as 127.0.0.1:9100")
        return value

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Only what `load` gathered: it knows the order, the `_FILE` rule and refuses unknown names."""
        return (init_settings,)

    @property
    def resolved_database_url(self) -> str:
        """The database of this node: the one named, else SQLite in the data directory."""
        return self.database_url or f"sqlite+aiosqlite:///{self.data_dir.resolve() / 'cordon.sqlite3'}"

    @property
    def resolved_anchor(self) -> Path:
        """Where the anchor stands."""
        return Path(self.anchor_file) if self.anchor_file else self.data_dir / "anchor"

    @property
    def keys_dir(self) -> Path:
        """Private keys, each a file with mode 0600."""
        return self.data_dir / "keys"


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path} is not TOML: {error}") from error


def load(flags: Mapping[str, Any] | None = None, *, environment: Mapping[str, str] | None = None, toml: Path | None = None) -> Settings:
    """Read the settings once. `flags` come from the command line (None values do not count). Raises SettingsError."""
    env = dict(os.environ if environment is None else environment)
    values: dict[str, Any] = {}
    path = toml or Path(env.get("CORDON_DATA_DIR", str((flags or {}).get("data_dir") or "var"))) / "cordon.toml"
    if path.is_file():
        values.update({name.lower(): value for name, value in _read_toml(path).items()})
    values.update(_from_environment(env))
    values.update({name: value for name, value in (flags or {}).items() if value is not None})
    known = set(Settings.model_fields)
    unknown = sorted(set(values) - known)
    if unknown:
        names = ", ".join(PREFIX + name.upper() for name in unknown)
        raise SettingsError(f"unknown setting {names}: docs/settings.md has the list (a misspelt name would silently be a default)")
    try:
        return Settings(**values)
    except ValidationError as error:
        first = error.errors()[0]
        where = PREFIX + str(first["loc"][0]).upper() if first["loc"] else "settings"
        raise SettingsError(f"{where}: {first['msg']}") from error


def _from_environment(env: Mapping[str, str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in env.items():
        if not name.startswith(PREFIX) or name in CLIENT_VARIABLES or value == "":
            continue
        key = name[len(PREFIX) :].lower()
        if key.endswith("_file") and key[: -len("_file")] in Settings.model_fields and key not in Settings.model_fields:
            found[key[: -len("_file")]] = _read_secret(name, Path(value))
        else:
            found[key] = value
    return found


def _read_secret(name: str, path: Path) -> str:
    try:
        return path.read_text("utf-8").strip()
    except OSError as error:
        raise SettingsError(f"{name}: cannot read {path}: {error.strerror}") from error
