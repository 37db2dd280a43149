"""The fused multiply-add, which adds every float product of this engine, and the order of sums of each op.

The bits of a value depend only on the values and weights that are its terms: not on the array around it or its layout,
the kernel that runs, the number of threads, or the processor. Each op has one order of sums for all its kernels:

    resize             total = +0; for each tap, ascending: total = fma(input, weight, total); result = total + 0
                       in float64 if outputs have 2^18 taps or more (`upsample.engines.long_axes`)
    conv_transpose     total = +0; for each 32 channels, each tap (row-major), each channel: total = fma(weight, input,
                       total); result = total + (bias + 0), where no bias is 0
    its input's        the same, with the channels of the gradient; no bias
    gradient
    its weight's       blocks of the grid of cells (`upsample.plans.cell_blocks`), added in row-major order; a block is
    gradient           a sum of units, see `upsample.engines.cpu.conv_transpose.weight_grad`
    unpooling that     cells in row-major order; so do gradients of pooling
    adds duplicates

The last ``+ 0`` turns -0 into +0. Therefore a tap of weight zero, or a cell of zero beside others, changes no result,
not even the sign of a sum that underflows. A kernel may also start with the first product, rounded, instead of +0.

No kernel is compiled with LLVM's fast-math flags. No result depends on the sign or the payload of a NaN.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba.core import cgutils
from numba.extending import intrinsic

from upsample.engines.cpu.runtime.machine import HAS_FMA

__all__ = ["CHANNELS", "fma", "write_fma"]

CHANNELS = 32
"""Channels per block: a kernel adds all taps of a block before the next one, so its cells stay in the L1 cache."""


def write_fma(builder: Any, a: Any, b: Any, c: Any) -> Any:
    """Write the code for ``a * b + c``, rounded once, of floats or of vectors of floats."""
    if not HAS_FMA:  # bits differ on old x86: the C library's `fma` takes about fifty times as long
        return builder.fadd(builder.fmul(a, b), c)
    kind = c.type
    element = kind.element if isinstance(kind, ir.VectorType) else kind
    name = "f64" if isinstance(element, ir.DoubleType) else "f32"
    lanes = f"v{kind.count}" if isinstance(kind, ir.VectorType) else ""
    function = cgutils.get_or_insert_function(
        builder.module, ir.FunctionType(kind, [kind] * 3), f"llvm.fma.{lanes}{name}"
    )
    return builder.call(function, (a, b, c))


@intrinsic  # type: ignore[untyped-decorator]
def fma(_context: Any, a: Any, b: Any, c: Any) -> Any:
    """Return ``a * b + c``, rounded once, in the type of `c`."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        kind = signature.return_type
        cast = [context.cast(builder, value, of, kind) for value, of in zip(args, signature.args, strict=True)]
        return write_fma(builder, *cast)

    return c(a, b, c), generate
