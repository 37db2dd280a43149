"""chainer.functions (7.8.1)."""
