"""The run report: what it says is what the run folder says, and it asks nobody for anything."""

import base64
import io
import json
import re
from html.parser import HTMLParser
from typing import get_args

import numpy as np
import pytest
from chromium import Chromium, find_chromium
from PIL import Image
from rich.console import Console
from run_folder import make_run, plane
from typer.testing import CliRunner

from quietscope.adapters.frame import FrameKey
from quietscope.config import Settings
from quietscope.daemon.cli import app
from quietscope.daemon.ledger import DenoisedRow, LedgerWriter, MetaRow, ModelRow, SkippedRow, TrustRow
from quietscope.daemon.live_command import _write_report
from quietscope.daemon.report.chart import Band, Line, chart
from quietscope.daemon.report.history import History
from quietscope.daemon.report.method_names import SOURCES, method_name
from quietscope.daemon.report.writing import write_report
from quietscope.daemon.runfolder import RunFolder

SIDE = 48
FIGURES = {
    "method": "adaptive-sn2n",
    "held_out": True,
    "noise": "about 15 photons per pixel; noise is independent (-0.00; twins -0.01)",
    "gain": 2.15,
    "gain_known": 1.0,
    "offset_known": 0.0,
    "photons": 15.2,
    "neighbour_correlation": -0.004,
    "steps": 1200.0,
    "training_s": 111.4,
    "trained_on": [[0, 0, 0, 0], [1, 0, 0, 0]],
    "pairs": "thinned",
    "pair_error_model": 118.3,
    "pair_error_identity": 146.2,
    "pair_error_gaussian_1": 119.6,
    "slope": 0.9,
    "slope_error": 0.001,
    "mean_shift": 0.0003,
    "noise_std_ratio": 0.145,
    "parity_error": 3e-7,
}


class Page(HTMLParser):
    """Text and addresses of a page."""

    def __init__(self, html):
        super().__init__()
        self.addresses, self.tags, self.parts = [], [], []
        self.feed(html)
        self.text = " ".join(" ".join(self.parts).split())

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.addresses += [v for k, v in attributes if k in {"src", "href", "action", "data", "srcset"}]

    def handle_data(self, data):
        if self.tags[-1:] != ["style"]:
            self.parts.append(data)

    def handle_endtag(self, tag):
        self.tags.append(f"/{tag}")


