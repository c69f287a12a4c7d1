"""scikit-image, which only the evaluation needs."""

import importlib
from typing import Any

from quietscope.config.errors import ModelError

__all__ = ["skimage"]


def skimage(name: str) -> Any:
    """Import ``skimage.NAME``.

    Raises
    ------
    quietscope.config.ModelError
        If scikit-image is not installed.
    """
    try:
        return importlib.import_module(f"skimage.{name}")
    except ImportError as error:
        msg = (
            f"the evaluation needs scikit-image, which cannot be imported ({error}); install it with "
            "pip install 'quietscope[evaluate]'"
        )
        raise ModelError(msg) from error
