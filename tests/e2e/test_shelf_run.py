"""A run beside a shelf that holds a good model, and with too little time to train one that is as good."""

import json
import subprocess
import sys

import pytest
import tifffile
from shelf_scene import SIDE, kernel, remembered, series, specimen

from quietscope.adapters.frame import Series
from quietscope.config.loader import load_settings
from quietscope.daemon.fingerprint import Fingerprint
from quietscope.daemon.ledger_reader import LedgerReader
from quietscope.daemon.shelf import Shelf

pytestmark = pytest.mark.slow

CHANGES = [
    "training.frames=4",
    "training.budget_s=600",
    "training.max_steps=20",
    "training.threads=1",
    "adaptive_sn2n.base_channels=4",
    "adaptive_sn2n.batch=2",
    r"source.pattern=t(?P<t>\d+)_(?P<c>\w+)\.tif",
    "models.shelf=shelf",
]


def test_the_earlier_model_serves_a_run_whose_own_is_not_better(tmp_path, write_filter_model):
    photons, folder, path = specimen(), tmp_path / "incoming", tmp_path / "model.onnx"
    write_filter_model(path, kernel(3.0))
    # a folder of plain images knows neither exposure nor camera nor objective
    given = load_settings(overrides=["source.kind=folder", "source.path=incoming", *CHANGES])
    facts = Series(SIDE, SIDE, "uint16", ("GFP",), "monday")
    fingerprint = Fingerprint.of(facts, "GFP", given, exposure_ms=None, metadata={})
    shelf = Shelf(tmp_path / "shelf", count=9, megabytes=9)
    figures = remembered(path, series(photons, 0))
    kept = shelf.keep(path, fingerprint, run=tmp_path / "monday", figures=figures)
    folder.mkdir()
    for t, frame in enumerate(series(photons, 100)):
        tifffile.imwrite(folder / f"t{t}_GFP.tif", frame)

    command = [sys.executable, "-m", "quietscope.daemon", "watch", "incoming", "--frames", "6"]
    command += ["--out", ".", "--name", "tuesday", *(part for c in CHANGES for part in ("--set", c))]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    summary = json.loads((tmp_path / "tuesday" / "summary.json").read_text())
    assert summary["denoised"] == 6, done.stdout
    assert summary["models"] == {"GFP": "taken from the shelf (run monday)"}
    assert "photons" in summary["noise"]["GFP"]
    start = summary["earlier_models"]["GFP"]
    assert start["frames"] == 6
    assert "run monday" in start["model"]
    assert "objective" in start["model"]
    assert "its old model goes on" in done.stdout
    assert "started from the earlier model" in (tmp_path / "tuesday" / "report.html").read_text("utf-8")
    with LedgerReader(tmp_path / "tuesday" / "ledger.db") as ledger:
        verdict = ledger.verdicts()[0]
    assert verdict.model_id == kept.model_id
    assert not verdict.provisional
    assert [model.model_id for model in shelf.models()] == [kept.model_id]
