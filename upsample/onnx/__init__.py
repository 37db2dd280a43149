"""ONNX operators of the upsampling family, with the names and defaults of ONNX, on any array.

`run_node` runs a node of a model, of any opset since 7; each operator is also a function of its attributes. The package
onnx is not needed. ONNX defines no rounding, so results agree with its reference evaluator and with onnxruntime to the
precision of the dtype, not to the bit.
"""

from upsample.autograd.torch_compile import opaque
from upsample.onnx.conv_transpose import conv_transpose
from upsample.onnx.depth_space import depth_to_space, space_to_depth
from upsample.onnx.nodes import run_node
from upsample.onnx.pooling import max_pool, max_unpool
from upsample.onnx.resize import resize, upsample

__all__ = [
    "conv_transpose",
    "depth_to_space",
    "max_pool",
    "max_unpool",
    "resize",
    "run_node",
    "space_to_depth",
    "upsample",
]

for _name in __all__:
    opaque(globals()[_name], open_sizes=True)


def __dir__() -> list[str]:
    """Return what completion offers: the public names."""
    return [*__all__]
