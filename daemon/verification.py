"""Whether a run is what it says: every plane readable, every checksum right, ledger = store = report.

Only reads, and may be repeated at any time; a run that is still going on is refused by `RunFolder.existing`.
"""

import hashlib
import json
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple

from quietscope.adapters.frame import FrameKey
from quietscope.adapters.ome_zarr import KINDS, Kind, StoreReader, litter, plane_files
from quietscope.config import QuietscopeError, StoreError
from quietscope.daemon.ledger_facts import KeptFrame
from quietscope.daemon.ledger_reader import LedgerReader
from quietscope.daemon.runfolder import RunFolder

__all__ = ["Finding", "FindingKind", "Verification", "is_finished", "verify"]

FindingKind = Literal[
    "ledger",
    "raw",
    "raw-pyramid",
    "denoised",
    "denoised-pyramid",
    "orphan",
    "model",
    "unfinished",
    "litter",
    "report",
]

_MENDS: dict[FindingKind, str] = {
    "ledger": "restore ledger.db from a backup",
    "raw": "`quietscope repair` takes it again from the source if that still has it",
    "raw-pyramid": "`quietscope repair` makes it again from the raw plane",
    "denoised": "`quietscope repair` makes it again from the raw plane",
    "denoised-pyramid": "`quietscope repair` makes it again from the denoised plane",
    "orphan": "`quietscope resume` takes it in",
    "model": "restore the file from a backup; frames denoised with it are not affected",
    "unfinished": "`quietscope resume` finishes the run",
    "litter": "`quietscope resume` removes it; no frame is in it",
    "report": "`quietscope repair` writes the summary anew",
}


class Finding(NamedTuple):
    """Something that is wrong."""

    kind: FindingKind
    """What is concerned."""

    text: str
    """In words, with the mend."""

    key: FrameKey | None = None
    """The plane, where it is one."""


@dataclass(frozen=True, slots=True)
class Verification:
    """What a verification found.

    Parameters
    ----------
    findings
        All that is wrong; empty for a good run.
    planes
        Planes whose checksum was compared, by kind.
    """

    findings: tuple[Finding, ...]
    planes: Mapping[Kind, int]

    @property
    def is_good(self) -> bool:
        """Whether nothing is wrong."""
        return not self.findings

    def of(self, *kinds: FindingKind) -> list[Finding]:
        """Findings of some kinds."""
        return [finding for finding in self.findings if finding.kind in kinds]


def verify(run: RunFolder) -> Verification:
    """Read everything of a run and compare it.

    Parameters
    ----------
    run
        A run that is not going on.

    Returns
    -------
    Verification
        Every plane of the ledger is read at every pyramid level and compared with its CRC-32; every plane in the
        store must have its row; every accepted model its file; `summary.json` must say what the ledger says.

    Raises
    ------
    quietscope.config.LedgerError
        If the ledger cannot be read at all.
    """
    planes: dict[Kind, int] = dict.fromkeys(KINDS, 0)
    with LedgerReader(run.ledger) as ledger:
        findings = [
            _finding("ledger", f"the ledger {run.ledger} is damaged: {words}") for words in ledger.damage()
        ]
        kept = ledger.kept()
        if kept:
            findings += _planes(run, kept, planes)
        findings += _orphans(run, kept)
        findings += _models(run, ledger)
        findings += _loose_ends(run, ledger)
    return Verification(tuple(findings), planes)


def is_finished(run: RunFolder) -> bool:
    """Whether a run that is not going on came to a good end, so that `quietscope resume` would find nothing to do.

    Parameters
    ----------
    run
        Of it no plane is read.
    """
    try:
        summary = json.loads(run.summary.read_text(encoding="utf-8"))
        with LedgerReader(run.ledger) as ledger:
            loose = ledger.meta("source_complete") is not True or any(_loose_ends(run, ledger))
            known = ledger.checksums().keys()
    except (OSError, ValueError, QuietscopeError):
        return False
    if loose or summary.get("faults") != []:
        return False
    return all(key in known for key, _ in plane_files(run.root, "raw"))


def _finding(kind: FindingKind, text: str, key: FrameKey | None = None) -> Finding:
    return Finding(kind, f"{text}; {_MENDS[kind]}", key)


