"""The work behind ``quietscope bench``."""

import datetime as dt
import json
import os
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from rich.console import Console

from quietscope.config import RunError, Settings
from quietscope.daemon.bench.adaptive import adaptive_costs
from quietscope.daemon.bench.frames import channel_costs, frame_costs, peer_costs
from quietscope.daemon.bench.growth import growth
from quietscope.daemon.bench.learning import learning_cases, learning_curve
from quietscope.daemon.bench.limits import arithmetic, memory_copy
from quietscope.daemon.bench.networks import write_default, write_n2v, write_published
from quietscope.daemon.bench.report import BenchReport
from quietscope.daemon.bench.stores import store_writes
from quietscope.daemon.bench.wires import wires
from quietscope.daemon.evaluation.fmd import FMD
from quietscope.daemon.software import machine, software

__all__ = ["bench"]

_SIDES = (256, 512, 1024, 2048)
_LARGEST = 4096
_CHANNELS = 4
_EARLY, _LATE = 2_000, 20_000
_SECONDS = (10.0, 20.0, 40.0, 60.0)


def bench(
    settings: Settings,
    *,
    quick: bool,
    out: Path | None,
    json_file: Path | None,
    full: bool = False,
    data: Path | None = None,
) -> int:
    """Measure this machine, print the tables, and write them where asked.

    Parameters
    ----------
    settings
        Network, tiles and runtime; ``runtime.provider`` limits which runtimes are measured.
    quick
        Small frames and few rounds: under a minute on a machine that is free.
    out
        Folder for ``bench.md`` and ``bench.json``; also where the store is timed.
    json_file
        Further place for the figures.
    full
        Also what takes long: the largest frames, a series of 20,000 frames, training time to quality.
    data
        Folder of real images for the training; simulated ones are always taken.

    Returns
    -------
    int
        0.

    Raises
    ------
    quietscope.config.QuietscopeError
        If a named runtime cannot be used, or a result cannot be written.
    """
    console = Console(stderr=True)
    if full and data is not None and FMD(data).captures() is None:
        console.print(
            f"{data} holds no field with many captures (fmd_50captures, see docs/evaluation.md): training time is "
            "measured on simulated frames only",
            soft_wrap=True,
        )
    if out is not None:
        _written(lambda: out.mkdir(parents=True, exist_ok=True), out)
    report = _measure(settings, console, quick=quick, full=full, folder=out)
    if full:
        _measure_long(report, settings, console, folder=out, data=data)
    Console(soft_wrap=True, markup=False, highlight=False).print(report.markdown(), end="")
    content = json.dumps(report.figures(), indent=1) + "\n"
    if out is not None:
        _written(lambda: (out / "bench.md").write_text(report.markdown(), encoding="utf-8"), out)
        _written(lambda: (out / "bench.json").write_text(content, encoding="utf-8"), out)
    if json_file is not None:
        _written(lambda: json_file.write_text(content, encoding="utf-8"), json_file)
    return 0


def _written(act: Callable[[], object], path: Path) -> None:
    try:
        act()
    except OSError as error:
        msg = f"cannot write {path}: {error.strerror}; choose another place"
        raise RunError(msg) from error


def _measure(
    settings: Settings, console: Console, *, quick: bool, full: bool, folder: Path | None
) -> BenchReport:
    sizes = settings.adaptive_sn2n
    report = BenchReport(
        machine=_circumstances(settings),
        model=f"{sizes.base_channels} feature maps, {sizes.levels} levels, stem {sizes.stem}",
    )
    rounds, longest_s = (7, 3.0) if quick else (40, 25.0)
    with console.status("limits …"):
        rates = arithmetic(rounds=rounds, longest_s=longest_s)
        report.limits |= {
            f"matrix product on one core, {name}, GFLOP/s": rate for name, rate in rates.items()
        }
        report.limits["memory copy, GB/s"] = memory_copy(rounds=rounds)
    report.data_side = side = 512 if quick else 2048
    with console.status("store and wire …"):
        report.stores = {
            words: store_writes(side, folder, sync=sync, rounds=rounds, longest_s=longest_s)
            for words, sync in (("synced", True), ("not synced", False))
        }
        report.wires = wires(side, rounds=rounds, longest_s=longest_s)
    report.peer_side = 256 if quick else 512
    sides = _SIDES[:2] if quick else (*_SIDES, _LARGEST) if full else _SIDES
    _measure_frames(report, settings, console, sides, rounds=rounds, longest_s=longest_s)
    with console.status("adaptive compute …"):
        report.adaptive = adaptive_costs(
            settings, report.peer_side, steps=20 if quick else 150, rounds=rounds, longest_s=2 * longest_s
        )
    return report


def _measure_frames(
    report: BenchReport,
    settings: Settings,
    console: Console,
    sides: Sequence[int],
    *,
    rounds: int,
    longest_s: float,
) -> None:
    tiling, runtime = settings.tiling, settings.runtime
    with tempfile.TemporaryDirectory(prefix="quietscope-bench-") as place:
        ours, published, n2v = (Path(place) / f"{name}.onnx" for name in ("ours", "published", "n2v"))
        with console.status("networks …"):
            report.operations = write_default(settings, ours)
            write_published(published)
            has_n2v = write_n2v(n2v)
        for side in sides:
            with console.status(f"frames of {side}² …"):
                report.frames[side] = frame_costs(
                    ours, tiling, runtime, side, rounds=rounds, longest_s=longest_s
                )
        with console.status("channels …"):
            report.channels = channel_costs(
                ours,
                tiling,
                runtime,
                report.peer_side,
                most=_CHANNELS,
                rounds=rounds,
                longest_s=longest_s,
            )
        with console.status("others …"):
            report.peers = peer_costs(
                ours,
                published,
                tiling,
                runtime,
                report.peer_side,
                rounds=rounds,
                longest_s=longest_s,
                n2v=n2v if has_n2v else None,
            )


def _measure_long(
    report: BenchReport, settings: Settings, console: Console, *, folder: Path | None, data: Path | None
) -> None:
    with console.status(f"a series of {_LATE} frames …"):
        report.growth = growth(folder, early=_EARLY, late=_LATE, rounds=100, longest_s=60.0)
    for case in learning_cases(data):
        with console.status(f"training, {case.name} …"):
            report.learned += learning_curve(case, settings, _SECONDS)


def _circumstances(settings: Settings) -> dict[str, str]:
    load = f", load {os.getloadavg()[0]:.1f} at the start" if hasattr(os, "getloadavg") else ""
    return {
        "date": dt.datetime.now(dt.UTC).date().isoformat(),
        "machine": f"{machine()}{load}",
        "threads": str(settings.runtime.threads or "all"),
        "software": ", ".join(f"{name} {number}" for name, number in software().items()),
    }
