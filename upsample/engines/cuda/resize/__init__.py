"""Resize on a GPU."""

from upsample.engines.cuda.resize.driver import moved, run

__all__ = ["moved", "run"]