def _planes(run: RunFolder, kept: list[KeptFrame], planes: dict[Kind, int]) -> Iterator[Finding]:
    try:
        store = StoreReader(run.root)
    except StoreError as error:
        yield _finding("raw", f"{len(kept)} frames are in the ledger and none in the store: {error}")
        return
    for frame in kept:
        promised: list[tuple[Literal["raw", "denoised"], int | None]] = [("raw", frame.crc32)]
        if frame.state == "denoised":
            promised.append(("denoised", frame.denoised_crc32))
        for kind, checksum in promised:
            planes[kind] += 1
            try:
                pixels = store.read(kind, frame.key)
            except StoreError as error:
                yield _finding(kind, f"{kind} {frame.key} cannot be read: {error}", frame.key)
                continue
            if zlib.crc32(pixels.data) != checksum:
                yield _finding(kind, f"{kind} {frame.key} has another checksum than the ledger", frame.key)
                continue
            yield from _pyramid(store, kind, frame.key)


def _pyramid(store: StoreReader, kind: Kind, key: FrameKey) -> Iterator[Finding]:
    for level in range(1, store.levels(key)):
        try:
            store.read(kind, key, level)
        except StoreError as error:
            words = f"level {level} of {kind} {key} cannot be read: {error}"
            yield _finding("raw-pyramid" if kind == "raw" else "denoised-pyramid", words, key)
            return


def _orphans(run: RunFolder, kept: list[KeptFrame]) -> Iterator[Finding]:
    promised: dict[Kind, set[FrameKey]] = {
        "raw": {frame.key for frame in kept},
        "denoised": {frame.key for frame in kept if frame.state != "skipped"},
    }
    for kind in KINDS:
        for key, path in plane_files(run.root, kind):
            if key in promised[kind]:
                continue
            words = f"{kind} {key} is in the store without a row in the ledger ({path})"
            if kind == "raw":
                yield _finding("orphan", words, key)
            else:
                yield Finding("orphan", f"{words}; `quietscope repair` removes it", key)


def _models(run: RunFolder, ledger: LedgerReader) -> Iterator[Finding]:
    for channel, verdict in ledger.verdicts().items():
        if not verdict.accepted or verdict.path is None:
            continue
        path = run.root / verdict.path
        try:
            found = hashlib.sha256(path.read_bytes()).hexdigest()[: len(verdict.model_id)]
        except OSError as error:
            yield _finding(
                "model", f"the model of channel {channel}, {path}, cannot be read: {error.strerror}"
            )
            continue
        if found != verdict.model_id:
            yield _finding("model", f"{path} is {found} and not the accepted model {verdict.model_id}")


def _loose_ends(run: RunFolder, ledger: LedgerReader) -> Iterator[Finding]:
    counts, stored = ledger.counts(), ledger.arrivals()[0]
    received = ledger.meta("received")
    if received is None:
        yield _finding("unfinished", "the run was not brought to its end")
    elif int(received) != stored:
        yield _finding("unfinished", f"{received} frames were received, and {stored} are stored")
    if counts["raw"]:
        yield _finding("unfinished", f"{counts['raw']} frames are neither denoised nor skipped")
    for path in [run.spool, *sorted(run.root.glob("spool-*.bin"))]:
        if path.exists():
            yield _finding("unfinished", f"frames wait in {path}")
    for path in litter(run.root):
        yield _finding("litter", f"{path} was left by a crash")
    if received is not None:
        yield from _report(run, ledger, int(received))


def _report(run: RunFolder, ledger: LedgerReader, received: int) -> Iterator[Finding]:
    told: dict[str, object] = {
        "frames_received": received,
        "raw_stored": ledger.arrivals()[0],
        "denoised": ledger.counts()["denoised"],
        "skipped": ledger.skipped(),
        "rejected": ledger.rejected(),
    }
    try:
        summary = json.loads(run.summary.read_text(encoding="utf-8"))
        wrong = [
            f"{name} {summary.get(name)} (ledger: {n})" for name, n in told.items() if summary.get(name) != n
        ]
    except (OSError, ValueError, AttributeError, QuietscopeError) as error:
        yield _finding("report", f"the summary {run.summary} cannot be read: {error}")
        return
    if wrong:
        yield _finding("report", f"the summary {run.summary} says {', '.join(wrong)}")
