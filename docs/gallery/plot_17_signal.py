"""
A signal at another rate
========================

A chirp at 8 kHz, resampled to 3 kHz. Frequencies above 1.5 kHz do not fit the new rate: antialiasing removes them,
without it they come back as lower tones.
"""

import matplotlib.pyplot as plt
import numpy as np

import upsample

rate, new_rate = 8000, 3000
time = np.arange(rate) / rate
chirp = np.sin(2 * np.pi * (50 * time + 1600 * time**2))

figure, axes = plt.subplots(1, 2, figsize=(10, 3.2), sharey=True, layout="constrained")
for axis, antialias in zip(axes, (False, True), strict=True):
    signal = upsample.resize(chirp, new_rate, mode="lanczos", antialias=antialias)
    axis.specgram(signal, NFFT=128, Fs=new_rate, noverlap=96, vmin=-100, vmax=-30)
    axis.set(title=f"antialias={antialias}", xlabel="seconds", ylabel="hertz" if not antialias else "")
plt.show()
