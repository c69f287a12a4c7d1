"""Timing on a machine that does other things as well: everything in turn, medians, processor time beside elapsed."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

__all__ = ["Timing", "in_turn"]


@dataclass(frozen=True)
class Timing:
    """How long something takes.

    Parameters
    ----------
    wall_ms, cpu_ms
        Medians of elapsed time and of this process's processor time (all threads), milliseconds.
    least_cpu_ms
        Least processor time, milliseconds: what the machine can do when nothing is in its way.
    rounds
        How often it was measured.
    p99_ms
        99th percentile of the elapsed time, milliseconds; of fewer than a hundred rounds close to the longest.
    """

    wall_ms: float
    cpu_ms: float
    least_cpu_ms: float
    rounds: int
    p99_ms: float


def in_turn(
    contenders: Mapping[str, Callable[[], object]],
    *,
    rounds: int,
    longest_s: float,
    rare: Mapping[str, int] | None = None,
    repeats: int = 1,
) -> dict[str, Timing]:
    """Measure all contenders in turn, round by round, so that the machine's other work meets all alike.

    Parameters
    ----------
    contenders
        Name → what to measure. Each is called once more beforehand, unless it is in `rare`.
    rounds
        Most rounds; at least one is made.
    longest_s
        Time after which no further round begins, seconds.
    rare
        Name → in how many of the first rounds; for what takes long.
    repeats
        How often what is not in `rare` is measured in each round: what comes after a large contender finds cold caches.

    Returns
    -------
    dict
        Name → timing.
    """
    few = rare or {}
    for name, act in contenders.items():
        if name not in few:
            act()
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in contenders}
    started = time.perf_counter()
    for number in range(rounds):
        if number and time.perf_counter() - started > longest_s:
            break
        for name, act in contenders.items():
            for _ in range((number < few[name]) if name in few else repeats):
                before, cpu_before = time.perf_counter(), time.process_time()
                act()
                times[name].append((time.perf_counter() - before, time.process_time() - cpu_before))
    found = {}
    for name, values in times.items():
        wall, cpu = (float(value) for value in np.median(values, axis=0))
        found[name] = Timing(
            wall_ms=1e3 * wall,
            cpu_ms=1e3 * cpu,
            least_cpu_ms=1e3 * min(value for _, value in values),
            rounds=len(values),
            p99_ms=1e3 * float(np.percentile([value for value, _ in values], 99)),
        )
    return found
