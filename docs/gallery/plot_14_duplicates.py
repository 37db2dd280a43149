"""
Duplicate indices
=================

Windows that overlap can name the same maximum. ``duplicates=`` says what its position holds after unpooling.
"""

import matplotlib.pyplot as plt
import numpy as np

import upsample

x = np.zeros((1, 1, 7, 7))
x[0, 0, 2, 2] = 4.0
x[0, 0, 5, 5] = 2.0
maxima, indices = upsample.max_pool2d(x, 3, stride=2, return_indices=True)
print(indices[0, 0])

# %%
# Position 16, which is (2, 2), is the maximum of four windows.

figure, axes = plt.subplots(1, 3, figsize=(9, 3.2), layout="constrained")
for axis, rule in zip(axes, (None, "last", "sum"), strict=True):
    picture = x if rule is None else upsample.max_unpool2d(maxima, indices, 3, 2, duplicates=rule)
    axis.imshow(picture[0, 0], vmin=0, vmax=16)
    axis.set_title("input" if rule is None else f"duplicates={rule!r}")
    axis.axis("off")
    for (i, j), value in np.ndenumerate(picture[0, 0]):
        if value:
            axis.text(j, i, f"{value:g}", ha="center", va="center", color="white")
plt.show()

# %%
# ``"error"`` refuses them, and names the place.

try:
    upsample.max_unpool2d(maxima, indices, 3, 2, duplicates="error")
except ValueError as error:
    print(error)
