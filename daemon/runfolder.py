"""Names of everything inside a run folder, and the rule that an existing run is never overwritten."""

import datetime as dt
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from quietscope.config import RunError
from quietscope.config.quoting import quoted

__all__ = ["RunFolder"]


@dataclass(frozen=True)
class RunFolder:
    """Paths of one run.

    Parameters
    ----------
    root
        The run folder itself.
    """

    root: Path

    @property
    def quoted(self) -> str:
        """The folder as it stands in a command that a message proposes."""
        return quoted(self.root)

    @classmethod
    def create(cls, out: Path, name: str | None) -> "RunFolder":
        """Make a new run folder below `out`.

        Raises
        ------
        quietscope.config.RunError
            If the run exists already or the folder cannot be made.
        """
        if name is None:
            name = dt.datetime.now().astimezone().strftime("%Y-%m-%d_%H-%M-%S")
        root = (out / name).resolve()
        try:
            root.mkdir(parents=True)
            (root / "models").mkdir()
            (root / "logs").mkdir()
        except FileExistsError as error:
            msg = f"the run folder {root} exists already and is never overwritten; choose another --name or --out"
            raise RunError(msg) from error
        except OSError as error:
            msg = f"cannot make the run folder {root}: {error.strerror}; choose a folder you may write with --out"
            raise RunError(msg) from error
        return cls(root)

    @classmethod
    def existing(cls, root: Path) -> "RunFolder":
        """Open the folder of an earlier run.

        Raises
        ------
        quietscope.config.RunError
            If it is no run folder, or the run is still going on.
        """
        run = cls.to_look_at(root)
        for name, pid in run.alive().items():
            msg = (
                f"the run {run.root} is still going on (its {name} is process {pid}); end it with Ctrl-C where it was "
                "started, or, if that was killed, try again in a minute"
            )
            raise RunError(msg)
        return run

    @classmethod
    def to_look_at(cls, root: Path) -> "RunFolder":
        """Open the folder of a run for reading; it may be going on.

        Raises
        ------
        quietscope.config.RunError
            If it is no run folder.
        """
        run = cls(root.resolve())
        if not (run.ledger.is_file() and run.settings.is_file()):
            msg = f"{run.root} is no run folder (it needs ledger.db and settings.toml); give the folder of a run"
            raise RunError(msg)
        return run

    def alive(self) -> dict[str, int]:
        """Process numbers by name of the run's processes that are alive; empty once the run has ended."""
        pids = self.addresses().get("pids", {})
        return {name: pid for name, pid in pids.items() if _is_child_of(pid, self.root)}

    def addresses(self) -> dict[str, Any]:
        """What ``endpoints.json`` says: ``publish``, ``ingest``, ``news`` and ``pids``; empty if nothing yet."""
        try:
            content = json.loads(self.endpoints.read_text(encoding="utf-8"))
            return {**content, "pids": {str(name): int(pid) for name, pid in content["pids"].items()}}
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return {}

    @property
    def ledger(self) -> Path:
        """The ledger database."""
        return self.root / "ledger.db"

    @property
    def settings(self) -> Path:
        """The effective settings."""
        return self.root / "settings.toml"

    @property
    def models(self) -> Path:
        """Folder of the exported models."""
        return self.root / "models"

    @property
    def log(self) -> Path:
        """The run's log, one JSON object per line."""
        return self.root / "log.jsonl"

    @property
    def store(self) -> Path:
        """The image store of the first position."""
        return self.root / "image.ome.zarr"

    @property
    def spool(self) -> Path:
        """Frames that the memory could not hold."""
        return self.root / "spool.bin"

    @property
    def summary(self) -> Path:
        """The end-of-run summary."""
        return self.root / "summary.json"

    @property
    def report(self) -> Path:
        """The end-of-run report for people."""
        return self.root / "report.html"

    @property
    def endpoints(self) -> Path:
        """Addresses of the running daemon."""
        return self.root / "endpoints.json"

    def lock(self, role: str) -> Path:
        """File that the process in a role holds locked while it works on the run."""
        return self.root / f"{role}.lock"

    def write_endpoints(self, content: Mapping[str, Any]) -> None:
        """Say where the running daemon is reached; readers never see half of it."""
        new = self.endpoints.with_suffix(".tmp")
        new.write_text(json.dumps(content, indent=1), encoding="utf-8")
        os.replace(new, self.endpoints)

    def child_errors(self, name: str) -> Path:
        """What child process `name` wrote to its standard error."""
        return self.root / "logs" / f"{name}.txt"

    def last_words(self, name: str) -> str:
        """Last line that child process `name` wrote to its standard error behind a colon, or nothing."""
        try:
            lines = self.child_errors(name).read_text(errors="replace").strip().splitlines()
        except OSError:
            return ""
        return f": {lines[-1]}" if lines else ""


def _is_child_of(pid: int, root: Path) -> bool:
    """Whether a process is one of the run's: numbers are used again."""
    try:
        return str(root) in psutil.Process(pid).cmdline()
    except psutil.Error:
        return False
