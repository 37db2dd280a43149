"""Dask arrays, chunk by chunk: a task for each chunk of the result runs the engine of its blocks on a part of a plan.

Results have the bits of the same call on arrays in memory, whatever the chunks. `graph` builds arrays of tasks, `slabs`
says which blocks a task takes and what it makes of them; one module an op, each with one ``run`` like the portable
engine's. Nothing is computed while a graph is built.
"""
