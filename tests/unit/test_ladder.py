"""The degrade ladder: when pictures get cheaper, and when they get better again."""

import itertools
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quietscope.adapters.wire_headers import QUALITIES
from quietscope.config.settings import Settings
from quietscope.config.system import DegradeSettings
from quietscope.daemon.degrading import Degrading
from quietscope.daemon.ladder import Ladder
from quietscope.daemon.lag import Lag

LATE, PATIENCE, RETRY = 2.0, 3.0, 20.0
SETTINGS = DegradeSettings(late_s=LATE, patience_s=PATIENCE, retry_s=RETRY)
EVERY_S = 0.25

LADDERS = st.sets(st.sampled_from(QUALITIES[1:]), min_size=1).map(
    lambda chosen: [q for q in QUALITIES if q == "full" or q in chosen]
)
DELAYS = st.lists(
    st.tuples(st.floats(0, 3 * LATE, allow_nan=False), st.integers(1, 120)), min_size=1, max_size=40
)


def climb(ladder, delays, start_s=0.0):
    """Observe each delay so many times; (time, step, quality after it) of every observation, and the delays."""
    flat = [delay for delay, times in delays for _ in range(times)]
    found = []
    for i, delay in enumerate(flat):
        now = start_s + EVERY_S * i
        found.append((now, ladder.observe(now, delay), ladder.quality))
    return found, flat


def steps(found):
    return [(now, step, quality) for now, step, quality in found if step]


@given(LADDERS, DELAYS)
@settings(max_examples=60, deadline=None)
def test_every_step_goes_to_the_neighbour_and_has_its_reason(offered, delays):
    found, flat = climb(Ladder(SETTINGS, offered), delays)
    quality = "full"
    for i, (now, step, after) in enumerate(found):
        assert offered.index(after) == offered.index(quality) + step
        quality = after
        if not step:
            continue
        span = PATIENCE if step > 0 else RETRY
        before = [d for (then, _, _), d in zip(found[: i + 1], flat, strict=False) if then >= now - span]
        assert now - span >= 0
        assert min(before) > LATE if step > 0 else max(before) <= LATE / 2


@given(LADDERS, DELAYS)
@settings(max_examples=60, deadline=None)
def test_once_pictures_are_in_time_recovery_is_monotone_and_complete(offered, delays):
    ladder = Ladder(SETTINGS, offered)
    before, _ = climb(ladder, delays)
    longest = 32 * RETRY * len(offered)
    after, _ = climb(ladder, [(0.0, int(longest / EVERY_S) + 1)], before[-1][0] + EVERY_S)
    assert all(step <= 0 for _, step, _ in after)
    assert ladder.quality == "full"


@given(LADDERS.filter(lambda offered: len(offered) > 1), st.data())
@settings(max_examples=25, deadline=None)
def test_a_machine_that_is_too_slow_for_a_step_does_not_sway(offered, data):
    """Steps that would be late are tried ever more rarely: at most one try for each doubling of the wait."""
    holds = data.draw(st.integers(1, len(offered) - 1))
    ladder = Ladder(SETTINGS, offered)
    found = []
    for i in range(int(40 * RETRY / EVERY_S)):
        now = EVERY_S * i
        delay = 0.1 if offered.index(ladder.quality) >= holds else 1.5 * LATE
        found.append((now, ladder.observe(now, delay), ladder.quality))
    tries = [now for now, step, _ in steps(found) if step < 0]
    assert 3 <= len(tries) <= 6
    pauses = [after - before for before, after in itertools.pairwise(tries)]
    assert all(after >= 1.7 * before for before, after in itertools.pairwise(pauses))


def test_between_late_and_in_time_nothing_happens():
    ladder = Ladder(SETTINGS)
    assert not steps(climb(ladder, [(LATE, 400), (0.6 * LATE, 400)])[0])
    found, _ = climb(ladder, [(1.1 * LATE, 13)], 1000)
    assert [quality for _, _, quality in steps(found)] == ["less-overlap"]
    assert not steps(climb(ladder, [(0.6 * LATE, 1000)], 2000)[0]), "in between, the step is kept"


