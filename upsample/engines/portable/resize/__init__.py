"""Resampling of any library's arrays."""

from upsample.engines.portable.resize.driver import run

__all__ = ["run"]
