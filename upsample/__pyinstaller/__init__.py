"""What PyInstaller must know of this package: its entry point ``pyinstaller40`` names `get_hook_dirs`."""

from __future__ import annotations

from pathlib import Path

__all__ = ["OPTIONAL", "get_hook_dirs"]

OPTIONAL = [
    "IPython",
    "PIL",
    "array_api_strict",
    "cupy",
    "cv2",
    "dask",
    "jax",
    "keras",
    "matplotlib",
    "ml_dtypes",
    "onnx",
    "rich",
    "scipy",
    "skimage",
    "sparse",
    "tensorflow",
    "threadpoolctl",
    "torch",
]
"""Libraries that come along only where the program itself imports them."""


def get_hook_dirs() -> list[str]:
    """Return the folder with hooks."""
    return [str(Path(__file__).parent)]
