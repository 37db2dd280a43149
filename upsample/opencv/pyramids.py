"""Gaussian pyramids: a level down, a level up."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from upsample import arrays
from upsample.arguments import integer, integers
from upsample.arrays import ArrayT
from upsample.autograd.torch_compile import opaque
from upsample.errors import bad_value
from upsample.literals import EngineName
from upsample.opencv.modes import BYTES, INTEGERS, Border, Image, image_of
from upsample.ops.call_chains import once
from upsample.ops.resize import resize as run
from upsample.plans.resize import ResizePlan, tabled

__all__ = ["pyrDown", "pyrUp"]

_BOUNDARIES = {Border.REPLICATE: "edge", Border.REFLECT: "reflect", Border.REFLECT_101: "mirror"}


_BITS = {"down": 4, "up": 3}
"""Binary places of the weights."""


def pyrDown(
    src: ArrayT, dstsize: Sequence[int] | None = None, borderType: int = 4, *, engine: EngineName | None = None
) -> ArrayT:
    """Blur an image and take every second sample, as ``cv2.pyrDown`` does.

    Parameters
    ----------
    src : array
        ``[H, W]`` or ``[H, W, C]``.
    dstsize : pair of int, optional
        Width and height of the result; by default half of the image's, rounded up.
    borderType : int
        One of `Border`, or its number; BORDER_REFLECT_101 by default.
    engine : str, optional
        Forces an engine.

    Returns
    -------
    array
        Of the library, dtype and device of `src`.

    Raises
    ------
    ValueError
        A size that is not about half of the image's, a border that is unknown.
    TypeError
        A dtype that OpenCV does not take.

    References
    ----------
    https://docs.opencv.org/5.x/d4/d86/group__imgproc__filter.html

    Examples
    --------
    >>> import numpy as np
    >>> from upsample import opencv
    >>> opencv.pyrDown(np.full((6, 9), 7, dtype=np.uint8)).shape
    (3, 5)
    """
    result: ArrayT = once(_pyrDown, src, dstsize, borderType, engine)
    return result


def _pyrDown(src: ArrayT, dstsize: Sequence[int] | None, borderType: int, engine: EngineName | None) -> ArrayT:
    op = "pyrDown"
    xp = arrays.namespace(op, {"src": src})
    of = image_of(op, src)
    size = _size(op, dstsize, tuple((n + 1) // 2 for n in of.size))
    for wanted, n in zip(size, of.size, strict=True):
        if abs(wanted * 2 - n) > 2:
            raise bad_value(op, "dstsize", dstsize, f"it must be half of {of.size}, within a sample", "omit it")
    border = integer(op, "borderType", borderType)
    if border not in list(Border):
        known = ", ".join(f"{b.value} (BORDER_{b.name})" for b in Border)
        raise bad_value(op, "borderType", borderType, "it is unknown", f"pass one of {known}")
    boundary = _BOUNDARIES[Border(border)]
    rules = [tabled(of.size[i], size[i], "opencv pyramid down", boundary, bits=_BITS["down"]) for i in (1, 0)]
    return run(src, **_call(op, of, rules), xp=xp, out=None, engine=engine)


def pyrUp(
    src: ArrayT, dstsize: Sequence[int] | None = None, borderType: int = 4, *, engine: EngineName | None = None
) -> ArrayT:
    """Put a sample between each two and blur, as ``cv2.pyrUp`` does.

    Parameters
    ----------
    src : array
        ``[H, W]`` or ``[H, W, C]``.
    dstsize : pair of int, optional
        Width and height of the result; by default twice the image's, and at most one more or less.
    borderType : int
        BORDER_REFLECT_101, as OpenCV takes no other.
    engine : str, optional
        Forces an engine.

    Returns
    -------
    array
        Of the library, dtype and device of `src`.

    Raises
    ------
    ValueError
        A size that is not about twice the image's, another border.
    TypeError
        A dtype that OpenCV does not take.

    References
    ----------
    https://docs.opencv.org/5.x/d4/d86/group__imgproc__filter.html

    Examples
    --------
    >>> import numpy as np
    >>> from upsample import opencv
    >>> opencv.pyrUp(np.asarray([[0, 8]], dtype=np.uint8))
    array([[2, 4, 7, 8],
           [2, 4, 7, 8]], dtype=uint8)
    """
    result: ArrayT = once(_pyrUp, src, dstsize, borderType, engine)
    return result


def _pyrUp(src: ArrayT, dstsize: Sequence[int] | None, borderType: int, engine: EngineName | None) -> ArrayT:
    op = "pyrUp"
    xp = arrays.namespace(op, {"src": src})
    of = image_of(op, src)
    size = _size(op, dstsize, (2 * of.size[0], 2 * of.size[1]))
    for wanted, n in zip(size, of.size, strict=True):
        if abs(wanted - 2 * n) != wanted % 2:
            raise bad_value(op, "dstsize", dstsize, f"it must be twice {of.size}, or odd and next to that", "omit it")
    if integer(op, "borderType", borderType) != Border.REFLECT_101:
        raise bad_value(op, "borderType", borderType, "pyrUp has one border only", "omit it")
    rules = [tabled(of.size[i], size[i], "opencv pyramid up", i == 0, bits=_BITS["up"]) for i in (1, 0)]
    return run(src, **_call(op, of, rules), xp=xp, out=None, engine=engine)


def _size(op: str, dstsize: Sequence[int] | None, default: tuple[int, ...]) -> tuple[int, ...]:
    if dstsize is None or tuple(dstsize) == (0, 0):
        return default
    return integers(op, "dstsize", dstsize, 2, least=1, one_for_all=False)


def _call(op: str, of: Image, rules: list[Any]) -> dict[str, Any]:
    plan = ResizePlan(
        (of.top, of.top + 1), tuple(rules), (of.top + 1, of.top), BYTES if of.dtype == "uint8" else INTEGERS
    )
    return {"op": op, "arguments": ("src", "dstsize"), "plan": plan}


opaque(pyrDown, open_sizes=False)
opaque(pyrUp, open_sizes=False)
