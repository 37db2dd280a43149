"""Max-pooling of NumPy arrays by compiled kernels."""

from upsample.engines.cpu.pool.driver import ready, run

__all__ = ["ready", "run"]
