"""The short form of the crash test; ``python tests/benchmarks/crash.py --seeds 200`` is the long one."""

import os

import crash
import pytest

pytestmark = [pytest.mark.slow, pytest.mark.skipif(os.name == "nt", reason="needs SIGKILL")]


@pytest.mark.parametrize("seed", [4, 7], ids=["recorder", "everything"])
def test_after_kill_9_every_acknowledged_frame_is_there_and_the_ledger_balances(seed):
    outcome = crash.crash(seed)
    assert outcome.faults == []
    assert outcome.killed
    assert outcome.stored > 0
