"""What a run says to the person at the microscope, as lines in the terminal."""

import io

import pytest
from rich.console import Console

from quietscope.daemon.display import Display
from quietscope.daemon.event_words import words_of


@pytest.mark.parametrize(
    ("at_once", "told", "not_told"),
    [(False, "once more to stop at once", "stopping at once"), (True, "stopping at once", "once more")],
)
def test_the_second_ctrl_c_does_not_ask_for_a_second_one(at_once, told, not_told):
    event = {"event": "stop", "from": "user", "reason": "stopped by Ctrl-C", "at_once": at_once}
    text = words_of(event).text
    assert told in text
    assert not_told not in text


@pytest.mark.parametrize(
    ("reason", "told"),
    [
        ("50 frames received", "intake ended: 50 frames received"),
        ("source ended", "intake ended: source ended; 50 frames received"),
    ],
)
def test_the_end_of_intake_names_the_frames_once(reason, told):
    assert words_of({"event": "intake_ended", "reason": reason, "received": 50}).text == told


def test_a_model_that_is_trained_and_not_yet_accepted_is_being_tested():
    display = Display(Console(file=io.StringIO(), width=200))
    training = {"event": "training", "channel": 0, "name": "er", "frames": 10, "step": 40}
    display.event({**training, "used": 0.5})
    assert display._line().endswith("s  training er: 50%, step 40")
    display.event({**training, "used": 1.0})
    assert display._line().endswith("s  testing the model of er, trained to step 40")
    display.event({"event": "status", "from": "recorder", "received": 3})
    assert "received 3" in display._line()
    verdict = {"event": "verdict", "channel": 0, "name": "er", "accepted": True, "reason": "", "figures": {}}
    display.event(verdict)
    assert "model" not in display._line()
