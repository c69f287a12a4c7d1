"""The one hierarchy of errors that quietscope raises on purpose.

Every message says what happened, names the thing (file, key, value) and ends with the mend. Members also
inherit the standard class a caller would expect, so ``except ValueError`` keeps working.
"""

__all__ = [
    "FrameError",
    "LedgerError",
    "ModelError",
    "QuietscopeError",
    "RunError",
    "SettingsError",
    "SourceError",
    "StoreError",
    "WireError",
    "WireTimeoutError",
]


class QuietscopeError(Exception):
    """Base of every error that quietscope raises on purpose."""


class SettingsError(QuietscopeError, ValueError):
    """A setting is unknown, has the wrong type, or an impossible value."""


class FrameError(QuietscopeError, ValueError):
    """A frame cannot be taken.

    Parameters
    ----------
    reason
        Short machine-readable reason, the key of ``rejected`` in the run's summary (``"shape"``, ``"dtype"``,
        ``"duplicate"``, ``"truncated"``, ``"unreadable"``, …).
    message
        What happened, with the thing named, and the mend.
    """

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class SourceError(QuietscopeError, RuntimeError):
    """A source cannot start or go on (folder missing, camera gone)."""


class StoreError(QuietscopeError, OSError):
    """The image store cannot be created, written or read."""

    def __str__(self) -> str:
        """In words, without the system's number that `OSError` puts before them."""
        return self.strerror or super().__str__()


class LedgerError(QuietscopeError, OSError):
    """The ledger cannot be opened, written or read."""


class WireError(QuietscopeError, ValueError):
    """A message on the wire is not what the protocol says, or the wire cannot be opened."""


class WireTimeoutError(WireError, TimeoutError):
    """Nothing was heard on the wire for longer than the caller would wait."""


class ModelError(QuietscopeError, RuntimeError):
    """A model cannot be trained, exported, loaded or run."""


class RunError(QuietscopeError, RuntimeError):
    """A run cannot start, or ended without keeping its promise."""
