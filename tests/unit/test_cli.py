"""The command line: what it lists is what there is."""

import pytest
from typer.testing import CliRunner

from quietscope.config.keys import describe
from quietscope.daemon.cli import app


@pytest.mark.parametrize("command", ["demo", "watch", "run", "denoise", "train"])
def test_every_command_that_trains_lets_the_method_be_chosen(command):
    told = CliRunner().invoke(app, [command, "--help"], env={"COLUMNS": "200", "TERM": "dumb"})
    assert told.exit_code == 0
    assert "--method" in told.output


def test_keys_are_listed_with_what_is_allowed_to_the_letter(monkeypatch):
    monkeypatch.setenv("COLUMNS", "2000")
    told = CliRunner().invoke(app, ["config", "keys"])
    assert told.exit_code == 0
    lines = told.output.splitlines()
    for key in describe():
        assert any(key.key in line and key.allowed in line for line in lines), key
