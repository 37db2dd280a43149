"""Geometry on plain numbers: what an op will do, before an array is touched.

``filters`` and ``resize`` say how an axis is resampled, ``taps`` expands that into tables; ``window`` says which
windows of a pooling, and of its inverses, cover which positions.
"""
