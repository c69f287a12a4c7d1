"""The checks before a run, on this machine and on machines that are not well."""

import json
import os
import re
import socket

import numpy as np
import pytest
from typer.testing import CliRunner

from quietscope.config.faultpoints import armed
from quietscope.config.loader import load_settings
from quietscope.daemon.checks import run_checks
from quietscope.daemon.cli import app

SMALL = ["source.height=64", "source.width=64", "source.frames=4"]


def states(tmp_path, *changes: str, quick: bool = True) -> dict[str, tuple[str, str]]:
    settings = load_settings(overrides=[f"out={tmp_path}", *SMALL, *changes])
    return {check.name: (check.state, check.words) for check in run_checks(settings, quick=quick)}


def test_a_machine_that_is_well_gets_a_go(tmp_path):
    out = tmp_path / "doctor.json"
    arguments = ["doctor", "--out", str(tmp_path), "--json", str(out)]
    done = CliRunner().invoke(app, [*arguments, *(part for change in SMALL for part in ("--set", change))])
    assert done.exit_code == 0, done.output
    assert done.output.rstrip().endswith("GO")
    found = json.loads(out.read_text())
    assert found["go"]
    names = [check["name"] for check in found["checks"]]
    assert names == [
        "permissions", "ports", "clock", "versions", "memory", "graphics card", "free disk", "source", "write rate",
        "folder events", "network"
    ]  # fmt: skip
    assert re.match("runs on (cpu|cuda|openvino (float32|bfloat16)), ", found["checks"][-1]["words"])
    assert [path.name for path in tmp_path.iterdir()] == ["doctor.json"], "something was left behind"


def test_without_a_source_only_the_machine_is_judged(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(app, ["doctor", "--json", "found.json"])
    assert "about the machine alone" in done.output
    found = {check["name"]: check for check in json.loads((tmp_path / "found.json").read_text())["checks"]}
    assert list(found) == [
        "permissions", "ports", "clock", "versions", "memory", "graphics card", "free disk", "write rate", "network"
    ]  # fmt: skip
    # nothing of the simulator's planned series
    assert "length not planned" in found["free disk"]["words"]
    assert "camera" not in found["write rate"]["words"] + found["network"]["words"]
    assert "512×512" in found["write rate"]["words"]


def test_too_little_memory_is_a_caution(tmp_path):
    settings = load_settings(overrides=[f"out={tmp_path}", "recorder.ring_mb=999999"])
    check = next(check for check in run_checks(settings) if check.name == "memory")  # none behind it is made
    assert check.state == "caution"
    assert "recorder.ring_mb" in check.words


def test_every_quick_check_goes(tmp_path):
    assert {state for state, _ in states(tmp_path).values()} == {"go"}


def test_a_series_larger_than_the_disk_is_a_no_go(tmp_path):
    state, words = states(tmp_path, "source.frames=10000000", "source.height=16384", "source.width=16384")[
        "free disk"
    ]
    assert state == "no-go"
    assert "needed" in words


def test_a_port_in_use_is_a_no_go(tmp_path):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        state, words = states(tmp_path, f"publish.endpoint=tcp://127.0.0.1:{port}")["ports"]
    assert state == "no-go"
    assert "publish.endpoint" in words


def test_a_file_in_place_of_the_watched_folder_is_a_no_go_with_the_command_for_files(tmp_path):
    file = tmp_path / "cell.tif"
    file.write_bytes(b"")
    settings = load_settings(overrides=["source.kind=folder", f"source.path={file}"])
    (check,) = (one for one in run_checks(settings, quick=True) if one.name == "source")
    assert check.state == "no-go"
    assert f"quietscope denoise {file}" in check.words


def test_a_model_that_is_not_there_or_is_none_is_said_before_the_run(tmp_path, write_filter_model):
    models = tmp_path / "models"
    models.mkdir()
    state, words = states(tmp_path, f"training.model={models}")["model"]
    assert state == "caution"
    assert str(models) in words
    (models / "c0.onnx").write_bytes(b"notes on the model")
    state, words = states(tmp_path, f"training.model={models}")["model"]
    assert state == "caution"
    assert f"{models / 'c0.onnx'} is no ONNX model" in words
    write_filter_model(models / "c0.onnx", np.ones((3, 3)) / 9)
    assert states(tmp_path, f"training.model={models}")["model"][0] == "go"


def test_a_port_that_cannot_be_is_a_no_go(tmp_path):
    state, words = states(tmp_path, "publish.endpoint=tcp://127.0.0.1:99999")["ports"]
    assert state == "no-go"
    assert "publish.endpoint" in words


def test_an_open_address_without_keys_is_a_no_go(tmp_path):
    state, words = states(tmp_path, "recorder.endpoint=tcp://0.0.0.0:0")["ports"]
    assert state == "no-go"
    assert "quietscope keys new" in words


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_may_not_be_written_is_a_no_go(tmp_path):
    tmp_path.chmod(0o500)
    try:
        assert states(tmp_path)["permissions"][0] == "no-go"
    finally:
        tmp_path.chmod(0o700)


def test_a_missing_folder_is_a_no_go(tmp_path):
    settings = load_settings(overrides=["source.kind=folder", f"source.path={tmp_path / 'nowhere'}"])
    found = {check.name: check for check in run_checks(settings, quick=True)}
    assert found["source"].state == "no-go"
    assert "nowhere" in found["source"].words


def test_a_slow_disk_is_a_caution(tmp_path):
    with armed("store.write=slow:0.02"):
        state, words = states(tmp_path, "source.rate_hz=1000", quick=False)["write rate"]
    assert state == "caution"
    assert "spooled" in words


def test_a_disk_that_refuses_is_a_no_go(tmp_path):
    with armed("store.write=EIO"):
        assert states(tmp_path, quick=False)["write rate"][0] == "no-go"


def test_events_of_the_system_arrive(tmp_path):
    settings = load_settings(
        overrides=["source.kind=folder", f"source.path={tmp_path}", f"out={tmp_path / 'o'}"]
    )
    found = {check.name: check for check in run_checks(settings)}
    assert found["folder events"].state in {"go", "caution"}
    assert [path.name for path in tmp_path.iterdir()] == []
