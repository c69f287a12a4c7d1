"""The ledger's file as a reader opens it: never written to, whatever state its writer has left it in."""

import sqlite3
from pathlib import Path
from typing import Any

from quietscope.config import LedgerError

__all__ = ["LedgerFile"]


class LedgerFile:
    """Asks the ledger's file, from one thread, while the recorder writes it.

    Parameters
    ----------
    path
        The database file.

    Raises
    ------
    quietscope.config.LedgerError
        If the file cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            try:
                self._open()
            except sqlite3.OperationalError:
                # A recorder that was killed in mid-transaction leaves a journal, which only a writer may roll back.
                self._roll_back()
                self._open()
        except sqlite3.Error as error:
            msg = f"cannot open the ledger {path}: {error}; is this a quietscope run folder?"
            raise LedgerError(msg) from error

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def rows(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        """Everything that a query finds.

        Raises
        ------
        quietscope.config.LedgerError
            If the file cannot be read.
        """
        try:
            # Fetched whole at once: an open cursor would hold a lock against the writer.
            return self._db.execute(sql, values).fetchall()
        except sqlite3.Error as error:
            msg = f"cannot read the ledger {self._path}: {error}; is the disk there?"
            raise LedgerError(msg) from error

    def knows(self, column: str) -> bool:
        """Whether frames have a column that early ledgers lack."""
        return any(row[1] == column for row in self.rows("PRAGMA table_info(frame)"))

    def _open(self) -> None:
        self._db = self._connect("ro")
        self._db.execute("SELECT 1 FROM meta LIMIT 1").fetchall()

    def _roll_back(self) -> None:
        db = self._connect("rw")
        try:
            db.execute("SELECT 1 FROM meta LIMIT 1").fetchall()
        finally:
            db.close()

    def _connect(self, mode: str) -> sqlite3.Connection:
        uri = f"{self._path.resolve().as_uri()}?mode={mode}"
        return sqlite3.connect(uri, uri=True, timeout=10.0, isolation_level=None)
