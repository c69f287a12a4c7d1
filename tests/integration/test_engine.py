"""The supervisor of a run."""

import threading

from quietscope.config.loader import load_settings
from quietscope.daemon.engine import Engine


def test_a_stop_while_the_run_is_starting_ends_it_in_order(tmp_path):
    settings = load_settings(overrides=[f"out={tmp_path}", "name=run", "source.kind=wire"])
    engine = Engine(settings, on_event=lambda _: None)
    engine.stop("stopped by Ctrl-C")
    impatient = threading.Timer(120, engine.stop)  # a second one aborts
    impatient.start()
    ending = engine.run()
    impatient.cancel()
    impatient.join()
    assert (ending.reason, ending.faults) == ("stopped by Ctrl-C", [])
