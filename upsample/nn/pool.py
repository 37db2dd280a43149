"""torch.nn's max-pooling layers."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from upsample.arguments import IntOrInts, flag, integer, is_empty
from upsample.arrays import ArrayT
from upsample.docstrings import documented_like
from upsample.functional.pool import max_pool1d, max_pool2d, max_pool3d
from upsample.literals import EngineName
from upsample.nn.layer import Layer, one_or_each

__all__ = ["MaxPool1d", "MaxPool2d", "MaxPool3d"]


class _MaxPool(Layer):
    """The base of max-poolings over one, two and three axes."""

    _spatial: ClassVar[int]
    _function: ClassVar[Callable[..., Any]]

    def __init__(
        self,
        kernel_size: IntOrInts,
        stride: IntOrInts | None = None,
        padding: IntOrInts = 0,
        dilation: IntOrInts = 1,
        return_indices: bool = False,
        ceil_mode: bool = False,
        *,
        engine: EngineName | None = None,
    ) -> None:
        super().__init__(engine=engine)
        op, counts = type(self).__name__, (1, self._spatial)
        positive, natural = partial(integer, least=1), partial(integer, least=0)
        self.kernel_size = one_or_each(op, "kernel_size", kernel_size, counts, positive)
        empty = stride is None or is_empty(stride)
        self.stride = self.kernel_size if empty else one_or_each(op, "stride", stride, counts, positive)
        self.padding = one_or_each(op, "padding", padding, counts, natural)
        self.dilation = one_or_each(op, "dilation", dilation, counts, positive)
        self.return_indices = flag(op, "return_indices", return_indices)
        self.ceil_mode = flag(op, "ceil_mode", ceil_mode)

    def forward(self, input: ArrayT) -> ArrayT | Any:
        """Pool ``[N, C, *spatial]`` or ``[C, *spatial]``: the maxima, or with `return_indices` maxima and indices."""
        return self._function(
            input,
            self.kernel_size,
            self.stride,
            self.padding,
            self.dilation,
            ceil_mode=self.ceil_mode,
            return_indices=self.return_indices,
            engine=self.engine,
        )

    if TYPE_CHECKING:

        def __call__(self, input: ArrayT) -> ArrayT | Any: ...

    def extra_repr(self) -> str:
        shown = ("kernel_size", "stride", "padding", "dilation", "ceil_mode")
        return ", ".join(f"{name}={getattr(self, name)}" for name in shown)


class MaxPool2d(_MaxPool):
    """Take the maximum of each window over two spatial axes; see `upsample.max_pool2d`.

    Parameters
    ----------
    kernel_size : int or sequence of int
        Window size.
    stride : int or sequence of int, optional
        Distance of the windows; None is `kernel_size`.
    padding : int or sequence of int
        Positions that never win, on both sides; at most half the window's reach.
    dilation : int or sequence of int
        Distance of the elements of a window.
    return_indices : bool
        Also return where in the input plane each maximum lies, for `MaxUnpool2d`.
    ceil_mode : bool
        Round the number of windows up.
    engine : str, optional
        Forces an engine.

    Raises
    ------
    ValueError
        A window, stride or dilation below 1, negative padding, a sequence of another length.
    TypeError
        Another type.

    See Also
    --------
    upsample.max_pool2d : The function, whose `ceil_mode` and `return_indices` are in the other order, as in torch.

    References
    ----------
    https://docs.pytorch.org/docs/stable/generated/torch.nn.MaxPool2d.html

    Examples
    --------
    >>> import numpy as np, upsample
    >>> layer = upsample.nn.MaxPool2d(2)
    >>> layer
    MaxPool2d(kernel_size=2, stride=2, padding=0, dilation=1, ceil_mode=False)
    >>> layer(np.arange(16.0).reshape(1, 4, 4))
    array([[[ 5.,  7.],
            [13., 15.]]])
    """

    _spatial = 2
    _function = staticmethod(max_pool2d)


@documented_like(MaxPool2d)
class MaxPool1d(_MaxPool):
    """Take the maximum of each window over one spatial axis; see `MaxPool2d`.

    Examples
    --------
    >>> import numpy as np, upsample
    >>> upsample.nn.MaxPool1d(2, return_indices=True)(np.asarray([[1.0, 3.0, 4.0, 2.0]]))
    (array([[3., 4.]]), array([[1, 2]]))
    """

    _spatial = 1
    _function = staticmethod(max_pool1d)


@documented_like(MaxPool2d)
class MaxPool3d(_MaxPool):
    """Take the maximum of each window over three spatial axes; see `MaxPool2d`.

    Examples
    --------
    >>> import numpy as np, upsample
    >>> upsample.nn.MaxPool3d(2)(np.arange(8.0).reshape(1, 2, 2, 2))
    array([[[[7.]]]])
    """

    _spatial = 3
    _function = staticmethod(max_pool3d)
