"""Dask arrays, chunk by chunk: a task for each chunk of the result runs the engine of its blocks on a part of a plan.

Results have the bits of the same call on arrays in memory, whatever the chunks. `chunks` says which chunks a result
has, `graph` builds arrays of tasks, `slabs` assembles the part of an input that a task needs, and `block_sums` adds
sums over all chunks. Each op has a module with one ``run``, like that of the portable engine. Nothing is computed while
a graph is built.
"""
