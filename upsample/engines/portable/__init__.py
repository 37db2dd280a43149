"""The Array API standard only: any namespace, and the semantic reference for every other engine.

One module an op, each with one ``run(xp, plan, …)`` that returns a new array of the namespace, dtype and device it
was given, or fills and returns ``out``.
"""
