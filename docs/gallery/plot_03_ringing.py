"""
Ringing at an edge
==================

A step from 0 to 1, enlarged. ``linear`` never leaves the range of its input. ``cubic`` and ``lanczos`` overshoot on
both sides of the edge; this makes pictures look sharper, and takes other data out of its range.
"""

import matplotlib.pyplot as plt
import numpy as np

import upsample

step = np.repeat([0.0, 1.0], 6)
factor = 16
places = (np.arange(step.size * factor) + 0.5) / factor - 0.5

figure, axis = plt.subplots(figsize=(8, 3.6), layout="constrained")
axis.plot(np.arange(step.size), step, "ko", label="samples")
for mode in ("linear", "cubic", "lanczos"):
    enlarged = upsample.resize(step, scale=factor, mode=mode)
    axis.plot(places, enlarged, label=f"{mode}: {enlarged.min():+.3f} to {enlarged.max():.3f}")
catmull_rom = upsample.resize(step, scale=factor, mode="cubic", cubic_coeff=-0.5)
axis.plot(places, catmull_rom, "--", label=f"cubic, a = -0.5: {catmull_rom.min():+.3f} to {catmull_rom.max():.3f}")
axis.set(xlim=(2.5, 8.5), xlabel="sample", ylabel="value")
axis.legend()
plt.show()
