import threading
import time
from dataclasses import dataclass

from quietscope.daemon.ring import ByteRing


@dataclass
class Item:
    nbytes: int


def test_bound_holds_until_release():
    ring = ByteRing[Item](100)
    assert ring.offer(Item(60))
    assert ring.offer(Item(40))
    assert not ring.offer(Item(1))
    taken = ring.take(timeout_s=0)
    assert taken is not None
    assert not ring.offer(Item(60)), "a frame in a writer's hands still counts"
    ring.release(taken.nbytes)
    assert ring.offer(Item(60))
    assert ring.peak_nbytes == 100


def test_first_in_first_out():
    ring = ByteRing[Item](1000)
    for n in (1, 2, 3):
        ring.offer(Item(n))
    assert [item.nbytes for _ in range(3) if (item := ring.take(timeout_s=0))] == [1, 2, 3]
    assert ring.take(timeout_s=0.01) is None


def test_item_larger_than_the_bound_gets_in_alone():
    ring = ByteRing[Item](10)
    assert ring.offer(Item(50))
    assert not ring.offer(Item(1))


def test_waiting_offer_goes_through_when_room_appears():
    ring = ByteRing[Item](10)
    ring.offer(Item(10))
    ring.take(timeout_s=0)
    timer = threading.Timer(0.05, ring.release, [10])
    timer.start()
    assert ring.offer(Item(10), timeout_s=5)
    timer.join()


def test_close_wakes_waiters_and_keeps_what_is_in():
    ring = ByteRing[Item](10)
    ring.offer(Item(10))
    timer = threading.Timer(0.05, ring.close)
    timer.start()
    started = time.monotonic()
    assert not ring.offer(Item(5), timeout_s=30)
    assert time.monotonic() - started < 10
    assert ring.take(timeout_s=0) is not None
    timer.join()


def test_who_waits_leaves_room_for_who_comes_again():
    ring = ByteRing(2)
    assert ring.offer(Item(1))
    assert ring.offer(Item(1))
    assert not ring.offer(Item(1), again=True)
    ring.release(ring.take(timeout_s=0).nbytes)
    assert not ring.offer(Item(1), timeout_s=0.05), "the room was left for another one"
    assert ring.offer(Item(1), again=True)
    ring.release(ring.take(timeout_s=0).nbytes)
    assert ring.offer(Item(1), timeout_s=0.05)
