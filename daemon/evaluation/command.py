"""``quietscope evaluate``: denoise, measure, and write one table and one picture."""

import time
from collections.abc import Iterable, Sequence
from pathlib import Path

from rich.console import Console

from quietscope.config import QuietscopeError
from quietscope.daemon.evaluation.columns import COLUMNS
from quietscope.daemon.evaluation.item import Absent, Item, Published, Trial
from quietscope.daemon.evaluation.panel import Panel
from quietscope.daemon.evaluation.report import Report
from quietscope.daemon.evaluation.scoring import score
from quietscope.daemon.evaluation.workshop import Workshop
from quietscope.models.metrics.library import skimage

__all__ = ["evaluate"]

_SHOWN = (
    "psnr",
    "ssim",
    "slope",
    "residue_std",
    "fragment_ratio",
    "flicker",
    "seams",
    "train_s",
    "ms_per_frame",
)


def evaluate(
    items: Iterable[Item], out: Path, *, command: str, words: str = "", changes: Sequence[str] = ()
) -> int:
    """Work through an evaluation; whatever is complete is on disk when it is interrupted.

    Parameters
    ----------
    items
        What is to be done, one after another.
    out
        Folder for ``table.md``, ``table.csv``, ``table.json`` and ``panel.png``.
    command
        What the user typed, for the head of the table.
    words
        What the table is about.
    changes
        Texts ``KEY=VALUE`` that go over the settings of every method.

    Returns
    -------
    int
        0 if there is at least one row. Rows that could not be made are named below the table.

    Raises
    ------
    quietscope.config.QuietscopeError
        If the folder cannot be written, holds a table already, or a package is missing.
    """
    skimage("metrics")
    console = Console()
    report, panel = Report(out, command, words), Panel(out / "panel.png")
    started = time.monotonic()

    def say(text: str) -> None:
        console.print(
            f"{time.monotonic() - started:7.1f} s  {text}", highlight=False, soft_wrap=True, markup=False
        )

    with Workshop(changes) as workshop:
        for item in items:
            match item:
                case Absent(words=absent):
                    report.note(absent)
                    say(absent)
                case Published():
                    report.publish(item)
                case Trial(case=images, contender=contender):
                    try:
                        figures, image = score(images, workshop.make(images, contender))
                    except QuietscopeError as error:
                        report.note(f"{images.name}, {contender.name}: {error}")
                        say(f"{images.name} | {contender.name} | left out: {error}")
                        continue
                    report.add(images, contender, figures)
                    panel.add(images, contender.name, image)
                    panel.write()
                    shown = (c for c in COLUMNS if c.key in _SHOWN and c.key in figures)
                    texts = (f"{column.head} {column.text(figures[column.key])}" for column in shown)
                    say(f"{images.name} | {contender.name} | {' | '.join(texts)}")
    say(f"{report.rows} rows: {out.resolve() / 'table.md'}")
    return 0 if report.rows else 1
