"""The page: heading, contents and all sections, with the style sheet inside."""

from importlib.resources import files

import numpy as np

from quietscope.daemon.report import channel_sections, run_sections
from quietscope.daemon.report.markup import Html, cards, facts, section, text
from quietscope.daemon.report.method_names import method_name
from quietscope.daemon.report.methods_paragraph import methods_paragraph
from quietscope.daemon.report.numbers import count, duration, plain
from quietscope.daemon.report.run_facts import RunFacts
from quietscope.daemon.report.trust_section import trust

__all__ = ["page"]

_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"

_CONTENTS = {
    "frames": "Frames",
    "pictures": "Pictures",
    "gate": "Tests",
    "trust": "Doubts",
    "light": "Light and noise",
    "training": "Training",
    "speed": "Speed",
    "events": "Events",
    "methods": "Methods text",
    "record": "Record",
}


def page(run: RunFacts) -> str:
    """The whole report as one HTML document that asks nobody for anything.

    Raises
    ------
    quietscope.config.StoreError
        If the run has frames and its store is gone.
    """
    style = files("quietscope.daemon.report").joinpath("report.css").read_text(encoding="utf-8")
    sections = [
        run_sections.accounts(run),
        channel_sections.pictures(run),
        channel_sections.gate(run),
        trust(run),
        channel_sections.light(run),
        channel_sections.training(run),
        run_sections.course(run),
        run_sections.events(run),
        section("For a Methods section", methods_paragraph(run), anchor="methods"),
        run_sections.record(run),
    ]
    links = "".join(f'<a href="#{anchor}">{text(name)}</a>' for anchor, name in _CONTENTS.items())
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark">'
        f"<title>{text(run.run.root.name)} – quietscope</title><style>{style}</style></head><body>"
        f"<header>{_heading(run)}<nav>{links}</nav></header><main>{''.join(sections)}</main></body></html>\n"
    )


def _heading(run: RunFacts) -> str:
    received = run.stored if run.received is None else run.received
    lost, waiting = received - run.stored, run.counts["raw"]
    if run.is_going_on:
        kind, words = "warn", "The run is still going on"
    elif lost:
        kind, words = "bad", f"{count(lost, 'frame')} lost"
    elif waiting:
        kind, words = "warn", f"{count(waiting, 'frame')} still to be denoised"
    else:
        kind, words = "good", "No frame lost"
    return (
        f'<p class="kind">quietscope run report</p><h1>{text(run.run.root.name)}</h1>'
        f'<p class="state {kind}">{text(words)}</p>{_basics(run)}{_highlights(run)}'
    )


def _basics(run: RunFacts) -> Html:
    rows: list[tuple[object, object]] = []
    if run.began is not None:
        rows.append(("Recorded", f"{run.began:%d %B %Y, %H:%M}, for {duration(run.recording_s)}"))
    if run.series is not None:
        series = run.series
        size = f", {plain(1000 * series.pixel_size_um)} nm per pixel" if series.pixel_size_um else ""
        rows += [
            ("Source", series.source),
            ("Channels", ", ".join(series.channels)),
            (
                "Frames",
                f"{series.width} × {series.height} pixels, {8 * np.dtype(series.dtype).itemsize} bit{size}",
            ),
        ]
    rows.append(("Method", method_name(run.settings.method)))
    if run.summary.get("exit_reason"):
        rows.append(("Ended because", run.summary["exit_reason"]))
    return facts(rows)


def _highlights(run: RunFacts) -> Html:
    live = [run.name(c) for c, v in sorted(run.verdicts.items()) if v.accepted]
    figures = [
        (f"{run.counts['denoised']:,} of {run.stored:,}", "frames denoised"),
        (f"{len(live)} of {len(run.verdicts)}", "models passed their tests"),
    ]
    green = sum(light == "green" for _, _, light, _ in run.judgements)
    if run.judgements:
        figures.append((f"{green:,} of {len(run.judgements):,}", "denoised frames without a doubt"))
    if run.latencies_s.size:
        figures.append((duration(float(np.median(run.latencies_s))), "from arrival to screen, typically"))
    return cards(figures)
