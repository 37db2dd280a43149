"""A matrix product for compiled loops: some rows by two vectors in registers, no threads, no call into BLAS.

NumPy's BLAS has threads of its own, which wait for each other and spin, unless products are tiny, and it cannot add to
what is there. Here a thread adds to a block of its own, which stays in the cache.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import binding, ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from upsample.engines.cpu.compile import kernel

__all__ = ["COLUMNS", "add_product"]

_A = np.ndarray[Any, Any]

_BYTES = 64 if binding.get_host_cpu_features().get("avx512f") else 32
"""Of a vector."""
_VECTORS = 2
_ROWS = 8 if _BYTES == 64 else 4
COLUMNS = _VECTORS * _BYTES // 4
"""Columns of a product come in multiples of so many."""


def _tile(rows: int) -> Any:
    """Make the intrinsic that adds to `rows` rows of `_VECTORS` vectors."""

    @intrinsic  # type: ignore[untyped-decorator]
    def add(_: Any, left: Any, right: Any, made: Any, places: Any, depth: Any) -> Any:
        """``made[r, :] += sum of left[r, k] * right[k, :]``; ``places``: offsets of the three and their row steps."""

        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            a, b, c = (
                context.make_array(kind)(context, builder, value).data
                for kind, value in zip(signature.args[:3], args[:3], strict=True)
            )
            at = [builder.extract_value(args[3], i) for i in range(6)]
            size = context.get_abi_sizeof(a.type.pointee)
            vector = ir.VectorType(a.type.pointee, _BYTES // size)
            name = f"llvm.fma.v{vector.count}f{8 * size}"
            fma = cgutils.get_or_insert_function(builder.module, ir.FunctionType(vector, [vector] * 3), name)

            def place(base: Any, offset: Any, column: int) -> Any:
                shifted = builder.add(offset, ir.Constant(offset.type, column * vector.count))
                where = builder.gep(base, [shifted])
                return builder.bitcast(where, vector.as_pointer())

            targets = [
                place(c, builder.add(at[2], builder.mul(at[5], ir.Constant(at[5].type, r))), v)
                for r in range(rows)
                for v in range(_VECTORS)
            ]
            sums = [cgutils.alloca_once(builder, vector) for _ in targets]
            for total in sums:
                builder.store(ir.Constant(vector, [0.0] * vector.count), total)
            with cgutils.for_range(builder, args[4]) as loop:
                line = builder.add(at[1], builder.mul(at[4], loop.index))
                parts = [builder.load(place(b, line, v), align=size) for v in range(_VECTORS)]
                for r in range(rows):
                    offset = builder.add(at[0], builder.mul(at[3], ir.Constant(at[3].type, r)))
                    value = builder.load(builder.gep(a, [builder.add(offset, loop.index)]))
                    first = builder.insert_element(ir.Constant(vector, ir.Undefined), value, ir.IntType(32)(0))
                    zeros = ir.Constant(ir.VectorType(ir.IntType(32), vector.count), [0] * vector.count)
                    spread = builder.shuffle_vector(first, ir.Constant(vector, ir.Undefined), zeros)
                    for v in range(_VECTORS):
                        total = sums[r * _VECTORS + v]
                        builder.store(builder.call(fma, [spread, parts[v], builder.load(total)]), total)
            for total, target in zip(sums, targets, strict=True):
                builder.store(builder.fadd(builder.load(target, align=size), builder.load(total)), target, align=size)
            return context.get_dummy_value()

        return types.void(left, right, made, places, depth), generate

    return add


_add_many, _add_one = _tile(_ROWS), _tile(1)


@kernel
def add_product(
    left: _A, right: _A, made: _A, begins: tuple[int, int, int], steps: tuple[int, int, int], size: tuple[int, int, int]
) -> None:
    """Add the product of ``left [rows, depth]`` and ``right [depth, columns]`` to ``made [rows, columns]``.

    ``begins`` and ``steps``: where each begins in its flat array, and from a row to the next. ``size``: rows, columns,
    depth; columns are a multiple of a vector pair, whose part of `right` stays in the first-level cache for all rows.
    Each element is summed in the order of depth by fused operations, and then added.
    """
    rows, columns, depth = size
    pair = COLUMNS * 4 // made.itemsize
    for column in range(0, columns, pair):
        row = 0
        while row < rows:
            places = (
                begins[0] + row * steps[0],
                begins[1] + column,
                begins[2] + row * steps[2] + column,
                steps[0],
                steps[1],
                steps[2],
            )
            if row + _ROWS <= rows:
                _add_many(left, right, made, places, depth)
                row += _ROWS
            else:
                _add_one(left, right, made, places, depth)
                row += 1
