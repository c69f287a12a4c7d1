"""The tables of an evaluation, written anew whenever a row is complete."""

import csv
import io
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from quietscope.config import RunError
from quietscope.daemon.evaluation.case import Case
from quietscope.daemon.evaluation.columns import Column, present
from quietscope.daemon.evaluation.contender import Contender
from quietscope.daemon.evaluation.item import Published
from quietscope.daemon.software import software

__all__ = ["Report"]


@dataclass(frozen=True)
class _Row:
    case: str
    contender: str
    figures: Mapping[str, float]
    changes: Sequence[str] = ()
    groups: Sequence[str] = ()

    def plain(self) -> dict[str, Any]:
        return {
            "case": self.case,
            "method": self.contender,
            "changes": list(self.changes),
            # JSON knows neither nan nor infinity
            **{key: value if np.isfinite(value) else None for key, value in self.figures.items()},
        }


@dataclass
class Report:
    """``table.md``, ``table.csv`` and ``table.json`` in a folder.

    Parameters
    ----------
    out
        The folder; made where missing, and refused where it holds a table already.
    command
        What remakes the table.
    words
        What the table is about, one paragraph of Markdown.

    Raises
    ------
    quietscope.config.RunError
        If the folder cannot be made or holds a table.
    """

    out: Path
    command: str
    words: str = ""
    _rows: list[_Row] = field(default_factory=list, init=False)
    _published: list[Published] = field(default_factory=list, init=False)
    _notes: list[str] = field(default_factory=list, init=False)

    def __post_init__(self) -> None:
        try:
            self.out.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            msg = f"cannot make the folder {self.out}: {error.strerror}; choose another one with --out"
            raise RunError(msg) from error
        if (self.out / "table.json").exists():
            msg = f"{self.out / 'table.json'} exists already and is never overwritten; choose another folder with --out"
            raise RunError(msg)

    @property
    def rows(self) -> int:
        """Rows so far."""
        return len(self._rows)

    def add(self, case: Case, contender: Contender, figures: Mapping[str, float]) -> None:
        """Add a row and write the tables."""
        self._rows.append(_Row(case.name, contender.name, figures, contender.changes, case.groups))
        self._write()

    def publish(self, published: Published) -> None:
        """Add figures of a paper; they are written with the next row."""
        self._published.append(published)

    def note(self, words: str) -> None:
        """Say what could not be made, below the tables."""
        self._notes.append(words)
        self._write()

    def _means(self) -> list[_Row]:
        """Means over the cases of each group, and what papers say of it."""
        found = []
        groups = dict.fromkeys(group for row in self._rows for group in row.groups)
        groups |= dict.fromkeys(item.group for item in self._published)
        for group in groups:
            rows = [row for row in self._rows if group in row.groups]
            if len({row.case for row in rows}) < 2:  # stands in the first table already
                rows = []
            for contender in dict.fromkeys(row.contender for row in rows):
                of_one = [row.figures for row in rows if row.contender == contender]
                keys = dict.fromkeys(key for figures in of_one for key in figures)
                means = {key: float(np.mean([f[key] for f in of_one if key in f])) for key in keys}
                found.append(_Row(group, contender, {**means, "cases": float(len(of_one))}))
            found += [
                _Row(item.group, item.name, item.figures) for item in self._published if item.group == group
            ]
        return found

    def _write(self) -> None:
        means = self._means()
        self._replace("table.md", self._markdown(means))
        self._replace("table.csv", self._csv())
        data = {
            "command": self.command,
            "machine": _machine(),
            "versions": software(),
            "rows": [row.plain() for row in self._rows],
            "means": [row.plain() for row in means],
            "notes": self._notes,
        }
        self._replace("table.json", json.dumps(data, indent=1) + "\n")

    def _replace(self, name: str, text: str) -> None:
        path = self.out / name
        temporary = path.with_name(f".{name}.tmp")
        try:
            temporary.write_text(text, encoding="utf-8")
            os.replace(temporary, path)
        except OSError as error:
            msg = f"cannot write {path}: {error.strerror}; make room or choose another folder with --out"
            raise RunError(msg) from error

    def _markdown(self, means: Sequence[_Row]) -> str:
        columns = present(row.figures for row in (*self._rows, *means))
        versions = ", ".join(f"{name} {number}" for name, number in software().items())
        parts = [f"`{self.command}`", f"{_machine()}. {versions}."]
        parts += [self.words] if self.words else []
        parts += [_table("case", columns, self._rows)] if self._rows else []
        if means:
            number = Column("cases", "cases", ".0f", "number of cases")
            parts.append(_table("group", [number, *columns], means))
        parts += [f"* {note}" for note in self._notes]
        parts.append("; ".join(f"*{column.head}*: {column.words}" for column in columns) + ".")
        return "\n\n".join(parts) + "\n"

    def _csv(self) -> str:
        columns = present(row.figures for row in self._rows)
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(["case", "method", "changes", *(column.key for column in columns)])
        for row in self._rows:
            values = (row.figures.get(column.key, "") for column in columns)
            writer.writerow([row.case, row.contender, " ".join(row.changes), *values])
        return text.getvalue()


def _table(first: str, columns: Sequence[Column], rows: Sequence[_Row]) -> str:
    lines = [
        [first, "method", *(column.head for column in columns)],
        ["---", "---", *["---:"] * len(columns)],
    ]
    lines += [
        [row.case, row.contender, *(column.text(row.figures.get(column.key)) for column in columns)]
        for row in rows
    ]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _machine() -> str:
    return f"{os.cpu_count()} cores"
