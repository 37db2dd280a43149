"""Resampling of NumPy arrays by compiled kernels."""

from upsample.engines.cpu.resize.driver import ready, run

__all__ = ["ready", "run"]
