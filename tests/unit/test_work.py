import time

from quietscope.adapters.frame import FrameKey
from quietscope.daemon.ledger_facts import PendingFrame
from quietscope.daemon.work import WorkQueue

S = 1_000_000_000


class Ledger:
    """Pending frames as the ledger would give them."""

    def __init__(self, keys):
        self.pending = {i + 1: key for i, key in enumerate(keys)}
        self.queries = 0

    def __call__(self, channels, after, limit):
        self.queries += 1
        found = [PendingFrame(i, k, 0) for i, k in self.pending.items() if k.c in channels and i > after]
        return found[:limit]

    def done(self, key):
        self.pending = {i: k for i, k in self.pending.items() if k != key}


def _take(work, channels=(0,)):
    taken = []
    while (item := work.fresh(channels)) is not None:
        assert item.fresh
        taken.append(item.key.t)
    return taken


def test_what_comes_is_taken_in_order_while_it_does_not_wait_long():
    now = [S]
    work = WorkQueue(Ledger([]), clock=lambda: now[0])
    for t in range(3):
        work.announce(FrameKey(t), 0, now[0])
    now[0] += 9 * S // 100
    assert work.waits({0})
    assert not work.waits({1})
    assert _take(work) == [0, 1, 2]
    assert not work.waits({0, 1})
    work.announce(FrameKey(3), 0, now[0])
    assert _take(work) == [3]


def test_a_frame_that_is_announced_twice_is_taken_once():
    work = WorkQueue(Ledger([]))
    for _ in range(2):
        work.announce(FrameKey(3), 0, time.time_ns())
    item = work.fresh({0})
    assert item is not None
    work.settle(item.key)
    assert work.fresh({0}) is None


def test_newest_first_then_oldest():
    keys = [FrameKey(t) for t in range(5)]
    now = [S]
    work = WorkQueue(Ledger(keys), clock=lambda: now[0])
    for key in keys:
        work.announce(key, 0, now[0])
        now[0] += 3 * S // 100
    assert _take(work) == [4], "the first has waited for too long"
    order = []
    while (item := work.oldest({0})) is not None:
        assert not item.fresh
        order.append(item.key.t)
    assert order == [0, 1, 2, 3], "the newest was taken already and is not made twice"


def test_a_frame_has_waited_since_it_was_announced_and_not_since_it_was_heard_of():
    work = WorkQueue(Ledger([]), clock=lambda: 3 * S)
    work.announce(FrameKey(0), 0, S)
    work.announce(FrameKey(1), 0, 2 * S)
    assert _take(work) == [1]


def test_a_frame_is_recalled_unless_a_newer_one_waits():
    work = WorkQueue(Ledger([]))
    work.recall(FrameKey(0), 0)
    work.recall(FrameKey(1), 0)
    assert _take(work) == [0]


def test_a_slow_processor_does_not_fall_behind():
    now = [S]
    work = WorkQueue(Ledger([]), clock=lambda: now[0])
    delays = []
    for t in range(500):
        work.announce(FrameKey(t), now[0], now[0])
        now[0] += S // 100
        if t % 3 == 0:
            item = work.fresh({0})
            assert item is not None
            delays.append(now[0] - item.received_ns)
    assert max(delays) < 15 * S // 100


def test_channels_take_turns():
    work = WorkQueue(Ledger([]))
    served = []
    for t in range(6):
        for c in range(2):
            work.announce(FrameKey(t, c), 0, time.time_ns())
        item = work.fresh({0, 1})
        assert item is not None
        served.append(item.key.c)
    assert sorted(served) == [0, 0, 0, 1, 1, 1]


def test_only_channels_with_a_model():
    work = WorkQueue(Ledger([FrameKey(0, 0), FrameKey(0, 1)]))
    work.announce(FrameKey(0, 0), 0, time.time_ns())
    assert work.fresh({1}) is None
    item = work.oldest({1})
    assert item is not None
    assert item.key.c == 1


def test_long_backlog_is_worked_off_completely_with_few_queries():
    keys = [FrameKey(t) for t in range(1000)]
    ledger = Ledger(keys)
    work = WorkQueue(ledger)
    seen = []
    while (item := work.oldest({0})) is not None:
        seen.append(item.key)
        ledger.done(item.key)
        work.settle(item.key)
    assert seen == keys
    assert ledger.queries < 20


def test_frame_that_is_settled_while_a_batch_is_in_hand_is_not_made_twice():
    keys = [FrameKey(t) for t in range(4)]
    ledger = Ledger(keys)
    work = WorkQueue(ledger)
    work.announce(keys[3], 0, time.time_ns())
    newest = work.fresh({0})
    assert newest is not None
    first = work.oldest({0})
    assert first is not None
    assert first.key == keys[0]
    work.announce(keys[2], 0, time.time_ns())
    assert work.fresh({0}) is not None
    for key in (keys[2], keys[3]):
        ledger.done(key)
        work.settle(key)
    rest = []
    while (item := work.oldest({0})) is not None:
        rest.append(item.key)
    assert rest == [keys[1]]


def test_what_is_shown_while_back_fill_rests_is_not_remembered_for_ever():
    keys = [FrameKey(t) for t in range(4)]
    work = WorkQueue(Ledger(keys))
    assert work.oldest({0}) is not None
    for t in range(1000, 2000):
        work.announce(FrameKey(t), 0, time.time_ns())
        item = work.fresh({0})
        assert item is not None
        work.settle(item.key)
    assert len(work._settled) == 0
