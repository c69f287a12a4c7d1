"""One browser: sends what it asked for, never more than it has acknowledged.

At most one picture and one report are under way to a browser at any time, so a browser that stalls costs one
picture of memory and no time; when it wakes up it gets the newest.
"""

import asyncio
import contextlib
import json
import time
from dataclasses import dataclass, replace
from typing import Protocol

from quietscope.adapters.control import Answer, Request
from quietscope.adapters.frame import FrameKey
from quietscope.adapters.ome_zarr.layout import KINDS, Kind
from quietscope.adapters.viewer.archive import Archive, Snapshot
from quietscope.adapters.viewer.commands import Commands
from quietscope.adapters.viewer.hub import Hub
from quietscope.adapters.viewer.link import Link
from quietscope.adapters.viewer.pictures import Picture, encode_picture, plane_nbytes
from quietscope.adapters.viewer.reporting import Report
from quietscope.adapters.viewer.wanted import Acknowledged, Asked, Wanted, from_browser
from quietscope.config.errors import LedgerError, StoreError

__all__ = ["BrowserSocket", "Session"]

_ASKED = 3
_REFINE_S = 0.6
"""A coarse picture that stays on screen for so long is sent again in full."""


class BrowserSocket(Protocol):
    """What a session needs of a WebSocket."""

    async def receive_text(self) -> str:
        """Next message of the browser."""

    async def send_text(self, data: str) -> None:
        """Send text; waits while the link is full."""

    async def send_bytes(self, data: bytes) -> None:
        """Send bytes; waits while the link is full."""


