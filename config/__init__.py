"""Settings and errors of quietscope: the only part that every other part may import."""

from quietscope.config.errors import (
    FrameError,
    LedgerError,
    ModelError,
    QuietscopeError,
    RunError,
    SettingsError,
    SourceError,
    StoreError,
    WireError,
    WireTimeoutError,
)
from quietscope.config.settings import Settings

__all__ = [
    "FrameError",
    "LedgerError",
    "ModelError",
    "QuietscopeError",
    "RunError",
    "Settings",
    "SettingsError",
    "SourceError",
    "StoreError",
    "WireError",
    "WireTimeoutError",
]
