"""
Channels into space
===================

``pixel_shuffle`` interleaves the channels of a low-resolution array. Chainer's ``depth2space`` does the same in another
order of the channels, so the two are not interchangeable.
"""

import matplotlib.pyplot as plt
import numpy as np

import upsample
import upsample.chainer as F

channels = np.stack([np.full((3, 3), value) for value in range(8)])[None].astype(np.float32)

figure, axes = plt.subplots(2, 2, figsize=(7, 6.4), layout="constrained")
for row, (title, result) in enumerate(
    {"pixel_shuffle": upsample.pixel_shuffle(channels, 2), "depth2space": F.depth2space(channels, 2)}.items()
):
    for column in range(2):
        axes[row, column].imshow(result[0, column], vmin=0, vmax=7)
        axes[row, column].set_title(f"{title}, channel {column}")
        axes[row, column].axis("off")
        for (i, j), value in np.ndenumerate(result[0, column]):
            axes[row, column].text(j, i, f"{value:g}", ha="center", va="center", color="white")
plt.show()
