"""The ledger: one SQLite row per frame, the only place that says what has been kept.

Rollback journal and full synchronisation, since write-ahead logging does not work on network shares. The
recorder process is the only writer; everyone else opens the file read-only.
"""

import json
import sqlite3
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from quietscope.adapters.frame import FrameKey
from quietscope.config import LedgerError
from quietscope.config.faultpoints import reach

__all__ = [
    "DenoisedRow",
    "Entry",
    "EventRow",
    "LedgerWriter",
    "LostDenoisedRow",
    "MetaRow",
    "ModelRow",
    "RawRow",
    "RejectedRow",
    "ShownRow",
    "SkippedRow",
    "TrustRow",
]

SCHEMA_VERSION = 1

_SCHEMA = """
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS frame (
    id INTEGER PRIMARY KEY, t INTEGER NOT NULL, c INTEGER NOT NULL, z INTEGER NOT NULL, p INTEGER NOT NULL,
    received_ns INTEGER NOT NULL, stored_ns INTEGER NOT NULL, crc32 INTEGER NOT NULL,
    exposure_ms REAL, metadata TEXT,
    state TEXT NOT NULL DEFAULT 'raw' CHECK (state IN ('raw', 'denoised', 'skipped')),
    denoised_ns INTEGER, denoised_crc32 INTEGER, model_id TEXT, skip_reason TEXT,
    published_ns INTEGER, live INTEGER NOT NULL DEFAULT 0,
    trust_light TEXT, trust_reason TEXT, trust_figures TEXT, shown_quality TEXT, shown_ns INTEGER,
    UNIQUE (p, c, z, t));
CREATE INDEX IF NOT EXISTS frame_pending ON frame (c, id) WHERE state = 'raw';
CREATE TABLE IF NOT EXISTS rejected (
    id INTEGER PRIMARY KEY, at_ns INTEGER NOT NULL, name TEXT NOT NULL, reason TEXT NOT NULL, detail TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS model (
    id INTEGER PRIMARY KEY, at_ns INTEGER NOT NULL, model_id TEXT NOT NULL, channel INTEGER NOT NULL,
    accepted INTEGER NOT NULL, path TEXT, reason TEXT NOT NULL, figures TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS event (
    id INTEGER PRIMARY KEY, at_ns INTEGER NOT NULL, level TEXT NOT NULL, text TEXT NOT NULL);
"""

_ADDED = {
    "trust_light": "TEXT",
    "trust_reason": "TEXT",
    "trust_figures": "TEXT",
    "shown_quality": "TEXT",
    "shown_ns": "INTEGER",
}
"""Columns of the table of frames that early ledgers lack."""


@dataclass(frozen=True, slots=True)
class RawRow:
    """A raw frame is durably in the store."""

    key: FrameKey
    received_ns: int
    stored_ns: int
    crc32: int
    exposure_ms: float | None
    metadata: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class DenoisedRow:
    """A denoised frame is durably in the store."""

    key: FrameKey
    denoised_ns: int
    crc32: int
    model_id: str
    published_ns: int | None
    live: bool


@dataclass(frozen=True, slots=True)
class TrustRow:
    """A denoised frame has been judged, and its trust map is durably in the store."""

    key: FrameKey
    light: str
    reason: str
    figures: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class ShownRow:
    """A frame was shown below full quality when it was new; it is still to be denoised."""

    key: FrameKey
    quality: str
    shown_ns: int


@dataclass(frozen=True, slots=True)
class SkippedRow:
    """A raw frame will not be denoised, and why."""

    key: FrameKey
    reason: str


@dataclass(frozen=True, slots=True)
class LostDenoisedRow:
    """A denoised plane is gone or damaged and has to be made again."""

    key: FrameKey


@dataclass(frozen=True, slots=True)
class RejectedRow:
    """Something came that is no valid frame."""

    name: str
    reason: str
    detail: str


@dataclass(frozen=True, slots=True)
class ModelRow:
    """The gate's verdict on a model."""

    model_id: str
    channel: int
    accepted: bool
    path: str | None
    reason: str
    figures: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class EventRow:
    """Something worth remembering, in words."""

    level: str
    text: str


@dataclass(frozen=True, slots=True)
class MetaRow:
    """A fact about the whole run."""

    key: str
    value: Any


Entry = (
    RawRow
    | DenoisedRow
    | TrustRow
    | ShownRow
    | SkippedRow
    | LostDenoisedRow
    | RejectedRow
    | ModelRow
    | EventRow
    | MetaRow
)


