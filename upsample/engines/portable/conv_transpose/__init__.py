"""Transposed convolution of any library's arrays, and its gradients."""

from upsample.engines.portable.conv_transpose.driver import run

__all__ = ["run"]
