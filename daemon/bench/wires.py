"""Frames over loopback: the viewers' wire beside bare pyzmq, which copies nothing and says nothing about the frame."""

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import numpy as np
import zmq
from numpy.typing import NDArray

from quietscope.adapters.frame import FrameKey, Series
from quietscope.adapters.publisher import Publisher
from quietscope.adapters.subscriber import Subscriber
from quietscope.config.system import PublishSettings
from quietscope.daemon.bench.timing import Timing, in_turn

__all__ = ["BURST", "wires"]

BURST = 8
"""Frames sent at a time."""

_WAIT_MS = 10_000


def wires(side: int, *, rounds: int, longest_s: float) -> dict[str, Timing]:
    """Send bursts of square uint16 frames from one thread to another over TCP, both wires in turn.

    Parameters
    ----------
    side
        Side of the frame, pixels.
    rounds, longest_s
        See `in_turn`.

    Returns
    -------
    dict
        ``quietscope`` (publisher to subscriber) and ``pyzmq`` (PUSH to PULL, ``copy=False``) → timing of `BURST`
        frames.
    """
    frame = np.ones((side, side), np.uint16)
    with ExitStack() as stack:
        ours, bare = stack.enter_context(_ours(frame)), stack.enter_context(_bare(frame))
        return in_turn({"quietscope": ours, "pyzmq": bare}, rounds=rounds, longest_s=longest_s)


@contextmanager
def _ours(frame: NDArray[np.uint16]) -> Iterator[Callable[[], object]]:
    height, width = frame.shape
    series = Series(height=height, width=width, dtype="uint16", channels=("0",), source="bench")
    # room for a burst and for what greets a new viewer: nothing may be dropped here
    settings = PublishSettings(high_water_mark=4 * BURST)
    with Publisher(settings, series) as publisher, Subscriber(publisher.endpoint, mode="every") as viewer:
        joined = threading.Event()

        def greet() -> None:
            publisher.publish("raw", FrameKey(0), frame, received_ns=0)
            while not joined.wait(0.01):
                publisher.poll()

        def send() -> None:
            for _ in range(BURST):
                publisher.publish("raw", FrameKey(0), frame, received_ns=0, copy=False)

        def receive(frames: int) -> None:
            for _ in range(frames):
                viewer.receive()

        greeting = threading.Thread(target=greet)
        greeting.start()
        try:
            receive(1)
        finally:
            joined.set()
            greeting.join()
        yield lambda: _exchange(send, lambda: receive(BURST))


@contextmanager
def _bare(frame: NDArray[np.uint16]) -> Iterator[Callable[[], object]]:
    with zmq.Context() as context, context.socket(zmq.PULL) as pull, context.socket(zmq.PUSH) as push:
        for socket in (pull, push):
            socket.setsockopt(zmq.LINGER, 0)
            socket.setsockopt(zmq.SNDTIMEO, _WAIT_MS)
            socket.setsockopt(zmq.RCVTIMEO, _WAIT_MS)
        push.connect(f"tcp://127.0.0.1:{pull.bind_to_random_port('tcp://127.0.0.1')}")

        def send() -> None:
            for _ in range(BURST):
                push.send(frame.data, copy=False)

        def receive() -> None:
            for _ in range(BURST):
                pull.recv(copy=False)

        yield lambda: _exchange(send, receive)


def _exchange(send: Callable[[], None], receive: Callable[[], None]) -> None:
    sender = threading.Thread(target=send)
    sender.start()
    try:
        receive()
    finally:
        sender.join()
