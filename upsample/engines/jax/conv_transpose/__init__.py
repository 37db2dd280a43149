"""Transposed convolution of JAX arrays, and its gradients."""

from upsample.engines.jax.conv_transpose.driver import run

__all__ = ["run"]
