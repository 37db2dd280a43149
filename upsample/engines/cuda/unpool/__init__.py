"""Max-unpooling on the GPU."""

from upsample.engines.cuda.unpool.driver import run

__all__ = ["run"]
