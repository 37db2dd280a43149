"""Max-unpooling of JAX arrays."""

from upsample.engines.jax.unpool.driver import run

__all__ = ["run"]
