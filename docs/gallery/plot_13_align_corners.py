"""
What align_corners does
=======================

Five samples become nine. With half-pixel centres the outer *edges* of both grids coincide, with aligned corners the
outer *centres* do.
"""

import matplotlib.pyplot as plt
import numpy as np

import upsample

n, o = 5, 9
samples = np.asarray([1.0, 3.0, 2.0, 5.0, 4.0])

figure, axes = plt.subplots(1, 2, figsize=(10, 3.2), sharey=True, layout="constrained")
for axis, corners in zip(axes, (False, True), strict=True):
    places = np.arange(o) * (n - 1) / (o - 1) if corners else (np.arange(o) + 0.5) * n / o - 0.5
    result = upsample.resize(samples, o, mode="linear", align_corners=corners)
    axis.plot(np.arange(n), samples, "ko-", linewidth=0.8, label="5 samples")
    axis.plot(places, result, "o", color="tab:orange", label="9 samples")
    axis.axvspan(-0.5, n - 0.5, alpha=0.08)
    axis.set(title=f"align_corners={corners}", xlabel="input samples")
    axis.legend()
plt.show()
