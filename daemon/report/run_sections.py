"""Sections of the report about the run as a whole."""

import hashlib
import re
from pathlib import Path
from typing import Any

import numpy as np

from quietscope.config.keys import lookup
from quietscope.config.layers import flatten
from quietscope.daemon.reasons import REJECTED, SKIPPED
from quietscope.daemon.report.chart import Band, Line, chart, time_axis
from quietscope.daemon.report.markup import Html, cards, facts, paragraph, section, table, text
from quietscope.daemon.report.method_names import method_name
from quietscope.daemon.report.numbers import count, duration, megabytes, percent, plain
from quietscope.daemon.report.run_facts import RunFacts

__all__ = ["accounts", "course", "events", "record"]

_BINS = 120

_WORTH_DRAWING = 0.01
"""Share of the memory between camera and disk below which a curve of it says nothing."""

_SHOWN = {
    "less-overlap": "with less overlap",
    "larger-tiles": "in larger tiles",
    "preview": "as a simple preview",
    "raw": "as recorded only",
}


def accounts(run: RunFacts) -> Html:
    """Received = stored = denoised + left out, with reasons."""
    received = run.stored if run.received is None else run.received
    figures = cards(
        [
            (f"{received:,}", "received"),
            (f"{run.stored:,}", "stored as recorded"),
            (f"{run.counts['denoised']:,}", "denoised"),
            (f"{run.counts['skipped']:,}", "left out on purpose"),
        ]
    )
    rows = [(f"{n:,}", "left out", SKIPPED.get(why, why)) for why, n in run.skipped.items()]
    rows += [(f"{n:,}", "not taken", REJECTED.get(why, why)) for why, n in run.rejected.items()]
    rows += [
        (f"{n:,}", f"first shown {_SHOWN.get(how, how)}", _behind(run))
        for how, n in run.shown_below_full.items()
    ]
    if run.counts["raw"]:
        rows.append(
            (f"{run.counts['raw']:,}", "not denoised", "still waiting; `quietscope resume` finishes the run")
        )
    parts = [paragraph(_verdict(run, received)), figures]
    if rows:
        parts.append(table(("Frames", "What became of them", "Why"), rows))
    return section("Every frame accounted for", *parts, anchor="frames")


def _behind(run: RunFacts) -> str:
    stored = "to be stored" if run.counts["raw"] else "stored"
    return f"the machine was behind; {stored} at full quality all the same"


def _verdict(run: RunFacts, received: int) -> str:
    if received != run.stored:
        missing = received - run.stored
        return f"{count(missing, 'frame')} of {received:,} did not reach the store."
    if run.counts["raw"]:
        return "Every frame that was received is stored; not all of them are denoised yet."
    return "Every frame that was received is stored as recorded, and is denoised or left out for a reason given here."


def course(run: RunFacts) -> Html:
    """Speed and queues, in figures and over time."""
    late = run.latencies_s
    half, worst = np.percentile(late, (50, 99)).tolist() if late.size else (None, None)
    wait = run.summary.get("time_to_first_denoised_s")
    seconds = run.recording_s
    told = [
        (plain(run.stored / seconds) if seconds else "–", "frames per second"),
        (duration(wait), "first frame to first denoised one"),
    ]
    if late.size:
        told += [
            (duration(half), f"typical delay ({count(int(late.size), 'frame')} shown live)"),
            (duration(worst), "99 of 100 were faster than"),
        ]
    history = run.history
    unit, name = time_axis(history.length_s)

    def curve(key: str, label: str, *, dashed: bool = False) -> Line:
        samples = history.curves[key].since(0, 0) if key in history.curves else {"x": [], "y": []}
        return Line(label, [x / unit for x in samples["x"]], samples["y"], dashed)

    def drawn(
        title: str, y_label: str, *lines: Line, band: Band | None = None, at_least: float | None = None
    ) -> Html:
        return chart(
            title,
            lines,
            x_label=f"Time since the start ({name})",
            y_label=y_label,
            band=band,
            at_least=at_least,
            until=history.length_s / unit,
            marks=[t / unit for t in history.resumed_at],
        )

    charts = [
        drawn(
            "Frames",
            "frames so far",
            curve("received", "received"),
            curve("denoised", "denoised", dashed=True),
        )
    ]
    if late.size:
        middle, band, delay_unit = _delays(run, unit)
        charts.append(drawn("Delay from arrival to screen", delay_unit, middle, band=band))
    charts.append(drawn("Waiting to be denoised", "frames", curve("waiting", "frames")))
    if history.peak_ring > _WORTH_DRAWING:
        charts.append(
            drawn("Memory between camera and disk", "per cent", curve("ring", "in use"), at_least=100)
        )
    words = [_ORDER]
    if not late.size:
        words.append("No frame was denoised while the recording went on.")
    if history.peak_ring:
        words.append(
            f"The memory between camera and disk was never fuller than {percent(history.peak_ring)}."
        )
    if history.resumed_at:
        words.append("Dotted lines: the run was resumed here; the time in between is left out.")
    if not history.curves:
        words.append("The log of this run holds no figures over time, so there are no curves.")
    grid = Html(f'<div class="charts">{"".join(charts)}</div>')
    return section("Speed", cards(told), paragraph(" ".join(words)), grid, anchor="speed")


