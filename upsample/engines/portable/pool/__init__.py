"""Max-pooling of any library's arrays."""

from upsample.engines.portable.pool.driver import run

__all__ = ["run"]
