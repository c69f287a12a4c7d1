"""The judge of ``python tests/benchmarks/soak.py`` on processes that leak and runs that lose; the five-minute form.

The latter takes part with ``QUIETSCOPE_SOAK=1``.
"""

import os
import subprocess
import sys
from dataclasses import replace

import pytest
import soak

pytestmark = pytest.mark.slow

LEAKS = {
    "memory": "kept.append(bytearray(os.urandom(1 << 20)))",
    "descriptors": "kept.append(open(os.devnull))",
    "threads": "threading.Thread(target=time.sleep, args=(600,), daemon=True).start()",
    "nothing": "len(bytearray(os.urandom(1 << 20)))",
}
LIVE = "import os, sys, threading, time\nkept = []\nwhile True:\n    {leak}\n    time.sleep(0.02)\n"


def watched(folder, leak):
    process = subprocess.Popen([sys.executable, "-c", LIVE.format(leak=leak)])
    try:
        return soak.observe(lambda: {"leaky": process.pid}, 3.0, 0.05, folder / "samples.jsonl")
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize("what", LEAKS)
def test_a_process_that_leaks_is_judged_to_leak(tmp_path, what):
    (trend,) = soak.judge(watched(tmp_path, LEAKS[what]), 1.5)
    words = " ".join(trend.faults)
    for kind in ("memory", "descriptors", "threads"):
        # Open files and threads take memory as well: that it grows is no mistake.
        assert (kind in words) == (kind == what) or (kind == "memory" and what != "nothing")
    assert len((tmp_path / "samples.jsonl").read_text().splitlines()) >= 2 * soak.WINDOWS


def test_a_process_that_ends_early_or_starts_again_is_named():
    one = soak.Sample("trainer", 1, 0.0, 100.0, 10, 5, 0.0)
    samples = [
        replace(one, time_s=float(t), process=name) for t in range(100) for name in ("trainer", "recorder")
    ]
    assert [trend.faults for trend in soak.judge(samples, 10.0)] == [[], []]
    gone = [s for s in samples if s.process == "recorder" or s.time_s < 60]
    assert soak.judge(gone, 10.0)[0].faults == ["trainer: ended 40 s before the others"]
    again = [replace(s, pid=2) if s.time_s > 50 else s for s in samples]
    assert soak.judge(again, 10.0)[0].faults == ["trainer: was started again"]


def test_a_run_that_lacks_frames_is_judged_to_lack_them(tmp_path):
    result = soak.soak(
        tmp_path,
        seconds=10.0,
        rate=8.0,
        size=64,
        warm_up_s=2.0,
        interval_s=0.25,
        changes=["source.faults.drop=0.3", "training.max_steps=10", "training.frames=4"],
    )
    assert result["planned"] == 80
    assert 0 < result["summary"]["frames_received"] < 80
    assert f"{result['summary']['frames_received']} of 80 frames were received" in result["faults"]
    assert [one["process"] for one in result["processes"]] == ["engine", "recorder", "processor", "trainer"]
    assert "were received" in soak.table(result)


@pytest.mark.skipif("QUIETSCOPE_SOAK" not in os.environ, reason="five minutes; set QUIETSCOPE_SOAK=1")
@pytest.mark.timeout(1800)
def test_five_minutes_miss_nothing_and_leave_nothing_open(tmp_path):
    result = soak.soak(tmp_path, seconds=300.0, rate=3.0, size=512, warm_up_s=180.0, interval_s=1.0)
    assert result["faults"] == [], soak.table(result)
