"""What goes wrong with a network, said alike whichever runtime it runs on.

Runtimes raise classes of their own, which share no base, with texts of several lines.
"""

from pathlib import Path

from quietscope.config.errors import ModelError

__all__ = ["changed_shape", "failed_batch", "not_loaded", "wrong_form"]


def not_loaded(path: Path, runtime: str, error: Exception, mend: str) -> ModelError:
    """A model file that a runtime does not take; `mend` is what to do about it."""
    return ModelError(f"{path} cannot be loaded by {runtime}: {_one_line(error)}; {mend}")


def wrong_form(path: Path, found: str) -> ModelError:
    """A model whose inputs and outputs, in words, are not those of a denoiser."""
    return ModelError(
        f"{path} has {found}; give a model with one float32 input and one output, (N, 1, H, W) each"
    )


def failed_batch(model_id: str, shape: tuple[int, ...], provider: str, error: Exception) -> ModelError:
    """A network that fails on a batch of this shape."""
    return ModelError(
        f"model {model_id} failed on a batch of shape {shape} ({provider}): {_one_line(error)}; "
        "try a smaller tiling.tile or tiling.batch, or runtime.provider = 'cpu'"
    )


def changed_shape(model_id: str, shape: tuple[int, ...], made: tuple[int, ...]) -> ModelError:
    """A network that gives back something of another shape."""
    return ModelError(f"model {model_id} turned shape {shape} into {made}; a denoiser keeps it: train anew")


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
