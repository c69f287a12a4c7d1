"""The clock of a training in the background, on a machine whose time passes as the test says."""

import pytest

from quietscope.daemon.background_clock import BackgroundClock


class Machine:
    """Two cores, of which others use some; one step of the training works for 20 ms on one thread."""

    def __init__(self, others):
        self.others = others
        self.now = self.worked = self.looked_at = self.worked_then = 0.0

    def busy(self):
        """Cores in use since the last look."""
        elapsed = self.now - self.looked_at
        own = (self.worked - self.worked_then) / elapsed if elapsed else 0.0
        self.looked_at, self.worked_then = self.now, self.worked
        return own + self.others

    def rest(self, seconds):
        assert 0 < seconds <= 1
        self.now += seconds

    def step(self):
        self.now += 0.02
        self.worked += 0.02


def _clock(machine, threads=1):
    return BackgroundClock(
        threads,
        clock=lambda: machine.now,
        worked=lambda: machine.worked,
        busy=machine.busy,
        sleep=machine.rest,
        cores=2,
    )


@pytest.mark.parametrize(("others", "share"), [(0.0, 1.0), (0.3, 1.0), (1.5, 0.2)])
def test_it_takes_a_fifth_of_a_core_of_two_beside_others_and_all_it_wants_alone(others, share):
    machine = Machine(others)
    clock = _clock(machine)
    for _ in range(1000):
        machine.step()
        clock()
    assert machine.worked / machine.now == pytest.approx(share, rel=0.05)


def test_it_counts_work_and_not_rest():
    machine = Machine(1.5)
    clock = _clock(machine, threads=2)
    for _ in range(100):
        machine.step()
        told = clock()
    assert told == pytest.approx(machine.worked / 2)


def test_a_training_that_hardly_gets_to_work_ends_all_the_same():
    machine = Machine(1.5)
    clock = _clock(machine)
    machine.now = 300.0
    assert clock() == pytest.approx(10.0)
