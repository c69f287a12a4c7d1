"""quietscope beside the real Micro-Manager core: the command, and the one line in a script."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from quietscope.adapters.frame import FrameKey
from quietscope.adapters.ome_zarr import StoreReader
from quietscope.daemon.ledger_reader import LedgerReader

adapters = pytest.importorskip("mm_test_adapters", reason="no wheel for this platform")
pytestmark = pytest.mark.slow

DARK = {"OnCameraCCDXSize": 96, "OnCameraCCDYSize": 96, "FastImage": 1}
"""Properties of the simulated camera: small frames of zeros, so that nothing is trained on them."""


@pytest.fixture
def configuration(tmp_path) -> list[str]:
    """Options for the simulated microscope in the dark."""
    folder = Path(adapters.device_adapter_path())
    text = (folder / "MMConfig_demo.cfg").read_text()
    properties = "".join(f"Property,Camera,{name},{value}\n" for name, value in DARK.items())
    file = tmp_path / "dark.cfg"
    file.write_text(f"{text}\n{properties}")
    return ["--config", str(file), "--adapters", str(folder)]


def start(folder: Path, *arguments: str) -> subprocess.Popen:
    command = [sys.executable, "-m", "quietscope.daemon", "micromanager", *arguments]
    command += [
        "--out",
        str(folder),
        "--name",
        "run",
        "--json",
        str(folder / "summary.json"),
        "--set",
        "source.buffer_mb=64",
    ]
    return subprocess.Popen(
        command,
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def end(process: subprocess.Popen, timeout_s: float = 150.0) -> tuple[int, str]:
    try:
        words, _ = process.communicate(timeout=timeout_s)
    except subprocess.TimeoutExpired:
        for one in [*psutil.Process(process.pid).children(recursive=True), process]:
            one.kill()
        words, _ = process.communicate()
        pytest.fail(f"still running after {timeout_s:g} s:\n{words}")
    return process.returncode, words


def balanced(folder: Path) -> dict:
    found = json.loads((folder / "summary.json").read_text())
    assert (
        found["frames_received"] == found["raw_stored"] == found["denoised"] + sum(found["skipped"].values())
    )
    return found


@pytest.fixture
def keys(tmp_path) -> Path:
    """Keys that both wires demand."""
    folder = tmp_path / "keys"
    command = [sys.executable, "-m", "quietscope.daemon", "keys", "new", str(folder)]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    return folder


def test_a_useq_plan_is_acquired_and_every_frame_accounted_for(tmp_path, configuration, keys):
    plan = tmp_path / "plan.toml"
    plan.write_text(
        'axis_order = "tcz"\nchannels = ["DAPI"]\n[time_plan]\ninterval = 0.05\nloops = 6\n'
        "[z_plan]\nrange = 1.0\nstep = 1.0\n"
    )
    status, words = end(start(tmp_path, str(plan), *configuration, "--set", f"security.keys={keys}"))
    assert status == 0, words
    assert balanced(tmp_path)["frames_received"] == 12
    with LedgerReader(tmp_path / "run" / "ledger.db") as ledger:
        series = ledger.series()
    assert series.channels == ("DAPI",)
    assert dict(series.planned) == {"t": 6, "c": 1, "z": 2}
    assert StoreReader(tmp_path / "run").read("raw", FrameKey(5, 0, 1)).shape == (96, 96)


@pytest.mark.skipif(os.name == "nt", reason="needs SIGINT")
def test_ctrl_c_aborts_micro_manager_and_keeps_what_it_has(tmp_path, configuration):
    plan = tmp_path / "plan.json"
    plan.write_text('{"num_time_points": 100000, "time_interval_s": 0.02}')
    process = start(tmp_path, str(plan), *configuration)
    deadline = time.monotonic() + 90
    while not (tmp_path / "run" / "image.ome.zarr").exists():
        assert time.monotonic() < deadline
        assert process.poll() is None, process.communicate()
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    status, words = end(process)
    assert status == 0, words
    found = balanced(tmp_path)
    assert found["exit_reason"] == "stopped by Ctrl-C"
    assert 0 < found["frames_received"] < 100_000
    with LedgerReader(tmp_path / "run" / "ledger.db") as ledger:
        keys = sorted(ledger.checksums())
    assert keys == [FrameKey(t) for t in range(len(keys))]


def test_live_mode_ends_after_the_frames_asked_for_and_says_what_it_is(tmp_path, configuration):
    status, words = end(start(tmp_path, *configuration, "--frames", "20"))
    assert status == 0, words
    assert balanced(tmp_path)["frames_received"] == 20
    assert "NOT lossless" in words


def test_a_failing_acquisition_ends_the_run_and_says_why(tmp_path, configuration):
    plan = tmp_path / "plan.toml"
    plan.write_text('num_time_points = 2\nchannel_group = "Channel"\nchannels = ["no such filter"]\n')
    status, words = end(start(tmp_path, str(plan), *configuration))
    assert status == 1
    assert "the acquisition failed" in words
    assert balanced(tmp_path)["frames_received"] == 0


SCRIPT = """
import faulthandler, json, sys
faulthandler.dump_traceback_later(120, exit=True)
from mm_test_adapters import device_adapter_path
from pycromanager import Acquisition, Core, multi_d_acquisition_events, start_headless, stop_headless
from quietscope.adapters.micromanager import live_denoising

folder = device_adapter_path()
start_headless(str(folder), "MMConfig_demo.cfg", python_backend=True, buffer_size_mb=64)
core = Core()
for name, value in json.loads(sys.argv[2]).items():
    core.set_property("Camera", name, value)
with live_denoising(out=sys.argv[1], name="run", changes={"security.keys": sys.argv[3]}, finish_s=100) as live:
    with Acquisition(image_process_fn=live.hook) as acquisition:
        acquisition.acquire(multi_d_acquisition_events(num_time_points=8))
stop_headless()
print(live.report)
"""


def test_one_line_in_a_script_starts_a_run_and_waits_for_its_end(tmp_path, keys):
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    done = subprocess.run(
        [sys.executable, "-W", "error::ResourceWarning", str(script), str(tmp_path), json.dumps(DARK), str(keys)],
        capture_output=True, text=True, timeout=180, check=False, cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "seen=8, stored=8, rejected=0, lost=0, late=0, missed=0, faults=()" in done.stdout
    assert "quietscope" not in done.stderr
    found = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert found["frames_received"] == 8 == found["denoised"] + sum(found["skipped"].values())
    assert found["exit_reason"] == "the sender ended the series"
    assert list(tmp_path.glob("quietscope-*")) == []


def test_a_run_that_cannot_start_is_told_before_anything_is_acquired(tmp_path):
    from quietscope.adapters.micromanager import live_denoising
    from quietscope.config import RunError

    with pytest.raises(RunError, match=r"did not start(?s:.*)training\.frames"):
        live_denoising(out=tmp_path, changes={"training.frames": -1}).__enter__()
