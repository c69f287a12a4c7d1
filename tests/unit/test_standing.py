"""What the engine remembers of a run for whoever commands it, and whose turn it is to be trained again."""

import pytest

from quietscope.config import RunError
from quietscope.config.science import DriftSettings
from quietscope.daemon.retraining import Retraining, Task
from quietscope.daemon.standing import Standing


def standing(*names):
    known = Standing()
    known.take({"event": "series", "channels": names})
    return known


def test_a_model_of_an_earlier_run_does_not_end_the_first_training():
    known = standing("GFP")
    live = {"event": "model_live", "channel": 0, "model_id": "a"}
    known.take({**live, "provisional": True})
    assert not known.is_judged(0)
    known.take({**live, "provisional": False})
    assert known.is_judged(0)


def test_a_name_goes_before_a_number():
    known = standing("1", "GFP")
    assert known.channels("1") == [0]
    assert known.channels("0") == [0]
    assert known.channels(1) == [1]
    assert known.channels("GFP") == [1]
    with pytest.raises(RunError, match="there is no channel"):
        known.channels("2")


def test_a_process_that_cannot_start_costs_nothing_and_the_next_one_has_its_turn():
    begun, said = [], []

    def begin(task):
        if task.channel == 0:
            raise OSError(12, "Cannot allocate memory")
        begun.append(task.channel)

    turns = Retraining(DriftSettings(), begin=begin, record=lambda *words: said.append(words))
    turns.ask(Task(0, "GFP", "fm2s"))
    assert turns.now is None
    assert [level for level, _ in said] == ["error"]
    assert "could not begin" in said[0][1]
    turns.ask(Task(1, "RFP", "fm2s"))
    assert begun == [1]
