"""ONNX DepthToSpace and SpaceToDepth."""

from __future__ import annotations

from upsample import arrays
from upsample.arguments import check_dtype, check_rank, integer
from upsample.arrays import ArrayT
from upsample.docstrings import documented_like
from upsample.errors import Raw, bad_value
from upsample.literals import DepthOrder, EngineName
from upsample.onnx.attributes import choice
from upsample.ops.pixel_shuffle import rearrange
from upsample.plans.shuffle import shuffle, unshuffle

__all__ = ["depth_to_space", "space_to_depth"]

_MODES = ("DCR", "CRD")


def depth_to_space(
    input: ArrayT, *, blocksize: int, mode: DepthOrder = "DCR", engine: EngineName | None = None
) -> ArrayT:
    """Move channels into blocks of space, as ONNX DepthToSpace does.

    Parameters
    ----------
    input : array
        ``[N, C * blocksize**2, H, W]`` of any dtype.
    blocksize : int
        Height and width of a block.
    mode : {"DCR", "CRD"}
        Whether the channels of `input` are ordered by place in the block and then by output channel ("DCR"), or the
        other way round ("CRD", the order of torch).
    engine : str, optional
        Forces an engine.

    Returns
    -------
    array
        ``[N, C, H * blocksize, W * blocksize]``.

    Raises
    ------
    ValueError
        Not four axes, a block size below 1 or one whose square does not divide the channels, another mode.
    TypeError
        A block size that is no integer, or another type.

    References
    ----------
    https://onnx.ai/onnx/operators/onnx__DepthToSpace.html

    Examples
    --------
    >>> import numpy as np
    >>> import upsample.onnx
    >>> x = np.arange(4).reshape(1, 4, 1, 1)
    >>> upsample.onnx.depth_to_space(x, blocksize=2)
    array([[[[0, 1],
             [2, 3]]]])
    """
    op = "depth_to_space"
    xp = arrays.namespace(op, {"input": input})
    check_rank(op, "input", input, (4,), "[N, C, H, W]")
    check_dtype(op, "input", input, arrays.MOVABLE, "convert it")
    block = integer(op, "blocksize", blocksize, least=1)
    is_channel_first = choice(op, "mode", mode, _MODES) == "CRD"
    if input.shape[1] % block**2:
        rule = f"its square does not divide the {input.shape[1]} channels"
        raise bad_value(op, "blocksize", blocksize, rule, "pass a block size whose square does")
    plan = shuffle(tuple(input.shape), block, is_channel_first)
    return rearrange(input, op=op, argument="input", xp=xp, plan=plan, out=None, engine=engine)


@documented_like(depth_to_space)
def space_to_depth(
    input: ArrayT, *, blocksize: int, mode: DepthOrder = "DCR", engine: EngineName | None = None
) -> ArrayT:
    """Move blocks of space into channels, as ONNX SpaceToDepth does.

    Parameters
    ----------
    input : array
        ``[N, C, H * blocksize, W * blocksize]`` of any dtype.
    mode : {"DCR", "CRD"}
        Order of the result's channels, as in `depth_to_space`. Before opset 28 ONNX has "DCR" only.

    Returns
    -------
    array
        ``[N, C * blocksize**2, H, W]``.

    Raises
    ------
    ValueError
        Not four axes, a block size below 1 or one that does not divide height and width, another mode.
    TypeError
        A block size that is no integer, or another type.

    References
    ----------
    https://onnx.ai/onnx/operators/onnx__SpaceToDepth.html

    Examples
    --------
    >>> import numpy as np
    >>> import upsample.onnx
    >>> upsample.onnx.space_to_depth(np.arange(4).reshape(1, 1, 2, 2), blocksize=2).ravel()
    array([0, 1, 2, 3])
    """
    op = "space_to_depth"
    xp = arrays.namespace(op, {"input": input})
    check_rank(op, "input", input, (4,), "[N, C, H, W]")
    check_dtype(op, "input", input, arrays.MOVABLE, "convert it")
    block = integer(op, "blocksize", blocksize, least=1)
    is_channel_first = choice(op, "mode", mode, _MODES) == "CRD"
    if input.shape[2] % block or input.shape[3] % block:
        shape = Raw(f"<shape {tuple(input.shape)}>")
        raise bad_value(op, "input", shape, f"the block size {block} does not divide it", "pass one that it divides")
    plan = unshuffle(tuple(input.shape), block, is_channel_first)
    return rearrange(input, op=op, argument="input", xp=xp, plan=plan, out=None, engine=engine)
