"""Resampling on the GPU."""

from upsample.engines.cuda.resize.driver import run

__all__ = ["run"]
