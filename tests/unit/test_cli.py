"""The command line: what it lists is what there is."""

import importlib.metadata

import pytest
from typer.testing import CliRunner

from quietscope.config import SettingsError
from quietscope.config.keys import describe
from quietscope.config.quoting import quoted
from quietscope.daemon.cli import app
from quietscope.daemon.cli_options import settings_of


@pytest.mark.parametrize("command", ["demo", "watch", "run", "denoise", "train"])
def test_every_command_that_trains_lets_the_method_be_chosen(command):
    told = CliRunner().invoke(app, [command, "--help"], env={"COLUMNS": "200", "TERM": "dumb"})
    assert told.exit_code == 0
    assert "--method" in told.output


def test_the_version_is_told():
    told = CliRunner().invoke(app, ["--version"])
    assert told.exit_code == 0
    assert told.output.strip() == f"quietscope {importlib.metadata.version('quietscope')}"


def test_a_wrong_value_is_traced_to_the_option_that_gave_it():
    with pytest.raises(SettingsError, match=r"stop\.frames = 0 \(from --frames\)"):
        settings_of(None, None, ["stop.frames=7"], frames=0)


def test_a_path_with_spaces_can_be_pasted_into_a_command_line(tmp_path):
    assert quoted(tmp_path / "cos7") == str(tmp_path / "cos7")
    assert quoted(tmp_path / "my data") == f'"{tmp_path / "my data"}"'


def test_keys_are_listed_with_what_is_allowed_to_the_letter(monkeypatch):
    monkeypatch.setenv("COLUMNS", "2000")
    told = CliRunner().invoke(app, ["config", "keys"])
    assert told.exit_code == 0
    lines = told.output.splitlines()
    for key in describe():
        assert any(key.key in line and key.allowed in line for line in lines), key
