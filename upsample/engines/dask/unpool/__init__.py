"""Max-unpooling of Dask arrays."""

from upsample.engines.dask.unpool.driver import run

__all__ = ["run"]