class LedgerWriter:
    """Writes the ledger, from one thread.

    Parameters
    ----------
    path
        The database file; made if absent.

    Raises
    ------
    quietscope.config.LedgerError
        If the file cannot be opened or is no ledger of this version.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self._db = sqlite3.connect(path, timeout=10.0, isolation_level=None)
            self._db.execute("PRAGMA journal_mode=DELETE")
            self._db.execute("PRAGMA synchronous=FULL")
            self._db.executescript(_SCHEMA)
            self._add_columns()
            self._db.execute("INSERT OR IGNORE INTO meta VALUES ('schema', ?)", (str(SCHEMA_VERSION),))
        except sqlite3.Error as error:
            msg = f"cannot open the ledger {path}: {error}; check that the folder is writable and on a working disk"
            raise LedgerError(msg) from error

    def commit(self, entries: Iterable[Entry]) -> None:
        """Write `entries` in one transaction; they are on disk when this returns.

        Raises
        ------
        quietscope.config.LedgerError
            If the transaction failed; then none of the entries is in the ledger.
        """
        try:
            self._db.execute("BEGIN IMMEDIATE")
            for entry in entries:
                self._write(entry)
            reach("ledger.commit")
            self._db.execute("COMMIT")
        except (sqlite3.Error, OSError, OverflowError, TypeError, ValueError) as error:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            msg = f"cannot write the ledger {self._path}: {error}; free some disk space or check the disk"
            raise LedgerError(msg) from error

    def _add_columns(self) -> None:
        """Bring a ledger of an earlier version up to date."""
        known = {row[1] for row in self._db.execute("PRAGMA table_info(frame)")}
        for column, kind in _ADDED.items():
            if column not in known:
                self._db.execute(f"ALTER TABLE frame ADD COLUMN {column} {kind}")

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def _write(self, entry: Entry) -> None:
        run = self._db.execute
        now = time.time_ns()
        match entry:
            case RawRow(key, received_ns, stored_ns, crc32, exposure_ms, metadata):
                run(
                    "INSERT INTO frame (t, c, z, p, received_ns, stored_ns, crc32, exposure_ms, metadata)"
                    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (p, c, z, t) DO NOTHING",
                    (
                        *key,
                        received_ns,
                        stored_ns,
                        crc32,
                        exposure_ms,
                        json.dumps(dict(metadata)) if metadata else None,
                    ),
                )
            case DenoisedRow(key, denoised_ns, crc32, model_id, published_ns, live):
                run(
                    "UPDATE frame SET state = 'denoised', denoised_ns = ?, denoised_crc32 = ?, model_id = ?,"
                    " published_ns = ?, live = ?, skip_reason = NULL,"
                    " shown_quality = coalesce(shown_quality, ?), shown_ns = coalesce(shown_ns, ?)"
                    " WHERE t = ? AND c = ? AND z = ? AND p = ?",
                    (
                        *(denoised_ns, crc32, model_id, published_ns, int(live)),
                        *(None if published_ns is None else "full", published_ns),
                        *key,
                    ),
                )
            case TrustRow(key, light, reason, figures):
                run(
                    "UPDATE frame SET trust_light = ?, trust_reason = ?, trust_figures = ?"
                    " WHERE t = ? AND c = ? AND z = ? AND p = ?",
                    (light, reason, json.dumps(dict(figures)), *key),
                )
            case ShownRow(key, quality, shown_ns):
                run(
                    "UPDATE frame SET shown_quality = ?, shown_ns = ?"
                    " WHERE t = ? AND c = ? AND z = ? AND p = ? AND shown_quality IS NULL",
                    (quality, shown_ns, *key),
                )
            case SkippedRow(key, reason):
                run(
                    "UPDATE frame SET state = 'skipped', skip_reason = ?"
                    " WHERE t = ? AND c = ? AND z = ? AND p = ? AND state = 'raw'",
                    (reason, *key),
                )
            case LostDenoisedRow(key):
                run(
                    "UPDATE frame SET state = 'raw', denoised_ns = NULL, denoised_crc32 = NULL, model_id = NULL,"
                    " published_ns = NULL, live = 0, trust_light = NULL, trust_reason = NULL, trust_figures = NULL"
                    " WHERE t = ? AND c = ? AND z = ? AND p = ? AND state = 'denoised'",
                    (*key,),
                )
            case RejectedRow(name, reason, detail):
                run("INSERT INTO rejected VALUES (NULL, ?, ?, ?, ?)", (now, name, reason, detail))
            case ModelRow(model_id, channel, accepted, path, reason, figures):
                run(
                    "INSERT INTO model VALUES (NULL, ?, ?, ?, ?, ?, ?, ?)",
                    (now, model_id, channel, int(accepted), path, reason, json.dumps(dict(figures))),
                )
            case EventRow(level, text):
                run("INSERT INTO event VALUES (NULL, ?, ?, ?)", (now, level, text))
            case MetaRow(key, value):
                run("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, json.dumps(value)))
