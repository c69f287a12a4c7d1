"""Read-only view of the ledger, for every process but the recorder."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

from quietscope.adapters.earlier import EarlierFrame
from quietscope.adapters.frame import FrameKey, Series
from quietscope.daemon.ledger import EventRow
from quietscope.daemon.ledger_facts import KeptFrame, ModelVerdict, PendingFrame
from quietscope.daemon.ledger_file import LedgerFile

__all__ = ["LedgerReader"]


class LedgerReader:
    """Reads the ledger from one thread while the recorder writes it.

    Parameters
    ----------
    path
        The database file.

    Raises
    ------
    quietscope.config.LedgerError
        If the file cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        self._file = LedgerFile(path)
        self._rows = self._file.rows
        self._knows = self._file.knows

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def meta(self, key: str) -> Any | None:
        """Value of a fact about the run, or None."""
        rows = self._rows("SELECT value FROM meta WHERE key = ?", key)
        return json.loads(rows[0][0]) if rows else None

    def series(self) -> Series | None:
        """What the frames have in common, or None before the first frame."""
        value = self.meta("series")
        return None if value is None else Series(**{**value, "channels": tuple(value["channels"])})

    def pending(
        self, channels: tuple[int, ...], *, after: int = 0, limit: int = 256, newest_first: bool = False
    ) -> list[PendingFrame]:
        """Raw frames of `channels` without a denoised one, in order of arrival, with id above `after`."""
        order = "DESC" if newest_first else "ASC"
        marks = ",".join("?" * len(channels))
        wanted = f"state = 'raw' AND c IN ({marks}) AND id > ?"
        sql = f"SELECT id, t, c, z, p, received_ns FROM frame WHERE {wanted} ORDER BY id {order} LIMIT ?"  # noqa: S608
        rows = self._rows(sql, *channels, after, limit)
        return [_pending(row) for row in rows]

    def pending_count(self) -> int:
        """How many raw frames are neither denoised nor skipped."""
        return int(self._rows("SELECT count(*) FROM frame WHERE state = 'raw'")[0][0])

    def frames(
        self, channel: int, *, after: int = 0, limit: int = 64, newest_first: bool = False
    ) -> list[PendingFrame]:
        """Committed frames of a channel in order of arrival or the reverse, with id above `after`."""
        order = "DESC" if newest_first else "ASC"
        rows = self._rows(
            f"SELECT id, t, c, z, p, received_ns FROM frame WHERE c = ? AND id > ? ORDER BY id {order} LIMIT ?",  # noqa: S608
            channel,
            after,
            limit,
        )
        return [_pending(row) for row in rows]

    def newest_id(self, channel: int) -> int:
        """Id of the newest committed frame of a channel, 0 without one."""
        return int(self._rows("SELECT max(id) FROM frame WHERE c = ?", channel)[0][0] or 0)

    def details(self, identity: int) -> tuple[float | None, dict[str, Any]]:
        """Exposure in milliseconds and metadata of the frame with this id."""
        rows = self._rows("SELECT exposure_ms, metadata FROM frame WHERE id = ?", identity)
        return rows[0][0], json.loads(rows[0][1] or "{}")

    def all_frames(self, *, after: int = 0, limit: int = 256) -> list[PendingFrame]:
        """Committed frames of all channels in order of arrival, with id above `after`."""
        rows = self._rows(
            "SELECT id, t, c, z, p, received_ns FROM frame WHERE id > ? ORDER BY id LIMIT ?", after, limit
        )
        return [_pending(row) for row in rows]

    def channels(self) -> tuple[int, ...]:
        """Indices of the channels that have frames."""
        return tuple(r[0] for r in self._rows("SELECT DISTINCT c FROM frame ORDER BY c"))

    def verdicts(self) -> dict[int, ModelVerdict]:
        """The newest verdict of each channel; an accepted model is not displaced by a later rejection.

        Unless that withdraws it, since the model came from an earlier run and does not pass the gate any more.
        """
        rows = self._rows(
            "SELECT channel, model_id, accepted, path, reason, figures FROM model ORDER BY id",
        )
        found: dict[int, ModelVerdict] = {}
        for channel, model_id, accepted, path, reason, text in rows:
            figures = json.loads(text)
            before = found.get(channel)
            if before is not None and before.accepted and not accepted and "withdrawn" not in figures:
                found[channel] = replace(before, provisional=False)
                continue
            provisional = "earlier" in figures
            found[channel] = ModelVerdict(
                channel, model_id, bool(accepted), path, reason, figures, provisional
            )
        return found

    def earlier_models(self) -> dict[int, tuple[str, int]]:
        """Channels that started from a model of an earlier run → in words which, and how many frames are its work."""
        rows = self._rows(
            "SELECT channel, json_extract(figures, '$.earlier.words'), (SELECT count(*) FROM frame WHERE"
            " frame.c = model.channel AND frame.model_id = model.model_id AND state = 'denoised') FROM model"
            " WHERE accepted AND json_extract(figures, '$.earlier') IS NOT NULL ORDER BY id"
        )
        return {int(channel): (str(words), int(count)) for channel, words, count in rows}

    def counts(self) -> dict[str, int]:
        """Number of frames in each state."""
        found = {"raw": 0, "denoised": 0, "skipped": 0}
        found.update(self._rows("SELECT state, count(*) FROM frame GROUP BY state"))
        return found

    def skipped(self) -> dict[str, int]:
        """Reason → number of frames that were deliberately not denoised."""
        return dict(
            self._rows("SELECT skip_reason, count(*) FROM frame WHERE state = 'skipped' GROUP BY skip_reason")
        )

    def lights(self) -> dict[str, int]:
        """Traffic light → number of denoised frames, in a ledger that knows of trust."""
        if not self._knows("trust_light"):
            return {}
        return dict(
            self._rows(
                "SELECT trust_light, count(*) FROM frame WHERE trust_light IS NOT NULL AND state = 'denoised'"
                " GROUP BY trust_light"
            )
        )

    def shown_below_full(self) -> dict[str, int]:
        """Quality → number of frames that were shown below full quality when they were new."""
        if not self._knows("shown_quality"):
            return {}
        return dict(
            self._rows(
                "SELECT shown_quality, count(*) FROM frame WHERE shown_quality != 'full' GROUP BY shown_quality"
            )
        )

    def judgements(self) -> list[tuple[int, int, str, str]]:
        """(t, channel, traffic light, reason) of every denoised frame that was judged, in order of time."""
        if not self.lights():
            return []
        return self._rows(
            "SELECT t, c, trust_light, coalesce(trust_reason, '') FROM frame"
            " WHERE trust_light IS NOT NULL AND state = 'denoised' ORDER BY t, c"
        )

    def light(self, key: FrameKey) -> tuple[str, str] | None:
        """Traffic light of a denoised frame, and why; None where it was not judged."""
        if not self._knows("trust_light"):
            return None
        rows = self._rows(
            "SELECT trust_light, trust_reason FROM frame WHERE p = ? AND c = ? AND z = ? AND t = ?"
            " AND trust_light IS NOT NULL AND state = 'denoised'",
            key.p,
            key.c,
            key.z,
            key.t,
        )
        return (rows[0][0], rows[0][1] or "") if rows else None

    def rejected(self) -> dict[str, int]:
        """Reason → number of things that came and were no valid frame."""
        return dict(self._rows("SELECT reason, count(*) FROM rejected GROUP BY reason"))

    def rejections(self) -> set[tuple[str, str]]:
        """Name and reason of everything that came and was no valid frame."""
        return set(self._rows("SELECT name, reason FROM rejected"))

    def earlier(self, *, limit: int = 1024) -> Iterator[EarlierFrame]:
        """Committed frames in order of arrival, as a source needs them that goes on where the run stopped."""
        last = 0
        while rows := self._rows(
            "SELECT id, t, c, z, p, received_ns, crc32, metadata FROM frame WHERE id > ? ORDER BY id LIMIT ?",
            last,
            limit,
        ):
            for row in rows:
                yield EarlierFrame(FrameKey(*row[1:5]), row[5], row[6], json.loads(row[7] or "{}"))
            last = rows[-1][0]

    def events(self) -> list[EventRow]:
        """What was worth remembering, in order."""
        return [EventRow(*row) for row in self._rows("SELECT level, text FROM event ORDER BY id")]

    def arrivals(self) -> tuple[int, int, int]:
        """Number of frames, first and last arrival (nanoseconds since the epoch; 0 without frames)."""
        n, first, last = self._rows("SELECT count(*), min(received_ns), max(received_ns) FROM frame")[0]
        return int(n), int(first or 0), int(last or 0)

    def publications(self) -> tuple[int, int | None]:
        """Number of denoised frames published, and the time of the first (nanoseconds since the epoch)."""
        n, first = self._rows("SELECT count(published_ns), min(published_ns) FROM frame")[0]
        return int(n), first

    def live_latencies_ms(self) -> list[float]:
        """Arrival to publication of every frame that was denoised live, milliseconds, ascending."""
        rows = self._rows("SELECT (published_ns - received_ns) / 1e6 FROM frame WHERE live = 1 ORDER BY 1")
        return [float(r[0]) for r in rows]

    def denoised_keys(self, channel: int) -> list[FrameKey]:
        """Keys of the denoised frames of a channel in order of time."""
        rows = self._rows(
            "SELECT t, c, z, p FROM frame WHERE c = ? AND state = 'denoised' ORDER BY t, z, p", channel
        )
        return [FrameKey(*r) for r in rows]

    def extent(self, *, after: int = 0) -> tuple[int, FrameKey] | None:
        """Last id and largest t, c, z and p of the frames with id above `after`; None without any."""
        row = self._rows("SELECT max(id), max(t), max(c), max(z), max(p) FROM frame WHERE id > ?", after)[0]
        return None if row[0] is None else (int(row[0]), FrameKey(*row[1:]))

    def states_over_time(self, length: int, parts: int) -> list[tuple[int, str, int]]:
        """(part, state, number of frames) with the time points 0 … `length` − 1 in `parts` equal parts."""
        return self._rows(
            "SELECT t * ? / ?, state, count(*) FROM frame WHERE t < ? GROUP BY 1, 2", parts, length, length
        )

    def live_publications(self, *, after: int = 0) -> list[tuple[int, int, int]]:
        """(id, received_ns, published_ns) of frames denoised live, with id above `after`."""
        return self._rows(
            "SELECT id, received_ns, published_ns FROM frame WHERE id > ? AND live = 1 ORDER BY id LIMIT 2000",
            after,
        )

    def checksums(self) -> dict[FrameKey, int]:
        """CRC-32 of every committed raw frame."""
        return {FrameKey(*r[:4]): r[4] for r in self._rows("SELECT t, c, z, p, crc32 FROM frame")}

    def kept(self) -> list[KeptFrame]:
        """What is promised about every frame, in order of arrival."""
        rows = self._rows("SELECT t, c, z, p, state, crc32, denoised_crc32 FROM frame ORDER BY id")
        return [KeptFrame(FrameKey(*r[:4]), *r[4:]) for r in rows]

    def pages(self) -> dict[tuple[str, int], dict[int, FrameKey]]:
        """Name of the file and page in it → CRC-32 → key, of every frame that came out of a file.

        A file that was written again under its name is another frame.
        """
        rows = self._rows(
            "SELECT json_extract(metadata, '$.name'), coalesce(json_extract(metadata, '$.page'), 0), crc32, t, c, z, p"
            " FROM frame WHERE json_extract(metadata, '$.name') IS NOT NULL"
        )
        found: dict[tuple[str, int], dict[int, FrameKey]] = {}
        for name, page, crc32, *key in rows:
            found.setdefault((str(name), int(page)), {})[crc32] = FrameKey(*key)
        return found

    def damage(self) -> list[str]:
        """What SQLite's own check finds wrong with the file, in words; empty if nothing is."""
        return [r[0] for r in self._rows("PRAGMA integrity_check(10)") if r[0] != "ok"]


def _pending(row: tuple[Any, ...]) -> PendingFrame:
    return PendingFrame(row[0], FrameKey(*row[1:5]), row[5])