_ORDER = (
    "The newest frame is always denoised first. Frames that wait are stored already; they are denoised when there is "
    "time, at the latest when the recording has ended."
)


def _delays(run: RunFacts, unit: float) -> tuple[Line, Band, str]:
    """Delay of the frames shown live: median and extremes of equal parts of the time, and the unit they are in."""
    late = run.latencies_s
    at = np.asarray([run.history.seconds(int(t)) for t in run.live_ns[:, 1]]) / unit
    edges = np.linspace(at.min(), at.max(), min(_BINS, late.size) + 1)
    part = np.clip(np.searchsorted(edges, at, side="right") - 1, 0, len(edges) - 2)
    full = np.unique(part)
    scale, name = (1e3, "milliseconds") if late.max() < 10 else (1.0, "seconds")
    groups = [scale * late[part == i] for i in full]
    x = [float((edges[i] + edges[i + 1]) / 2) for i in full]
    middle = Line("typical (median)", x, [float(np.median(g)) for g in groups])
    band = Band("fastest to slowest", x, [float(g.min()) for g in groups], [float(g.max()) for g in groups])
    return middle, band, name


def events(run: RunFacts) -> Html:
    """What the run has said: what needs attention first, everything behind a click."""
    told = run.history.events
    serious = [(t, words) for t, words in told if words.level in {"warning", "error"}]
    parts = [_listed(serious[:40]) if serious else paragraph("There was no warning and no error.")]
    if len(serious) > 40:
        parts.append(paragraph(f"{len(serious) - 40:,} more are in the list of everything.", "note"))
    if told:
        more = f" (the first {len(told):,}; {run.history.events_left_out:,} more are in log.jsonl)"
        title = f"Everything that was reported{more if run.history.events_left_out else ''}"
        parts.append(Html(f"<details><summary>{text(title)}</summary>{_listed(told)}</details>"))
    return section("What happened", *parts, anchor="events")


def _listed(told: list[tuple[float, Any]]) -> Html:
    rows = "".join(
        f'<li class="{words.level}"><time>{duration(t) if t >= 1 else "0 s"}</time><span>{text(words.text)}</span></li>'
        for t, words in told
    )
    return Html(f'<ol class="events">{rows}</ol>')


def record(run: RunFacts) -> Html:
    """Models, settings and versions, so that the run can be repeated."""
    models = [
        (
            run.name(c),
            v.model_id or "–",
            method_name(v.figures.get("method")),
            v.path or "–",
            _fingerprint(run.run.root, v.path),
        )
        for c, v in sorted(run.verdicts.items())
    ]
    peaks = ", ".join(f"{name} {megabytes(1e6 * mb)}" for name, mb in sorted(run.history.peak_mb.items()))
    machine = {**run.history.software, "peak memory": peaks or "–"}.items()
    parts = [
        Html("<h3>Models</h3>"),
        table(("Channel", "Model", "Method", "File", "SHA-256 (beginning)"), models)
        if models
        else paragraph("No model was made."),
        Html("<h3>Settings that differ from the defaults</h3>"),
        table(("Setting", "Value", "Meaning"), _changed(run)),
        Html(
            f"<details><summary>All settings</summary><pre>{text(_settings(run.run.settings))}</pre></details>"
        ),
        Html("<h3>Software and machine</h3>"),
        facts(machine) if run.history.software else paragraph("The versions were not recorded."),
    ]
    return section("For the record", *parts, anchor="record")


def _changed(run: RunFacts) -> list[tuple[object, object, object]]:
    choices = {"source.kind": run.settings.source.kind}
    rows: list[tuple[object, object, object]] = []
    for key, value in flatten(run.settings.model_dump(mode="json")):
        info = lookup(key, choices)
        if info is not None and value not in (None, info.default):
            shown = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
            rows.append((Html(f"<code>{text(key)}</code>"), shown, _with_code(info.meaning)))
    return rows


def _with_code(words: str) -> Html:
    """Words in which names stand between backticks."""
    return Html(re.sub(r"`+([^`]+)`+", r"<code>\1</code>", text(words)))


def _settings(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def _fingerprint(root: Path, path: str | None) -> str:
    if path is None or not (root / path).is_file():
        return "–"
    return hashlib.sha256((root / path).read_bytes()).hexdigest()[:16]
