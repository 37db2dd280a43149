"""What the launches of all ops use: the device, the launch, the loader of kernels, windows as kernels read them."""
