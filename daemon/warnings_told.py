"""Warnings of adapters, which know no daemon: they reach the run's log and the person in front of it."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from quietscope.daemon.parent import Parent

__all__ = ["warnings_told"]


class _Telling(logging.Handler):
    def __init__(self, parent: Parent) -> None:
        super().__init__(logging.WARNING)
        self._parent = parent

    def emit(self, record: logging.LogRecord) -> None:
        self._parent.say("warning" if record.levelno < logging.ERROR else "error", record.getMessage())


@contextmanager
def warnings_told(parent: Parent) -> Iterator[None]:
    """Send what ``logging`` gets for ``quietscope`` to the parent process meanwhile.

    Parameters
    ----------
    parent
        The process that started this one.
    """
    logger, handler = logging.getLogger("quietscope"), _Telling(parent)
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
