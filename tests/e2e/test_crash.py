"""The short form of the crash test; ``python tests/benchmarks/crash.py --seeds 200`` is the long one."""

import importlib.util
import os
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.skipif(os.name == "nt", reason="needs SIGKILL")]


@pytest.fixture(scope="module")
def crash():
    path = Path(__file__).resolve().parents[1] / "benchmarks" / "crash.py"
    spec = importlib.util.spec_from_file_location("quietscope_crash_test", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


@pytest.mark.parametrize("seed", [4, 7], ids=["recorder", "everything"])
def test_after_kill_9_every_acknowledged_frame_is_there_and_the_ledger_balances(crash, seed):
    outcome = crash.crash(seed)
    assert outcome.faults == []
    assert outcome.killed
    assert outcome.stored > 0
