"""``quietscope evaluate`` as a user types it."""

import json
import subprocess
import sys

import pytest
import tifffile

from quietscope.adapters.frame import FrameKey
from quietscope.adapters.simulator import Simulator
from quietscope.config.sources import SimulatorSettings

pytestmark = pytest.mark.slow


def _evaluate(folder, *arguments):
    command = [sys.executable, "-m", "quietscope.daemon", "evaluate", *map(str, arguments)]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=240, check=False)


def test_own_images_with_a_reference_give_one_table_and_one_picture(tmp_path):
    simulator = Simulator(SimulatorSettings(height=128, width=128, frames=5, channels=("er",)))
    for kind in ("raw", "truth", "empty"):
        (tmp_path / kind).mkdir()
    for t in range(5):
        tifffile.imwrite(tmp_path / "raw" / f"cell_{t}.tif", simulator.pixels(FrameKey(t)))
        tifffile.imwrite(tmp_path / "truth" / f"cell_{t}.tif", simulator.truth(FrameKey(t)))
    tifffile.imwrite(tmp_path / "empty.tif", simulator.specimen.empty().astype("uint8"))
    done = _evaluate(
        tmp_path,
        "raw",
        *("--reference", "truth", "--empty", "empty.tif", "--network"),
        *("--method", "noisy", "--method", "gaussian-1", "--method", "adaptive-sn2n", "--out", "out"),
        *("--set", "training.frames=3", "--set", "training.max_steps=150", "--set", "training.budget_s=600"),
        *("--set", "training.threads=1", "--set", "adaptive_sn2n.base_channels=8"),
    )
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads((tmp_path / "out" / "table.json").read_text())
    noisy, gaussian, learnt = found["rows"]
    assert learnt["frames"] == 2
    assert learnt["steps"] == 150
    assert learnt["psnr"] > noisy["psnr"] + 5
    assert gaussian["psnr"] > noisy["psnr"] + 5
    assert learnt["residue_std"] < noisy["residue_std"] / 4
    assert learnt["fragment_ratio"] < noisy["fragment_ratio"]
    assert found["command"].startswith("quietscope evaluate raw --reference truth")
    assert (tmp_path / "out" / "panel.png").is_file()
    assert len(done.stdout.splitlines()) == 4
    again = _evaluate(tmp_path, "raw", "--out", "out")
    assert again.returncode == 2
    assert "never overwritten" in again.stderr
