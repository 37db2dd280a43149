"""
A video: change the frame rate
==============================

Frames are an axis like any other. ``linear`` along time blends neighbours, ``nearest-exact`` repeats frames.
"""

import matplotlib.pyplot as plt
import numpy as np

import upsample

frames = np.zeros((6, 32, 96), dtype=np.uint8)
for number, frame in enumerate(frames):
    frame[8:24, 4 + 14 * number : 16 + 14 * number] = 255

blended = upsample.resize(frames, 11, axes=0, mode="linear", align_corners=True)
repeated = upsample.resize(frames, 11, axes=0, mode="nearest-exact")

figure, axes = plt.subplots(3, 5, figsize=(11, 2.8), layout="constrained")
for row, (title, video) in enumerate({"frames": frames, "linear": blended, "nearest-exact": repeated}.items()):
    for column in range(5):
        axes[row, column].imshow(video[column], cmap="gray", vmin=0, vmax=255)
        axes[row, column].set(xticks=[], yticks=[])
    axes[row, 0].set_ylabel(title, fontsize=8)
plt.show()
