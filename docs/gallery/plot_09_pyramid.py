"""
An image pyramid
================

Each level has half the size of the one before. ``mode="area"`` takes exact block means; starting each level from the
original or from the level before gives the same result.
"""

import matplotlib.pyplot as plt
import numpy as np

import upsample

y, x = np.mgrid[:256, :256]
image = (np.sin(x * y / 600) * 0.5 + 0.5).astype(np.float32)

levels = [image]
while min(levels[-1].shape) > 16:
    levels.append(upsample.resize(levels[-1], scale=0.5, mode="area"))

direct = upsample.resize(image, levels[-1].shape, mode="area")
print("levels:", [level.shape for level in levels])
print("largest difference from the direct reduction:", float(np.abs(direct - levels[-1]).max()))

figure, axes = plt.subplots(1, len(levels), figsize=(11, 2.6), layout="constrained")
for axis, level in zip(axes, levels, strict=True):
    axis.imshow(level, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
    axis.set_title(f"{level.shape[0]} × {level.shape[1]}")
    axis.axis("off")
plt.show()
