"""A quietscope run of our own: started as a child process, listened to, ended in bounded time."""

import datetime as dt
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from quietscope.adapters.micromanager.running import RunningRun, demanded_keys
from quietscope.config.errors import RunError

__all__ = ["OwnRun"]

_START_S = 120.0
_NEW_GROUP = 0x00000200  # CREATE_NEW_PROCESS_GROUP, which only exists on Windows


class OwnRun:
    """Starts ``python -m quietscope.daemon run`` for frames that come over the ingest wire.

    The run ends in order when its `end` message comes, and also when this program ends in whatever way, since it then
    reads an end-of-file.

    Parameters
    ----------
    out
        Folder that holds the run folders.
    name
        Name of the run; None takes date and time.
    settings
        Settings file, or None.
    profile
        Shipped profile, or None.
    changes
        Dotted settings keys with their values.

    Raises
    ------
    quietscope.config.RunError
        If it does not start; says why.
    """

    def __init__(
        self,
        *,
        out: Path,
        name: str | None = None,
        settings: Path | None = None,
        profile: str | None = None,
        changes: Mapping[str, Any] | None = None,
    ) -> None:
        self._root = (out / (name or _free_name(out))).resolve()
        # On Windows the child's open file outlives this program's interest in it.
        self._scratch = tempfile.TemporaryDirectory(prefix="quietscope-", ignore_cleanup_errors=True)
        self._words = Path(self._scratch.name) / "words.txt"
        wire = Path(self._scratch.name) / "wire.toml"
        wire.write_text('source.kind = "wire"\n', encoding="utf-8")
        command = [sys.executable, "-m", "quietscope.daemon", "run", str(settings or wire), "--until-eof"]
        command += ["--out", str(out), "--name", self._root.name]
        command += [] if profile is None else ["--profile", profile]
        command += ["--set", "source.kind=wire"]
        for key, value in (changes or {}).items():
            command += ["--set", f"{key}={_toml(value)}"]
        own_group: dict[str, Any] = (
            {"creationflags": _NEW_GROUP} if os.name == "nt" else {"start_new_session": True}
        )
        with self._words.open("wb") as words:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=words,
                stderr=subprocess.STDOUT,
                env={**os.environ, "PYTHONIOENCODING": "utf-8", "NO_COLOR": "1", "COLUMNS": "200"},
                **own_group,
            )
        try:
            self.run = RunningRun(self._await_ready(), self._root, keys=demanded_keys(self._root))
        except BaseException:
            self.release()
            self.close()
            raise

    @property
    def root(self) -> Path:
        """The run folder."""
        return self._root

    @property
    def status(self) -> int | None:
        """Exit status; None while the run goes on."""
        return self._process.poll()

    def wait(self, timeout_s: float) -> int | None:
        """Exit status, or None if the run still goes on after `timeout_s` seconds."""
        try:
            return self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return None

    def words(self) -> str:
        """Why the run has ended: the first fault it has printed, else its last lines."""
        try:
            said = self._words.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        except OSError:
            return ""
        faults = [line for line in said if line.startswith("fault: ")]
        return faults[0].removeprefix("fault: ") if faults else "\n".join(line.strip() for line in said[-3:])

    def release(self) -> None:
        """Close the pipe: a run that still takes frames stops, and finishes what it has."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.close()
        except OSError:
            return

    def close(self) -> None:
        """Let go of the run; it is not ended by this."""
        self.release()
        self._scratch.cleanup()
        if self._process.poll() is None:
            # It finishes on its own; Popen would otherwise complain about the living child when it is collected.
            self._process.returncode = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _await_ready(self) -> str:
        deadline = time.monotonic() + _START_S
        while time.monotonic() < deadline:
            endpoint = _recorder_endpoint(self._root / "log.jsonl")
            if endpoint is not None:
                return endpoint
            if self.wait(0.05) is not None:
                msg = f"quietscope did not start: {self.words()}"
                raise RunError(msg)
        self._process.kill()
        self._process.wait()
        msg = f"quietscope did not start within {_START_S:g} s: {self.words()}"
        raise RunError(msg)


def _recorder_endpoint(log: Path) -> str | None:
    """Address of the ingest wire, once the run has written that its recorder is ready."""
    try:
        lines = log.read_text(encoding="utf-8").splitlines()
        events = [json.loads(line) for line in lines]
    except (OSError, ValueError):  # not there yet, or the last line is being written
        return None
    ready = (e for e in events if (e.get("event"), e.get("from")) == ("ready", "recorder"))
    return next((str(event["endpoint"]) for event in ready), None)


def _free_name(out: Path) -> str:
    stamp = dt.datetime.now().astimezone().strftime("%Y-%m-%d_%H-%M-%S")
    names = (stamp if n == 1 else f"{stamp}_{n}" for n in range(1, 1000))
    return next(name for name in names if not (out / name).exists())


def _toml(value: object) -> str:
    return value if isinstance(value, str) else "none" if value is None else json.dumps(value, default=str)
