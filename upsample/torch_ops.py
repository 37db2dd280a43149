"""The operators of torch that graphs of this package consist of: import it before a graph is loaded from a file.

A program that torch.export, AOTInductor or torch.jit saved contains ``upsample::step``. torch knows this operator once
this module is imported, or once a call on tensors with gradients was made. The module needs torch.
"""

import upsample.autograd.torch_function  # noqa: F401
