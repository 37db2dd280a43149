"""``python -m double ARGUMENTS``: pytest with these arguments, where CuPy and torch's GPU are the double."""

from __future__ import annotations

import sys

import pytest

from double.installed import install

if __name__ == "__main__":
    install()
    from double import torch_cuda

    torch_cuda.install()
    sys.exit(pytest.main(["-p", "no:cacheprovider", "-q", *sys.argv[1:]]))
