"""What was asked of ``quietscope evaluate``, checked before anything is trained."""

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from quietscope.config import SettingsError
from quietscope.config.loader import load_settings
from quietscope.daemon.evaluation.command import evaluate
from quietscope.daemon.evaluation.contender import Contender
from quietscope.daemon.evaluation.own_images import OwnImages
from quietscope.daemon.evaluation.presets.catalogue import PRESETS

__all__ = ["Asked"]

_USUAL = ("noisy", "median", "gaussian-1", "adaptive-sn2n")


@dataclass(frozen=True)
class Asked:
    """The command's arguments; see ``quietscope evaluate --help``."""

    sources: Sequence[Path]
    references: Sequence[Path]
    methods: Sequence[str]
    preset: str | None
    empty: Path | None
    each: bool
    static: bool
    network: bool
    frames: int
    captures: int
    data: Path | None
    profile: str | None
    changes: Sequence[str]

    def evaluate(self, out: Path, *, command: str) -> int:
        """Do what was asked for; see `quietscope.daemon.evaluation.command.evaluate`.

        Raises
        ------
        quietscope.config.QuietscopeError
            If what was asked for makes no sense, or the evaluation cannot go on.
        """
        settings = load_settings(profile=self.profile, overrides=self.changes)
        if self.preset is not None:
            return self._preset(self.preset, out, command)
        if not self.sources:
            names = ", ".join(PRESETS)
            msg = f"there is nothing to evaluate; give a SOURCE, or --preset with one of {names}"
            raise SettingsError(msg)
        contenders = [Contender(name, name, profile=self.profile) for name in self.methods or _USUAL]
        images = OwnImages(
            sources=self.sources,
            references=self.references,
            empty=self.empty,
            each=self.each,
            static=self.static,
            network=self.network,
            training=settings.training.frames,
            most=self.frames,
        )
        return evaluate(images.items(contenders), out, command=command, changes=self.changes)

    def _preset(self, name: str, out: Path, command: str) -> int:
        if self.sources or self.references or self.methods or self.profile or self.empty:
            msg = (
                f"--preset {name} brings its own images and methods; leave out SOURCE, --reference, --method, "
                "--profile and --empty, or leave out --preset"
            )
            raise SettingsError(msg)
        if name not in PRESETS:
            near = difflib.get_close_matches(name, PRESETS, n=1)
            meant = f"did you mean {near[0]!r}? " if near else ""
            msg = f"there is no preset {name!r}; {meant}The presets are {', '.join(PRESETS)}"
            raise SettingsError(msg)
        preset = PRESETS[name]
        items = preset.make(self.data, self.captures)
        return evaluate(items, out, command=command, words=preset.words, changes=self.changes)