@pytest.fixture
def run(tmp_path):
    """Three time points of two channels: one accepted model, one rejected, and a log."""
    root = make_run(tmp_path / "run <1>", side=SIDE, frames=3, channels=("actin", "R&D"))
    second = 10**9
    ledger = LedgerWriter(root / "ledger.db")
    ledger.commit(
        [
            MetaRow("received", 6),
            DenoisedRow(FrameKey(1, 0), 10**18, 0, "m0", 10**18 + second // 4, live=True),
            TrustRow(FrameKey(0, 0), "green", "", {}),
            TrustRow(FrameKey(1, 0), "red", "signal was removed at x 8–16, y 0–8", {}),
            SkippedRow(FrameKey(2, 0), "denoiser"),
            SkippedRow(FrameKey(2, 1), "gate"),
            ModelRow("m0", 0, True, None, "all checks passed", {**FIGURES, "slope": 1.001}),
            ModelRow("m1", 1, False, "models/c1.onnx", "intensities would be wrong", FIGURES),
        ]
    )
    ledger.close()
    log = [{"time_ns": 10**18, "event": "software", "from": "engine", "versions": {"quietscope": "9.8.7"}}]
    for i in range(5):
        now = {"time_ns": 10**18 + i * second}
        log.append({**now, "event": "status", "from": "recorder", "received": i, "ring_share": i / 10})
        log.append({**now, "event": "status", "from": "processor", "denoised": i // 2, "pending": i - i // 2})
    log.append(
        {"time_ns": 10**18, "event": "training", "channel": 0, "name": "actin", "used": 0.0, "frames": 2}
    )
    for step in (100, 200):
        fields = {"used": step / 200, "step": step, "loss": 3.0 / step, "validation": 2.0 / step}
        log.append({"time_ns": 10**18, "event": "training", "channel": 0, "name": "actin", **fields})
    with (root / "log.jsonl").open("a", encoding="utf-8") as file:
        file.writelines(json.dumps(event) + "\n" for event in log)
        file.write('{"time_ns": 1, "event": "hal')
    return RunFolder(root)


def test_the_page_asks_nobody_for_anything_and_escapes_what_it_quotes(run):
    html = write_report(run).read_text(encoding="utf-8")
    page = Page(html)
    assert page.addresses
    assert all(address.startswith(("data:image/png;base64,", "#")) for address in page.addresses)
    assert not {"script", "link", "iframe", "object"} & set(page.tags)
    assert "url(" not in html
    assert "@import" not in html
    assert "default-src 'none'" in html
    assert "a <b>word</b>" in page.text
    assert "run <1>" in page.text
    assert "R&D" in page.text


def test_frames_are_accounted_for_with_reasons(run):
    text = Page(write_report(run).read_text(encoding="utf-8")).text
    assert "No frame lost" in text
    assert "6 received 6 stored as recorded 4 denoised 2 left out on purpose" in text
    assert "1 left out no model passed the tests" in text
    assert "1 left out the model failed on this frame" in text


def test_a_frame_that_did_not_reach_the_store_is_in_the_heading(run):
    ledger = LedgerWriter(run.ledger)
    ledger.commit([MetaRow("received", 1007)])
    ledger.close()
    text = Page(write_report(run).read_text(encoding="utf-8")).text
    assert "1,001 frames lost" in text
    assert "1,001 frames of 1,007 did not reach the store" in text
    assert "No frame lost" not in text


def test_frames_that_wait_are_told(tmp_path):
    root = make_run(tmp_path / "run", side=SIDE, frames=3)
    text = Page(write_report(RunFolder(root)).read_text(encoding="utf-8")).text
    assert "1 frame still to be denoised" in text
    assert "there are no curves" in text


def test_the_verdicts_are_told_with_figures_limits_and_doubts(run):
    text = Page(write_report(run).read_text(encoding="utf-8")).text
    assert "actin: accepted" in text
    assert "R&D: not accepted Intensities would be wrong." in text
    assert "1.001 ± 0.001 0.97 to 1.03 passed" in text
    assert "0.900 ± 0.001 0.97 to 1.03 failed" in text
    assert "118.3 less than 119.6, the best blur's passed" in text
    assert "below 0.001 % at most 0.010 % passed" in text
    assert "(15.2) (15.2)" in text, "photons without a known offset are no more than a guess"
    assert "(0.00; twins −0.01)" in text


def test_doubts_are_told_with_their_reasons_and_shown_over_time(run):
    html = write_report(run).read_text(encoding="utf-8")
    page = Page(html)
    assert "1 of 2 denoised frames without a doubt" in page.text
    assert "actin 1 (50 %) 0 (0 %) 1 (50 %)" in page.text
    assert "1 actin red signal was removed at x 8–16, y 0–8" in page.text
    assert re.findall(r'<rect class="(\w+)" x="(\d+)"', html) == [("green", "0"), ("red", "1")]


def test_the_methods_text_has_figures_versions_and_sources(run):
    text = Page(write_report(run).read_text(encoding="utf-8")).text
    assert "denoised with quietscope 9.8.7 [1] during and after the acquisition" in text
    assert "by Adaptive-SN2N [2, 3] on 2 frames from the beginning of the same series" in text
    assert "actin: slope of raw on denoised intensities 1.001 ± 0.001" in text
    assert "No network was accepted for R&D" in text
    assert "Nature Methods 21, 1895 (2024)" in text


def test_a_model_from_elsewhere_is_not_said_to_be_trained_here(run):
    settings = run.settings.read_text(encoding="utf-8")
    run.settings.write_text(
        settings.replace("[training]", '[training]\nmodel = "models/cos7"', 1), encoding="utf-8"
    )
    text = Page(write_report(run).read_text(encoding="utf-8")).text
    assert "had been trained before and were taken from models" in text
    assert "Networks that had been trained before by Adaptive-SN2N [2, 3] were applied" in text
    assert "parts held back" not in text


def test_settings_that_were_changed_are_told_with_their_meaning(run):
    settings = run.settings.read_text(encoding="utf-8")
    run.settings.write_text(settings.replace("budget_s = ", "budget_s = 1"), encoding="utf-8")
    html = write_report(run).read_text(encoding="utf-8")
    changed = html[html.index("Settings that differ") : html.index("<summary>All settings")]
    assert re.findall(r"<tr><td><code>([^<]+)", changed) == ["training.budget_s"]
    assert "Longest time to train one channel" in changed


def test_every_method_has_a_name_and_a_source():
    methods = get_args(Settings.model_fields["method"].annotation)
    assert set(SOURCES) == set(methods)
    assert all(method_name(method) != method for method in methods)


def test_pictures_are_the_stored_frames_with_one_black_and_one_white(run):
    html = write_report(run).read_text(encoding="utf-8")
    found = [
        np.asarray(Image.open(io.BytesIO(base64.b64decode(data))))
        for data in re.findall(r'src="data:image/png;base64,([^"]+)"', html)
    ]
    denoised = plane("denoised", 1, 1, SIDE)  # the last one of the channel; its third frame was left out
    black, white = np.percentile(denoised, (0.5, 99.9))
    expected = [
        np.round(255 * np.clip((image.astype(float) - black) / (white - black), 0, 1))
        for image in (plane("raw", 1, 1, SIDE), denoised)
    ]
    np.testing.assert_allclose(found[2], expected[0], atol=1)
    np.testing.assert_allclose(found[3], expected[1], atol=1)


def test_a_large_frame_is_thinned_and_its_busiest_part_enlarged(tmp_path):
    root = make_run(tmp_path / "run", side=1300, frames=2)
    html = write_report(RunFolder(root)).read_text(encoding="utf-8")
    sizes = re.findall(r'width="(\d+)" height="(\d+)"', html)
    assert sizes == [("434", "434"), ("434", "434"), ("160", "80"), ("160", "80")]
    assert "one pixel of every 3 in each direction" in html
    # 1300 pixels of 0.1 µm: 20 µm of 130 µm; 160 pixels: 2 µm of 16 µm
    assert re.findall(r'width:([\d.]+)cqw"></i>([^<]+)<', html)[::2] == [
        ("15.38", "20 µm"),
        ("12.50", "2 µm"),
    ]


def test_a_plane_that_is_gone_costs_its_picture_and_nothing_else(run):
    [gone] = (run.store / "denoised" / "0" / "c" / "1" / "0").rglob("0/0/0")
    gone.unlink()
    html = write_report(run).read_text(encoding="utf-8")
    assert html.count("data:image/png") == 2
    assert "The picture could not be made: denoised t1 c0 z0 p0 is not in the store" in Page(html).text


def test_the_history_leaves_out_the_time_between_a_run_and_its_resumption(tmp_path):
    log = tmp_path / "log.jsonl"
    start, second = 10**18, 10**9
    times = [start, start + second, start + 5000 * second, start + 5002 * second]
    events = [
        {"time_ns": t, "event": "status", "from": "recorder", "received": i, "ring_share": 0.5}
        for i, t in enumerate(times)
    ]
    log.write_text("".join(json.dumps(event) + "\n" for event in events), encoding="utf-8")
    history = History(log)
    assert history.curves["received"].since(0, 0)["x"] == [0.0, 1.0, 1.0, 3.0]
    assert history.resumed_at == [1.0]
    assert history.length_s == 3.0
    assert history.seconds(start + second // 2) == 0.5
    assert history.seconds(times[-1]) == 3.0


def test_a_chart_draws_points_where_they_belong():
    svg = chart("T", [Line("a", [0, 10], [0, 4])], x_label="x", y_label="y")
    assert 'd="M64.0 196.0L546.0 10.0"' in svg
    assert [int(v) for v in re.findall(r'class="end">(\d+)<', svg)] == [0, 1, 2, 3, 4]


def test_a_chart_without_points_is_nothing_and_one_point_is_a_dot():
    assert chart("T", [Line("a", [], [])], x_label="x", y_label="y") == ""
    band = Band("b", [3.0], [1.0], [2.0])
    assert "<circle" in chart("T", [Line("a", [3.0], [1.5])], x_label="x", y_label="y", band=band)


def test_the_command_writes_the_report_again(run):
    write_report(run).write_text("old", encoding="utf-8")
    done = CliRunner().invoke(app, ["report", str(run.root)])
    assert done.exit_code == 0, done.output
    assert "report.html" in done.output
    assert run.report.read_text(encoding="utf-8").startswith("<!doctype html>")
    assert not run.report.with_suffix(".tmp").exists()


def test_a_report_that_cannot_be_written_is_one_line_and_no_failure(run):
    run.report.mkdir()
    said = Console(file=io.StringIO(), width=80)
    _write_report(said, run)
    text = said.file.getvalue()
    assert text.count("\n") == 1
    assert text.startswith("the report could not be written")
    assert f'quietscope report "{run.root}"' in text  # its name has a space


@pytest.mark.skipif(
    find_chromium() is None, reason="no Chromium found; install it or set QUIETSCOPE_CHROMIUM"
)
def test_in_a_browser_nothing_is_requested_and_nothing_sticks_out(run):
    path = write_report(run)
    with Chromium(1280, 900) as browser:
        for width in (1280, 1920, 400):
            browser.resize(width, 900)
            browser.open(path.as_uri())
            assert browser.evaluate("document.documentElement.scrollWidth") <= width
            assert browser.evaluate("[...document.images].every(i => i.naturalWidth > 0)")
        asked = [url for url in browser.requests if not url.startswith("data:")]
        assert asked == [path.as_uri()] * 3
        assert browser.complaints == []
        colours = []
        for scheme in ("light", "dark"):
            feature = {"name": "prefers-color-scheme", "value": scheme}
            browser.call("Emulation.setEmulatedMedia", features=[feature])
            colours.append(browser.evaluate("getComputedStyle(document.body).backgroundColor"))
        assert colours == ["rgb(247, 247, 244)", "rgb(15, 17, 19)"]
