"""The plug-in in a real napari, in an environment of its own: napari's pytest plug-ins break this one's warnings."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from quietscope.adapters.napari_plugin.dock import _endpoints
from quietscope.adapters.napari_plugin.run_reader import get_reader
from quietscope.config import WireError

SESSION = Path(__file__).parents[1] / "support" / "napari_session.py"
UPDATES = 100


@pytest.fixture(scope="module")
def seen(tmp_path_factory):
    """What a session in napari has seen, and its screenshot."""
    python = os.environ.get("QUIETSCOPE_NAPARI_PYTHON", sys.executable)
    probe = "import napari, qtpy.QtWidgets, quietscope.adapters.napari_plugin"
    if subprocess.run([python, "-c", probe], capture_output=True, check=False).returncode:
        pytest.skip(
            f"napari with Qt and quietscope is not installed for {python} (set QUIETSCOPE_NAPARI_PYTHON)"
        )
    display = []
    if sys.platform == "linux":
        xvfb = shutil.which("xvfb-run")
        if xvfb is None:
            pytest.skip("no Xvfb found; install it")
        display = [xvfb, "-a", "-s", "-screen 0 1600x1000x24"]
    folder = tmp_path_factory.mktemp("napari")
    command = [*display, python, str(SESSION), str(folder), str(UPDATES)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout), np.asarray(Image.open(folder / "napari.png").convert("RGB"))


@pytest.mark.slow
def test_a_run_folder_opens_with_pixels_scale_names_and_colours(seen):
    found, _ = seen
    green, magenta = [0.0, 1.0, 0.0, 1.0], [1.0, 0.0, 1.0, 1.0]
    layers = [(layer["name"], layer["colours"], layer["visible"]) for layer in found["layers"]]
    assert layers == [
        ("raw: actin", green, False),
        ("raw: tubulin", magenta, False),
        ("denoised: actin", green, True),
        ("denoised: tubulin", magenta, True),
        ("trust: actin", [0.0, 0.0, 0.0, 1.0], False),
        ("trust: tubulin", [0.0, 0.0, 0.0, 1.0], False),
    ]
    assert found["trust_values"] == [[255], [7]], "a frame that was not judged has no doubts"
    for layer in found["layers"][:4]:
        assert layer["shape"] == [64, 600, 600]
        assert layer["levels"] == 2
        assert layer["axes"] == ["t", "y", "x"]
        assert layer["scale"] == pytest.approx([1.0, 0.1, 0.1])
        assert layer["units"] == ["pixel", "micrometer", "micrometer"]
        low, high = layer["limits"]
        assert 1000 <= low < high <= 1255
    assert found["pixels_equal"]


@pytest.mark.slow
def test_every_update_of_a_live_run_arrives_and_the_newest_wins(seen):
    found, picture = seen
    assert found["updates"] == UPDATES
    assert found["newest_after_burst"]
    assert found["errors"] == []
    assert found["status"] == f"Live: time point {2 * UPDATES - 1}"
    assert found["scale"] == pytest.approx([0.1, 0.1])
    assert picture.std() > 10, "the screenshot shows something"


@pytest.mark.slow
def test_buttons_ask_the_run_and_say_what_became_of_it(seen):
    found, _ = seen
    assert found["asked"] == [
        {"command": "retrain", "channel": None, "method": "fm2s"},
        {"command": "pause", "channel": None, "method": None},
        {"command": "continue", "channel": None, "method": None},
    ]
    assert found["words"] == "denoising is paused"
    assert found["buttons"] == ["Pause denoising", "Go on denoising", "Pause denoising"]


@pytest.mark.slow
def test_what_the_user_removes_stays_away_and_closing_leaves_nothing_behind(seen):
    found, _ = seen
    assert "Choose another folder" in found["wrong_folder"]
    assert not found["removed_layer_is_back"]
    assert not found["thread_left"]


def test_only_the_folder_of_a_run_is_taken(tmp_path):
    (tmp_path / "image.ome.zarr").mkdir()
    assert get_reader(str(tmp_path)) is None
    (tmp_path / "image.ome.zarr" / "zarr.json").write_text("{}")
    assert get_reader(str(tmp_path)) is not None
    assert get_reader([str(tmp_path), str(tmp_path)]) is None


def test_a_run_is_named_by_its_folder_or_its_address(tmp_path):
    (tmp_path / "endpoints.json").write_text('{"publish": "tcp://0.0.0.0:5555"}')
    assert _endpoints(str(tmp_path)) == ("tcp://127.0.0.1:5555", None)
    assert _endpoints("tcp://microscope:5555") == ("tcp://microscope:5555", None)
    (tmp_path / "endpoints.json").write_text(
        '{"publish": "tcp://0.0.0.0:5555", "control": "tcp://0.0.0.0:5556"}'
    )
    assert _endpoints(str(tmp_path)) == ("tcp://127.0.0.1:5555", "tcp://127.0.0.1:5556")
    for wrong in ("", str(tmp_path / "absent")):
        with pytest.raises(WireError, match="going on"):
            _endpoints(wrong)