class Session:
    """Serves one browser until it leaves.

    Parameters
    ----------
    socket
        The browser.
    archive, hub
        Where stored and live pictures come from.
    report
        Gives what is new in the run for this browser.
    commands
        Passes on what the browser asks of the run.
    """

    def __init__(
        self, socket: BrowserSocket, archive: Archive, hub: Hub, report: Report, commands: Commands
    ) -> None:
        self._socket = socket
        self._archive = archive
        self._hub = hub
        self._report = report
        self._commands = commands
        self._asked: list[Request] = []
        self._asking: asyncio.Task[Answer] | None = None
        self._link = Link()
        self._wake = asyncio.Event()
        self._wanted: Wanted | None = None
        self._snapshot: Snapshot | None = None
        self._number = 0
        self._under_way: dict[str, tuple[int, int, float, bool]] = {}
        self._shown: dict[int, _Shown] = {}
        self._coarse: dict[int, tuple[float, Picture]] = {}
        self._last_channel = -1

    def picture_came(self) -> None:
        """A new picture is in the hub; called in the event loop."""
        if self._wanted is not None and self._wanted.follow:
            self._wake.set()

    def run_changed(self, snapshot: Snapshot) -> None:
        """The run was looked at; called in the event loop."""
        self._report.note(snapshot)
        self._snapshot = snapshot
        self._wake.set()

    async def run(self) -> None:
        """Serve until the browser leaves; what the socket raises then goes to the caller."""
        sender = asyncio.create_task(self._send_for_ever())
        receiver = asyncio.create_task(self._receive_for_ever())
        try:
            done, _ = await asyncio.wait({sender, receiver}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            tasks = [task for task in (sender, receiver, self._asking) if task is not None]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        for task in done:
            task.result()

    async def _receive_for_ever(self) -> None:
        while True:
            message = from_browser(await self._socket.receive_text())
            if isinstance(message, Acknowledged):
                self._acknowledge(message)
            elif isinstance(message, Asked):
                self._asked = [*self._asked[:_ASKED], message.request]
            else:
                self._want(message)
            self._wake.set()

    def _acknowledge(self, message: Acknowledged) -> None:
        for what, (number, nbytes, sent_at, alone) in self._under_way.items():
            if number == message.number:
                seconds = time.monotonic() - sent_at - message.busy_ms / 1e3
                self._link.measured(nbytes, seconds, alone=alone)
                del self._under_way[what]
                return

    def _want(self, wanted: Wanted) -> None:
        old = self._wanted
        self._wanted = wanted
        if old is None or (old.streams, old.detail) != (wanted.streams, wanted.detail):
            self._shown.clear()
        self._shown = {c: what for c, what in self._shown.items() if c in wanted.channels}
        self._coarse.clear()

    async def _send_for_ever(self) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), _REFINE_S if self._coarse else None)
            self._wake.clear()
            await self._answer()
            if "report" not in self._under_way and self._snapshot is not None:
                await self._send_report(self._snapshot)
            if "picture" not in self._under_way and self._wanted is not None:
                await self._send_next(self._wanted)

    async def _answer(self) -> None:
        """Ask the run and pass its answer on; pictures do not wait for it."""
        if self._asking is not None and self._asking.done():
            answer, self._asking = self._asking.result(), None
            await self._send_answer(answer)
        if self._asking is None and self._asked:
            self._asking = asyncio.create_task(self._commands.ask(self._asked.pop(0)))
            self._asking.add_done_callback(lambda _: self._wake.set())

    async def _send_answer(self, answer: Answer) -> None:
        text = json.dumps(
            {"type": "answer", "ok": answer.ok, "text": answer.text, "number": self._number + 1}
        )
        self._begin("answer", len(text))
        await self._socket.send_text(text)

    async def _send_report(self, snapshot: Snapshot) -> None:
        self._snapshot = None
        news = self._report.news(snapshot, commands=self._commands.possible)
        content = {"type": "report", **news, "number": self._number + 1}
        text = json.dumps(content, separators=(",", ":"), allow_nan=False)
        self._begin("report", len(text))
        await self._socket.send_text(text)

    async def _send_next(self, wanted: Wanted) -> None:
        """Send the next thing that is due: a new picture, channels in turn, or a coarse one again in full."""
        for channel in sorted(wanted.channels, key=lambda c: (c <= self._last_channel, c)):
            live = self._live(wanted, channel)
            key = live[1].key if live is not None else self._stored_key(wanted, channel)
            if key is None:
                continue
            judged = live is not None and live[1].light is not None
            shown = _Shown(key, None if live is None else live[0], self._report.denoised, judged=judged)
            old = self._shown.get(channel)
            if shown.is_as_good_as(old):
                continue
            adds = shown.only_adds_verdict_to(old)
            picture = await asyncio.to_thread(self._fetch, key, None if live is None else live[1], wanted)
            final = picture.light is not None or "trust" not in wanted.streams
            content = (*sorted(picture.planes), picture.light)
            self._shown[channel] = replace(shown, complete=final and not picture.note, content=content)
            if live is None and old is not None and (old.key, old.content) == (key, content):
                continue  # looked again, found nothing new
            self._last_channel = channel
            await self._send_picture(picture, wanted, adds=adds)
            return
        now = time.monotonic()
        for channel, (since, picture) in self._coarse.items():
            if now - since >= _REFINE_S:
                del self._coarse[channel]
                await self._send_picture(picture, wanted, refine=True)
                return

    def _live(self, wanted: Wanted, channel: int) -> tuple[int, Picture] | None:
        """What is new on the wire, where the browser follows it."""
        found = self._hub.newest(channel) if wanted.follow else None
        return found if found is not None and found[1].key[2:] == self._place(wanted) else None

    def _stored_key(self, wanted: Wanted, channel: int) -> FrameKey | None:
        last = self._report.lengths.t - 1
        if last < 0:
            return None
        return FrameKey(last if wanted.follow else min(wanted.t, last), channel, *self._place(wanted))

    def _place(self, wanted: Wanted) -> tuple[int, int]:
        """The z plane and the position to show: one for all channels, the newest where none is named."""
        live = [found for c in wanted.channels if (found := self._hub.newest(c)) and wanted.follow]
        fitting = [
            (serial, picture.key)
            for serial, picture in live
            if wanted.z in {None, picture.key.z} and wanted.p in {None, picture.key.p}
        ]
        z, p = max(fitting)[1][2:] if fitting else (0, 0)
        return z if wanted.z is None else wanted.z, p if wanted.p is None else wanted.p

    def _fetch(self, key: FrameKey, live: Picture | None, wanted: Wanted) -> Picture:
        """Complete a picture from the store."""
        planes = {} if live is None else dict(live.planes)
        kinds: tuple[Kind, ...] = (*KINDS, "trust") if "trust" in wanted.streams else KINDS
        for kind in kinds:
            if kind not in planes and not (kind != "raw" and live is not None):
                with contextlib.suppress(StoreError):
                    planes[kind] = self._archive.read(kind, key)
        if live is not None:
            return replace(live, planes=planes)
        note = "" if "denoised" in planes else ("not denoised yet" if "raw" in planes else "not recorded")
        verdict = None
        if "denoised" in planes:
            with contextlib.suppress(LedgerError):
                verdict = self._archive.verdict(key)
        light, reason = verdict or (None, "")
        return Picture(key, planes, note=note, light=light, reason=reason)

    async def _send_picture(
        self, picture: Picture, wanted: Wanted, *, refine: bool = False, adds: bool = False
    ) -> None:
        whole = picture.only(wanted.streams)
        chosen = whole.only(("trust",)) if adds else whole
        side = max((max(plane.shape) for plane in whole.planes.values()), default=1)
        least = -(-side // wanted.max_side)
        factor = least
        if wanted.detail == "auto" and not refine:
            factor = max(least, self._link.factor(plane_nbytes(whole)))
        if factor > least:
            self._coarse[picture.key.c] = time.monotonic(), picture
        elif not adds:
            self._coarse.pop(picture.key.c, None)
        elif picture.key.c in self._coarse:
            self._coarse[picture.key.c] = self._coarse[picture.key.c][0], picture
        number = self._number + 1
        data = await asyncio.to_thread(encode_picture, chosen, number, factor, adds=adds)
        self._begin("picture", len(data))
        await self._socket.send_bytes(data)

    def _begin(self, what: str, nbytes: int) -> None:
        self._number += 1
        self._under_way[what] = self._number, nbytes, time.monotonic(), not self._under_way


@dataclass(frozen=True, slots=True)
class _Shown:
    """What a browser was last sent of a channel."""

    key: FrameKey
    serial: int | None
    denoised: int
    complete: bool = True
    judged: bool = False
    """Whether a light from the wire was with it."""

    content: tuple[str | None, ...] = ()
    """Names of its planes, and its light."""

    def is_as_good_as(self, old: "_Shown | None") -> bool:
        """Whether sending it would bring nothing new; a stored plane may have been denoised meanwhile."""
        if old is None or (self.key, self.serial, self.judged) != (old.key, old.serial, old.judged):
            return False
        return old.complete or self.denoised == old.denoised

    def only_adds_verdict_to(self, old: "_Shown | None") -> bool:
        """Whether the browser has everything but the light and the trust map."""
        if old is None or (self.key, self.serial) != (old.key, old.serial):
            return False
        return self.judged and not old.judged
