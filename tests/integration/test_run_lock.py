"""Two commands at one run folder, as real processes."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from quietscope.config import RunError
from quietscope.config.loader import load_settings
from quietscope.daemon.engine import Engine
from quietscope.daemon.run_lock import RunLock
from quietscope.daemon.runfolder import RunFolder

HOLD = """
import sys, time
from pathlib import Path
from quietscope.daemon.run_lock import RunLock
from quietscope.daemon.runfolder import RunFolder
lock = RunLock(RunFolder(Path(sys.argv[1])), sys.argv[2])
lock.acquire()
print("held", flush=True)
time.sleep(120)
"""


@pytest.fixture
def run(tmp_path):
    return RunFolder.create(tmp_path, "run")


@pytest.fixture
def held(run):
    """Starts a process that holds the lock of a run."""
    started = []

    def hold(role):
        process = subprocess.Popen(
            [sys.executable, "-c", HOLD, str(run.root), role], stdout=subprocess.PIPE, text=True
        )
        started.append(process)
        assert process.stdout.readline() == "held\n"
        return process

    yield hold
    for process in started:
        process.kill()
        process.wait()
        process.stdout.close()


@pytest.mark.parametrize("role", ["command", "recorder"])
def test_who_holds_a_run_is_named_and_its_death_by_force_frees_it(run, held, role):
    process = held(role)
    for _ in range(2):  # the first refusal has left nothing behind that would let the second one in
        with pytest.raises(RunError, match=f"its {role} is process {process.pid}"):
            RunLock(run).acquire()
    process.kill()
    process.wait()
    with RunLock(run), RunLock(run), RunLock(run, "recorder"):
        pass
    with RunLock(run):
        pass


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="needs SIGINT")
def test_a_run_that_is_still_starting_cannot_be_resumed(tmp_path):
    command = [sys.executable, "-m", "quietscope.daemon"]
    (tmp_path / "settings.toml").write_text('[source]\nkind = "wire"\n')
    run = RunFolder(tmp_path / "run")
    with (tmp_path / "output.txt").open("w") as output:
        first = subprocess.Popen(
            [*command, "run", "settings.toml", "--out", str(tmp_path), "--name", "run"],
            cwd=tmp_path,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        wait_for(run.settings.exists)
        with pytest.raises(RunError, match=f"its command is process {first.pid}"):
            Engine(load_settings(), on_event=lambda _: None, resume=run)
        wait_for(run.ledger.exists)
        second = subprocess.run(
            [*command, "resume", str(run.root)], capture_output=True, text=True, timeout=120, check=False
        )
        assert second.returncode == 2
        assert "at work on the run" in second.stderr or "still going on" in second.stderr
        wait_for(run.endpoints.exists)
        assert run.log.read_text().count('"software"') == 1  # the others have written nothing
        first.send_signal(signal.SIGINT)
        assert first.wait(120) == 0
    finally:
        if first.poll() is None:
            first.kill()
    assert json.loads(run.summary.read_text())["exit_reason"] == "stopped by Ctrl-C"


def wait_for(condition, timeout_s=120.0):
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)
