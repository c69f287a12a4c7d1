"""Fixtures for tests of single modules."""

from collections.abc import Callable
from pathlib import Path

import pytest

FilterModel = Callable[..., Path]


@pytest.fixture
def filter_model(tmp_path: Path, write_filter_model: Callable[..., None]) -> FilterModel:
    """Writes an ONNX file that filters its input with a fixed kernel: a denoiser whose answer is known."""

    def write(*arguments, name: str = "model.onnx", **options) -> Path:
        path = tmp_path / name
        write_filter_model(path, *arguments, **options)
        return path

    return write
