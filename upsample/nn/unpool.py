"""torch.nn's max-unpooling layers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from upsample.arguments import IntOrInts, flag, integers
from upsample.arrays import Array, ArrayT
from upsample.docstrings import documented_like
from upsample.functional.unpool import (
    check_duplicate_grad,
    check_duplicates,
    check_looking,
    max_unpool1d,
    max_unpool2d,
    max_unpool3d,
)
from upsample.literals import CheckIndices, DuplicateGrad, Duplicates, EngineName
from upsample.nn.layer import Layer

__all__ = ["MaxUnpool1d", "MaxUnpool2d", "MaxUnpool3d"]


class _MaxUnpool(Layer):
    """The base of max-unpoolings over one, two and three axes."""

    _spatial: ClassVar[int]
    _function: ClassVar[Callable[..., Any]]

    def __init__(
        self,
        kernel_size: IntOrInts,
        stride: IntOrInts | None = None,
        padding: IntOrInts = 0,
        *,
        dilation: IntOrInts = 1,
        duplicates: Duplicates = "last",
        duplicate_grad: DuplicateGrad = "winner",
        check_indices: CheckIndices = True,
        deterministic: bool = True,
        engine: EngineName | None = None,
    ) -> None:
        super().__init__(engine=engine)
        op, n = type(self).__name__, self._spatial
        kernel = self.kernel_size = integers(op, "kernel_size", kernel_size, n, least=1, one_for_all=False)
        self.stride = kernel if stride is None else integers(op, "stride", stride, n, least=1, one_for_all=False)
        self.padding = integers(op, "padding", padding, n, least=0, one_for_all=False)
        self.dilation = integers(op, "dilation", dilation, n, least=1, one_for_all=False)
        self.duplicates = check_duplicates(op, duplicates, "float32")
        self.duplicate_grad = check_duplicate_grad(op, duplicate_grad)
        self.check_indices = check_looking(op, check_indices, duplicates)
        self.deterministic = flag(op, "deterministic", deterministic)

    def forward(self, input: ArrayT, indices: Array, output_size: Sequence[int] | None = None) -> ArrayT:
        """Put the values of `input` where `indices` say, in a result of `output_size`."""
        result: ArrayT = self._function(
            input,
            indices,
            self.kernel_size,
            self.stride,
            self.padding,
            output_size,
            dilation=self.dilation,
            duplicates=self.duplicates,
            duplicate_grad=self.duplicate_grad,
            check_indices=self.check_indices,
            deterministic=self.deterministic,
            engine=self.engine,
        )
        return result

    if TYPE_CHECKING:

        def __call__(self, input: ArrayT, indices: Array, output_size: Sequence[int] | None = None) -> ArrayT: ...

    def extra_repr(self) -> str:
        shown = f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"
        if any(d != 1 for d in self.dilation):
            shown += f", dilation={self.dilation}"
        if self.duplicates != "last":
            shown += f", duplicates={self.duplicates!r}"
        if self.duplicate_grad != "winner":
            shown += f", duplicate_grad={self.duplicate_grad!r}"
        for name in ("check_indices", "deterministic"):
            if getattr(self, name) is not True:
                shown += f", {name}={getattr(self, name)!r}"
        return shown


class MaxUnpool2d(_MaxUnpool):
    """Put pooled values back where they came from over two spatial axes; see `upsample.max_unpool2d`.

    Parameters
    ----------
    kernel_size, stride, padding : int or sequence of int
        Of the pooling that made the input; `stride` None is `kernel_size`.
    dilation : int or sequence of int
        Of the pooling that made the input.
    duplicates : {"last", "sum", "error"}
        What becomes of several values for one position.
    duplicate_grad : {"winner", "all"}
        Which of them receive its gradient, where one overwrote the others.
    check_indices : bool or "later"
        Whether an index outside the plane raises IndexError, at once or later; see `upsample.max_unpool2d`.
    deterministic : bool
        False permits the CUDA engine an order of its own, see `upsample.max_unpool2d`.
    engine : str, optional
        Forces an engine.

    Raises
    ------
    ValueError
        A window, stride or dilation below 1, negative padding, a sequence of another length, another rule.
    TypeError
        Another type.

    See Also
    --------
    upsample.max_unpool2d : The function.

    References
    ----------
    https://docs.pytorch.org/docs/stable/generated/torch.nn.MaxUnpool2d.html

    Examples
    --------
    >>> import numpy as np, upsample
    >>> pool = upsample.nn.MaxPool2d(2, return_indices=True)
    >>> unpool = upsample.nn.MaxUnpool2d(2)
    >>> unpool
    MaxUnpool2d(kernel_size=(2, 2), stride=(2, 2), padding=(0, 0))
    >>> unpool(*pool(np.arange(16.0).reshape(1, 4, 4)))
    array([[[ 0.,  0.,  0.,  0.],
            [ 0.,  5.,  0.,  7.],
            [ 0.,  0.,  0.,  0.],
            [ 0., 13.,  0., 15.]]])
    """

    _spatial = 2
    _function = staticmethod(max_unpool2d)


@documented_like(MaxUnpool2d)
class MaxUnpool1d(_MaxUnpool):
    """Put pooled values back where they came from over one spatial axis; see `MaxUnpool2d`.

    Examples
    --------
    >>> import numpy as np, upsample
    >>> upsample.nn.MaxUnpool1d(2)(np.asarray([[3.0, 4.0]]), np.asarray([[1, 3]]), output_size=(5,))
    array([[0., 3., 0., 4., 0.]])
    """

    _spatial = 1
    _function = staticmethod(max_unpool1d)


@documented_like(MaxUnpool2d)
class MaxUnpool3d(_MaxUnpool):
    """Put pooled values back where they came from over three spatial axes; see `MaxUnpool2d`.

    Examples
    --------
    >>> import numpy as np, upsample
    >>> upsample.nn.MaxUnpool3d((1, 1, 2))(np.asarray([[[[7.0]]]]), np.asarray([[[[1]]]]))
    array([[[[0., 7.]]]])
    """

    _spatial = 3
    _function = staticmethod(max_unpool3d)
