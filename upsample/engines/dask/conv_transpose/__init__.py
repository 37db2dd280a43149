"""Transposed convolution of Dask arrays."""

from upsample.engines.dask.conv_transpose.driver import run

__all__ = ["run"]
