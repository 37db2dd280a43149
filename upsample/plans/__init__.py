"""Plans: the geometry of an op in plain numbers, without an array.

``filters`` and ``resize`` define how an axis is resampled, and ``taps`` computes the tables of inputs and weights.
``window`` has the windows of pooling and its inverses: the positions that each window covers.
"""
