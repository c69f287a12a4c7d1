"""What was measured, as figures for machines and as tables for people."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from quietscope.daemon.bench.adaptive import AdaptiveCost
from quietscope.daemon.bench.frames import PEERS, FrameCosts
from quietscope.daemon.bench.growth import Growth
from quietscope.daemon.bench.learning import Learned
from quietscope.daemon.bench.stores import BARE
from quietscope.daemon.bench.timing import Timing
from quietscope.daemon.bench.wires import BURST

__all__ = ["BenchReport"]

_STAGES = ("normalise", "network", "assemble", "cast")


@dataclass
class BenchReport:
    """Everything that ``quietscope bench`` finds.

    Parameters
    ----------
    machine
        Name → words.
    model
        Words for the network.
    frames
        Side of the frame → provider → costs.
    peers
        Provider, or name in `PEERS`, → timing, at `peer_side`.
    peer_side
        Side of the frames that the peers were given, pixels.
    operations
        Operations of our network for one pixel.
    limits
        Name → rate.
    stores
        ``synced``, ``not synced`` → writer → timing of a plane of `data_side`.
    wires
        Wire → timing of `BURST` frames of `data_side`.
    data_side
        Side of the frames that were written and sent, pixels.
    channels
        Provider → number of channels → timing of a time point of `peer_side`.
    adaptive
        Scene → provider → costs of a frame of `peer_side`, tiled and adaptively.
    growth
        Cost of a frame in a long series beside a short one; None if it was not measured.
    learned
        Models by seconds of training.
    """

    machine: Mapping[str, str]
    model: str
    operations: float = 0.0
    frames: dict[int, dict[str, FrameCosts]] = field(default_factory=dict)
    peers: dict[str, Timing] = field(default_factory=dict)
    peer_side: int = 0
    limits: dict[str, float] = field(default_factory=dict)
    stores: dict[str, dict[str, Timing]] = field(default_factory=dict)
    wires: dict[str, Timing] = field(default_factory=dict)
    data_side: int = 0
    channels: dict[str, dict[int, Timing]] = field(default_factory=dict)
    adaptive: dict[str, dict[str, AdaptiveCost]] = field(default_factory=dict)
    growth: Growth | None = None
    learned: list[Learned] = field(default_factory=list)

    def figures(self) -> dict[str, Any]:
        """Everything, JSON-able; the ratios as well."""
        return {
            **asdict(self),
            "ratios": {
                "published_over_ours": self._ratios("published"),
                "fraction_of_arithmetic_limit": {
                    str(side): {name: self._fraction(name, cost) for name, cost in costs.items()}
                    for side, costs in self.frames.items()
                },
                "beside_the_network": {
                    str(side): {name: _beside(cost) for name, cost in costs.items()}
                    for side, costs in self.frames.items()
                },
            },
        }

    def markdown(self) -> str:
        """Tables."""
        return "\n".join(self._lines()) + "\n"

    def _lines(self) -> Iterator[str]:
        yield "# What this machine does"
        yield ""
        yield from (f"- {name}: {words}" for name, words in self.machine.items())
        yield f"- network: {self.model}"
        yield ""
        yield (
            "Medians; what is in one table was measured in turn. Milliseconds: elapsed (processor time, all threads). "
            "Processor time hardly depends on what else the machine does."
        )
        yield from self._frame_lines()
        yield from self._peer_lines()
        yield from self._channel_lines()
        yield from self._adaptive_lines()
        yield from self._limit_lines()
        yield from self._store_lines()
        yield from self._wire_lines()
        yield from self._growth_lines()
        yield from self._learning_lines()

    def _frame_lines(self) -> Iterator[str]:
        head = [
            "frame",
            "runs on",
            "a frame",
            "99th percentile",
            "per second",
            *_STAGES,
            "beside the network",
            "of the arithmetic limit",
        ]
        yield from ("", "## A frame, from native dtype to native dtype", "")
        yield from _head(head)
        for side, costs in self.frames.items():
            for name, cost in costs.items():
                fraction = self._fraction(name, cost)
                yield _row(
                    f"{side}²",
                    name,
                    _times(cost.end_to_end),
                    f"{cost.end_to_end.p99_ms:.3g}",
                    f"{1e3 / cost.end_to_end.wall_ms:.3g}",
                    *(f"{wall:.3g} ({cpu:.3g})" for wall, cpu in (cost.stages[stage] for stage in _STAGES)),
                    f"{100 * _beside(cost):.0f} %",
                    "–" if fraction is None else f"{100 * fraction:.0f} %",
                )

    def _peer_lines(self) -> Iterator[str]:
        if not self.peers:
            return
        ours = [name for name in self.peers if name not in PEERS]
        yield from (
            "",
            f"## Beside others, {self.peer_side}² (ratios of processor time, elapsed time in brackets)",
            "",
        )
        yield from _head(["", "a frame", *(f"times ours on {name}" for name in ours)])
        for name, timing in self.peers.items():
            ratios = (
                f"{timing.cpu_ms / self.peers[one].cpu_ms:.3g} ({timing.wall_ms / self.peers[one].wall_ms:.3g})"
                for one in ours
            )
            yield _row(PEERS.get(name, f"quietscope, {name}"), _times(timing), *ratios)

    def _limit_lines(self) -> Iterator[str]:
        yield from ("", "## Limits", "")
        yield from _head(["limit", "rate"])
        for name, rate in self.limits.items():
            yield _row(name, f"{rate:.3g}")

    def _channel_lines(self) -> Iterator[str]:
        if not self.channels:
            return
        yield from ("", f"## Channels, {self.peer_side}², each with a model of its own", "")
        yield from _head(
            ["channels", "runs on", "a time point", "99th percentile", "a frame, of that of one channel"]
        )
        for name, by_number in self.channels.items():
            for number, timing in by_number.items():
                share = timing.cpu_ms / number / by_number[1].cpu_ms
                yield _row(str(number), name, _times(timing), f"{timing.p99_ms:.3g}", f"{share:.2f}")

    def _adaptive_lines(self) -> Iterator[str]:
        if not self.adaptive:
            return
        yield from (
            "",
            f"## Adaptive compute, {self.peer_side}², rule `noise`, tiles of 64 with 50 % overlap",
            "",
        )
        yield from _head(
            [
                "scene",
                "tiles on their own scale",
                "runs on",
                "everything tiled",
                "adaptive",
                "times as fast",
                "difference, rms (largest), of the scale",
            ]
        )
        for scene, costs in self.adaptive.items():
            for name, cost in costs.items():
                yield _row(
                    scene,
                    f"{cost.own} of {cost.tiles}",
                    name,
                    _times(cost.tiled),
                    _times(cost.adaptive),
                    f"{cost.tiled.wall_ms / cost.adaptive.wall_ms:.2f} "
                    f"({cost.tiled.cpu_ms / cost.adaptive.cpu_ms:.2f})",
                    f"{100 * cost.rms:.3f} % ({100 * cost.largest:.2f} %)",
                )

    def _store_lines(self) -> Iterator[str]:
        if not self.stores:
            return
        yield from ("", f"## Store, one plane of {self.data_side}² uint16", "")
        yield from _head(["writer", "durability", "a plane", "MB/s", f"of {BARE}"])
        for durability, writers in self.stores.items():
            for name, timing in writers.items():
                rate = 2 * self.data_side**2 / (1e3 * timing.wall_ms)
                share = writers[BARE].wall_ms / timing.wall_ms
                yield _row(name, durability, _times(timing), f"{rate:.0f}", f"{100 * share:.0f} %")

    def _wire_lines(self) -> Iterator[str]:
        if not self.wires:
            return
        yield from ("", f"## Wire, {BURST} frames of {self.data_side}² uint16 over loopback", "")
        yield from _head(["wire", f"{BURST} frames", "GB/s", "of bare pyzmq"])
        for name, timing in self.wires.items():
            rate = BURST * 2 * self.data_side**2 / (1e6 * timing.wall_ms)
            share = self.wires["pyzmq"].wall_ms / timing.wall_ms
            yield _row(name, _times(timing), f"{rate:.3g}", f"{100 * share:.0f} %")

    def _growth_lines(self) -> Iterator[str]:
        if self.growth is None:
            return
        early, late = self.growth.early, self.growth.late
        yield from ("", "## Growth", "")
        yield from _head(
            ["what", f"at {early} frames", f"at {late} frames", "ratio, elapsed", "ratio, processor"]
        )
        for name, (first, last) in self.growth.costs.items():
            ratios = last.wall_ms / first.wall_ms, last.cpu_ms / max(first.cpu_ms, 1e-6)
            yield _row(name, _times(first), _times(last), *(f"{ratio:.2f}" for ratio in ratios))
        yield ""
        yield (
            f"Memory of the process that wrote them grew by {self.growth.memory_mb:.1f} MB "
            f"from frame {early} to {late}."
        )

    def _learning_lines(self) -> Iterator[str]:
        if not self.learned:
            return
        yield from ("", "## Training time to quality", "")
        yield from _head(["frames", "seconds", "steps", "noisy, dB", "denoised, dB"])
        for one in self.learned:
            yield _row(
                one.case,
                f"{one.seconds:g}",
                str(one.steps),
                f"{one.noisy_db:.2f}",
                f"{one.denoised_db:.2f}",
            )

    def _ratios(self, peer: str) -> dict[str, float]:
        """Processor time of a peer over ours, by provider."""
        if peer not in self.peers:
            return {}
        return {
            name: self.peers[peer].cpu_ms / own.cpu_ms
            for name, own in self.peers.items()
            if name not in PEERS
        }

    def _fraction(self, provider: str, cost: FrameCosts) -> float | None:
        """Rate of the network over the matrix product's in the same precision, both by processor time."""
        precision = "bfloat16" if provider.endswith("bfloat16") else "float32"
        limit = self.limits.get(f"matrix product on one core, {precision}, GFLOP/s")
        _, network = cost.stages["network"]
        if limit is None or not network or not provider.startswith(("cpu", "openvino")):
            return None
        return self.operations * cost.pixels / (1e6 * network) / limit


def _beside(cost: FrameCosts) -> float:
    """Share of a frame's elapsed time that is not the network's."""
    total = sum(wall for wall, _ in cost.stages.values())
    return 1 - cost.stages["network"][0] / total if total else 0.0


def _times(timing: Timing) -> str:
    return f"{timing.wall_ms:.3g} ({timing.cpu_ms:.3g})"


def _head(cells: list[str]) -> Iterator[str]:
    yield _row(*cells)
    yield _row(*(["---"] * len(cells)))


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"
