"""What a live command says at the end of a run."""

import io
import json

import pytest
from rich.console import Console
from run_folder import make_run

from quietscope.config import QuietscopeError, Settings
from quietscope.daemon.ending import Ending
from quietscope.daemon.live_command import _report
from quietscope.daemon.runfolder import RunFolder


def test_what_became_of_a_run_is_told_where_its_folder_takes_nothing_more(tmp_path):
    run = RunFolder(make_run(tmp_path / "my run", side=16, frames=3))
    run.summary.with_name("summary.json.tmp").mkdir()  # refuses writing as a full disk does
    console = Console(file=io.StringIO(), width=200)
    ending = Ending("the disk is full", ["[Errno 28] the disk is full (0.0 MB free)"])
    with pytest.raises(QuietscopeError, match="quietscope resume") as told:
        _report(console, run, Settings(), ending, {}, json_file=tmp_path / "s.json", picture=None)
    assert str(run.summary) in str(told.value)
    assert "--json" not in str(told.value)
    text = console.file.getvalue()
    assert "fault: [Errno 28] the disk is full (0.0 MB free)" in text
    assert "1 stored frames are neither denoised nor skipped" in text
    assert json.loads((tmp_path / "s.json").read_text())["raw_stored"] == 3