def test_one_picture_in_time_ends_the_patience_and_one_that_is_not_the_wait_for_better_ones():
    ladder = Ladder(SETTINGS)
    assert not steps(climb(ladder, [(5.0, 11), (1.0, 1), (5.0, 11), (1.0, 1)])[0])
    assert steps(climb(ladder, [(5.0, 13)], 100)[0])
    assert not steps(climb(ladder, [(0.1, 70), (1.5, 1), (0.1, 70), (1.5, 1)], 200)[0])


def test_a_delay_that_goes_away_by_itself_is_given_the_time():
    ladder = Ladder(SETTINGS)
    falling = [(12.0 - 0.3 * EVERY_S * i, 1) for i in range(120)]
    found, flat = climb(ladder, falling)
    assert [(step, quality) for _, step, quality in steps(found)] == [(1, "less-overlap")]
    assert min(flat) > LATE
    rising = [(3.0 + 0.3 * EVERY_S * i, 1) for i in range(120)]
    assert [quality for _, _, quality in steps(climb(ladder, rising, 1000)[0])] == list(QUALITIES[2:])


def test_a_step_up_that_lasted_starts_the_waits_anew():
    ladder = Ladder(SETTINGS, ("full", "raw"))
    climb(ladder, [(5.0, 13), (0.0, 90), (5.0, 13)])
    assert (ladder.quality, ladder.wait_s) == ("raw", 2 * RETRY)
    climb(ladder, [(0.0, 180)], 100)
    assert ladder.quality == "full"
    climb(ladder, [(0.0, 1000), (5.0, 13)], 200)
    assert (ladder.quality, ladder.wait_s) == ("raw", RETRY)


def test_steps_that_a_new_model_gains_nothing_from_are_left_for_cheaper_ones():
    ladder = Ladder(SETTINGS)
    climb(ladder, [(5.0, 13)])
    assert ladder.quality == "less-overlap"
    ladder.offer(("full", "preview", "raw"))
    assert ladder.quality == "preview"
    ladder.offer(QUALITIES)
    assert ladder.quality == "preview"
    ladder.reset()
    assert ladder.quality == "full"


def test_what_was_held_back_does_not_count():
    ladder = Ladder(SETTINGS)
    climb(ladder, [(5.0, 11)])
    ladder.hold()
    assert not steps(climb(ladder, [(5.0, 11)], 10)[0])


def test_switched_off_there_are_no_steps_whatever_is_measured():
    settings = Settings(degrade=DegradeSettings(enabled=False, late_s=0.001, patience_s=0.001))
    degrading = Degrading(settings, None, None, None)  # a step would speak to them and fail
    degrading.recorder_is_behind(1000.0)
    for _ in range(3):
        time.sleep(0.002)
        assert degrading.look(training=False) == []
    assert (degrading.quality, degrading.may_fill) == ("full", True)


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=1, max_size=200))
@settings(max_examples=60, deadline=None)
def test_the_lag_of_a_queue_is_the_age_of_what_waits_in_it(moves):
    """Against the queue itself, in which every item knows when it came."""
    lag, queue, entered, left = Lag(), [], 0, 0
    assert lag.update(0, 0, 0.0) == 0
    for now, (come, go) in enumerate(moves, 1):
        queue += [now] * come
        gone = min(go, len(queue))
        del queue[:gone]
        entered, left = entered + come, left + gone
        # what came since the last look is as old as the look at most
        assert lag.update(entered, left, float(now)) == (now - queue[0] + 1 if queue else 0)


@pytest.mark.parametrize("seconds", [10, 3600])
def test_a_queue_that_stands_still_gets_later_and_later(seconds):
    lag = Lag()
    lag.update(5, 5, 0.0)
    assert [lag.update(6, 5, float(now)) for now in range(1, seconds)] == list(range(1, seconds))
