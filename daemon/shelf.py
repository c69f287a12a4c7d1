"""The shelf: accepted models of earlier runs, by what they were recorded with.

This is the *only* component that knows its files: ``ID.onnx``, the model, and ``ID.json``, the note that says what it
is. A model is on the shelf when its note is, which is written last and removed first.
"""

import datetime as dt
import hashlib
import json
import os
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import platformdirs

from quietscope.adapters.ome_zarr.durability import write_json
from quietscope.config import ModelError, RunError
from quietscope.config.shelf import ModelsSettings
from quietscope.daemon.fingerprint import Fingerprint
from quietscope.models.model_file import MAX_MODEL_BYTES, ModelFile

__all__ = ["Shelf", "ShelvedModel"]

_FORMAT = 1
_ID = re.compile(r"[0-9a-f]{12}")
_MOST_NOTE_BYTES = 1 << 20


@dataclass(frozen=True)
class ShelvedModel:
    """The note on a model.

    Parameters
    ----------
    model_id
        See `quietscope.models.denoiser.Denoiser.model_id`; also the files' name.
    sha256
        Of the whole file.
    size
        Bytes.
    fingerprint
        How its frames were recorded.
    run
        Folder of the run that made it.
    kept
        When, ISO 8601 with the time zone.
    figures
        The gate's figures and, as ``trust``, what the frames looked like.
    """

    model_id: str
    sha256: str
    size: int
    fingerprint: Fingerprint
    run: str
    kept: str
    figures: Mapping[str, Any]

    @property
    def words(self) -> str:
        """Where it comes from, for people."""
        return f"{self.model_id} of {self.kept[:16].replace('T', ' ')}, run {Path(self.run).name}"

    @classmethod
    def from_note(cls, note: Mapping[str, Any]) -> "ShelvedModel":
        """Take it from the content of a note.

        Raises
        ------
        ValueError
            If it is not what this version writes.
        """
        kinds = {"model_id": str, "sha256": str, "size": int, "run": str, "kept": str, "figures": dict}
        facts = note.get("fingerprint")
        if note.get("format") != _FORMAT or not isinstance(facts, dict):
            raise ValueError("its note is of another version")
        wrong = [name for name, kind in kinds.items() if not isinstance(note.get(name), kind)]
        if wrong or not _ID.fullmatch(note["model_id"]):
            raise ValueError(f"its note is damaged ({', '.join(wrong) or 'model_id'})")
        return cls(fingerprint=Fingerprint(facts), **{name: note[name] for name in kinds})


