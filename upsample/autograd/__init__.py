"""How a gradient finds its way back: steps of a call, the tape that `upsample.vjp` reads, the door to torch's autograd.

JAX needs none: it traces the portable engine itself.
"""
