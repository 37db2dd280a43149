"""Planes of one column as rows: the kernels go along the last axis."""

from __future__ import annotations

from dataclasses import replace

from upsample.arrays import NDArray
from upsample.engines.cpu.runtime.window_grid import is_single
from upsample.plans.window import ConvTransposePlan

__all__ = ["as_rows"]


def as_rows(plan: ConvTransposePlan, *planes: NDArray) -> tuple[ConvTransposePlan, list[NDArray]]:
    """Drop the last axes that have one cell, one position and one tap, from a plan and from arrays of its planes."""
    axes, arrays = plan.axes, list(planes)
    while len(axes) > 1 and is_single(axes[-1]):
        axes, arrays = axes[:-1], [x[..., 0] for x in arrays]
    return (plan if axes is plan.axes else replace(plan, axes=axes)), arrays
