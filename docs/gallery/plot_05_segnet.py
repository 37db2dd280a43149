"""
Unpooling as in SegNet
======================

SegNet's encoder pools and keeps the positions of the maxima. Its decoder puts the values back there, so edges stay
where they were. Enlarging the maxima instead moves every edge to the grid of the pooling.
"""

import matplotlib.pyplot as plt
import numpy as np

import upsample

y, x = np.mgrid[:48, :48]
image = ((x + 2 * y) % 17 < 3) * 1.0 + 0.02 * np.random.default_rng(0).random((48, 48))
image = image[None, None].astype(np.float32)

maxima, indices = upsample.max_pool2d(image, 4, return_indices=True)
unpooled = upsample.max_unpool2d(maxima, indices, 4)
enlarged = upsample.interpolate(maxima, scale_factor=4)

# %%
# The positions are exact: each non-zero value of the unpooled picture is a value of the image at the same place.

kept = unpooled != 0
assert np.array_equal(unpooled[kept], image[kept])

figure, axes = plt.subplots(1, 4, figsize=(11, 3), layout="constrained")
pictures = {"image": image, "maxima, 12 × 12": maxima, "max_unpool2d": unpooled, "interpolate": enlarged}
for axis, (title, picture) in zip(axes, pictures.items(), strict=True):
    axis.imshow(picture[0, 0], cmap="magma", interpolation="nearest")
    axis.set_title(title)
    axis.axis("off")
plt.show()
