"""Plans: the geometry of an op in plain numbers, without an array.

``filters`` and ``resize`` say how an axis is resampled, ``taps`` expands that into tables; ``window`` says which
windows of a pooling, and of its inverses, cover which positions.
"""
