"""Any array library, by the Array API standard only; defines the results that every other engine must agree with.

Each op has one ``run(xp, plan, ...)``. It returns a new array of the namespace, dtype and device of its input, or fills
and returns ``out``. Files named ``numpy_*`` are fast paths for NumPy arrays: read the others to learn what an op does.
"""
