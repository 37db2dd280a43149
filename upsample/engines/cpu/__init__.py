"""The cpu engine: kernels for NumPy arrays, compiled by Numba (``pip install "upsample[cpu]"``).

One module an op, each with one ``run`` like the portable engine's; `support` says which plans and arrays the engine
takes, `engines.threads` spreads a kernel's blocks over cores. Kernels are serial, release the
GIL, and are cached on disk.
"""
