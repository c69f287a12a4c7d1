"""What was measured, as figures for machines and as tables for people."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from quietscope.daemon.bench.frames import PEERS, FrameCosts
from quietscope.daemon.bench.timing import Timing

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
    store
        Writer → timing of a plane of `store_side`.
    store_side
        Pixels.
    """

    machine: Mapping[str, str]
    model: str
    operations: float = 0.0
    frames: dict[int, dict[str, FrameCosts]] = field(default_factory=dict)
    peers: dict[str, Timing] = field(default_factory=dict)
    peer_side: int = 0
    limits: dict[str, float] = field(default_factory=dict)
    store: dict[str, Timing] = field(default_factory=dict)
    store_side: int = 0

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
        yield from self._limit_lines()

    def _frame_lines(self) -> Iterator[str]:
        head = [
            "frame",
            "runs on",
            "a frame",
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
        if self.store:
            bare = self.store["tensorstore"]
            yield from ("", f"## Store, one plane of {self.store_side}² uint16", "")
            yield from _head(["writer", "a plane", "MB/s", "of bare tensorstore"])
            for name, timing in self.store.items():
                rate = 2 * self.store_side**2 / (1e3 * timing.wall_ms)
                yield _row(
                    name, _times(timing), f"{rate:.0f}", f"{100 * bare.wall_ms / timing.wall_ms:.0f} %"
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
