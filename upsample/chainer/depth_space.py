"""chainer.functions' depth to space and back."""

from __future__ import annotations

from types import ModuleType

from upsample import arrays
from upsample.arguments import check_dtype, check_rank, integer
from upsample.arrays import Array, ArrayT
from upsample.docstrings import documented_like
from upsample.errors import bad_value
from upsample.literals import EngineName
from upsample.ops.pixel_shuffle import rearrange
from upsample.plans.shuffle import shuffle, unshuffle

__all__ = ["depth2space", "space2depth"]


def depth2space(X: ArrayT, r: int, *, out: Array | None = None, engine: EngineName | None = None) -> ArrayT:
    """Move blocks of channels into space: ``[N, r² C, H, W]`` to ``[N, C, r H, r W]``.

    Parameters
    ----------
    X : array
        ``[N, r² C, H, W]``, floating.
    r : int
        Factor, at least 1.
    out : array, optional
        Receives the result.
    engine : str, optional
        Forces an engine.

    Returns
    -------
    array
        A new array of the library, dtype and device of `X`.

    Raises
    ------
    ValueError
        Not four axes, a factor below 1, or channels that r² does not divide.
    TypeError
        No floating dtype, a factor that is no integer, or another type.

    Notes
    -----
    ``y[n, c, h * r + i, w * r + j] = X[n, (i * r + j) * C + c, h, w]``: the place in the block counts before the
    channel. In torch's ``pixel_shuffle`` it counts after it, channel ``c * r² + i * r + j``; the two differ as soon as
    C and r are over 1.

    References
    ----------
    https://docs.chainer.org/en/v7.8.1/reference/generated/chainer.functions.depth2space.html

    Examples
    --------
    >>> import numpy as np
    >>> from upsample import chainer
    >>> chainer.depth2space(np.arange(8.0).reshape(1, 8, 1, 1), 2)
    array([[[[0., 2.],
             [4., 6.]],
            [[1., 3.],
             [5., 7.]]]])
    """
    op = "depth2space"
    xp, factor = _checked(op, X, r)
    depth = X.shape[1]
    if depth % factor**2:
        rule = f"X has {depth} channels, which {factor}² does not divide"
        raise bad_value(op, "r", factor, rule, "pass a factor whose square divides them")
    plan = shuffle(tuple(X.shape), factor, False)
    return rearrange(X, op=op, argument="X", xp=xp, plan=plan, out=out, engine=engine)


@documented_like(depth2space)
def space2depth(X: ArrayT, r: int, *, out: Array | None = None, engine: EngineName | None = None) -> ArrayT:
    """Move blocks of space into channels: ``[N, C, r H, r W]`` to ``[N, r² C, H, W]``, undoing `depth2space`.

    Parameters
    ----------
    X : array
        ``[N, C, r H, r W]``, floating.

    Returns
    -------
    array
        A new array of the library, dtype and device of `X`.

    Raises
    ------
    ValueError
        Not four axes, a factor below 1, or a height or width that r does not divide.
    TypeError
        No floating dtype, a factor that is no integer, or another type.

    Notes
    -----
    ``y[n, (i * r + j) * C + c, h, w] = X[n, c, h * r + i, w * r + j]``.

    References
    ----------
    https://docs.chainer.org/en/v7.8.1/reference/generated/chainer.functions.space2depth.html

    Examples
    --------
    >>> import numpy as np
    >>> from upsample import chainer
    >>> x = np.arange(8.0).reshape(1, 2, 2, 2)
    >>> chainer.space2depth(x, 2).ravel()
    array([0., 4., 1., 5., 2., 6., 3., 7.])
    """
    op = "space2depth"
    xp, factor = _checked(op, X, r)
    height, width = X.shape[2:]
    if height % factor or width % factor:
        rule = f"it does not divide the height {height} and the width {width}"
        raise bad_value(op, "r", factor, rule, "pass a factor that does")
    plan = unshuffle(tuple(X.shape), factor, False)
    return rearrange(X, op=op, argument="X", xp=xp, plan=plan, out=out, engine=engine)


def _checked(op: str, x: Array, factor: object) -> tuple[ModuleType, int]:
    xp = arrays.namespace(op, {"X": x})
    check_rank(op, "X", x, (4,), "[N, C, H, W]")
    check_dtype(op, "X", x, arrays.FLOATING, "pass floating numbers")
    return xp, integer(op, "r", factor, least=1)
