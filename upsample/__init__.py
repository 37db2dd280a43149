"""Upsampling and its inverses on NumPy, CuPy and any Array API arrays.

``upsample.*`` has the names, arguments, results and errors of ``torch.nn.functional``; `upsample.chainer` those of
``chainer.functions``; `upsample.nn` has layers; `resize` resamples any axes of any array.
"""

from upsample import chainer, nn
from upsample.comparison import compare
from upsample.engines.dispatch import explain
from upsample.engines.synchronize import synchronize
from upsample.engines.thread_count import get_num_threads, num_threads, set_num_threads
from upsample.functional import *  # noqa: F403
from upsample.functional import __all__ as _functional
from upsample.gradients import vjp
from upsample.native import resize
from upsample.precompile import warmup

__version__ = "1.0.0rc1"

__all__ = [
    "chainer",
    "compare",
    "explain",
    "get_num_threads",
    "nn",
    "num_threads",
    "resize",
    "set_num_threads",
    "synchronize",
    "vjp",
    "warmup",
    *_functional,
]


def __dir__() -> list[str]:
    """Return what completion offers: the public names."""
    return [*__all__, "__version__"]
