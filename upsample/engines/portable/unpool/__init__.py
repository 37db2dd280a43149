"""Max-unpooling of any library's arrays."""

from upsample.engines.portable.unpool.driver import run

__all__ = ["run"]
