"""Max-unpooling of NumPy arrays by compiled kernels."""

from upsample.engines.cpu.unpool.driver import ready, run

__all__ = ["ready", "run"]
