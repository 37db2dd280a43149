"""Transposed convolution of NumPy arrays, and its gradients, by compiled kernels."""

from upsample.engines.cpu.conv_transpose.driver import ready, run

__all__ = ["ready", "run"]
