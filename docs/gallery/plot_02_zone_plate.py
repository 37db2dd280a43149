"""
Antialiasing on a zone plate
============================

A zone plate has every spatial frequency: the further from its centre, the finer its rings. When it shrinks by four,
rings finer than a new sample cannot be shown. Without antialiasing they come back as rings that are not there.
"""

import matplotlib.pyplot as plt
import numpy as np

import upsample

size = 512
y, x = np.mgrid[:size, :size] - (size - 1) / 2
plate = 0.5 + 0.5 * np.cos(np.pi * (x**2 + y**2) / (2 * size))

# %%
# ``antialias=True`` widens the filter by the factor of the shrinkage. The fine rings become grey.

calls = {
    "linear": {"mode": "linear"},
    "linear, antialias": {"mode": "linear", "antialias": True},
    "lanczos, antialias": {"mode": "lanczos", "antialias": True},
    "area": {"mode": "area"},
}
figure, axes = plt.subplots(1, 4, figsize=(11, 3.1), layout="constrained")
for axis, (title, options) in zip(axes, calls.items(), strict=True):
    axis.imshow(upsample.resize(plate, (128, 128), **options), cmap="gray", vmin=0, vmax=1, interpolation="nearest")
    axis.set_title(title)
    axis.axis("off")
plt.show()

# %%
# The energy that is left beyond what 128 samples can carry, in the outer corner of the plate:

for title, options in calls.items():
    corner = upsample.resize(plate, (128, 128), **options)[:16, :16]
    print(f"{title:20} standard deviation in the corner {corner.std():.3f}")
