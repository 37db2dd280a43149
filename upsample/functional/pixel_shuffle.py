"""torch.nn.functional's pixel shuffle and its inverse."""

from __future__ import annotations

from types import ModuleType

from upsample import arrays
from upsample.arguments import check_dtype, integer
from upsample.arrays import Array, ArrayT
from upsample.docstrings import documented_like
from upsample.errors import Raw, bad_value
from upsample.literals import EngineName
from upsample.ops.pixel_shuffle import rearrange
from upsample.plans.shuffle import shuffle, unshuffle

__all__ = ["pixel_shuffle", "pixel_unshuffle"]


def pixel_shuffle(
    input: ArrayT, upscale_factor: int, *, out: Array | None = None, engine: EngineName | None = None
) -> ArrayT:
    """Move blocks of channels into space: ``[*, C r², H, W]`` to ``[*, C, H r, W r]``.

    Parameters
    ----------
    input : array
        At least three axes, of any dtype.
    upscale_factor : int
        The r above, at least 1.
    out : array, optional
        Receives the result.
    engine : str, optional
        Forces an engine.

    Returns
    -------
    array
        A new array of the library, dtype and device of `input`.

    Raises
    ------
    ValueError
        Fewer than three axes, a factor below 1, channels that r² does not divide.
    TypeError
        A factor that is no integer, or another type.

    Notes
    -----
    Four channels of one pixel become one of two by two, r = 2::

        a b c d   ->   a b
                       c d

    References
    ----------
    https://docs.pytorch.org/docs/stable/generated/torch.nn.PixelShuffle.html

    Examples
    --------
    >>> import numpy as np, upsample
    >>> upsample.pixel_shuffle(np.arange(4).reshape(4, 1, 1), 2)
    array([[[0, 1],
            [2, 3]]])
    """
    op = "pixel_shuffle"
    xp, factor = _checked(op, input, "upscale_factor", upscale_factor)
    depth = input.shape[-3]
    if depth % factor**2:
        rule = f"input has {depth} channels, which {factor}² does not divide"
        raise bad_value(op, "upscale_factor", factor, rule, "pass a factor whose square divides them")
    plan = shuffle(tuple(input.shape), factor, True)
    return rearrange(input, op=op, argument="input", xp=xp, plan=plan, out=out, engine=engine)


@documented_like(pixel_shuffle)
def pixel_unshuffle(
    input: ArrayT, downscale_factor: int, *, out: Array | None = None, engine: EngineName | None = None
) -> ArrayT:
    """Move blocks of space into channels: ``[*, C, H r, W r]`` to ``[*, C r², H, W]``, undoing `pixel_shuffle`.

    Parameters
    ----------
    downscale_factor : int
        The r above, at least 1.

    Returns
    -------
    array
        A new array of the library, dtype and device of `input`.

    Raises
    ------
    ValueError
        Fewer than three axes, a factor below 1, a height or width that r does not divide.
    TypeError
        A factor that is no integer, or another type.

    References
    ----------
    https://docs.pytorch.org/docs/stable/generated/torch.nn.PixelUnshuffle.html

    Examples
    --------
    >>> import numpy as np, upsample
    >>> upsample.pixel_unshuffle(np.arange(4).reshape(1, 2, 2), 2).ravel()
    array([0, 1, 2, 3])
    """
    op = "pixel_unshuffle"
    xp, factor = _checked(op, input, "downscale_factor", downscale_factor)
    height, width = input.shape[-2:]
    if height % factor or width % factor:
        rule = f"it does not divide the height {height} and the width {width}"
        raise bad_value(op, "downscale_factor", factor, rule, "pass a factor that does")
    plan = unshuffle(tuple(input.shape), factor, True)
    return rearrange(input, op=op, argument="input", xp=xp, plan=plan, out=out, engine=engine)


def _checked(op: str, x: Array, argument: str, factor: object) -> tuple[ModuleType, int]:
    xp = arrays.namespace(op, {"input": x})
    if x.ndim < 3:
        raise bad_value(
            op, "input", Raw(f"<shape {tuple(x.shape)}>"), f"it has {x.ndim} axes", "pass [*, C, H, W], three or more"
        )
    check_dtype(op, "input", x, arrays.MOVABLE, "convert it")
    return xp, integer(op, argument, factor, least=1)
