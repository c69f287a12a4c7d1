"""A run folder as a run leaves it, made in a moment, and a publisher that belongs to it."""

import json
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np

from quietscope.adapters.frame import FrameKey, Series
from quietscope.adapters.ome_zarr import StoreWriter
from quietscope.config import Settings
from quietscope.config.loader import settings_to_toml
from quietscope.config.system import StoreSettings
from quietscope.daemon.ledger import DenoisedRow, LedgerWriter, MetaRow, RawRow

LOWEST = 1000
"""Grey levels of `plane` are 1000 … 1255, so that a screen of 256 greys can show each of them exactly."""


def plane(kind: str, t: int, c: int, side: int) -> np.ndarray:
    """Pixels of a frame, uint16 (trust: uint8), shape (side, side); every frame another random picture."""
    generator = np.random.default_rng([len(kind), t, c])
    if kind == "trust":
        return generator.integers(0, 256, (side, side), dtype=np.uint8)
    return generator.integers(LOWEST, LOWEST + 256, (side, side), dtype=np.uint16)


def make_run(root: Path, *, side: int, frames: int, channels: tuple[str, ...] = ("actin",)) -> Path:
    """A run of `frames` time points that are stored; the last one is not denoised."""
    root.mkdir()
    (root / "logs").mkdir()
    (root / "settings.toml").write_text(settings_to_toml(Settings()), encoding="utf-8")
    series = Series(side, side, "uint16", channels, "test", 0.1)
    store = StoreWriter(root, series, StoreSettings(sync=False))
    ledger = LedgerWriter(root / "ledger.db")
    facts = {"height": side, "width": side, "dtype": "uint16", "channels": channels, "source": "test"}
    rows: list = [MetaRow("series", {**facts, "pixel_size_um": 0.1, "planned": {}})]
    for t in range(frames):
        for c in range(len(channels)):
            key = FrameKey(t, c)
            store.write("raw", key, plane("raw", t, c, side))
            rows.append(RawRow(key, 10**18 + t, 10**18 + t, 0, None, {}))
            if t < frames - 1:
                store.write("denoised", key, plane("denoised", t, c, side))
                rows.append(DenoisedRow(key, 10**18 + t, 0, "model", None, live=False))
    ledger.commit(rows)
    ledger.close()
    event = {"time_ns": 10**18, "event": "log", "from": "engine", "level": "info", "text": "a <b>word</b>"}
    (root / "log.jsonl").write_text(json.dumps(event) + "\n", encoding="utf-8")
    return root


_PUBLISHER = """
    import json, pathlib, select, sys, time
    sys.path.insert(0, sys.argv[2])
    from quietscope.adapters.frame import FrameKey, Series
    from quietscope.adapters.publisher import Publisher
    from quietscope.config.system import PublishSettings
    from run_folder import plane
    import os

    root, side = pathlib.Path(sys.argv[1]), int(sys.argv[3])
    names = tuple(sys.argv[4].split(","))
    with Publisher(PublishSettings(), Series(side, side, "uint16", names, "test", 0.1)) as publisher:
        content = {"publish": publisher.endpoint, "pids": {"processor": os.getpid()}}
        (root / "endpoints.json").write_text(json.dumps(content))
        print("ready", flush=True)
        while True:
            publisher.poll()
            if not select.select([sys.stdin], [], [], 0.005)[0]:
                continue
            line = sys.stdin.readline()
            if not line:
                break
            first, stop, pause, kinds, p, channels, quality = line.split()
            for t in range(int(first), int(stop)):
                for c in map(int, channels.split(",")):
                    for kind in kinds.split(","):
                        pixels = plane(kind, t, c, side)
                        judged = {"light": "yellow", "reason": "doubt"} if kind == "trust" else {"model": "m"}
                        publisher.publish(
                            kind,
                            FrameKey(t, c, 0, int(p)),
                            pixels,
                            received_ns=time.time_ns(),
                            quality=quality,
                            **judged,
                        )
                time.sleep(float(pause))
            print(json.dumps(publisher.published), flush=True)
"""


class LivePublisher:
    """The publisher of a run that goes on, in a process that counts as one of the run's."""

    def __init__(self, root: Path, *, side: int, channels: tuple[str, ...] = ("actin",)) -> None:
        here = str(Path(__file__).parent)
        self._channels = tuple(range(len(channels)))
        self.process = subprocess.Popen(
            [
                sys.executable,
                "-c",
                textwrap.dedent(_PUBLISHER),
                str(root),
                here,
                str(side),
                ",".join(channels),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "ready\n"

    def publish(
        self,
        first: int,
        stop: int,
        pause_s: float = 0.0,
        kinds: tuple[str, ...] = ("raw", "denoised"),
        *,
        p: int = 0,
        channels: tuple[int, ...] | None = None,
        quality: str = "full",
    ) -> None:
        """Publish the time points `first` … `stop` − 1 of all channels, or of some, at position `p`."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        chosen = ",".join(map(str, self._channels if channels is None else channels))
        self.process.stdin.write(f"{first} {stop} {pause_s} {','.join(kinds)} {p} {chosen} {quality}\n")
        self.process.stdin.flush()
        assert self.process.stdout.readline().startswith("{")

    def close(self) -> None:
        """End the process."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        self.process.wait(20)
        self.process.stdout.close()


class ViewCommand:
    """`quietscope view` in a process of its own."""

    def __init__(self, root: Path, *arguments: str) -> None:
        command = [sys.executable, "-m", "quietscope.daemon", "view", str(root), "--no-browser", *arguments]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line.startswith("viewer: http://"), line + self.process.stdout.read()
        self.url = line.split()[1]

    def close(self) -> str:
        """End it politely; what the command has said since it started."""
        assert self.process.stdout is not None
        if self.process.stdout.closed:
            return ""
        self.process.terminate()
        said = self.process.stdout.read()
        self.process.wait(20)
        self.process.stdout.close()
        return said
