"""Plans in both languages, and what is wrong with those that cannot be used."""

import json

import pytest

from quietscope.adapters.micromanager.acquire import check
from quietscope.adapters.micromanager.plan import read_plan
from quietscope.config import SettingsError, SourceError
from quietscope.config.micromanager import MicroManagerSettings

PYCROMANAGER = """
num_time_points = 2
time_interval_s = 0.5
z_start = 0.0
z_end = 2.0
z_step = 1.0
channel_group = "Channel"
channels = ["DAPI", "FITC"]
order = "tcz"
"""


def test_keywords_of_pycromanager(tmp_path):
    file = tmp_path / "plan.toml"
    file.write_text(PYCROMANAGER)
    plan = read_plan(file)
    assert plan.sequence is None
    assert len(plan.events) == 12
    assert plan.events[0]["axes"] == {"time": 0, "channel": "DAPI", "z": 0}


def test_a_useq_sequence_is_also_understood_in_pycromanagers_language(tmp_path):
    pytest.importorskip("useq")
    file = tmp_path / "plan.json"
    file.write_text(
        json.dumps(
            {
                "axis_order": "tpcz",
                "channels": [{"config": "DAPI", "exposure": 5}, "FITC"],
                "time_plan": {"interval": 0.5, "loops": 2},
                "stage_positions": [{"x": 1, "y": 2, "z": 3}],
                "z_plan": {"range": 2, "step": 1},
            }
        )
    )
    plan = read_plan(file)
    assert plan.sequence is not None
    assert len(plan.events) == 12
    assert plan.events[0] == {
        "axes": {"time": 0, "position": 0, "channel": "DAPI", "z": 0},
        "config_group": ["Channel", "DAPI"],
        "exposure": 5.0,
        "min_start_time": 0.0,
        "x": 1.0,
        "y": 2.0,
        "z": 2.0,
    }
    assert plan.events[-1]["axes"] == {"time": 1, "position": 0, "channel": "FITC", "z": 2}


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("a.toml", "num_time_points = ", "is not TOML"),
        ("a.json", "[1, 2]", "must be a table"),
        ("a.toml", "numtimepoints = 5", "unknown keywords: numtimepoints"),
        ("a.toml", "num_time_points = 0", "plans no frame"),
        ("a.toml", "z_start = 0.0\nz_end = 1.0", "cannot use the plan"),
    ],
)
def test_what_is_wrong_is_said(tmp_path, name, text, words):
    file = tmp_path / name
    file.write_text(text)
    with pytest.raises(SettingsError, match=words):
        read_plan(file)


def test_a_missing_plan_is_named(tmp_path):
    with pytest.raises(SettingsError, match="cannot be read"):
        read_plan(tmp_path / "nowhere.toml")


def test_a_micro_manager_that_does_not_answer_is_told_before_the_run():
    import socket

    with socket.socket() as taken:  # bound and not listening: nothing else can answer there
        taken.bind(("127.0.0.1", 0))
        with pytest.raises(SourceError, match="Run server on port 4827"):
            check(MicroManagerSettings(port=taken.getsockname()[1]))


@pytest.mark.parametrize(
    ("changes", "words"),
    [({}, "source.adapters"), ({"adapters": "nowhere"}, "correct source.adapters")],
)
def test_a_configuration_without_its_folder_is_told_before_the_run(changes, words):
    with pytest.raises(SourceError, match=words):
        check(MicroManagerSettings(configuration="mine.cfg", **changes))
