"""
The modes side by side
======================

A small picture enlarged eight times in each mode. ``nearest-exact`` repeats samples, ``linear`` blends two, ``cubic``
and ``lanczos`` weigh four and six and keep edges sharper.
"""

import matplotlib.pyplot as plt
import numpy as np

import upsample

# %%
# A face of 16 by 16 samples: two eyes and a mouth.

y, x = np.mgrid[:16, :16] + 0.5
face = np.where((x - 8) ** 2 + (y - 8) ** 2 < 49, 0.9, 0.2)
face[5:7, 4:6] = face[5:7, 10:12] = 0.0
face[10:12, 5:11] = 0.1

# %%
# ``resize`` takes the factor, and resamples both axes.

modes = ["nearest-exact", "linear", "cubic", "lanczos"]
figure, axes = plt.subplots(1, 5, figsize=(11, 2.6), layout="constrained")
axes[0].imshow(face, cmap="gray", vmin=0, vmax=1)
axes[0].set_title("16 × 16")
for axis, mode in zip(axes[1:], modes, strict=True):
    axis.imshow(upsample.resize(face, scale=8, mode=mode), cmap="gray", vmin=0, vmax=1)
    axis.set_title(mode)
for axis in axes:
    axis.axis("off")
plt.show()
