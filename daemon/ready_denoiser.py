"""From a model file to a denoiser ready for live frames: the fastest runtime that computes the same, warmed up."""

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from quietscope.config import ModelError, Settings
from quietscope.config.science import RuntimeSettings
from quietscope.daemon.runtime_memory import recall, remember
from quietscope.models.denoiser import Denoiser
from quietscope.models.model_file import ModelFile
from quietscope.models.runtime import Runtime, candidates, load_runtime
from quietscope.models.runtime_parity import Parity, probe

__all__ = ["ReadyDenoiser", "ready_denoiser"]

_ROUNDS = 5
_LONGEST_S = 3.0

Say = Callable[[str, str], None]


@dataclass(frozen=True)
class ReadyDenoiser:
    """A denoiser and why it runs on what it runs on.

    Parameters
    ----------
    denoiser
        Warmed up for frames of the shape it was made for.
    figures
        ``provider``, ``runtime_ms`` (provider → milliseconds of one pass; empty where there was no choice) and
        ``runtime_parity`` (provider → differences from onnxruntime in float32, shares of the scale); JSON-able.
    runtime
        What it was loaded with.
    """

    denoiser: Denoiser
    figures: Mapping[str, Any]
    runtime: RuntimeSettings


def ready_denoiser(path: Path, settings: Settings, shape: tuple[int, int], say: Say) -> ReadyDenoiser:
    """Load a model on the fastest runtime that computes what onnxruntime's CPU provider computes, and warm it up.

    Parameters
    ----------
    path
        ONNX file.
    settings
        Tiles and runtime. With ``runtime.provider = "auto"`` the choice is measured, a few passes of each runtime in
        turn, once for each machine, network and size.
    shape
        (Y, X) of the frames to come.
    say
        Called with a level and a text: what was chosen, and what may not be used and why.

    Raises
    ------
    quietscope.config.ModelError
        If the model cannot be loaded, or the runtime that the settings name cannot be used.
    """
    cpu = settings.runtime.model_copy(update={"provider": "cpu", "precision": "auto"})
    denoiser = Denoiser(path, settings.tiling, cpu)
    options = candidates(settings.runtime)
    if [option.provider for option in options] == ["cpu"]:
        denoiser.warm_up(shape)
        figures: dict[str, Any] = {"provider": denoiser.provider, "runtime_ms": {}, "runtime_parity": {}}
        return ReadyDenoiser(denoiser, figures, cpu)
    trial = _Trial(path, denoiser, settings.runtime, shape, say)
    try:
        chosen, milliseconds = trial.choose(options)
    except ModelError as error:
        if settings.runtime.provider != "auto":
            raise
        # the denoiser itself knows how to go on after a failure
        say("warning", f"the network runs on {denoiser.provider}; runtimes could not be compared: {error}")
        chosen, milliseconds = cpu, {}
    if chosen.provider != "cpu":
        denoiser = Denoiser(path, settings.tiling, chosen)
    denoiser.warm_up(shape)
    if milliseconds:
        found = ", ".join(f"{name} {value:.3g} ms" for name, value in milliseconds.items())
        say("info", f"the network runs on {denoiser.provider} ({found})")
    figures = {
        "provider": denoiser.provider,
        "runtime_ms": milliseconds,
        "runtime_parity": {name: asdict(parity) for name, parity in trial.parities.items()},
    }
    return ReadyDenoiser(denoiser, figures, chosen)


class _Trial:
    """Runtimes that are compared on one image.

    Parameters
    ----------
    path
        ONNX file.
    denoiser
        It on onnxruntime's CPU provider.
    asked
        What the settings say.
    shape
        (Y, X) of the frames.
    say
        Told what may not be used.
    """

    def __init__(
        self, path: Path, denoiser: Denoiser, asked: RuntimeSettings, shape: tuple[int, int], say: Say
    ) -> None:
        self._path = path
        self._asked = asked
        self._say = say
        self._shape = denoiser.network_shape(shape)
        self._image = probe(self._shape, denoiser.metadata)
        self.parities: dict[str, Parity] = {}

    def choose(self, options: list[RuntimeSettings]) -> tuple[RuntimeSettings, dict[str, float]]:
        """Find the fastest of `options` that computes the same; onnxruntime's CPU provider where none does."""
        asked = self._asked
        cpu = asked.model_copy(update={"provider": "cpu", "precision": "auto"})
        reference = load_runtime(self._path, cpu)
        expected = reference.run(self._image)
        structure = ModelFile.read(self._path).structure
        known = recall(structure, self._shape, asked)
        if known is not None:
            options = sorted(options, key=lambda option: known.get(_name(option), np.inf))
        usable: list[tuple[RuntimeSettings, Runtime]] = []
        for option in options:
            runtime = reference if option.provider == "cpu" else self._load(option)
            if runtime is None or (runtime is not reference and not self._agrees(runtime, expected)):
                continue
            usable.append((option, runtime))
            if known is not None:
                return option, known
        if not usable:
            return cpu, {}
        if len(usable) == 1:
            return usable[0][0], {}
        milliseconds = self._measure({_name(option): runtime for option, runtime in usable})
        remember(structure, self._shape, asked, milliseconds)
        return min(
            (option for option, _ in usable), key=lambda option: milliseconds[_name(option)]
        ), milliseconds

    def _load(self, option: RuntimeSettings) -> Runtime | None:
        try:
            return load_runtime(self._path, option)
        except ModelError as error:
            if self._asked.provider != "auto":
                raise
            self._say("warning", f"{_name(option)} is not used: {error}")
            return None

    def _agrees(self, runtime: Runtime, expected: np.ndarray[Any, np.dtype[np.float32]]) -> bool:
        try:
            parity = Parity.between(expected, runtime.run(self._image))
        except ModelError as error:
            self._say("warning", f"{runtime.provider} is not used: {error}")
            return False
        self.parities[runtime.provider] = parity
        if not parity.good:
            self._say(
                "warning", f"{runtime.provider} is not used: it differs from float32 too much, {parity.words}"
            )
        return parity.good

    def _measure(self, runtimes: dict[str, Runtime]) -> dict[str, float]:
        """Median milliseconds of one pass of each, in turn, so that the machine's other work meets all alike."""
        times: dict[str, list[float]] = {name: [] for name in runtimes}
        started = time.perf_counter()
        for number in range(_ROUNDS):
            if number and time.perf_counter() - started > _LONGEST_S:
                break
            for name, runtime in runtimes.items():
                times[name].append(_milliseconds(runtime, self._image))
        return {name: float(np.median(values)) for name, values in times.items()}


def _milliseconds(runtime: Runtime, image: np.ndarray[Any, np.dtype[np.float32]]) -> float:
    started = time.perf_counter()
    runtime.run(image)
    return 1e3 * (time.perf_counter() - started)


def _name(option: RuntimeSettings) -> str:
    """Name of what an option asks for, as `Runtime.provider` gives it."""
    return f"openvino {option.precision}" if option.provider == "openvino" else option.provider
