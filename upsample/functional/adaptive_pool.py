"""torch.nn.functional's adaptive max-pooling, with and without indices."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, overload

from upsample.arguments import as_tuple, check_addressable, flag, integers
from upsample.arrays import Array, ArrayT
from upsample.docstrings import documented_like
from upsample.errors import bad_value
from upsample.functional.pool import both, checked, one_or_both
from upsample.literals import EngineName
from upsample.ops.pool import pool
from upsample.ops.torch_autocast import in_float32
from upsample.plans.window import PoolPlan, SpanAxis

__all__ = [
    "adaptive_max_pool1d",
    "adaptive_max_pool1d_with_indices",
    "adaptive_max_pool2d",
    "adaptive_max_pool2d_with_indices",
    "adaptive_max_pool3d",
    "adaptive_max_pool3d_with_indices",
]


@overload
def adaptive_max_pool2d(
    input: ArrayT,
    output_size: int | Sequence[int | None],
    return_indices: Literal[False] = False,
    *,
    out: Array | None = None,
    engine: EngineName | None = None,
) -> ArrayT: ...
@overload
def adaptive_max_pool2d(
    input: ArrayT,
    output_size: int | Sequence[int | None],
    return_indices: Literal[True],
    *,
    out: tuple[Array, Array] | None = None,
    engine: EngineName | None = None,
) -> tuple[ArrayT, Any]: ...
def adaptive_max_pool2d(
    input: ArrayT,
    output_size: int | Sequence[int | None],
    return_indices: bool = False,
    *,
    out: Array | tuple[Array, Array] | None = None,
    engine: EngineName | None = None,
) -> ArrayT | tuple[ArrayT, Any]:
    """Take the maximum of windows that divide two spatial axes into ``output_size`` parts.

    Parameters
    ----------
    input : array
        ``[N, C, H, W]`` or ``[C, H, W]``; only N may be 0. Real floating, integer or bool.
    output_size : int or sequence of int or None
        Cells along each spatial axis; in a sequence, None keeps the input's size.
    return_indices : bool
        Also return where in the input plane each maximum lies.
    out : array or tuple of two arrays, optional
        Receives the maxima, or with indices the maxima and the indices.
    engine : str, optional
        Forces an engine.

    Returns
    -------
    maxima : array
        ``[..., H_out, W_out]``, of the library, dtype and device of `input`. NaN wins.
    indices : array of int64 (int32 where the library has no int64), only with `return_indices`
        Flat index of each maximum in its input plane: the first of equal ones, the last of NaNs.

    Raises
    ------
    ValueError
        Wrong rank, an empty axis other than the batch, a negative size.
    TypeError
        A complex dtype, another type, or mixed libraries.

    Notes
    -----
    On one axis of five, ``output_size=3``: from ``floor(i * 5 / 3)`` up to ``ceil((i + 1) * 5 / 3)``::

        0  1  2  3  4
        [--]                     window 0
           [-----]               window 1
                 [--]            window 2

    References
    ----------
    https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.adaptive_max_pool2d.html

    Examples
    --------
    >>> import numpy as np, upsample
    >>> x = np.arange(16.0).reshape(1, 4, 4)
    >>> upsample.adaptive_max_pool2d(x, 2, return_indices=True)
    (array([[[ 5.,  7.],
            [13., 15.]]]), array([[[ 5,  7],
            [13, 15]]]))
    """
    return one_or_both(_adaptive("adaptive_max_pool2d", 2, input, output_size, return_indices, out, engine))


@documented_like(adaptive_max_pool2d)
def adaptive_max_pool2d_with_indices(
    input: ArrayT,
    output_size: int | Sequence[int | None],
    return_indices: bool = False,
    *,
    out: tuple[Array, Array] | None = None,
    engine: EngineName | None = None,
) -> tuple[ArrayT, Any]:
    """Return maxima and indices over two spatial axes, whatever `return_indices` says; see `adaptive_max_pool2d`.

    Parameters
    ----------
    return_indices : bool
        For the signature's sake only.

    Returns
    -------
    maxima : array
        ``[..., H_out, W_out]``.
    indices : array
        Flat indices in the input plane.

    Examples
    --------
    >>> import numpy as np, upsample
    >>> x = np.arange(16.0).reshape(1, 4, 4)
    >>> upsample.adaptive_max_pool2d_with_indices(x, 2)
    (array([[[ 5.,  7.],
            [13., 15.]]]), array([[[ 5,  7],
            [13, 15]]]))
    """
    flag("adaptive_max_pool2d_with_indices", "return_indices", return_indices)
    return both(_adaptive("adaptive_max_pool2d_with_indices", 2, input, output_size, True, out, engine))


@overload
def adaptive_max_pool1d(
    input: ArrayT,
    output_size: int | Sequence[int | None],
    return_indices: Literal[False] = False,
    *,
    out: Array | None = None,
    engine: EngineName | None = None,
) -> ArrayT: ...
@overload
def adaptive_max_pool1d(
    input: ArrayT,
    output_size: int | Sequence[int | None],
    return_indices: Literal[True],
    *,
    out: tuple[Array, Array] | None = None,
    engine: EngineName | None = None,
) -> tuple[ArrayT, Any]: ...
@documented_like(adaptive_max_pool2d)
def adaptive_max_pool1d(
    input: ArrayT,
    output_size: int | Sequence[int | None],
    return_indices: bool = False,
    *,
    out: Array | tuple[Array, Array] | None = None,
    engine: EngineName | None = None,
) -> ArrayT | tuple[ArrayT, Any]:
    """Take the maximum of windows that divide one spatial axis into ``output_size`` parts; see `adaptive_max_pool2d`.

    Parameters
    ----------
    input : array
        ``[N, C, L]`` or ``[C, L]``; only N may be 0. Real floating, integer or bool.

    Returns
    -------
    maxima : array
        ``[..., L_out]``.
    indices : array, only with `return_indices`
        Flat indices in the input plane.

    Examples
    --------
    >>> import numpy as np, upsample
    >>> x = np.asarray([[1.0, 3.0, 2.0, 4.0]])
    >>> upsample.adaptive_max_pool1d(x, 2)
    array([[3., 4.]])
    """
    return one_or_both(_adaptive("adaptive_max_pool1d", 1, input, output_size, return_indices, out, engine))


@documented_like(adaptive_max_pool2d)
def adaptive_max_pool1d_with_indices(
    input: ArrayT,
    output_size: int | Sequence[int | None],
    return_indices: bool = False,
    *,
    out: tuple[Array, Array] | None = None,
    engine: EngineName | None = None,
) -> tuple[ArrayT, Any]:
    """Return maxima and indices over one spatial axis, whatever `return_indices` says; see `adaptive_max_pool2d`.

    Parameters
    ----------
    input : array
        ``[N, C, L]`` or ``[C, L]``; only N may be 0. Real floating, integer or bool.
    return_indices : bool
        For the signature's sake only.

    Returns
    -------
    maxima : array
        ``[..., L_out]``.
    indices : array
        Flat indices in the input plane.

    Examples
    --------
    >>> import numpy as np, upsample
    >>> x = np.asarray([[1.0, 3.0, 2.0, 4.0]])
    >>> upsample.adaptive_max_pool1d_with_indices(x, 2)
    (array([[3., 4.]]), array([[1, 3]]))
    """
    flag("adaptive_max_pool1d_with_indices", "return_indices", return_indices)
    return both(_adaptive("adaptive_max_pool1d_with_indices", 1, input, output_size, True, out, engine))


@overload
def adaptive_max_pool3d(
    input: ArrayT,
    output_size: int | Sequence[int | None],
    return_indices: Literal[False] = False,
    *,
    out: Array | None = None,
    engine: EngineName | None = None,
) -> ArrayT: ...
@overload
def adaptive_max_pool3d(
    input: ArrayT,
    output_size: int | Sequence[int | None],
    return_indices: Literal[True],
    *,
    out: tuple[Array, Array] | None = None,
    engine: EngineName | None = None,
) -> tuple[ArrayT, Any]: ...
@documented_like(adaptive_max_pool2d)
def adaptive_max_pool3d(
    input: ArrayT,
    output_size: int | Sequence[int | None],
    return_indices: bool = False,
    *,
    out: Array | tuple[Array, Array] | None = None,
    engine: EngineName | None = None,
) -> ArrayT | tuple[ArrayT, Any]:
    """Take the maximum of windows that divide three spatial axes into ``output_size`` parts; see `adaptive_max_pool2d`.

    Parameters
    ----------
    input : array
        ``[N, C, D, H, W]`` or ``[C, D, H, W]``; only N may be 0. Real floating, integer or bool.

    Returns
    -------
    maxima : array
        ``[..., D_out, H_out, W_out]``.
    indices : array, only with `return_indices`
        Flat indices in the input plane.

    Examples
    --------
    >>> import numpy as np, upsample
    >>> x = np.arange(8.0).reshape(1, 2, 2, 2)
    >>> upsample.adaptive_max_pool3d(x, 1)
    array([[[[7.]]]])
    """
    return one_or_both(_adaptive("adaptive_max_pool3d", 3, input, output_size, return_indices, out, engine))


@documented_like(adaptive_max_pool2d)
def adaptive_max_pool3d_with_indices(
    input: ArrayT,
    output_size: int | Sequence[int | None],
    return_indices: bool = False,
    *,
    out: tuple[Array, Array] | None = None,
    engine: EngineName | None = None,
) -> tuple[ArrayT, Any]:
    """Return maxima and indices over three spatial axes, whatever `return_indices` says; see `adaptive_max_pool2d`.

    Parameters
    ----------
    input : array
        ``[N, C, D, H, W]`` or ``[C, D, H, W]``; only N may be 0. Real floating, integer or bool.
    return_indices : bool
        For the signature's sake only.

    Returns
    -------
    maxima : array
        ``[..., D_out, H_out, W_out]``.
    indices : array
        Flat indices in the input plane.

    Examples
    --------
    >>> import numpy as np, upsample
    >>> x = np.arange(8.0).reshape(1, 2, 2, 2)
    >>> upsample.adaptive_max_pool3d_with_indices(x, 1)
    (array([[[[7.]]]]), array([[[[7]]]]))
    """
    flag("adaptive_max_pool3d_with_indices", "return_indices", return_indices)
    return both(_adaptive("adaptive_max_pool3d_with_indices", 3, input, output_size, True, out, engine))


def _adaptive(
    op: str, spatial: int, x: ArrayT, output_size: object, return_indices: object, out: object, engine: str | None
) -> tuple[ArrayT, ArrayT | None]:
    xp = checked(op, spatial, x)
    large = tuple(x.shape[-spatial:])
    sizes = as_tuple(output_size)
    if isinstance(sizes, tuple):
        if len(sizes) != spatial:
            raise bad_value(
                op, "output_size", output_size, "it has another length", f"pass an int or a tuple of {spatial}"
            )
        sizes = [n if o is None else o for o, n in zip(sizes, large, strict=True)]
    small = integers(op, "output_size", sizes, spatial, least=0)
    check_addressable(op, "output_size", small, (*x.shape[:-spatial], *small), 8)
    plan = PoolPlan(tuple(map(SpanAxis, large, small)), local_indices=False, first_nan=False)
    wanted = flag(op, "return_indices", return_indices)
    x = in_float32(xp, f"adaptive_max_pool{spatial}d", x)
    return pool(x, op=op, argument="input", xp=xp, plan=plan, with_indices=wanted, out=out, engine=engine)
