"""Shared by the launches of all ops: the device, the launch, the loader of kernels, windows as kernels read them."""
