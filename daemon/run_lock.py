"""The right to write into a run folder, which one process at a time has."""

import contextlib
import os
from types import TracebackType
from typing import Literal, Self

from filelock import FileLock, Timeout

from quietscope.config import RunError
from quietscope.daemon.runfolder import RunFolder

__all__ = ["RunLock"]


class RunLock:
    """Held by the command that works on a run, and by its recorder, which may outlive a command that was killed.

    The operating system lets go of it when the process ends, however it ends. Within one process it may be taken
    several times, and is free again when it has been let go of as often.

    Parameters
    ----------
    run
        The run folder.
    role
        Whose right it is.
    """

    def __init__(self, run: RunFolder, role: Literal["command", "recorder"] = "command") -> None:
        self._run = run
        self._role = role
        self._path = run.lock(role)
        self._lock = FileLock(self._path, is_singleton=True, thread_local=False)

    def acquire(self) -> None:
        """Take it.

        Raises
        ------
        quietscope.config.RunError
            If another process has it (for a command: or a recorder is still finishing), or the folder cannot be
            written.
        """
        try:
            self._lock.acquire(blocking=False)
        except Timeout as error:
            msg = (
                f"another quietscope is at work on the run {self._run.root} ({self._holder()}); wait until it has "
                "ended, or end it with Ctrl-C"
            )
            raise RunError(msg) from error
        except (OSError, NotImplementedError) as error:
            why = getattr(error, "strerror", None) or error
            msg = (
                f"cannot lock the run folder {self._run.root}: {why}; allow quietscope to write in it, or take a disk "
                "on which files can be locked"
            )
            raise RunError(msg) from error
        with contextlib.suppress(OSError):  # only the words for others are lost
            self._path.write_text(str(os.getpid()), encoding="utf-8")
        if self._role == "command":
            try:
                with RunLock(self._run, "recorder"):
                    return
            except RunError:
                self.release()
                raise

    def release(self) -> None:
        """Let go of it."""
        self._lock.release()

    def __enter__(self) -> Self:
        self.acquire()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()

    def _holder(self) -> str:
        try:
            return f"its {self._role} is process {int(self._path.read_text(encoding='utf-8'))}"
        except (OSError, ValueError):
            return f"its {self._role} holds {self._path.name}"
