"""Training and denoising of stored images, as commands of their own."""

import json
import re
import subprocess
import sys

import numpy as np
import pytest
import tifffile

from quietscope.adapters.frame import FrameKey
from quietscope.adapters.ome_zarr import StoreReader
from quietscope.adapters.simulator import Simulator
from quietscope.config.sources import SimulatorSettings
from quietscope.daemon.ledger_reader import LedgerReader

pytestmark = pytest.mark.slow

SMALL = [
    "--set=training.frames=6",
    "--set=training.budget_s=600",
    "--set=training.max_steps=250",
    "--set=training.threads=1",
    "--set=adaptive_sn2n.base_channels=8",
    "--set=adaptive_sn2n.batch=8",
]
COUNT = 12


def _quietscope(folder, *arguments):
    command = [sys.executable, "-m", "quietscope.daemon", *map(str, arguments)]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=280, check=False)


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """A folder of single images as a microscope leaves them."""
    folder = tmp_path_factory.mktemp("images")
    simulator = Simulator(
        SimulatorSettings(height=128, width=128, photons=60, frames=COUNT, channels=("mitochondria",))
    )
    for t in range(COUNT):
        tifffile.imwrite(folder / f"cell_{t}.tif", simulator.pixels(FrameKey(t)))
    return folder


@pytest.fixture(scope="module")
def trained(images, tmp_path_factory):
    folder = tmp_path_factory.mktemp("trained")
    done = _quietscope(folder, "train", images, "--out", "models", *SMALL)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / "models", done


def test_train_writes_a_model_with_its_verdict(images, trained):
    models, done = trained
    verdict = json.loads((models / "models.json").read_text())["c0.onnx"]
    assert verdict["accepted"]
    assert verdict["figures"]["held_out"]
    assert "photons" in verdict["figures"]["noise"]
    assert len(verdict["trained_on"]) == 6
    assert "photons" in done.stdout
    again = _quietscope(models.parent, "train", images, "--out", "models")
    assert again.returncode == 2
    assert "never overwritten" in again.stderr


def test_a_file_a_folder_and_a_run_are_denoised_alike_with_one_model(images, trained, tmp_path):
    models, _ = trained
    for name, source in (("folder", images), ("file", images / "cell_9.tif"), ("run", tmp_path / "folder")):
        done = _quietscope(
            tmp_path, "denoise", source, "--model", models, "--out", ".", "--name", name, "--json", "s.json"
        )
        assert done.returncode == 0, done.stdout + done.stderr
        summary = json.loads((tmp_path / "s.json").read_text())
        assert summary["denoised"] == summary["frames_received"] == (1 if name == "file" else COUNT)
        # nothing was trained, and nothing says so
        assert list(summary["models"].values()) == [f"taken from {models / 'c0.onnx'}"]
        assert f"the model taken from {models / 'c0.onnx'} is accepted. " in done.stdout
        assert summary["training_s"] == 0
        assert not re.search(r"^\W*training\b", done.stdout, re.MULTILINE)
        assert [words for words in summary["noise"].values() if "photons" in words]
    stores = {name: StoreReader(tmp_path / name) for name in ("folder", "file", "run")}
    for t in (0, 9):
        key = FrameKey(t)
        assert np.array_equal(stores["run"].read("raw", key), tifffile.imread(images / f"cell_{t}.tif"))
        denoised = stores["folder"].read("denoised", key)
        assert np.array_equal(stores["run"].read("denoised", key), denoised)
    assert np.array_equal(stores["file"].read("denoised", FrameKey(0)), denoised)
    with LedgerReader(tmp_path / "run" / "ledger.db") as ledger:
        first = ledger.all_frames(limit=1)[0]
        assert ledger.details(first.id)[1]["recorded_ns"] < first.received_ns


def test_what_is_missing_is_named(images, tmp_path):
    for arguments, words in (
        (("denoise", "nowhere"), "there is nothing at"),
        (("train", "nowhere", "--out", "m"), "there is nothing at"),
        (("denoise", images, "--method", "magic"), '"fm2s"'),
    ):
        done = _quietscope(tmp_path, *arguments)
        assert done.returncode == 2
        assert words in done.stderr
    empty = tmp_path / "empty"
    empty.mkdir()
    done = _quietscope(tmp_path, "train", empty, "--out", "m")
    assert done.returncode == 2
    assert "no readable frame" in done.stderr


def test_a_model_that_is_not_there_or_is_none_refuses_what_is_stored_already(images, tmp_path):
    (tmp_path / "notes.onnx").write_text("notes on the model")
    for name, words in (("none.onnx", "there is no model at"), ("notes.onnx", "notes.onnx is no ONNX model")):
        done = _quietscope(
            tmp_path, "denoise", images, "--model", tmp_path / name, "--out", ".", "--name", "r"
        )
        assert done.returncode == 2
        assert words in done.stdout + done.stderr
        assert not (tmp_path / "r").exists()


def test_denoising_what_holds_no_frame_fails_and_says_so(tmp_path):
    tifffile.imwrite(tmp_path / "colours.tif", np.zeros((32, 32, 3), "uint8"), photometric="rgb")
    done = _quietscope(tmp_path, "denoise", "colours.tif", "--out", "runs")
    assert done.returncode == 1
    assert "save each channel as a grey-scale image" in done.stdout
    assert "fault: the source holds no readable frame" in done.stdout


def test_an_unreadable_plane_of_a_run_does_not_stop_the_others(images, trained, tmp_path):
    models, _ = trained
    first = _quietscope(tmp_path, "denoise", images, "--model", models, "--out", ".", "--name", "first")
    assert first.returncode == 0, first.stdout + first.stderr
    store = tmp_path / "first" / "image.ome.zarr"
    chunk = next(path for path in store.glob("raw/0/c/5/**/*") if path.is_file())
    chunk.write_bytes(b"torn")
    again = _quietscope(
        tmp_path, "denoise", "first", "--model", models, "--out", ".", "--name", "again", "--json", "s.json"
    )
    summary = json.loads((tmp_path / "s.json").read_text())
    assert summary["denoised"] == COUNT - 1
    assert summary["rejected"] == {"unreadable": 1}
    assert "rejected raw t5" in again.stdout


def test_a_channel_that_cannot_be_trained_on_does_not_hold_up_the_others(tmp_path):
    folder = tmp_path / "two"
    folder.mkdir()
    simulator = Simulator(
        SimulatorSettings(height=128, width=128, photons=60, frames=COUNT, channels=("mitochondria",))
    )
    for t in range(COUNT):
        signal = simulator.pixels(FrameKey(t))
        stack = np.stack([np.zeros_like(signal), signal])
        tifffile.imwrite(folder / f"cell_{t}.ome.tif", stack, metadata={"axes": "CYX"})
    done = _quietscope(tmp_path, "train", folder, "--out", "models", *SMALL)
    assert done.returncode == 1
    assert "no frame of channel" in done.stdout
    assert (tmp_path / "models" / "c1.onnx").exists()
    assert list(json.loads((tmp_path / "models" / "models.json").read_text())) == ["c1.onnx"]
