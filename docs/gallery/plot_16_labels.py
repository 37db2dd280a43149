"""
Enlarging labels
================

``nearest`` takes sample ``floor(i * n / o)`` and is off centre; ``nearest-exact`` takes the sample whose cell
contains the centre of the output. For a mask that is enlarged by a factor with a fraction, the difference is a shift.
"""

import matplotlib.pyplot as plt
import numpy as np

import upsample

y, x = np.mgrid[:11, :11] - 5
labels = ((x**2 + y**2 < 17) + (x**2 + y**2 < 5)).astype(np.uint8)

figure, axes = plt.subplots(1, 3, figsize=(9, 3.2), layout="constrained")
for axis, mode in zip(axes, (None, "nearest", "nearest-exact"), strict=True):
    picture = labels if mode is None else upsample.resize(labels, (28, 28), mode=mode)
    axis.imshow(picture, cmap="tab10", vmin=0, vmax=9, interpolation="nearest")
    axis.set_title("labels" if mode is None else mode)
    axis.axis("off")
plt.show()

# %%
# The labels are symmetric, and so is the result of ``nearest-exact``. That of ``nearest`` is not.

for mode in ("nearest", "nearest-exact"):
    result = upsample.resize(labels, (28, 28), mode=mode)
    print(mode, "symmetric:", np.array_equal(result, result[::-1, ::-1]))
