"""torch.nn's adaptive max-pooling layers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, cast

from upsample.arguments import flag, integer
from upsample.arrays import ArrayT
from upsample.docstrings import documented_like
from upsample.errors import bad_type
from upsample.functional.adaptive_pool import adaptive_max_pool1d, adaptive_max_pool2d, adaptive_max_pool3d
from upsample.literals import EngineName
from upsample.nn.layer import Layer, one_or_each

__all__ = ["AdaptiveMaxPool1d", "AdaptiveMaxPool2d", "AdaptiveMaxPool3d"]


class _AdaptiveMaxPool(Layer):
    """The base of adaptive max-poolings over one, two and three axes."""

    _spatial: ClassVar[int]
    _function: ClassVar[Callable[..., Any]]

    def __init__(
        self, output_size: int | Sequence[int | None], return_indices: bool = False, *, engine: EngineName | None = None
    ) -> None:
        super().__init__(engine=engine)
        op = type(self).__name__
        if cast(object, output_size) is None:
            rule = "only an entry of a sequence may be None"
            raise bad_type(op, "output_size", None, rule, f"pass an int or {self._spatial} entries")
        self.output_size = one_or_each(op, "output_size", output_size, (self._spatial,), _cells)
        self.return_indices = flag(op, "return_indices", return_indices)

    def forward(self, input: ArrayT) -> ArrayT | Any:
        """Pool ``[N, C, *spatial]`` or ``[C, *spatial]``: the maxima, or with `return_indices` maxima and indices."""
        return self._function(input, self.output_size, return_indices=self.return_indices, engine=self.engine)

    if TYPE_CHECKING:

        def __call__(self, input: ArrayT) -> ArrayT | Any: ...

    def extra_repr(self) -> str:
        return f"output_size={self.output_size}"


class AdaptiveMaxPool2d(_AdaptiveMaxPool):
    """Take the maximum of windows that divide two spatial axes evenly; see `upsample.adaptive_max_pool2d`.

    Parameters
    ----------
    output_size : int or sequence of int or None
        Cells along each spatial axis; in a sequence, None keeps the input's size.
    return_indices : bool
        Also return where in the input plane each maximum lies.
    engine : str, optional
        Forces an engine.

    Raises
    ------
    ValueError
        A negative size, or a sequence of another length.
    TypeError
        Another type.

    References
    ----------
    https://docs.pytorch.org/docs/stable/generated/torch.nn.AdaptiveMaxPool2d.html

    Examples
    --------
    >>> import numpy as np, upsample
    >>> layer = upsample.nn.AdaptiveMaxPool2d((None, 2))
    >>> layer
    AdaptiveMaxPool2d(output_size=(None, 2))
    >>> layer(np.arange(8.0).reshape(1, 2, 4))
    array([[[1., 3.],
            [5., 7.]]])
    """

    _spatial = 2
    _function = staticmethod(adaptive_max_pool2d)


@documented_like(AdaptiveMaxPool2d)
class AdaptiveMaxPool1d(_AdaptiveMaxPool):
    """Take the maximum of windows that divide one spatial axis evenly; see `AdaptiveMaxPool2d`.

    Examples
    --------
    >>> import numpy as np, upsample
    >>> upsample.nn.AdaptiveMaxPool1d(2)(np.asarray([[1.0, 3.0, 2.0, 4.0]]))
    array([[3., 4.]])
    """

    _spatial = 1
    _function = staticmethod(adaptive_max_pool1d)


@documented_like(AdaptiveMaxPool2d)
class AdaptiveMaxPool3d(_AdaptiveMaxPool):
    """Take the maximum of windows that divide three spatial axes evenly; see `AdaptiveMaxPool2d`.

    Examples
    --------
    >>> import numpy as np, upsample
    >>> upsample.nn.AdaptiveMaxPool3d(1)(np.arange(8.0).reshape(1, 2, 2, 2))
    array([[[[7.]]]])
    """

    _spatial = 3
    _function = staticmethod(adaptive_max_pool3d)


def _cells(op: str, argument: str, value: object) -> int | None:
    return None if value is None else integer(op, argument, value, least=0)
