"""Transposed convolution on the GPU, and its gradients."""

from upsample.engines.cuda.conv_transpose.driver import run

__all__ = ["run"]