class Shelf:
    """Keeps models in a folder, bounded in number and bytes.

    Parameters
    ----------
    folder
        Where; made when the first model is kept.
    count, megabytes
        Bounds; the oldest models go first.
    """

    def __init__(self, folder: Path, *, count: int, megabytes: float) -> None:
        self.folder = folder
        self._count = count
        self._bytes = megabytes * 1e6

    @classmethod
    def of(cls, settings: ModelsSettings) -> "Shelf | None":
        """The shelf that the settings name, or none; ``QUIETSCOPE_SHELF`` takes the place of ``auto``."""
        named = str(settings.shelf)
        if named == "auto":
            named = os.environ.get("QUIETSCOPE_SHELF", named)
        if named == "off":
            return None
        folder = platformdirs.user_data_path("quietscope", appauthor=False) / "models"
        folder = folder if named == "auto" else Path(named).expanduser()
        return cls(folder, count=settings.shelf_count, megabytes=settings.shelf_mb)

    def models(self) -> list[ShelvedModel]:
        """Everything on the shelf, newest first; notes that cannot be read are passed over."""
        found = []
        for path in self.folder.glob("*.json") if self.folder.is_dir() else ():
            try:
                found.append(_read(path))
            except (OSError, ValueError):
                continue
        return sorted(found, key=lambda model: dt.datetime.fromisoformat(model.kept), reverse=True)

    def last(self, fingerprint: Fingerprint) -> ShelvedModel | None:
        """The newest model with a fingerprint."""
        return next((m for m in self.models() if m.fingerprint.digest == fingerprint.digest), None)

    def keep(
        self, path: Path, fingerprint: Fingerprint, *, run: Path, figures: Mapping[str, Any]
    ) -> ShelvedModel:
        """Put a copy of a model on the shelf, and take off what has no room beside it.

        Parameters
        ----------
        path
            An accepted model.
        fingerprint
            How its frames were recorded.
        run
            The run folder.
        figures
            The gate's figures and ``trust``; JSON-able.

        Raises
        ------
        quietscope.config.ModelError
            If the file is no model that may be loaded.
        quietscope.config.RunError
            If the shelf cannot be written.
        """
        file = ModelFile.read(path)
        model = ShelvedModel(
            model_id=file.model_id,
            sha256=hashlib.sha256(file.content).hexdigest(),
            size=len(file.content),
            fingerprint=fingerprint,
            run=str(run),
            kept=dt.datetime.now().astimezone().isoformat(),
            figures=dict(figures),
        )
        note = {"format": _FORMAT, **asdict(model), "fingerprint": dict(fingerprint.facts)}
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            _write(self.folder / f"{model.model_id}.onnx", file.content)
            write_json(self.folder / f"{model.model_id}.json", note, sync=True)
            self._make_room()
        except (OSError, ValueError) as error:
            msg = (
                f"the model could not be put on the shelf {self.folder}: {error}; check the folder, or set another one "
                'with models.shelf, or models.shelf = "off"'
            )
            raise RunError(msg) from error
        return model

    def take(self, model: ShelvedModel, path: Path) -> None:
        """Copy a model from the shelf to `path`, if it is what its note says and may be loaded.

        Raises
        ------
        quietscope.config.ModelError
            If not.
        """
        source = self.folder / f"{model.model_id}.onnx"
        try:
            size = source.stat().st_size
            if size != model.size or size > MAX_MODEL_BYTES:
                raise ModelError(
                    f"{source} has {size} bytes and not the {model.size} that were kept; {_mend(model)}"
                )
            content = source.read_bytes()
        except OSError as error:
            raise ModelError(f"{source} cannot be read: {error.strerror}; {_mend(model)}") from error
        if hashlib.sha256(content).hexdigest() != model.sha256:
            raise ModelError(f"{source} is not the file that was kept; {_mend(model)}")
        try:
            _write(path, content)
        except OSError as error:
            msg = f"the model {source} cannot be copied to {path}: {error.strerror}; check both folders"
            raise ModelError(msg) from error
        ModelFile.read(path)

    def remove(self, model: ShelvedModel) -> None:
        """Take a model off the shelf.

        Raises
        ------
        quietscope.config.RunError
            If its files cannot be removed.
        """
        try:
            for suffix in ("json", "onnx"):
                (self.folder / f"{model.model_id}.{suffix}").unlink(missing_ok=True)
        except OSError as error:
            msg = f"{model.model_id} could not be taken off the shelf {self.folder}: {error.strerror}; check the folder"
            raise RunError(msg) from error

    def _make_room(self) -> None:
        used = 0
        for number, model in enumerate(self.models()):
            used += model.size
            if number and (number >= self._count or used > self._bytes):
                self.remove(model)


def _read(path: Path) -> ShelvedModel:
    if path.stat().st_size > _MOST_NOTE_BYTES:
        raise ValueError("its note is too long")
    note = json.loads(path.read_text(encoding="utf-8"))
    model = ShelvedModel.from_note(note if isinstance(note, dict) else {})
    if model.model_id != path.stem or dt.datetime.fromisoformat(model.kept).tzinfo is None:
        raise ValueError("its note is damaged")
    return model


def _write(path: Path, content: bytes) -> None:
    """Write a file in one step."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _mend(model: ShelvedModel) -> str:
    return f"take it off the shelf with: quietscope shelf remove {model.model_id}"
